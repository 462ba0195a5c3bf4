//! Tensors the graph answered, as labels, probabilities and values.

use ort::value::{
    DynMapValueType, DynValue, PrimitiveTensorElementType, TensorElementType, TensorRefMut,
};
use plimsoll_core::column::{Column, Output, Values};
use plimsoll_core::schema::{ClassLabel, DataType};

use super::shared::Slot;
use super::signature::{OutputTensor, Role, Signature, data_type};
use crate::EngineError;

/// The classes by their labels, sorted for searching.
#[derive(Debug, Default)]
pub(super) struct Classes {
    ints: Vec<(i64, u32)>,
    texts: Vec<(String, u32)>,
    count: usize,
}

impl Classes {
    pub(super) fn of(labels: &[ClassLabel]) -> Self {
        let mut classes = Self {
            count: labels.len(),
            ..Self::default()
        };
        for (label, index) in labels.iter().zip(0_u32..) {
            match label {
                ClassLabel::Bool(value) => classes.ints.push((i64::from(*value), index)),
                ClassLabel::Int(value) => classes.ints.push((*value, index)),
                ClassLabel::Text(text) => classes.texts.push((text.clone(), index)),
                // No operator of ONNX has floating-point labels.
                ClassLabel::Float(_) => {}
            }
        }
        classes.ints.sort_unstable();
        classes.texts.sort_unstable();
        classes
    }

    fn int(&self, label: i64) -> Result<u32, EngineError> {
        let at = self.ints.binary_search_by_key(&label, |(label, _)| *label);
        at.map(|at| self.ints[at].1).map_err(|_| unknown_label())
    }

    fn text(&self, label: &str) -> Result<u32, EngineError> {
        let at = self
            .texts
            .binary_search_by(|(text, _)| text.as_str().cmp(label));
        at.map(|at| self.texts[at].1).map_err(|_| unknown_label())
    }
}

/// What one output said about some rows.
pub(super) struct Part {
    pub(super) values: Values,
    /// Dimensions after the one of rows, where the graph does not fix them.
    pub(super) shape: Option<Vec<usize>>,
    pub(super) rows: usize,
}

/// Memory for an output of `rows` rows, or none where the runtime has to make it.
pub(super) fn buffer(tensor: &OutputTensor, rows: Option<usize>) -> Values {
    let data_type = match tensor.element {
        TensorElementType::Float32 => DataType::Float32,
        TensorElementType::Float64 => DataType::Float64,
        TensorElementType::Int64 => DataType::Int64,
        _ => return Values::empty(DataType::String),
    };
    let mut values = Values::empty(data_type);
    if let (Some(rows), Some(trailing)) = (rows, &tensor.trailing) {
        let width = trailing
            .iter()
            .try_fold(rows, |size, dim| size.checked_mul(*dim));
        values.resize(width.unwrap_or(0));
    }
    values
}

/// The buffer as a tensor to write into.
pub(super) fn slot<'a>(
    tensor: &OutputTensor,
    buffer: &'a mut Values,
    rows: usize,
) -> ort::Result<Slot<'a>> {
    let mut shape = vec![rows];
    shape.extend(tensor.trailing.iter().flatten());
    let into = match buffer {
        Values::Float32(v) if !v.is_empty() => {
            TensorRefMut::from_array_view_mut((shape, &mut v[..]))?.into_dyn()
        }
        Values::Float64(v) if !v.is_empty() => {
            TensorRefMut::from_array_view_mut((shape, &mut v[..]))?.into_dyn()
        }
        Values::Int64(v) if !v.is_empty() => {
            TensorRefMut::from_array_view_mut((shape, &mut v[..]))?.into_dyn()
        }
        _ => return Ok(Slot::Made(None)),
    };
    Ok(Slot::Into(into))
}

/// The content of a value the runtime made, and its dimensions after the one of rows.
pub(super) fn extract(
    value: &DynValue,
    tensor: &OutputTensor,
    classes: &Classes,
    rows: usize,
) -> Result<(Values, Option<Vec<usize>>), EngineError> {
    if tensor.role == Role::ProbabilityMap {
        let probabilities = map_probabilities(value, classes, rows)?;
        return Ok((probabilities, Some(vec![classes.count])));
    }
    let shape = value.dtype().tensor_shape();
    let dims: Vec<usize> = shape.map_or_else(Vec::new, |shape| {
        let dims = shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(0));
        dims.collect()
    });
    let trailing = match dims.split_first() {
        Some((first, trailing)) if *first == rows => trailing.to_vec(),
        None if rows == 1 => Vec::new(),
        _ => {
            let name = &tensor.name;
            let detail = format!("output {name:?} has shape {dims:?} for {rows} rows");
            return Err(failed(detail));
        }
    };
    let values = elements(value, tensor.element).map_err(|error| failed(error.message()))?;
    Ok((values, Some(trailing)))
}

fn elements(value: &DynValue, element: TensorElementType) -> ort::Result<Values> {
    use TensorElementType as Type;
    Ok(match element {
        Type::Float32 => Values::Float32(copied(value)?),
        Type::Float64 => Values::Float64(copied(value)?),
        Type::Int64 => Values::Int64(copied(value)?),
        Type::Bool => Values::Bool(copied(value)?),
        Type::Int32 => Values::Int64(widened::<i32>(value)?),
        Type::Int16 => Values::Int64(widened::<i16>(value)?),
        Type::Int8 => Values::Int64(widened::<i8>(value)?),
        Type::Uint64 => Values::Int64(widened::<u64>(value)?),
        Type::Uint32 => Values::Int64(widened::<u32>(value)?),
        Type::Uint16 => Values::Int64(widened::<u16>(value)?),
        Type::Uint8 => Values::Int64(widened::<u8>(value)?),
        Type::String => {
            let (_, texts) = value.try_extract_strings()?;
            Values::Text(texts.into_iter().map(Some).collect())
        }
        other => return Err(ort::Error::new(format!("an output has type {other}"))),
    })
}

