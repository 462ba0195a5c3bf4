//! Linear models and dense layers.

use std::rc::Rc;

use super::builder::{Builder, Kind, Labels, Left, Numbers, Translation, Value, singles, widened};
use super::shapes::labels;
use crate::formats::onnx::constant::Constant;
use crate::formats::onnx::graph::Node;
use crate::kernel::graph::{Operation, Place, Transform};

/// Most weights of a layer: larger networks are faster with the runtime.
const MAX_WEIGHTS: usize = 1 << 16;

/// What becomes of scores; one name is left to the runtime.
pub(super) fn transform(node: &Node<'_>) -> Translation<Transform> {
    match node.attributes.text("post_transform")?.unwrap_or("NONE") {
        "NONE" => Ok(Transform::Nothing),
        "LOGISTIC" => Ok(Transform::Logistic),
        "SOFTMAX" => Ok(Transform::Softmax),
        "SOFTMAX_ZERO" => Ok(Transform::SoftmaxZero),
        _ => Err(Left::ToRuntime),
    }
}

/// `weights · x + intercepts`, for so many scores.
fn scores<'a>(
    node: &Node<'a>,
    numbers: &Numbers,
    intercepts: Vec<f64>,
    builder: &mut Builder<'_, 'a>,
) -> Translation<Place> {
    let weights = widened(&node.attributes.floats("coefficients")?);
    let (inputs, count) = (numbers.columns()?, intercepts.len());
    if count == 0 || inputs.checked_mul(count) != Some(weights.len()) {
        return Err(Left::ToRuntime);
    }
    let operation = Operation::Dense {
        weights,
        biases: intercepts,
        inputs,
    };
    Ok(builder.push(operation, vec![numbers.place], count))
}

/// Labels by the largest score, or by whether the only one is above zero
/// (onnxruntime/core/providers/cpu/ml/linearclassifier.cc).
pub(super) fn classifier<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.narrowed(node, 0)?;
    let intercepts = widened(&node.attributes.floats("intercepts")?);
    let (count, labels) = (intercepts.len(), labels(node, "classlabels_ints")?);
    let transform = transform(node)?;
    let scores = scores(node, &numbers, intercepts, builder)?;
    let (decide, turn, width) = match (count, labels.len()) {
        (1, 2) => {
            let decide = Operation::Above {
                limit: 0.0,
                refuses: false,
            };
            (decide, Operation::Pair(of_one_score(transform)?), 2)
        }
        (2.., known) if known == count => {
            let decide = Operation::Extreme { smallest: false };
            (decide, Operation::Transform(transform), count)
        }
        _ => return Err(Left::ToRuntime),
    };
    let label = builder.push(decide, vec![scores], 1);
    set_label(node, label, labels, builder)?;
    let place = if transform == Transform::Nothing && count > 1 {
        scores
    } else {
        builder.push(turn, vec![scores], width)
    };
    builder.set(node, 1, matrix(place, width))
}

/// What one score that may be a probability says of two classes.
pub(super) fn of_one_score(transform: Transform) -> Translation<Transform> {
    match transform {
        Transform::Nothing => Ok(Transform::Complement),
        Transform::Logistic => Ok(Transform::Logistic),
        _ => Err(Left::ToRuntime),
    }
}

/// Names the first output: a label by its index.
pub(super) fn set_label<'a>(
    node: &Node<'a>,
    place: Place,
    labels: Vec<plimsoll_core::schema::ClassLabel>,
    builder: &mut Builder<'_, 'a>,
) -> Translation<()> {
    let labels = Labels {
        place,
        known: Rc::new(labels),
        dims: Vec::new(),
        turned: false,
    };
    builder.set(node, 0, Value::Labels(labels))
}

/// A matrix of `float32`.
pub(super) fn matrix(place: Place, width: usize) -> Value {
    Value::Numbers(Numbers {
        place,
        kind: Kind::Single,
        dims: vec![width],
    })
}

