//! Operators that turn categories into numbers, and numbers into labels.

use std::rc::Rc;

use plimsoll_core::schema::ClassLabel;

use super::builder::{
    Builder, Kind, Labels, Left, Numbers, Translation, Value, index_number, whole,
};
use crate::formats::onnx::constant::{Constant, Values};
use crate::formats::onnx::graph::Node;
use crate::kernel::graph::{Dictionary, Operation, Place};

/// What stands for values that are not in the list, where the file does not say
/// (onnx/defs/traditionalml/defs.cc).
const UNKNOWN_TEXT: &str = "_Unused";
const UNKNOWN_INT: i64 = -1;
const UNKNOWN_FLOAT: f32 = -0.0;

/// Values that become other values.
pub(super) fn label<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let keys = keys(node)?;
    let values = values(node, keys.len())?;
    let input = builder.input(node, 0)?;
    let value = match values {
        Column::Texts(texts) => {
            let otherwise = node
                .attributes
                .text("default_string")?
                .unwrap_or(UNKNOWN_TEXT);
            labelled(&input, &keys, texts, otherwise, builder)?
        }
        Column::Whole(ints) => {
            let otherwise = otherwise(node, "default_int64", UNKNOWN_INT)?;
            let ints = ints
                .into_iter()
                .map(whole)
                .collect::<Translation<Vec<f64>>>()?;
            let (place, dims) = looked_up((&input, &keys), &ints, whole(otherwise)?, builder)?;
            numbers(place, Kind::Whole, dims)
        }
        Column::Single(singles) => {
            let otherwise = node
                .attributes
                .float("default_float")?
                .unwrap_or(UNKNOWN_FLOAT);
            let singles: Vec<f64> = singles.into_iter().map(f64::from).collect();
            let (place, dims) = looked_up((&input, &keys), &singles, otherwise.into(), builder)?;
            numbers(place, Kind::Single, dims)
        }
    };
    builder.set(node, 0, value)
}

/// One side of the list of a `LabelEncoder`.
enum Column {
    Texts(Vec<String>),
    Whole(Vec<i64>),
    Single(Vec<f32>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Texts(list) => list.len(),
            Self::Whole(list) => list.len(),
            Self::Single(list) => list.len(),
        }
    }
}

fn otherwise(node: &Node<'_>, name: &str, default: i64) -> Translation<i64> {
    Ok(node.attributes.int(name)?.unwrap_or(default))
}

/// What is looked for: lists of a type, or a tensor since operator set 4.
fn keys(node: &Node<'_>) -> Translation<Column> {
    column(
        node,
        ["keys_strings", "keys_int64s", "keys_floats", "keys_tensor"],
    )
}

/// What it becomes, for each of so many keys.
fn values(node: &Node<'_>, keys: usize) -> Translation<Column> {
    let names = [
        "values_strings",
        "values_int64s",
        "values_floats",
        "values_tensor",
    ];
    let values = column(node, names)?;
    if values.len() != keys || node.attributes.has("default_tensor") {
        return Err(Left::ToRuntime);
    }
    Ok(values)
}

fn column(node: &Node<'_>, [texts, ints, floats, tensor]: [&str; 4]) -> Translation<Column> {
    let attributes = &node.attributes;
    let given = [texts, ints, floats, tensor].map(|name| attributes.has(name));
    match given {
        [true, false, false, false] => {
            let texts = attributes.texts(texts)?;
            Ok(Column::Texts(
                texts.into_iter().map(str::to_owned).collect(),
            ))
        }
        [false, true, false, false] => Ok(Column::Whole(attributes.ints(ints)?)),
        [false, false, true, false] => Ok(Column::Single(attributes.floats(floats)?)),
        [false, false, false, true] => {
            let constant: Constant = attributes.tensor(tensor)?.ok_or(Left::ToRuntime)?;
            match constant.values {
                Values::Single(list) => Ok(Column::Single(list)),
                Values::Whole(list) => Ok(Column::Whole(list)),
                Values::Texts(list) => Ok(Column::Texts(list)),
                Values::Other => Err(Left::ToRuntime),
            }
        }
        // The first version of the operator has one list for both ways.
        _ => Err(Left::ToRuntime),
    }
}

