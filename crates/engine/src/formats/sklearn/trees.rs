//! Decision trees and forests of them.

use std::collections::BTreeMap;

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::version::Version;
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::forest::Grove;
use crate::kernel::trees::{RawTree, Single, Trees};
use crate::reader::array::Array;
use crate::reader::element::Value;
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.ensemble._forest",
        "ExtraTreesClassifier",
        Reader::Head(forest),
    ),
    (
        "sklearn.ensemble._forest",
        "ExtraTreesRegressor",
        Reader::Head(forest),
    ),
    (
        "sklearn.ensemble._forest",
        "RandomForestClassifier",
        Reader::Head(forest),
    ),
    (
        "sklearn.ensemble._forest",
        "RandomForestRegressor",
        Reader::Head(forest),
    ),
    (
        "sklearn.tree._classes",
        "DecisionTreeClassifier",
        Reader::Head(tree),
    ),
    (
        "sklearn.tree._classes",
        "DecisionTreeRegressor",
        Reader::Head(tree),
    ),
    (
        "sklearn.tree._classes",
        "ExtraTreeClassifier",
        Reader::Head(tree),
    ),
    (
        "sklearn.tree._classes",
        "ExtraTreeRegressor",
        Reader::Head(tree),
    ),
    ("sklearn.tree._tree", "Tree", Reader::Part),
];

/// Least bytes of a node in a file: two children, a feature and a threshold of eight bytes each.
const MIN_NODE_BYTES: usize = 32;

/// A single tree.
fn tree(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let answers = answers(estimator)?;
    let mut grower = Grower::new(estimator, answers.1)?;
    grower.add(estimator)?;
    Ok(planted(
        estimator,
        grower,
        answers.0,
        tree_accepts_missing(estimator),
    ))
}

/// All trees of `estimators_`, in their order, for sums depend on it.
fn forest(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let list = estimator.fitted("estimators_")?;
    let members = estimator.arena().members(list);
    let members = members.ok_or_else(|| estimator.wrong("estimators_", list))?;
    let Some(first) = members.first() else {
        return Err(malformed("a forest without trees"));
    };
    let answers = answers(estimator)?;
    let mut grower = Grower::new(estimator, answers.1)?;
    for member in members {
        grower.add(member_tree(estimator, *member)?)?;
    }
    // Forests take missing values since 1.4 if their first tree does
    // (`sklearn/ensemble/_forest.py`, `_validate_X_predict`).
    let first = member_tree(estimator, *first)?;
    let accepts_missing = estimator.version >= Version(1, 4) && tree_accepts_missing(first);
    Ok(planted(estimator, grower, answers.0, accepts_missing))
}

/// What trees answer, and the values in each of their leaves.
fn answers(estimator: Estimator<'_>) -> Result<(Answers, usize), EngineError> {
    if !estimator.class.ends_with("Classifier") {
        let outputs = estimator.size("n_outputs_")?;
        if outputs == 0 {
            return Err(malformed("a tree without outputs"));
        }
        return Ok((Answers::regression(outputs), outputs));
    }
    let classes = names::classes(estimator)?;
    let width = classes.len();
    Ok((Answers::Classes(classes), width))
}

fn planted(
    estimator: Estimator<'_>,
    grower: Grower,
    answers: Answers,
    accepts_missing: bool,
) -> HeadPlan<'_> {
    let missing = if accepts_missing {
        Missing::Used
    } else {
        Missing::Refused
    };
    HeadPlan {
        from: estimator,
        needs: Need::numbers(grower.features, missing),
        head: Head::Grove(Grove {
            trees: grower.trees,
            classifies: matches!(answers, Answers::Classes(_)),
            accepts_missing,
        }),
        answers,
    }
}

