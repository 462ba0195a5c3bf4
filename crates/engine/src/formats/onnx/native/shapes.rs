//! Operators that move values about and convert them.

use std::rc::Rc;

use plimsoll_core::schema::ClassLabel;

use super::builder::{Builder, Kind, Labels, Left, Numbers, Translation, Value, index_below};
use crate::formats::onnx::constant::Values;
use crate::formats::onnx::graph::Node;
use crate::kernel::graph::{Operation, Place};

/// Element types of `Cast`.
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;
const STRING: i64 = 8;

/// The same value by another name.
pub(super) fn identity<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let value = builder.input(node, 0)?;
    builder.set(node, 0, value)
}

/// A constant as a node of its own.
pub(super) fn constant<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let constant = node.attributes.tensor("value")?.ok_or(Left::ToRuntime)?;
    builder.set(node, 0, Value::Constant(Rc::new(constant)))
}

/// Another element type.
pub(super) fn cast<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let to = node.attributes.int("to")?.ok_or(Left::ToRuntime)?;
    let value = match (builder.input(node, 0)?, to) {
        (Value::Numbers(numbers), FLOAT) => Value::Numbers(builder.narrow(numbers)),
        (Value::Numbers(numbers), INT64) if numbers.kind == Kind::Whole => Value::Numbers(numbers),
        (Value::Numbers(numbers), INT64) => {
            let width = numbers.width();
            Value::Numbers(Numbers {
                place: builder.push(Operation::Truncate, vec![numbers.place], width),
                kind: Kind::Whole,
                dims: numbers.dims,
            })
        }
        (Value::Labels(labels), INT32 | INT64) if is_whole(&labels) => Value::Labels(labels),
        (Value::Labels(labels), FLOAT) => {
            let numbers = builder.spelled_out(&labels)?;
            Value::Numbers(builder.narrow(numbers))
        }
        (Value::Labels(labels), STRING) => Value::Labels(Labels {
            known: Rc::new(labels.known.iter().map(text_of).collect()),
            ..labels
        }),
        (texts @ Value::Texts { .. }, STRING) => texts,
        _ => return Err(Left::ToRuntime),
    };
    builder.set(node, 0, value)
}

fn is_whole(labels: &Labels) -> bool {
    let is_whole = |label: &ClassLabel| match label {
        ClassLabel::Int(value) => i32::try_from(*value).is_ok(),
        _ => false,
    };
    labels.known.iter().all(is_whole)
}

fn text_of(label: &ClassLabel) -> ClassLabel {
    match label {
        ClassLabel::Int(value) => ClassLabel::Text(value.to_string()),
        other => other.clone(),
    }
}

/// Values side by side along the last dimension, of which no other has more than one place.
pub(super) fn concat<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let axis = node.attributes.int("axis")?.ok_or(Left::ToRuntime)?;
    let inputs = (0..node.inputs.len()).map(|index| builder.input(node, index));
    let inputs: Vec<Value> = inputs.collect::<Translation<_>>()?;
    let value = if let Some(Value::Texts { .. }) = inputs.first() {
        side_by_side(&inputs, axis)?
    } else {
        let mut numbers = Vec::new();
        for input in inputs {
            match input {
                Value::Numbers(some) => numbers.push(some),
                _ => return Err(Left::ToRuntime),
            }
        }
        joined(&numbers, axis, builder)?
    };
    builder.set(node, 0, value)
}

fn side_by_side(inputs: &[Value], axis: i64) -> Translation<Value> {
    let mut all = Vec::new();
    for input in inputs {
        match input {
            Value::Texts { columns, dims } if dims.len() == 1 && matches!(axis, 1 | -1) => {
                all.extend(columns);
            }
            _ => return Err(Left::ToRuntime),
        }
    }
    Ok(Value::Texts {
        dims: vec![all.len()],
        columns: all,
    })
}

