//! Answers and schemas as tensors.

use serde::ser::{Serialize, Serializer};

use super::datatype::Datatype;
use crate::column::{Column, Output, Values};
use crate::decode::rows::is_unnamed;
use crate::schema::{ClassLabel, Field, Schema};

/// The labels of a classifier, and the only output of any other model.
const PREDICTIONS: &str = "predictions";
/// A row for each row, a column for each class.
const PROBABILITIES: &str = "probabilities";
/// The tensor of a model whose inputs have no names.
const INPUTS: &str = "inputs";

/// What a tensor of a model is, before anybody asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: Datatype,
    /// Its dimensions; -1 where each request chooses.
    pub shape: Vec<i64>,
}

/// One tensor of an answer.
#[derive(Clone, Debug)]
pub struct AnswerTensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its element type.
    pub datatype: Datatype,
    /// Its dimensions, rows first.
    pub shape: Vec<usize>,
    elements: Elements<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Elements<'a> {
    Labels(&'a [u32], &'a [ClassLabel], Datatype),
    Numbers(&'a [f64]),
    Values(&'a Values),
}

/// The tensors a model takes.
pub fn input_specs(schema: &Schema) -> Vec<TensorSpec> {
    let inputs = schema.inputs();
    if let ([first, ..], [_], true) = (inputs, schema.blocks(), is_unnamed(schema))
        && first.is_scalar()
    {
        let shape = vec![-1, i64::try_from(inputs.len()).unwrap_or(-1)];
        return vec![TensorSpec {
            name: INPUTS.to_owned(),
            datatype: first.data_type.into(),
            shape,
        }];
    }
    inputs
        .iter()
        .map(|field| spec(field, &field.name))
        .collect()
}

/// The tensors a model answers.
pub fn output_specs(schema: &Schema, has_probabilities: bool) -> Vec<TensorSpec> {
    if schema.classes.is_empty() {
        let fields = schema.outputs.iter();
        let named = fields.map(|field| spec(field, output_name(schema, field)));
        return named.collect();
    }
    let labels = TensorSpec {
        name: PREDICTIONS.to_owned(),
        datatype: label_type(&schema.classes),
        shape: vec![-1],
    };
    let classes = i64::try_from(schema.classes.len()).unwrap_or(-1);
    let probabilities = has_probabilities.then(|| TensorSpec {
        name: PROBABILITIES.to_owned(),
        datatype: Datatype::Fp64,
        shape: vec![-1, classes],
    });
    [Some(labels), probabilities]
        .into_iter()
        .flatten()
        .collect()
}

/// What a model answered.
pub fn answer_tensors<'a>(schema: &'a Schema, output: &'a Output) -> Vec<AnswerTensor<'a>> {
    let rows = output.rows;
    if output.labels.is_empty() {
        let pairs = schema.outputs.iter().zip(&output.values);
        let of = |(field, column): (&'a Field, &'a Column)| AnswerTensor {
            name: output_name(schema, field),
            datatype: column.values.data_type().into(),
            shape: column_shape(field, column, rows),
            elements: Elements::Values(&column.values),
        };
        return pairs.map(of).collect();
    }
    let datatype = label_type(&schema.classes);
    let mut tensors = vec![AnswerTensor {
        name: PREDICTIONS,
        datatype,
        shape: vec![rows],
        elements: Elements::Labels(&output.labels, &schema.classes, datatype),
    }];
    if !output.probabilities.is_empty() {
        tensors.push(AnswerTensor {
            name: PROBABILITIES,
            datatype: Datatype::Fp64,
            shape: vec![rows, output.probabilities.len() / rows.max(1)],
            elements: Elements::Numbers(&output.probabilities),
        });
    }
    tensors
}

impl AnswerTensor<'_> {
    /// Appends the elements as binary data: little-endian, without padding. A
    /// missing text is an empty one.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self.elements {
            Elements::Numbers(numbers) => append(out, numbers, f64::to_le_bytes),
            Elements::Values(Values::Float64(v)) => append(out, v, f64::to_le_bytes),
            Elements::Values(Values::Float32(v)) => append(out, v, f32::to_le_bytes),
            Elements::Values(Values::Int64(v)) => append(out, v, i64::to_le_bytes),
            Elements::Values(Values::Bool(v)) => append(out, v, |value| [u8::from(value)]),
            Elements::Values(Values::Text(v)) => v
                .iter()
                .for_each(|text| append_text(out, text.as_deref().unwrap_or_default())),
            Elements::Labels(labels, classes, datatype) => labels
                .iter()
                .for_each(|label| append_label(out, class(classes, *label), datatype)),
        }
    }
}

