//! Blocks of a batch as tensors of the runtime, without copying where types agree.

use std::ops::Range;

use ort::value::{Shape, Tensor, TensorElementType as Type, TensorRef};
use plimsoll_core::column::{Batch, Column, Values};

use super::shared::Given;
use super::signature::{InputTensor, Signature};
use crate::EngineError;

/// The tensors of all inputs for some rows of a batch.
pub(super) fn tensors<'b>(
    signature: &Signature,
    batch: &'b Batch,
    rows: &Range<usize>,
) -> Result<Vec<Given<'b>>, EngineError> {
    if batch.columns.len() != signature.inputs.len() {
        return Err(input("the batch does not have the blocks of the schema"));
    }
    let pairs = signature.inputs.iter().zip(&batch.columns);
    pairs
        .map(|(tensor, column)| one(tensor, column, rows))
        .collect()
}

fn one<'b>(
    tensor: &InputTensor,
    column: &'b Column,
    rows: &Range<usize>,
) -> Result<Given<'b>, EngineError> {
    let fixed: Option<Vec<usize>> = tensor.trailing.iter().copied().collect();
    let trailing = fixed.unwrap_or_else(|| column.shape.clone());
    let width: usize = trailing.iter().product();
    let range = rows.start * width..rows.end * width;
    if column.width != width || column.values.len() < range.end {
        return Err(input(format!(
            "{:?} has a block of the wrong size",
            tensor.name
        )));
    }
    let mut shape = vec![rows.len()];
    shape.extend(trailing);
    let shape = Shape::from(shape);
    let given = match (&column.values, tensor.element) {
        (Values::Float32(v), Type::Float32) => {
            borrowed(TensorRef::from_array_view((shape, &v[range])))
        }
        (Values::Float64(v), Type::Float64) => {
            borrowed(TensorRef::from_array_view((shape, &v[range])))
        }
        (Values::Int64(v), Type::Int64) => borrowed(TensorRef::from_array_view((shape, &v[range]))),
        (Values::Bool(v), Type::Bool) => borrowed(TensorRef::from_array_view((shape, &v[range]))),
        (Values::Int64(v), Type::Int32) => narrowed::<i32>(shape, &v[range], tensor)?,
        (Values::Int64(v), Type::Int16) => narrowed::<i16>(shape, &v[range], tensor)?,
        (Values::Int64(v), Type::Int8) => narrowed::<i8>(shape, &v[range], tensor)?,
        (Values::Int64(v), Type::Uint64) => narrowed::<u64>(shape, &v[range], tensor)?,
        (Values::Int64(v), Type::Uint32) => narrowed::<u32>(shape, &v[range], tensor)?,
        (Values::Int64(v), Type::Uint16) => narrowed::<u16>(shape, &v[range], tensor)?,
        (Values::Int64(v), Type::Uint8) => narrowed::<u8>(shape, &v[range], tensor)?,
        (Values::Text(v), Type::String) => {
            let texts: Vec<String> = v[range]
                .iter()
                .map(|text| text.clone().unwrap_or_default())
                .collect();
            Tensor::from_string_array((shape, &texts[..]))
                .map(|tensor| Given::Owned(tensor.into_dyn()))
        }
        _ => {
            return Err(input(format!(
                "{:?} has a block of another type",
                tensor.name
            )));
        }
    };
    given.map_err(|error| input(error.message()))
}

fn borrowed<T>(tensor: ort::Result<TensorRef<'_, T>>) -> ort::Result<Given<'_>>
where
    T: ort::value::PrimitiveTensorElementType + std::fmt::Debug,
{
    tensor.map(|tensor| Given::Borrowed(tensor.into_dyn()))
}

/// Integers of the graph's own width; one that does not fit is the caller's mistake.
fn narrowed<T>(
    shape: Shape,
    values: &[i64],
    tensor: &InputTensor,
) -> Result<ort::Result<Given<'static>>, EngineError>
where
    T: TryFrom<i64> + ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    let narrow = |value: &i64| {
        T::try_from(*value).map_err(|_| {
            input(format!(
                "an integer of {:?} is outside the range of {}",
                tensor.name, tensor.element
            ))
        })
    };
    let values: Vec<T> = values.iter().map(narrow).collect::<Result<_, _>>()?;
    Ok(Tensor::from_array((shape, values)).map(|tensor| Given::Owned(tensor.into_dyn())))
}

fn input(detail: impl Into<String>) -> EngineError {
    EngineError::Input {
        detail: detail.into(),
    }
}
