//! What server and worker say to each other: the heads of frames and the columns in their bodies.
//!
//! Columns are little-endian and row-major: `float32`, `float64` and `int64` as
//! they are, `bool` as one byte, `string` as one JSON list.

use plimsoll_core::column::{Batch, Column, Values};
use plimsoll_core::schema::{ClassLabel, DataType, Field, Schema, Task};
use serde::{Deserialize, Serialize};

use crate::frame::{Broken, Frame};

/// What a worker says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Said {
    /// Before it reads the model: Python's version and what confines it.
    Hello { python: String, guards: Vec<String> },
    /// The model is in memory.
    Loaded(Loaded),
    /// It is not, or a prediction was refused.
    Failed { reason: Reason, detail: String },
    /// What the model answered.
    Answer { columns: Vec<ColumnHead> },
}

/// What a loaded model is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) algorithm: String,
    pub(crate) library: String,
    pub(crate) task: Task,
    pub(crate) inputs: Vec<Field>,
    pub(crate) outputs: Vec<Field>,
    pub(crate) classes: Vec<ClassLabel>,
    /// Whether probabilities come with the labels.
    pub(crate) probabilities: bool,
    /// Memory of the process, in bytes.
    pub(crate) resident_bytes: u64,
}

impl Loaded {
    /// Whether both take and answer the same; their memory may differ.
    pub(crate) fn answers_like(&self, other: &Self) -> bool {
        let comparable = Self {
            resident_bytes: other.resident_bytes,
            ..self.clone()
        };
        comparable == *other
    }
}

/// Why something failed, as far as the server acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// A module is not installed; the detail is its name.
    MissingModule,
    /// The model does not take these values.
    Input,
    /// Anything else.
    Error,
}

/// One column of a frame's body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ColumnHead {
    pub(crate) data_type: DataType,
    /// Elements in a row.
    pub(crate) width: usize,
    /// Dimensions of a row's value where the request chose them.
    pub(crate) shape: Vec<usize>,
    /// Bytes in the body.
    pub(crate) bytes: usize,
}

#[derive(Serialize)]
struct Ask {
    rows: usize,
    columns: Vec<ColumnHead>,
}

/// The frame that asks for a prediction.
pub(crate) fn ask(batch: &Batch) -> Frame {
    let (mut columns, mut body) = (Vec::new(), Vec::new());
    for column in &batch.columns {
        let start = body.len();
        encode(&column.values, &mut body);
        columns.push(ColumnHead {
            data_type: column.values.data_type(),
            width: column.width,
            shape: column.shape.clone(),
            bytes: body.len() - start,
        });
    }
    let rows = batch.rows;
    let head = serde_json::to_vec(&Ask { rows, columns });
    Frame {
        head: head.expect("invariant: numbers and names have a JSON form"),
        body,
    }
}

/// What a frame says.
pub(crate) fn said(frame: &Frame) -> Result<Said, Broken> {
    serde_json::from_slice(&frame.head).map_err(|error| garbage(&error.to_string()))
}

/// The columns of an answer of `rows` rows, held against their heads.
pub(crate) fn columns(
    heads: &[ColumnHead],
    mut body: &[u8],
    rows: usize,
) -> Result<Vec<Column>, Broken> {
    let mut columns = Vec::with_capacity(heads.len());
    for head in heads {
        let bytes = body.split_off(..head.bytes);
        let bytes = bytes.ok_or_else(|| garbage("a column is cut off"))?;
        let values = decode(head.data_type, bytes).ok_or_else(|| garbage("a broken column"))?;
        let dims: usize = head.shape.iter().product();
        let is_whole = values.len() == rows.saturating_mul(head.width);
        if !is_whole || (!head.shape.is_empty() && dims != head.width) {
            return Err(garbage("a column of another length"));
        }
        columns.push(Column {
            values,
            width: head.width,
            shape: head.shape.clone(),
        });
    }
    Ok(columns)
}

/// The schema a worker describes, within the limits of every other model.
pub(crate) fn schema(loaded: &Loaded) -> Result<Schema, Broken> {
    const MOST_FIELDS: usize = 65_535;
    const MOST_CLASSES: usize = 10_000;
    let fields = loaded.inputs.len().max(loaded.outputs.len());
    if fields > MOST_FIELDS || loaded.classes.len() > MOST_CLASSES {
        return Err(garbage("too many inputs, outputs or classes"));
    }
    let answers = loaded.outputs.len() + usize::from(!loaded.classes.is_empty());
    if loaded.inputs.is_empty() || answers == 0 {
        return Err(garbage("a model without inputs or answers"));
    }
    let schema = Schema::packed(loaded.inputs.clone());
    let schema = schema.map_err(|error| garbage(&error.to_string()))?;
    Ok(schema.answering(loaded.task, loaded.outputs.clone(), loaded.classes.clone()))
}