/// Scores as they are; transforms are for several of them
/// (onnxruntime/core/providers/cpu/ml/linearregressor.cc).
pub(super) fn regressor<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    let targets = node.attributes.int("targets")?.unwrap_or(1);
    let targets = usize::try_from(targets).map_err(|_| Left::ToRuntime)?;
    let mut intercepts = widened(&node.attributes.floats("intercepts")?);
    let inputs = numbers.columns()?;
    let weights = node.attributes.floats("coefficients")?.len();
    if inputs.checked_mul(targets) != Some(weights) {
        return Err(Left::ToRuntime);
    }
    if intercepts.len() != targets {
        intercepts = vec![0.0; targets];
    }
    let transform = transform(node)?;
    let scores = scores(node, &numbers, intercepts, builder)?;
    let place = if transform == Transform::Nothing || targets == 1 {
        scores
    } else {
        builder.push(Operation::Transform(transform), vec![scores], targets)
    };
    builder.set(node, 0, matrix(place, targets))
}

/// Rows times a constant matrix.
pub(super) fn product<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    let weights = by_output(&*builder.constant(node, 1)?, false, true)?;
    dense(node, &numbers, weights, builder)
}

/// The same with a factor, and constants that are added.
pub(super) fn gemm<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    let flag = |name| Ok::<_, Left>(node.attributes.int(name)?.unwrap_or(0) != 0);
    let factor = |name| Ok::<_, Left>(node.attributes.float(name)?.unwrap_or(1.0));
    if flag("transA")? || factor("alpha")?.to_bits() != 1.0_f32.to_bits() {
        return Err(Left::ToRuntime);
    }
    let mut layer = by_output(&*builder.constant(node, 1)?, flag("transB")?, false)?;
    if node.inputs.get(2).is_some_and(|name| !name.is_empty()) {
        let added = builder.constant(node, 2)?;
        let beta = f64::from(factor("beta")?);
        let biases = match added.dims[..] {
            [] | [1] | [1, 1] => vec![singles(&added)?[0]; layer.biases.len()],
            [width] | [1, width] if width == layer.biases.len() => singles(&added)?,
            _ => return Err(Left::ToRuntime),
        };
        layer.biases = biases.into_iter().map(|bias| beta * bias).collect();
    }
    dense(node, &numbers, layer, builder)
}

/// Weights of a layer, one row for each output.
struct Layer {
    weights: Vec<f64>,
    biases: Vec<f64>,
    inputs: usize,
    /// Dimensions of what it makes, after the one of rows.
    dims: Vec<usize>,
}

/// A constant matrix of `inputs × outputs`, or the other way round if it is `turned`;
/// or a `vector` of inputs, where that may be.
fn by_output(matrix: &Constant, turned: bool, vector: bool) -> Translation<Layer> {
    let (first, second) = match matrix.dims[..] {
        [first, second] => (first, second),
        // A vector is a matrix of one column, and leaves none.
        [only] if vector => (only, 1),
        _ => return Err(Left::ToRuntime),
    };
    let values = singles(matrix)?;
    if values.is_empty() || values.len() > MAX_WEIGHTS {
        return Err(Left::ToRuntime);
    }
    let (inputs, outputs) = if turned {
        (second, first)
    } else {
        (first, second)
    };
    let weights = if turned {
        values
    } else {
        let column = |output| values.iter().skip(output).step_by(outputs).copied();
        (0..outputs).flat_map(column).collect()
    };
    Ok(Layer {
        weights,
        biases: vec![0.0; outputs],
        inputs,
        dims: vec![outputs; matrix.dims.len() - 1],
    })
}

fn dense<'a>(
    node: &Node<'a>,
    numbers: &Numbers,
    layer: Layer,
    builder: &mut Builder<'_, 'a>,
) -> Translation<()> {
    if numbers.columns()? != layer.inputs {
        return Err(Left::ToRuntime);
    }
    let width = layer.biases.len();
    let operation = Operation::Dense {
        weights: layer.weights,
        biases: layer.biases,
        inputs: layer.inputs,
    };
    let value = Value::Numbers(Numbers {
        place: builder.push(operation, vec![numbers.place], width),
        kind: Kind::Single,
        dims: layer.dims,
    });
    builder.set(node, 0, value)
}
