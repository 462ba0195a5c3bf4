//! Which values answer which part of the signature.

use ort::value::TensorElementType as Element;
use plimsoll_core::schema::ClassLabel;

use super::builder::{Builder, Kind, Left, Numbers, Translation, Value, index_number};
use crate::formats::onnx::outlet::{Outlet, OutletKind};
use crate::formats::onnx::signature::{Role, Signature};
use crate::kernel::graph::{Answers, Dictionary, Operation, Place};

/// The registers that answer; a graph whose outputs are declared otherwise than they
/// come out is left to the runtime, so that its schema is the same with both.
pub(super) fn of(
    signature: &Signature,
    outputs: &[Outlet],
    builder: &mut Builder<'_, '_>,
) -> Translation<Answers> {
    let classes = &signature.schema.classes;
    let mut answers = Answers {
        classes: classes.len(),
        ..Answers::default()
    };
    for (tensor, outlet) in signature.outputs.iter().zip(outputs) {
        let value = builder.value(&tensor.name)?;
        match tensor.role {
            Role::Label => answers.label = Some(label(value, tensor.element, classes, builder)?),
            Role::Probabilities => {
                let Value::Numbers(numbers) = value else {
                    return Err(Left::ToRuntime);
                };
                declared(&numbers, outlet, false)?;
                answers.probabilities = Some(numbers.place);
            }
            Role::ProbabilityMap => match value {
                Value::Maps { place, labels } if labels == *classes => {
                    answers.probabilities = Some(place);
                }
                _ => return Err(Left::ToRuntime),
            },
            Role::Value(_) => {
                let numbers = match value {
                    Value::Numbers(numbers) => numbers,
                    Value::Labels(labels) => builder.spelled_out(&labels)?,
                    _ => return Err(Left::ToRuntime),
                };
                declared(&numbers, outlet, true)?;
                answers.values.push(numbers.place);
            }
        }
    }
    Ok(answers)
}

/// Holds numbers against the type that is declared, and the shape: `exactly`, or as far as it goes.
fn declared(numbers: &Numbers, outlet: &Outlet, exactly: bool) -> Translation<()> {
    let element = match numbers.kind {
        Kind::Single => Element::Float32,
        Kind::Whole => Element::Int64,
    };
    let OutletKind::Tensor(tensor) = &outlet.kind else {
        return Err(Left::ToRuntime);
    };
    let trailing = tensor.dims.as_ref().map(|dims| &dims[1..]);
    let fits = trailing.map_or(!exactly, |trailing| {
        trailing.len() == numbers.dims.len()
            && trailing
                .iter()
                .zip(&numbers.dims)
                .all(|(declared, dim)| declared.map_or(!exactly, |declared| declared == *dim))
    });
    if fits && tensor.element == element {
        return Ok(());
    }
    Err(Left::ToRuntime)
}

/// The index among the classes, of labels that may have an order of their own.
fn label(
    value: Value,
    element: Element,
    classes: &[ClassLabel],
    builder: &mut Builder<'_, '_>,
) -> Translation<Place> {
    let Value::Labels(labels) = value else {
        return Err(Left::ToRuntime);
    };
    let fits = |label: &ClassLabel| match label {
        ClassLabel::Text(_) => element == Element::String,
        _ => element == Element::Int64,
    };
    if labels.turned || !labels.known.iter().all(fits) {
        return Err(Left::ToRuntime);
    }
    if labels.known[..] == *classes {
        return Ok(labels.place);
    }
    let pairs = labels.known.iter().enumerate().map(|(index, label)| {
        let class = classes.iter().position(|class| class == label);
        let class = class.ok_or(Left::ToRuntime)?;
        Ok((index_number(index), index_number(class)))
    });
    let look = Dictionary::of_numbers(pairs.collect::<Translation<_>>()?, 0.0)?;
    Ok(builder.push(Operation::Look(look), vec![labels.place], 1))
}
