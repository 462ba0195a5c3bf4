//! The answer to a prediction request, written without a tree of values.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::column::{Column, Output, Values};
use plimsoll_core::decode::PredictOptions;
use plimsoll_core::id::PredictionId;
use plimsoll_core::schema::{ClassLabel, Field, Schema};
use plimsoll_core::time::Timestamp;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::LoadedModel;
use crate::live::{EndpointEntry, ModelEntry, VersionEntry};

/// One answered request.
pub struct Answer {
    /// Its id, under which it can be found again.
    pub prediction_id: PredictionId,
    /// When it was answered.
    pub timestamp: Timestamp,
    /// From the request's body to the answer, journal and wire excluded.
    pub latency: Duration,
    /// Which model answered.
    pub model: Arc<ModelEntry>,
    /// The endpoint called, if one was.
    pub endpoint: Option<Arc<EndpointEntry>>,
    /// Which version of it.
    pub version: Arc<VersionEntry>,
    /// What it answered.
    pub output: Output,
    /// What the caller wanted to see.
    pub options: PredictOptions,
    /// Whether the model was in memory before.
    pub cached: bool,
    /// Whether the answer was given before.
    pub result_cached: bool,
    pub(super) loaded: Arc<LoadedModel>,
}

impl Answer {
    /// Since when the caller should move to another version, if they should.
    pub fn deprecated_at(&self) -> Option<Timestamp> {
        self.version.deprecated_at(&self.model)
    }

    /// The answer as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // A guess that is rarely too small: text around the rows, and 20 bytes a number.
        let numbers = self.output.probabilities.len() + 2 * self.output.rows;
        let mut out = Vec::with_capacity(480 + 20 * numbers);
        serde_json::to_writer(&mut out, self).expect("invariant: an answer has no failing part");
        out
    }

    /// What the model takes and answers.
    pub fn schema(&self) -> &Schema {
        self.loaded.predictor.schema()
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (schema, output) = (self.schema(), &self.output);
        let (outputs, classes) = (&schema.outputs[..], &schema.classes[..]);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("prediction_id", &self.prediction_id)?;
        map.serialize_entry("model", &self.model.name)?;
        map.serialize_entry("model_version", &self.version.number)?;
        if let Some(endpoint) = &self.endpoint {
            map.serialize_entry("endpoint", &endpoint.name)?;
        }
        let predictions = Predictions {
            output,
            outputs,
            classes,
        };
        map.serialize_entry("predictions", &predictions)?;
        if !output.probabilities.is_empty() {
            let rows = Rows {
                values: &output.probabilities,
                width: classes.len(),
            };
            if self.options.include_probabilities {
                map.serialize_entry("probabilities", &rows)?;
                map.serialize_entry("classes", classes)?;
            }
            map.serialize_entry("confidence", &Confidence(rows))?;
        }
        map.serialize_entry("latency_ms", &milliseconds(self.latency))?;
        map.serialize_entry("cached", &self.cached)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        if let Some(request_id) = &self.options.request_id {
            map.serialize_entry("request_id", request_id)?;
        }
        if self.options.include_metadata {
            map.serialize_entry("metadata", &Metadata(self))?;
        }
        map.end()
    }
}

/// Milliseconds with microsecond resolution.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

struct Metadata<'a>(&'a Answer);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(answer) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model_name", &answer.model.name)?;
        map.serialize_entry("algorithm", &answer.version.algorithm)?;
        map.serialize_entry("problem_type", &answer.version.task)?;
        map.serialize_entry("feature_count", &answer.schema().inputs().len())?;
        map.serialize_entry("training_date", &answer.version.created_at)?;
        map.serialize_entry("version_label", &answer.version.label)?;
        if answer.result_cached {
            map.serialize_entry("result_cached", &true)?;
        }
        map.end()
    }
}

/// One prediction per row: a label, a number, a list, or an object of outputs.
struct Predictions<'a> {
    output: &'a Output,
    outputs: &'a [Field],
    classes: &'a [ClassLabel],
}

/// What the log keeps of an answer: predictions and probabilities.
pub(crate) struct OutputJson<'a> {
    /// What the model answered.
    pub(crate) output: &'a Output,
    /// The fields of the answer.
    pub(crate) outputs: &'a [Field],
    /// The classes in the order of the probability columns.
    pub(crate) classes: &'a [ClassLabel],
}

