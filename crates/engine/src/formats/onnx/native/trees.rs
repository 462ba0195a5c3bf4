//! Ensembles of trees, with the answers of ONNX Runtime's own kernels
//! (onnxruntime/core/providers/cpu/ml/tree_ensemble_common.h and `_aggregator.h`).

use super::builder::{Builder, Left, Translation};
use super::ensemble::{CLASSES, Ensemble, MAX_FEATURES, Names, TARGETS};
use super::linear::{matrix, of_one_score, set_label, transform};
use super::shapes::labels;
use crate::EngineError;
use crate::formats::onnx::graph::{Graph, Node};
use crate::kernel::graph::{Operation, Place, Transform, TreeSums};
use crate::kernel::trees::{Single, Trees};

/// Refuses damaged ensembles of a graph that is left to the runtime, which might not
/// come back from them.
pub(super) fn check_all(graph: &Graph<'_>) -> Result<(), EngineError> {
    for node in &graph.nodes {
        let checked = match node.operator {
            "TreeEnsembleClassifier" => labels(node, "classlabels_int64s")
                .and_then(|labels| check(node, &CLASSES, labels.len())),
            "TreeEnsembleRegressor" => {
                targets_of(node).and_then(|targets| check(node, &TARGETS, targets))
            }
            _ => Ok(()),
        };
        if let Err(Left::Refused(error)) = checked {
            return Err(error);
        }
    }
    Ok(())
}

fn check(node: &Node<'_>, names: &Names, targets: usize) -> Translation<()> {
    Ensemble::read(node, names, targets)?
        .trees(MAX_FEATURES)
        .map(drop)
}

fn targets_of(node: &Node<'_>) -> Translation<usize> {
    let targets = node.attributes.int("n_targets")?.unwrap_or(1);
    let targets = usize::try_from(targets).ok().filter(|targets| *targets > 0);
    targets.ok_or(Left::ToRuntime)
}

/// One number for each target. Transforms are for several of them.
pub(super) fn regressor<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.narrowed(node, 0)?;
    let targets = targets_of(node)?;
    let ensemble = Ensemble::read(node, &TARGETS, targets)?;
    let trees = ensemble.trees(numbers.columns()?)?;
    let divisor = match node.attributes.text("aggregate_function")?.unwrap_or("SUM") {
        "SUM" => 1,
        "AVERAGE" => trees.count(),
        _ => return Err(Left::ToRuntime),
    };
    let transform = transform(node)?;
    let sums = sums(trees, divisor, base(node, targets)?)?;
    let place = builder.push(sums, vec![numbers.place], targets);
    let place = if transform == Transform::Nothing || targets == 1 {
        place
    } else {
        builder.push(Operation::Transform(transform), vec![place], targets)
    };
    builder.set(node, 0, matrix(place, targets))
}

fn sums(trees: Trees<Single, f32>, divisor: usize, base: Vec<f32>) -> Translation<Operation> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the runtime divides by a float, too"
    )]
    let divisor = divisor as f32;
    Ok(Operation::Trees(TreeSums::new(trees, divisor, base)?))
}

/// What is added to the sums: nothing, or one number for each.
fn base(node: &Node<'_>, sums: usize) -> Translation<Vec<f32>> {
    let base = node.attributes.floats("base_values")?;
    if node.attributes.has("base_values_as_tensor") || ![0, sums].contains(&base.len()) {
        return Err(Left::ToRuntime);
    }
    Ok(base)
}

/// A label and a score for each class: with three classes and more all of them have sums,
/// with two it is the first alone.
pub(super) fn classifier<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.narrowed(node, 0)?;
    let labels = labels(node, "classlabels_int64s")?;
    let ensemble = Ensemble::read(node, &CLASSES, labels.len())?;
    let transform = transform(node)?;
    let columns = numbers.columns()?;
    let aggregate = node.attributes.text("aggregate_function")?;
    if labels.len() < 2 || aggregate.is_some_and(|aggregate| aggregate != "SUM") {
        return Err(Left::ToRuntime);
    }
    if labels.len() > 2 {
        // A class without a leaf for some row could not be its label.
        if !ensemble.answers_for_every_target() {
            return Err(Left::ToRuntime);
        }
        let width = labels.len();
        let sums = sums(ensemble.trees(columns)?, 1, base(node, width)?)?;
        let sums = builder.push(sums, vec![numbers.place], width);
        let decide = Operation::Extreme { smallest: false };
        let label = builder.push(decide, vec![sums], 1);
        set_label(node, label, labels, builder)?;
        let place = match transform {
            Transform::Nothing => sums,
            _ => builder.push(Operation::Transform(transform), vec![sums], width),
        };
        return builder.set(node, 1, matrix(place, width));
    }
    let (sum, positive) = first_of_two(node, &ensemble, (numbers.place, columns), builder)?;
    // `_set_score_binary`: weights that are all positive are probabilities already.
    let limit = if positive { 0.5 } else { 0.0 };
    let decide = Operation::Above {
        limit,
        refuses: false,
    };
    let label = builder.push(decide, vec![sum], 1);
    set_label(node, label, labels, builder)?;
    let transform = if positive {
        of_one_score(transform)?
    } else {
        transform
    };
    let pair = builder.push(Operation::Pair(transform), vec![sum], 2);
    builder.set(node, 1, matrix(pair, 2))
}

/// The sum that decides between two classes, and whether no weight is negative.
fn first_of_two<'a>(
    node: &Node<'a>,
    ensemble: &Ensemble,
    (place, columns): (Place, usize),
    builder: &mut Builder<'_, 'a>,
) -> Translation<(Place, bool)> {
    let weights = ensemble.weights();
    let (mut positive, mut first) = (true, true);
    for (target, weight) in weights {
        positive &= *weight >= 0.0;
        first &= *target == 0;
    }
    if !first {
        return Err(Left::ToRuntime);
    }
    let trees = ensemble.grown(columns, 1)?;
    let sums = sums(trees, 1, base(node, 1)?)?;
    Ok((builder.push(sums, vec![place], 1), positive))
}