fn joined(inputs: &[Numbers], axis: i64, builder: &mut Builder<'_, '_>) -> Translation<Value> {
    let first = inputs.first().ok_or(Left::ToRuntime)?;
    let (kind, rank) = (first.kind, first.dims.len());
    let is_last = axis == -1 || usize::try_from(axis) == Ok(rank);
    let fits = |numbers: &Numbers| {
        let before = numbers.dims.split_last().map(|(_, before)| before);
        numbers.kind == kind
            && numbers.dims.len() == rank
            && before.is_some_and(|dims| dims.iter().all(|dim| *dim == 1))
    };
    if !is_last || !inputs.iter().all(fits) {
        return Err(Left::ToRuntime);
    }
    let width: usize = inputs.iter().map(Numbers::width).sum();
    let places: Vec<Place> = inputs.iter().map(|numbers| numbers.place).collect();
    let place = match places[..] {
        [only] => only,
        _ => builder.push(Operation::Join, places, width),
    };
    let mut dims = vec![1; rank];
    dims[rank - 1] = width;
    Ok(Value::Numbers(Numbers { place, kind, dims }))
}

/// Matrices side by side, as `float32`, each of a width that is given again.
pub(super) fn vectorize<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let widths = node.attributes.ints("inputdimensions")?;
    let inputs = (0..node.inputs.len()).map(|index| builder.narrowed(node, index));
    let inputs: Vec<Numbers> = inputs.collect::<Translation<_>>()?;
    let fits = |(numbers, width): (&Numbers, &i64)| usize::try_from(*width) == Ok(numbers.width());
    if widths.len() != inputs.len() || !inputs.iter().zip(&widths).all(fits) {
        return Err(Left::ToRuntime);
    }
    let value = joined(&inputs, -1, builder)?;
    builder.set(node, 0, value)
}

/// Other dimensions over the same rows.
pub(super) fn reshape<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    if node.attributes.int("allowzero")?.unwrap_or(0) != 0 {
        return Err(Left::ToRuntime);
    }
    let shape = builder.constant_ints(node, 1)?;
    let (first, trailing) = shape.split_first().ok_or(Left::ToRuntime)?;
    let value = builder.input(node, 0)?;
    let turned = matches!(&value, Value::Labels(labels) if labels.turned);
    // The dimension of rows stays, or is what is left for it.
    if *first != -1 && (*first != 0 || turned) {
        return Err(Left::ToRuntime);
    }
    let value = if *first == 0 && trailing == [-1] {
        let width = width_of(&value)?;
        with_dims(value, vec![width])?
    } else {
        let dims = trailing.iter().map(|dim| usize::try_from(*dim).ok());
        let dims: Option<Vec<usize>> = dims.collect();
        let dims = dims
            .filter(|dims| !dims.contains(&0))
            .ok_or(Left::ToRuntime)?;
        with_dims(value, dims)?
    };
    builder.set(node, 0, value)
}

/// All dimensions but that of rows become one.
pub(super) fn flatten<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    if node.attributes.int("axis")?.unwrap_or(1) != 1 {
        return Err(Left::ToRuntime);
    }
    let value = builder.input(node, 0)?;
    let turned = matches!(&value, Value::Labels(labels) if labels.turned);
    let width = width_of(&value)?;
    if turned {
        return Err(Left::ToRuntime);
    }
    let value = with_dims(value, vec![width])?;
    builder.set(node, 0, value)
}

fn width_of(value: &Value) -> Translation<usize> {
    match value {
        Value::Numbers(numbers) => Ok(numbers.width()),
        Value::Texts { columns, .. } => Ok(columns.len()),
        Value::Labels(_) => Ok(1),
        _ => Err(Left::ToRuntime),
    }
}

fn with_dims(value: Value, dims: Vec<usize>) -> Translation<Value> {
    let size = dims
        .iter()
        .try_fold(1_usize, |size, dim| size.checked_mul(*dim));
    if size != Some(width_of(&value)?) {
        return Err(Left::ToRuntime);
    }
    Ok(match value {
        Value::Numbers(numbers) => Value::Numbers(Numbers { dims, ..numbers }),
        Value::Texts { columns, .. } => Value::Texts { columns, dims },
        Value::Labels(labels) => Value::Labels(Labels {
            dims,
            turned: false,
            ..labels
        }),
        other => other,
    })
}

