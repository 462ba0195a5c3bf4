//! Operators that compute on each column, or on the columns of a row.

use super::builder::{Builder, Kind, Left, Numbers, Translation, Value, singles, whole, widened};
use crate::formats::onnx::constant::Constant;
use crate::formats::onnx::graph::Node;
use crate::kernel::graph::{
    Arithmetic, Function, Kind as Way, Norm, Operand, Operation, Transform,
};

/// Sums, differences, products and quotients, of values of each row and constants.
pub(super) fn arithmetic<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let way = match node.operator {
        "Add" => Way::Add,
        "Sub" => Way::Subtract,
        "Mul" => Way::Multiply,
        _ => Way::Divide,
    };
    let (left, right) = (builder.input(node, 0)?, builder.input(node, 1)?);
    let rank = [&left, &right].into_iter().find_map(|value| match value {
        Value::Numbers(numbers) => Some(numbers.dims.len()),
        _ => None,
    });
    let rank = rank.ok_or(Left::ToRuntime)?;
    let (mut from, mut widths) = (Vec::new(), Vec::new());
    let mut side = |value: &Value| match value {
        Value::Numbers(numbers) if numbers.kind == Kind::Single && numbers.dims.len() == rank => {
            from.push(numbers.place);
            widths.push(numbers.width());
            Ok(Operand::Next)
        }
        Value::Constant(constant) => {
            let numbers = row_of(constant, rank)?;
            widths.push(numbers.len());
            Ok(Operand::Constant(numbers))
        }
        _ => Err(Left::ToRuntime),
    };
    let (left, right) = (side(&left)?, side(&right)?);
    // More dimensions would broadcast one by one.
    if rank > 1 {
        return Err(Left::ToRuntime);
    }
    let width = widths[0].max(widths[1]);
    let operation = Operation::Compute(Arithmetic {
        kind: way,
        left,
        right,
    });
    let value = Value::Numbers(Numbers {
        place: builder.push(operation, from, width),
        kind: Kind::Single,
        dims: vec![width; rank],
    });
    builder.set(node, 0, value)
}

/// A constant that goes with rows of `rank` dimensions: one number, or one for each column.
fn row_of(constant: &Constant, rank: usize) -> Translation<Vec<f64>> {
    let fits = match constant.dims[..] {
        [] | [1] => true,
        [_] | [1, _] => rank == 1,
        _ => false,
    };
    if !fits {
        return Err(Left::ToRuntime);
    }
    singles(constant)
}

/// Functions of one number.
pub(super) fn function<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let function = match node.operator {
        "Exp" => Function::Exponential,
        "Sigmoid" => Function::Logistic,
        "Neg" => Function::Negative,
        "Reciprocal" => Function::Reciprocal,
        "Relu" => Function::Relu,
        "Sqrt" => Function::Root,
        _ => Function::Tanh,
    };
    let numbers = builder.single(node, 0)?;
    same_width(Operation::Map(function), numbers, node, builder)
}

/// Adds an operation that leaves the shape as it is.
fn same_width<'a>(
    operation: Operation,
    numbers: Numbers,
    node: &Node<'a>,
    builder: &mut Builder<'_, 'a>,
) -> Translation<()> {
    let width = numbers.width();
    let place = builder.push(operation, vec![numbers.place], width);
    builder.set(node, 0, Value::Numbers(Numbers { place, ..numbers }))
}

/// The softmax of each row of a matrix.
pub(super) fn softmax<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    numbers.columns()?;
    // The default was the second dimension before operator set 13, and is the last since.
    if !matches!(node.attributes.int("axis")?, None | Some(1 | -1)) {
        return Err(Left::ToRuntime);
    }
    same_width(
        Operation::Transform(Transform::Softmax),
        numbers,
        node,
        builder,
    )
}

/// The index of the largest or smallest number of each row; the first of equals.
pub(super) fn extreme<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    numbers.columns()?;
    let (axis, last) = (
        node.attributes.int("axis")?,
        node.attributes.int("select_last_index")?,
    );
    if !matches!(axis, Some(1 | -1)) || last.unwrap_or(0) != 0 {
        return Err(Left::ToRuntime);
    }
    let keeps = node.attributes.int("keepdims")?.unwrap_or(1) != 0;
    let smallest = node.operator == "ArgMin";
    let place = builder.push(Operation::Extreme { smallest }, vec![numbers.place], 1);
    let value = Value::Numbers(Numbers {
        place,
        kind: Kind::Whole,
        dims: if keeps { vec![1] } else { Vec::new() },
    });
    builder.set(node, 0, value)
}

/// `(x − offset) × scale`.
pub(super) fn scaler<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.narrowed(node, 0)?;
    let width = numbers.columns()?;
    let offset = each_column(&node.attributes.floats("offset")?, width)?;
    let scale = each_column(&node.attributes.floats("scale")?, width)?;
    same_width(Operation::Scale { offset, scale }, numbers, node, builder)
}

/// One number for each of so many columns, of which one may be given for all.
fn each_column(values: &[f32], width: usize) -> Translation<Vec<f64>> {
    match values {
        [only] => Ok(vec![f64::from(*only); width]),
        each if each.len() == width => Ok(widened(each)),
        _ => Err(Left::ToRuntime),
    }
}

/// Rows divided by their length.
pub(super) fn normalizer<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    numbers.columns()?;
    let norm = match node.attributes.text("norm")?.unwrap_or("MAX") {
        "MAX" => Norm::Max,
        "L1" => Norm::L1,
        "L2" => Norm::L2,
        _ => return Err(Left::ToRuntime),
    };
    same_width(Operation::Normalize(norm), numbers, node, builder)
}

/// One where a number is above the threshold, zero elsewhere.
pub(super) fn binarizer<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    // The runtime's default, where the standard has 0 (binarizer.cc).
    let threshold = node.attributes.float("threshold")?.ok_or(Left::ToRuntime)?;
    let operation = Operation::Above {
        limit: threshold.into(),
        refuses: true,
    };
    same_width(operation, numbers, node, builder)
}

/// A value that stands for missing ones is replaced.
pub(super) fn imputer<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.numbers(node, 0)?;
    let width = numbers.columns()?;
    let (wanted, by) = match numbers.kind {
        Kind::Single => {
            let wanted = node.attributes.float("replaced_value_float")?;
            (
                wanted.map(f64::from),
                widened(&node.attributes.floats("imputed_value_floats")?),
            )
        }
        Kind::Whole => {
            let wanted = node.attributes.int("replaced_value_int64")?;
            let by = node.attributes.ints("imputed_value_int64s")?;
            let by = by.into_iter().map(whole).collect::<Translation<_>>()?;
            (wanted.map(whole).transpose()?, by)
        }
    };
    let wanted = wanted.ok_or(Left::ToRuntime)?;
    let by = match by[..] {
        [only] => vec![only; width],
        _ if by.len() == width => by,
        _ => return Err(Left::ToRuntime),
    };
    same_width(Operation::Replace { wanted, by }, numbers, node, builder)
}