impl Serialize for AnswerTensor<'_> {
    /// The elements as a flat list.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.elements {
            Elements::Numbers(numbers) => serializer.collect_seq(numbers),
            Elements::Values(Values::Float64(v)) => serializer.collect_seq(v),
            Elements::Values(Values::Float32(v)) => serializer.collect_seq(v),
            Elements::Values(Values::Int64(v)) => serializer.collect_seq(v),
            Elements::Values(Values::Bool(v)) => serializer.collect_seq(v),
            Elements::Values(Values::Text(v)) => serializer.collect_seq(v),
            Elements::Labels(labels, classes, Datatype::Bytes) => {
                let text = |label: &u32| label_text(class(classes, *label));
                serializer.collect_seq(labels.iter().map(text))
            }
            Elements::Labels(labels, classes, _) => {
                serializer.collect_seq(labels.iter().map(|label| class(classes, *label)))
            }
        }
    }
}

fn append<T: Copy, const N: usize>(out: &mut Vec<u8>, values: &[T], bytes: fn(T) -> [u8; N]) {
    out.reserve(values.len() * N);
    for value in values {
        out.extend_from_slice(&bytes(*value));
    }
}

fn append_text(out: &mut Vec<u8>, text: &str) {
    // A body is far smaller than 4 GiB, and so is each of its texts.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn append_label(out: &mut Vec<u8>, label: &ClassLabel, datatype: Datatype) {
    match (label, datatype) {
        (ClassLabel::Int(value), Datatype::Int64) => out.extend_from_slice(&value.to_le_bytes()),
        (ClassLabel::Float(value), Datatype::Fp64) => out.extend_from_slice(&value.to_le_bytes()),
        (ClassLabel::Bool(value), Datatype::Bool) => out.push(u8::from(*value)),
        (label, _) => append_text(out, &label_text(label)),
    }
}

fn label_text(label: &ClassLabel) -> String {
    match label {
        ClassLabel::Bool(value) => value.to_string(),
        ClassLabel::Int(value) => value.to_string(),
        ClassLabel::Float(value) => value.to_string(),
        ClassLabel::Text(text) => text.clone(),
    }
}

/// The class of a label; an engine only answers labels of the schema.
fn class(classes: &[ClassLabel], label: u32) -> &ClassLabel {
    classes.get(label as usize).unwrap_or(&ClassLabel::Int(-1))
}

/// One type for all labels; texts where they differ.
fn label_type(classes: &[ClassLabel]) -> Datatype {
    let own = |label: &ClassLabel| match label {
        ClassLabel::Bool(_) => Datatype::Bool,
        ClassLabel::Int(_) => Datatype::Int64,
        ClassLabel::Float(_) => Datatype::Fp64,
        ClassLabel::Text(_) => Datatype::Bytes,
    };
    let first = classes.first().map_or(Datatype::Bytes, own);
    if classes.iter().all(|label| own(label) == first) {
        first
    } else {
        Datatype::Bytes
    }
}

/// Several outputs have the names of the model, the only one has that of all models.
fn output_name<'a>(schema: &Schema, field: &'a Field) -> &'a str {
    if schema.outputs.len() == 1 {
        PREDICTIONS
    } else {
        &field.name
    }
}

fn column_shape(field: &Field, column: &Column, rows: usize) -> Vec<usize> {
    let fixed = || field.shape.iter().copied().collect::<Option<Vec<usize>>>();
    let row = match column.shape.as_slice() {
        [] => fixed().filter(|shape| shape.iter().product::<usize>() == column.width),
        chosen => Some(chosen.to_vec()),
    };
    let flat = || {
        if column.width == 1 {
            Vec::new()
        } else {
            vec![column.width]
        }
    };
    [vec![rows], row.unwrap_or_else(flat)].concat()
}

fn spec(field: &Field, name: &str) -> TensorSpec {
    let dim = |dim: &Option<usize>| dim.and_then(|dim| i64::try_from(dim).ok()).unwrap_or(-1);
    let row = field.shape.iter().map(dim);
    TensorSpec {
        name: name.to_owned(),
        datatype: field.data_type.into(),
        shape: std::iter::once(-1).chain(row).collect(),
    }
}