pub(crate) fn garbage(what: &str) -> Broken {
    Broken::Garbage(what.to_owned())
}

fn encode(values: &Values, body: &mut Vec<u8>) {
    match values {
        Values::Float32(v) => body.extend(v.iter().flat_map(|value| value.to_le_bytes())),
        Values::Float64(v) => body.extend(v.iter().flat_map(|value| value.to_le_bytes())),
        Values::Int64(v) => body.extend(v.iter().flat_map(|value| value.to_le_bytes())),
        Values::Bool(v) => body.extend(v.iter().map(|value| u8::from(*value))),
        Values::Text(v) => {
            serde_json::to_writer(body, v).expect("invariant: texts have a JSON form");
        }
    }
}

fn decode(data_type: DataType, bytes: &[u8]) -> Option<Values> {
    fn whole<const N: usize>(bytes: &[u8]) -> Option<&[[u8; N]]> {
        let (values, rest) = bytes.as_chunks::<N>();
        rest.is_empty().then_some(values)
    }
    Some(match data_type {
        DataType::Float32 => Values::Float32(
            whole(bytes)?
                .iter()
                .map(|v| f32::from_le_bytes(*v))
                .collect(),
        ),
        DataType::Float64 => Values::Float64(
            whole(bytes)?
                .iter()
                .map(|v| f64::from_le_bytes(*v))
                .collect(),
        ),
        DataType::Int64 => Values::Int64(
            whole(bytes)?
                .iter()
                .map(|v| i64::from_le_bytes(*v))
                .collect(),
        ),
        DataType::Bool => Values::Bool(bytes.iter().map(|value| *value != 0).collect()),
        DataType::String => Values::Text(serde_json::from_slice(bytes).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let column = |values: Values, width| Column {
            values,
            width,
            shape: Vec::new(),
        };
        Batch {
            rows: 2,
            columns: vec![
                column(Values::Float64(vec![0.5, f64::NEG_INFINITY]), 1),
                column(Values::Float32(vec![1.0, 2.0, 3.0, 4.0]), 2),
                column(Values::Int64(vec![i64::MIN, 7]), 1),
                column(Values::Bool(vec![true, false]), 1),
                column(Values::Text(vec![Some("ä".into()), None]), 1),
            ],
        }
    }

    fn heads(frame: &Frame) -> Vec<ColumnHead> {
        let head: serde_json::Value = serde_json::from_slice(&frame.head).unwrap();
        serde_json::from_value(head["columns"].clone()).unwrap()
    }

    #[test]
    fn columns_come_back_as_they_were() {
        let frame = ask(&batch());
        let back = columns(&heads(&frame), &frame.body, 2).unwrap();
        assert_eq!(back, batch().columns);
    }

    #[test]
    fn columns_that_contradict_their_heads_are_garbage() {
        let frame = ask(&batch());
        assert!(columns(&heads(&frame), &frame.body, 3).is_err());
        assert!(columns(&heads(&frame), &frame.body[..20], 2).is_err());
        let mut heads = heads(&frame);
        heads[0].bytes -= 1;
        assert!(columns(&heads, &frame.body, 2).is_err());
    }

    #[test]
    fn a_description_is_held_to_the_limits_of_every_model() {
        let loaded = |inputs: usize, classes: usize| Loaded {
            algorithm: "A".into(),
            library: "L".into(),
            task: Task::Classification,
            inputs: (0..inputs)
                .map(|index| Field::scalar(format!("x{index}"), DataType::Float64))
                .collect(),
            outputs: Vec::new(),
            classes: (0..classes).map(|_| ClassLabel::Int(0)).collect(),
            probabilities: false,
            resident_bytes: 0,
        };
        assert!(schema(&loaded(3, 2)).is_ok());
        for (inputs, classes) in [(0, 2), (1, 0), (70_000, 2), (1, 10_001)] {
            assert!(
                schema(&loaded(inputs, classes)).is_err(),
                "{inputs}, {classes}"
            );
        }
    }
}