fn member_tree(estimator: Estimator<'_>, id: NodeId) -> Result<Estimator<'_>, EngineError> {
    let member = estimator.child(id)?;
    if matches!(
        member.class,
        "DecisionTreeClassifier"
            | "DecisionTreeRegressor"
            | "ExtraTreeClassifier"
            | "ExtraTreeRegressor"
    ) {
        return Ok(member);
    }
    Err(malformed(format!("a forest with a {} in it", member.class)))
}

/// Whether the version that wrote a tree lets it predict rows with missing values
/// (`sklearn/tree/_classes.py`, `_support_missing_values`, of 1.2 to 1.9).
pub(super) fn tree_accepts_missing(tree: Estimator<'_>) -> bool {
    let splitter = tree.text("splitter").unwrap_or("best");
    let criterion = tree.text("criterion").unwrap_or("");
    let extra = tree.class.starts_with("Extra");
    let splitter_can = match (tree.version, extra) {
        (Version(1, ..=2), _) => false,
        (Version(1, 3..=5), _) => splitter == "best",
        (_, true) => splitter == "random",
        (_, false) => true,
    };
    let criteria = [
        "gini",
        "log_loss",
        "entropy",
        "squared_error",
        "friedman_mse",
        "poisson",
    ];
    let criterion_can = tree.version >= Version(1, 9) || criteria.contains(&criterion);
    let constraint_can = tree.version >= Version(1, 9) || tree.attribute("monotonic_cst").is_none();
    splitter_can && criterion_can && constraint_can
}

/// A forest in the making.
struct Grower {
    trees: Trees<Single, f64>,
    features: usize,
    width: usize,
    /// Whether leaf values are divided by their sum.
    normalise: bool,
    /// Nodes the file can still hold: a tree that is referred to many times must not multiply.
    nodes_left: usize,
}

impl Grower {
    fn new(estimator: Estimator<'_>, width: usize) -> Result<Self, EngineError> {
        let features = estimator.features()?;
        // `predict_proba` of trees divided by the sum of the leaf until 1.3
        // (`sklearn/tree/_classes.py`); since then leaves hold shares.
        let classifier = estimator.class.ends_with("Classifier");
        Ok(Self {
            trees: Trees::new(features, width),
            features,
            width,
            normalise: classifier && estimator.version < Version(1, 4),
            nodes_left: estimator.graph.bytes / MIN_NODE_BYTES,
        })
    }

    fn add(&mut self, tree: Estimator<'_>) -> Result<(), EngineError> {
        let mut raw = raw_tree(tree, self.features, self.width)?;
        self.nodes_left = self
            .nodes_left
            .checked_sub(raw.left.len())
            .ok_or_else(|| malformed("its trees have more nodes than the file can hold"))?;
        if self.normalise {
            raw.values.chunks_exact_mut(self.width).for_each(to_shares);
        }
        self.trees.push(&raw, 0)
    }
}

/// A tree over `features` columns with `width` values in each leaf, as its file has it.
pub(super) fn raw_tree(
    tree: Estimator<'_>,
    features: usize,
    width: usize,
) -> Result<RawTree, EngineError> {
    let (nodes, values) = tree_arrays(tree)?;
    if tree.features()? != features {
        return Err(malformed(
            "a tree was grown on other features than its forest",
        ));
    }
    // (nodes, outputs, values of each): one output with as many values as classes, or one value each.
    let count = nodes.len();
    if values.shape != [count, 1, width] && values.shape != [count, width, 1] {
        let shape = &values.shape;
        return Err(malformed(format!(
            "the values of a tree are {shape:?} for {count} nodes"
        )));
    }
    Ok(RawTree {
        left: integers(&nodes, "left_child")?,
        right: integers(&nodes, "right_child")?,
        feature: integers(&nodes, "feature")?,
        threshold: field(&nodes, "threshold", Value::as_f64)?
            .ok_or_else(|| malformed("the nodes of a tree have no threshold"))?,
        missing_left: field(&nodes, "missing_go_to_left", Value::as_i64)?
            .map(|flags| flags.into_iter().map(|flag| flag != 0).collect()),
        values: values.f64s()?,
        special: BTreeMap::new(),
    })
}

fn to_shares(values: &mut [f64]) {
    let sum: f64 = values.iter().sum();
    if sum != 0.0 {
        for value in values {
            *value /= sum;
        }
    }
}

/// `nodes` and `values` of the state of `tree_` (`sklearn/tree/_tree.pyx`, `Tree.__getstate__`).
pub(super) fn tree_arrays(tree: Estimator<'_>) -> Result<(Array<'_>, Array<'_>), EngineError> {
    let id = tree.fitted("tree_")?;
    let inner = tree.child(id)?;
    if inner.class != "Tree" {
        return Err(tree.wrong("tree_", id));
    }
    Ok((inner.array("nodes")?, inner.array("values")?))
}

pub(super) fn integers(nodes: &Array<'_>, name: &str) -> Result<Vec<i64>, EngineError> {
    let column = field(nodes, name, Value::as_i64)?;
    column.ok_or_else(|| malformed(format!("the nodes of a tree have no {name}")))
}

/// One field of all nodes; `None` if they lack it.
pub(super) fn field<T>(
    nodes: &Array<'_>,
    name: &str,
    convert: fn(&Value) -> Option<T>,
) -> Result<Option<Vec<T>>, EngineError> {
    let Some(values) = nodes.record_values(name)? else {
        return Ok(None);
    };
    let converted: Option<Vec<T>> = values.iter().map(convert).collect();
    let wrong = || malformed(format!("{name} of a tree is of the wrong type"));
    converted.ok_or_else(wrong).map(Some)
}