impl Serialize for OutputJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            output,
            outputs,
            classes,
        } = *self;
        let mut map = serializer.serialize_map(None)?;
        let predictions = Predictions {
            output,
            outputs,
            classes,
        };
        map.serialize_entry("predictions", &predictions)?;
        if !output.probabilities.is_empty() {
            let rows = Rows {
                values: &output.probabilities,
                width: classes.len(),
            };
            map.serialize_entry("probabilities", &rows)?;
        }
        map.end()
    }
}

impl Serialize for Predictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            output,
            outputs,
            classes,
        } = *self;
        serializer.collect_seq((0..output.rows).map(|row| Prediction {
            output,
            outputs,
            classes,
            row,
        }))
    }
}

/// The prediction of one row.
struct Prediction<'a> {
    output: &'a Output,
    outputs: &'a [Field],
    classes: &'a [ClassLabel],
    row: usize,
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            output,
            outputs,
            classes,
            row,
        } = *self;
        if let Some(label) = output.labels.get(row) {
            return class(classes, *label).serialize(serializer);
        }
        if let [column] = output.values.as_slice() {
            return Cell { column, row }.serialize(serializer);
        }
        let cells = NamedCells {
            outputs,
            columns: &output.values,
            row,
        };
        cells.serialize(serializer)
    }
}

/// What one row was answered: its prediction, and its probabilities if wanted.
pub(crate) struct RowJson<'a> {
    pub(crate) output: &'a Output,
    pub(crate) schema: &'a Schema,
    pub(crate) row: usize,
    pub(crate) include_probabilities: bool,
}

impl Serialize for RowJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (output, row) = (self.output, self.row);
        let classes = &self.schema.classes[..];
        let mut map = serializer.serialize_map(None)?;
        let prediction = Prediction {
            output,
            outputs: &self.schema.outputs,
            classes,
            row,
        };
        map.serialize_entry("prediction", &prediction)?;
        if self.include_probabilities && !output.probabilities.is_empty() {
            let width = classes.len();
            let probabilities = &output.probabilities[row * width..(row + 1) * width];
            map.serialize_entry("probabilities", probabilities)?;
        }
        map.end()
    }
}

fn class(classes: &[ClassLabel], label: u32) -> &ClassLabel {
    classes.get(label as usize).unwrap_or(&ClassLabel::Int(-1))
}

struct NamedCells<'a> {
    outputs: &'a [Field],
    columns: &'a [Column],
    row: usize,
}

impl Serialize for NamedCells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.outputs.iter().map(|field| field.name.as_str());
        let cells = self.columns.iter().map(|column| Cell {
            column,
            row: self.row,
        });
        serializer.collect_map(names.zip(cells))
    }
}

/// One row of one column: a scalar, or a flat or nested list.
struct Cell<'a> {
    column: &'a Column,
    row: usize,
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { column, row } = self;
        let (start, end) = (row * column.width, (row + 1) * column.width);
        match &column.values {
            Values::Float32(v) => nested(&v[start..end], &column.shape, serializer),
            Values::Float64(v) => nested(&v[start..end], &column.shape, serializer),
            Values::Int64(v) => nested(&v[start..end], &column.shape, serializer),
            Values::Bool(v) => nested(&v[start..end], &column.shape, serializer),
            Values::Text(v) => nested(&v[start..end], &column.shape, serializer),
        }
    }
}

/// Writes `values` with the given dimensions: none is a scalar, one a list.
fn nested<T: Serialize, S: Serializer>(
    values: &[T],
    shape: &[usize],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match (shape, values) {
        ([], [scalar]) => scalar.serialize(serializer),
        ([] | [_], _) => values.serialize(serializer),
        ([first, rest @ ..], _) => {
            let step = values.len() / (*first).max(1);
            let mut list = serializer.serialize_seq(Some(*first))?;
            for part in values.chunks(step.max(1)) {
                list.serialize_element(&Nested {
                    values: part,
                    shape: rest,
                })?;
            }
            list.end()
        }
    }
}

struct Nested<'a, T> {
    values: &'a [T],
    shape: &'a [usize],
}

impl<T: Serialize> Serialize for Nested<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        nested(self.values, self.shape, serializer)
    }
}

/// A row-major matrix as a list of rows.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f64],
    width: usize,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.values.chunks(self.width.max(1)))
    }
}

/// The largest probability of each row.
struct Confidence<'a>(Rows<'a>);

impl Serialize for Confidence<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(rows) = self;
        let largest = |row: &[f64]| row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        serializer.collect_seq(rows.values.chunks(rows.width.max(1)).map(largest))
    }
}
