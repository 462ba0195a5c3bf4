//! How much each column tells trees apart: `feature_importances_`, which is not stored but follows from the trees.

use super::estimator::Estimator;
use super::trees::{field, integers, tree_arrays};
use crate::EngineError;
use crate::reader::element::Value;
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

/// The importances of a tree or of many (`sklearn/ensemble/_forest.py` and `_gb.py`, `feature_importances_`).
pub(super) fn of_trees(
    selector: Estimator<'_>,
    model: Estimator<'_>,
) -> Result<Vec<f64>, EngineError> {
    // Trees of a forest count as much as each other, stages of boosting as much as they gain.
    let (members, alike) = match model.class {
        "DecisionTreeClassifier"
        | "DecisionTreeRegressor"
        | "ExtraTreeClassifier"
        | "ExtraTreeRegressor" => (vec![model.id], true),
        "RandomForestClassifier"
        | "RandomForestRegressor"
        | "ExtraTreesClassifier"
        | "ExtraTreesRegressor" => (model.list("estimators_")?.to_vec(), true),
        "GradientBoostingClassifier" | "GradientBoostingRegressor" => (stages(model)?, false),
        other => return Err(selector.unserved(&format!("by the importances of {other}"))),
    };
    let features = model.features()?;
    let mut sums = vec![0.0; features];
    for member in members {
        let mut gains = gains(model.child(member)?, features)?;
        if alike {
            to_shares(&mut gains);
        }
        sums.iter_mut()
            .zip(gains)
            .for_each(|(sum, gain)| *sum += gain);
    }
    to_shares(&mut sums);
    Ok(sums)
}

/// The trees of all stages.
fn stages(model: Estimator<'_>) -> Result<Vec<NodeId>, EngineError> {
    let stages = model.array("estimators_")?;
    let members = stages.objects().map(<[NodeId]>::to_vec);
    members.ok_or_else(|| malformed("estimators_ is no table of trees"))
}

/// What the splits of a tree by each column gain (`sklearn/tree/_tree.pyx`, `compute_feature_importances`).
fn gains(tree: Estimator<'_>, features: usize) -> Result<Vec<f64>, EngineError> {
    let (nodes, _) = tree_arrays(tree)?;
    let numbers = |name| {
        let numbers = field(&nodes, name, Value::as_f64)?;
        numbers.ok_or_else(|| malformed(format!("the nodes of a tree have no {name}")))
    };
    let (impurity, weight) = (numbers("impurity")?, numbers("weighted_n_node_samples")?);
    let (left, right) = (
        integers(&nodes, "left_child")?,
        integers(&nodes, "right_child")?,
    );
    let column = integers(&nodes, "feature")?;
    let mut gains = vec![0.0; features];
    let share = |node: i64| {
        let node = usize::try_from(node).ok()?;
        Some(weight.get(node)? * impurity.get(node)?)
    };
    for node in 0..left.len() {
        if left[node] < 0 {
            continue;
        }
        let gain = share(left[node]).zip(share(right[node]));
        let gain = gain.map(|(left, right)| weight[node] * impurity[node] - left - right);
        let column = usize::try_from(column[node]).ok();
        let of_column = column.and_then(|column| gains.get_mut(column));
        let (Some(of_column), Some(gain)) = (of_column, gain) else {
            return Err(malformed("a tree asks for a feature that is not there"));
        };
        *of_column += gain;
    }
    let all = weight.first().copied().unwrap_or(1.0);
    for gain in &mut gains {
        *gain /= all;
    }
    Ok(gains)
}

fn to_shares(values: &mut [f64]) {
    let sum: f64 = values.iter().sum();
    if sum > 0.0 {
        for value in values {
            *value /= sum;
        }
    }
}