/// Columns of a matrix by constant indexes, or labels by the index of each row.
pub(super) fn extract<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    if let Value::Constant(list) = builder.input(node, 0)? {
        let labels: Vec<ClassLabel> = match &list.values {
            Values::Whole(values) => values.iter().copied().map(ClassLabel::Int).collect(),
            Values::Texts(values) => values.iter().cloned().map(ClassLabel::Text).collect(),
            _ => return Err(Left::ToRuntime),
        };
        let index = builder.numbers(node, 1)?;
        if index.kind != Kind::Whole
            || index.width() != 1
            || !is_index(&index, builder, labels.len())
        {
            return Err(Left::ToRuntime);
        }
        let labels = Labels {
            place: index.place,
            known: Rc::new(labels),
            dims: Vec::new(),
            turned: true,
        };
        return builder.set(node, 0, Value::Labels(labels));
    }
    columns(node, builder, false)
}

/// Whether numbers are sure to be indexes into so many labels: places of the largest of as many.
fn is_index(numbers: &Numbers, builder: &Builder<'_, '_>, labels: usize) -> bool {
    let Place::Made(index) = numbers.place else {
        return false;
    };
    let step = &builder.steps[index];
    let Operation::Extreme { .. } = step.operation else {
        return false;
    };
    let compared = match step.from.first() {
        Some(Place::Made(from)) => builder.steps[*from].width,
        Some(Place::Rows) => builder.takes.numbers,
        None => return false,
    };
    compared <= labels
}

/// Columns of a matrix by constant indexes, from the end where they are negative.
pub(super) fn gather<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    if node.attributes.int("axis")? != Some(1) || builder.constant(node, 1)?.dims.len() != 1 {
        return Err(Left::ToRuntime);
    }
    columns(node, builder, true)
}

fn columns<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>, from_end: bool) -> Translation<()> {
    let indexes = builder.constant_ints(node, 1)?;
    let value = builder.input(node, 0)?;
    let dims = match &value {
        Value::Numbers(numbers) => &numbers.dims,
        Value::Texts { dims, .. } => dims,
        _ => return Err(Left::ToRuntime),
    };
    let [width] = dims[..] else {
        return Err(Left::ToRuntime);
    };
    let indexes = indexes
        .iter()
        .map(|index| index_below(*index, width, from_end));
    let indexes: Vec<usize> = indexes.collect::<Translation<_>>()?;
    let dims = vec![indexes.len()];
    let value = match value {
        Value::Texts { columns, .. } => Value::Texts {
            columns: indexes.into_iter().map(|index| columns[index]).collect(),
            dims,
        },
        Value::Numbers(numbers) => Value::Numbers(Numbers {
            place: builder.push(Operation::Select(indexes), vec![numbers.place], dims[0]),
            kind: numbers.kind,
            dims,
        }),
        _ => return Err(Left::ToRuntime),
    };
    builder.set(node, 0, value)
}

/// Maps from labels to probabilities.
pub(super) fn zip_map<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let numbers = builder.single(node, 0)?;
    let labels = labels(node, "classlabels_int64s")?;
    if numbers.columns()? != labels.len() {
        return Err(Left::ToRuntime);
    }
    let place = numbers.place;
    builder.set(node, 0, Value::Maps { place, labels })
}

/// The labels of a node, integers under the name that is given; each of them once.
pub(super) fn labels(node: &Node<'_>, ints: &str) -> Translation<Vec<ClassLabel>> {
    let ints = node.attributes.ints(ints)?;
    let texts = node.attributes.texts("classlabels_strings")?;
    if ints.is_empty() == texts.is_empty() {
        return Err(Left::ToRuntime);
    }
    let (mut known_ints, mut known_texts) = (ints.clone(), texts.clone());
    known_ints.sort_unstable();
    known_texts.sort_unstable();
    let is_twice = known_ints.windows(2).any(|pair| pair[0] == pair[1])
        || known_texts.windows(2).any(|pair| pair[0] == pair[1]);
    if is_twice {
        return Err(Left::ToRuntime);
    }
    let ints = ints.into_iter().map(ClassLabel::Int);
    let texts = texts
        .into_iter()
        .map(|text| ClassLabel::Text(text.to_owned()));
    Ok(ints.chain(texts).collect())
}