fn copied<T: PrimitiveTensorElementType + Clone>(value: &DynValue) -> ort::Result<Vec<T>> {
    Ok(value.try_extract_tensor::<T>()?.1.to_vec())
}

fn widened<T>(value: &DynValue) -> ort::Result<Vec<i64>>
where
    T: PrimitiveTensorElementType + Copy,
    i64: TryFrom<T>,
{
    let (_, values) = value.try_extract_tensor::<T>()?;
    let widen = |value: &T| {
        i64::try_from(*value).map_err(|_| ort::Error::new("an output is beyond 64-bit integers"))
    };
    values.iter().map(widen).collect()
}

/// Adds what an output said to the answer.
pub(super) fn append(
    output: &mut Output,
    signature: &Signature,
    classes: &Classes,
    tensor: &OutputTensor,
    part: Part,
) -> Result<(), EngineError> {
    let rows = part.rows;
    let sizes_fit = |width: usize| {
        let fits = part.values.len() == rows * width;
        let name = &tensor.name;
        fits.then_some(())
            .ok_or_else(|| failed(format!("output {name:?} has the wrong size")))
    };
    match (tensor.role, &part.values) {
        (Role::Label, Values::Int64(labels)) => {
            sizes_fit(1)?;
            for label in labels {
                output.labels.push(classes.int(*label)?);
            }
        }
        (Role::Label, Values::Text(labels)) => {
            sizes_fit(1)?;
            for label in labels {
                output
                    .labels
                    .push(classes.text(label.as_deref().unwrap_or(""))?);
            }
        }
        (Role::Probabilities | Role::ProbabilityMap, Values::Float32(values)) => {
            sizes_fit(classes.count)?;
            output
                .probabilities
                .extend(values.iter().map(|value| f64::from(*value)));
        }
        (Role::Probabilities | Role::ProbabilityMap, Values::Float64(values)) => {
            sizes_fit(classes.count)?;
            output.probabilities.extend(values);
        }
        (Role::Value(field), _) => value(output, signature, field, tensor, part)?,
        _ => {
            return Err(failed(format!(
                "output {:?} has another type than declared",
                tensor.name
            )));
        }
    }
    Ok(())
}

fn value(
    output: &mut Output,
    signature: &Signature,
    field: usize,
    tensor: &OutputTensor,
    part: Part,
) -> Result<(), EngineError> {
    let trailing = part
        .shape
        .or_else(|| tensor.trailing.clone())
        .unwrap_or_default();
    let width = trailing.iter().product();
    let is_open = signature.schema.outputs[field]
        .shape
        .iter()
        .any(Option::is_none);
    if let Some(declared) = tensor.trailing.as_ref().filter(|_| !is_open)
        && declared.iter().product::<usize>() != width
    {
        let name = &tensor.name;
        return Err(failed(format!(
            "output {name:?} has shape {trailing:?} where the graph declares {declared:?}"
        )));
    }
    while output.values.len() <= field {
        output.values.push(Column {
            values: Values::empty(data_type(tensor.element, "output", &tensor.name)?),
            width,
            shape: if is_open {
                trailing.clone()
            } else {
                Vec::new()
            },
        });
    }
    let column = &mut output.values[field];
    if column.width != width || part.values.len() != part.rows * width {
        return Err(failed(format!(
            "output {:?} differs in shape between rows",
            tensor.name
        )));
    }
    match (&mut column.values, part.values) {
        (into, values) if into.is_empty() => *into = values,
        (Values::Float32(into), Values::Float32(values)) => into.extend(values),
        (Values::Float64(into), Values::Float64(values)) => into.extend(values),
        (Values::Int64(into), Values::Int64(values)) => into.extend(values),
        (Values::Bool(into), Values::Bool(values)) => into.extend(values),
        (Values::Text(into), Values::Text(values)) => into.extend(values),
        _ => return Err(failed("an output changed its type between rows")),
    }
    Ok(())
}

/// Probabilities out of the maps a `ZipMap` makes, one map per row.
fn map_probabilities(
    value: &DynValue,
    classes: &Classes,
    rows: usize,
) -> Result<Values, EngineError> {
    let maps = value
        .try_extract_sequence::<DynMapValueType>()
        .map_err(|error| failed(error.message()))?;
    if maps.len() != rows {
        return Err(failed(format!(
            "{} maps of probabilities for {rows} rows",
            maps.len()
        )));
    }
    let mut probabilities = vec![f32::NAN; rows * classes.count];
    for (map, row) in maps
        .iter()
        .zip(probabilities.chunks_mut(classes.count.max(1)))
    {
        if classes.texts.is_empty() {
            let pairs = map.try_extract_key_values::<i64, f32>();
            for (label, probability) in pairs.map_err(|error| failed(error.message()))? {
                row[classes.int(label)? as usize] = probability;
            }
        } else {
            let pairs = map.try_extract_key_values::<String, f32>();
            for (label, probability) in pairs.map_err(|error| failed(error.message()))? {
                row[classes.text(&label)? as usize] = probability;
            }
        }
    }
    Ok(Values::Float32(probabilities))
}

fn unknown_label() -> EngineError {
    failed("the graph answered a label that is not among its classes")
}

fn failed(detail: impl Into<String>) -> EngineError {
    EngineError::Failed {
        detail: detail.into(),
    }
}
