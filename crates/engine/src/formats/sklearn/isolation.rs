//! Isolation forests.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::trees::{integers, raw_tree, tree_arrays};
use super::version::Version;
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::isolation::Isolation;
use crate::kernel::trees::{RawTree, Trees};
use crate::reader::malformed;

pub(super) const CLASSES: &[Class] = &[(
    "sklearn.ensemble._iforest",
    "IsolationForest",
    Reader::Head(isolation),
)];

/// The Euler-Mascheroni constant.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// `IsolationForest`: steps to a leaf, and those expected below it, are added up over the trees.
fn isolation(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let (members, chosen) = (
        estimator.list("estimators_")?,
        estimator.list("estimators_features_")?,
    );
    if members.is_empty() || members.len() != chosen.len() {
        return Err(malformed("a forest whose trees have no features"));
    }
    let mut trees = Trees::new(features, 1);
    for (member, chosen) in members.iter().zip(chosen) {
        let chosen = estimator.array_at("estimators_features_", *chosen)?;
        trees.push(&steps(estimator.child(*member)?, &chosen.f64s()?)?, 0)?;
    }
    let samples = estimator.number("_max_samples")?;
    let count = trees.count();
    // Missing values pass since 1.6 (`sklearn/ensemble/_iforest.py`, `score_samples`).
    let accepts_missing = estimator.version >= Version(1, 6);
    let missing = if accepts_missing {
        Missing::Used
    } else {
        Missing::Refused
    };
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(features, missing),
        answers: Answers::outlier(),
        head: Head::Isolation(Isolation {
            trees,
            expected: float(count) * average_path(samples),
            offset: estimator.numbers_of("offset_", 1)?[0],
            accepts_missing,
        }),
    })
}

/// The tree with, in each leaf, the steps to it and those a search below it would take.
fn steps(tree: Estimator<'_>, chosen: &[f64]) -> Result<RawTree, EngineError> {
    let mut raw = raw_tree(tree, chosen.len(), 1)?;
    let samples = integers(&tree_arrays(tree)?.0, "n_node_samples")?;
    let depths = depths(&raw)?;
    for (node, value) in raw.values.iter_mut().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let below = average_path(samples[node] as f64);
        *value = float(depths[node]) + 1.0 + below - 1.0;
        if raw.left[node] >= 0 {
            let column = usize::try_from(raw.feature[node]).ok();
            let column = column.and_then(|column| chosen.get(column));
            let column =
                column.ok_or_else(|| malformed("a tree asks for a feature that is not there"))?;
            #[expect(clippy::cast_possible_truncation, reason = "checked where it is used")]
            let column = *column as i64;
            raw.feature[node] = column;
        }
    }
    Ok(raw)
}

/// Steps from the root to each node.
fn depths(tree: &RawTree) -> Result<Vec<usize>, EngineError> {
    let mut depths = vec![None; tree.left.len()];
    let mut open = vec![(0_i64, 0_usize)];
    while let Some((node, depth)) = open.pop() {
        let place = usize::try_from(node).ok();
        let place = place.and_then(|node| Some((node, depths.get_mut(node)?)));
        let Some((node, slot @ None)) = place else {
            return Err(malformed("the nodes of a tree make no tree"));
        };
        *slot = Some(depth);
        if tree.left[node] >= 0 {
            open.extend([(tree.left[node], depth + 1), (tree.right[node], depth + 1)]);
        }
    }
    Ok(depths.into_iter().map(Option::unwrap_or_default).collect())
}

/// Steps of an unsuccessful search in a tree of so many rows (`_average_path_length`).
fn average_path(samples: f64) -> f64 {
    if samples <= 1.0 {
        0.0
    } else if samples <= 2.0 {
        1.0
    } else {
        2.0 * ((samples - 1.0).ln() + EULER_GAMMA) - 2.0 * (samples - 1.0) / samples
    }
}

#[expect(clippy::cast_precision_loss, reason = "depths and counts are small")]
fn float(count: usize) -> f64 {
    count as f64
}