/// Looks the input up among keys of its own type.
fn looked_up(
    (input, keys): (&Value, &Column),
    values: &[f64],
    otherwise: f64,
    builder: &mut Builder<'_, '_>,
) -> Translation<(Place, Vec<usize>)> {
    let values = values.iter().copied();
    let (dictionary, from, dims) = match (input, keys) {
        (Value::Texts { columns, dims }, Column::Texts(keys)) => {
            let pairs = keys.iter().cloned().zip(values).collect();
            let dictionary = Dictionary::of_texts(columns.clone(), pairs, otherwise)?;
            (dictionary, Vec::new(), dims.clone())
        }
        (Value::Numbers(numbers), Column::Whole(keys)) if numbers.kind == Kind::Whole => {
            let keys = keys.iter().map(|key| whole(*key));
            let keys: Vec<f64> = keys.collect::<Translation<_>>()?;
            let dictionary =
                Dictionary::of_numbers(keys.into_iter().zip(values).collect(), otherwise)?;
            (dictionary, vec![numbers.place], numbers.dims.clone())
        }
        (Value::Numbers(numbers), Column::Single(keys)) if numbers.kind == Kind::Single => {
            // NaN equals itself here since version 4 of the operator alone.
            if keys.iter().any(|key| key.is_nan()) && builder.version("ai.onnx.ml") < 4 {
                return Err(Left::ToRuntime);
            }
            let keys = keys.iter().map(|key| f64::from(*key));
            let dictionary = Dictionary::of_numbers(keys.zip(values).collect(), otherwise)?;
            (dictionary, vec![numbers.place], numbers.dims.clone())
        }
        _ => return Err(Left::ToRuntime),
    };
    let width = dims.iter().product();
    Ok((builder.push(Operation::Look(dictionary), from, width), dims))
}

/// Numbers that become texts are labels: an index into the texts, the last of which stands for all others.
fn labelled(
    input: &Value,
    keys: &Column,
    texts: Vec<String>,
    otherwise: &str,
    builder: &mut Builder<'_, '_>,
) -> Translation<Value> {
    if let Value::Texts { .. } = input {
        return Err(Left::ToRuntime);
    }
    let numbers = match input {
        Value::Labels(labels) if !labels.turned => Value::Numbers(builder.spelled_out(labels)?),
        other => other.clone(),
    };
    let indexes: Vec<f64> = (0..texts.len()).map(index_number).collect();
    let last = index_number(texts.len());
    let (place, dims) = looked_up((&numbers, keys), &indexes, last, builder)?;
    if dims.iter().product::<usize>() != 1 {
        return Err(Left::ToRuntime);
    }
    let texts = texts.into_iter().chain([otherwise.to_owned()]);
    Ok(Value::Labels(Labels {
        place,
        known: Rc::new(texts.map(ClassLabel::Text).collect()),
        dims,
        turned: false,
    }))
}

fn numbers(place: Place, kind: Kind, dims: Vec<usize>) -> Value {
    Value::Numbers(Numbers { place, kind, dims })
}

/// A column for each category, with a one in that of the value.
pub(super) fn one_hot<'a>(node: &Node<'a>, builder: &mut Builder<'_, 'a>) -> Translation<()> {
    let refuses = node.attributes.int("zeros")?.unwrap_or(1) == 0;
    let ints = node.attributes.ints("cats_int64s")?;
    let texts = node.attributes.texts("cats_strings")?;
    let categories = ints.len() + texts.len();
    if ints.is_empty() == texts.is_empty() {
        return Err(Left::ToRuntime);
    }
    let (codes, from, mut dims) = match builder.input(node, 0)? {
        Value::Texts { columns, dims } if ints.is_empty() => {
            let pairs = texts
                .into_iter()
                .map(str::to_owned)
                .zip((0..).map(index_number));
            // Of equal categories the last counts.
            let pairs = pairs.collect::<Vec<_>>().into_iter().rev().collect();
            (
                Dictionary::of_texts(columns, pairs, -1.0)?,
                Vec::new(),
                dims,
            )
        }
        Value::Numbers(numbers) if texts.is_empty() => {
            let keys = ints
                .into_iter()
                .map(whole)
                .collect::<Translation<Vec<f64>>>()?;
            let pairs = keys.into_iter().zip((0..).map(index_number));
            let pairs = pairs.collect::<Vec<_>>().into_iter().rev().collect();
            let (width, mut place) = (numbers.width(), numbers.place);
            if numbers.kind == Kind::Single {
                place = builder.push(Operation::Truncate, vec![place], width);
            }
            (
                Dictionary::of_numbers(pairs, -1.0)?,
                vec![place],
                numbers.dims,
            )
        }
        _ => return Err(Left::ToRuntime),
    };
    if dims.len() > 1 {
        return Err(Left::ToRuntime);
    }
    dims.push(categories);
    let width = dims
        .iter()
        .try_fold(1_usize, |width, dim| width.checked_mul(*dim));
    let operation = Operation::OneHot {
        codes,
        categories,
        refuses,
    };
    let place = builder.push(operation, from, width.ok_or(Left::ToRuntime)?);
    builder.set(node, 0, numbers(place, Kind::Single, dims))
}
