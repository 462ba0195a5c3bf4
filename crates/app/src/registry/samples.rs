//! Sample rows of a version, and what its library answered for them.
//!
//! They are a content of their own, not a column: whatever loads a version has
//! its digest in memory and warms the model without asking the database.

use plimsoll_core::column::Batch;
use plimsoll_core::decode::{DecodeError, rows_text};
use plimsoll_core::digest::Digest;
use plimsoll_core::field::FieldError;
use plimsoll_core::schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::meta::UploadMeta;
use crate::{App, Error};

/// Most sample rows of one version.
const MAX_ROWS: usize = 1000;
/// How far a number may be from the expected one if nothing else is said.
const TOLERANCE: f64 = 1e-6;

/// Sample rows as they were sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Samples {
    /// Rows in any form `inputs` takes.
    inputs: Box<RawValue>,
    /// What is expected of them.
    pub(super) outputs: Option<Value>,
    /// Largest accepted difference.
    pub(super) tolerance: f64,
}

impl Samples {
    /// The sample rows of an upload, if it has some; what is wrong with them goes to `errors`.
    pub(super) fn of(meta: &UploadMeta, errors: &mut Vec<FieldError>) -> Option<Self> {
        let inputs = json::<Box<RawValue>>("/sample_inputs", meta.sample_inputs.as_deref(), errors);
        let outputs = json::<Value>("/sample_outputs", meta.sample_outputs.as_deref(), errors);
        let tolerance = meta.tolerance.as_deref().map(|text| {
            number(text).unwrap_or_else(|error| {
                errors.push(error);
                TOLERANCE
            })
        });
        let lacks = |part, of| FieldError::new(part, "missing-field", format!("{of} need {part}"));
        if meta.sample_outputs.is_some() && meta.sample_inputs.is_none() {
            errors.push(lacks("/sample_inputs", "sample_outputs"));
        }
        if tolerance.is_some() && meta.sample_outputs.is_none() {
            let detail = "a tolerance goes with sample_outputs only";
            errors.push(FieldError::new("/tolerance", "contradiction", detail));
        }
        Some(Self {
            inputs: inputs?,
            outputs,
            tolerance: tolerance.unwrap_or(TOLERANCE),
        })
    }

    /// Sample rows that came with the model itself, if it takes them.
    pub(super) fn of_example(text: String, schema: &Schema) -> Option<Self> {
        let samples = Self {
            inputs: RawValue::from_string(text).ok()?,
            outputs: None,
            tolerance: TOLERANCE,
        };
        samples.batch(schema).ok()?;
        Some(samples)
    }

    /// The rows in the blocks of the model's schema.
    pub(crate) fn batch(&self, schema: &Schema) -> Result<Batch, Error> {
        let rows = rows_text(
            self.inputs.get().as_bytes(),
            schema,
            MAX_ROWS,
            "sample_inputs",
        );
        let refused = |code: &'static str, detail: String| {
            Error::Invalid(vec![FieldError::new("/sample_inputs", code, detail)])
        };
        rows.map_err(|error| match error {
            DecodeError::Invalid(errors) => Error::Invalid(errors),
            DecodeError::Malformed { detail } => refused("invalid-value", detail),
            DecodeError::TooManyRows { limit, .. } => {
                refused("wrong-length", format!("expected at most {limit} rows"))
            }
        })
    }

    /// The body of a request for the first row, in the words of the client.
    pub(crate) fn first_request(&self) -> String {
        #[derive(Deserialize)]
        struct Split<'t> {
            #[serde(borrow)]
            columns: &'t RawValue,
            #[serde(borrow)]
            data: Vec<&'t RawValue>,
        }
        let text = self.inputs.get();
        let is_list = |row: &&&RawValue| row.get().starts_with(['[', '{']);
        if let Ok(rows) = serde_json::from_str::<Vec<&RawValue>>(text) {
            // A list without lists in it is one row of numbers, or many of a single one.
            return match rows.first().filter(is_list) {
                Some(row) => format!(r#"{{"inputs":[{row}]}}"#),
                None => format!(r#"{{"inputs":{text}}}"#),
            };
        }
        match serde_json::from_str::<Split<'_>>(text) {
            Ok(Split { columns, data }) if !data.is_empty() => {
                format!(
                    r#"{{"inputs":{{"columns":{columns},"data":[{}]}}}}"#,
                    data[0]
                )
            }
            _ => format!(r#"{{"inputs":{text}}}"#),
        }
    }
}

impl App {
    /// Stores sample rows; answers the name of their content.
    pub(super) async fn put_samples(&self, samples: &Samples) -> Result<Digest, Error> {
        let text = serde_json::to_vec(samples).map_err(|error| Error::Internal(error.into()))?;
        let mut stage = self.blobs().stage().await?;
        stage.write(&text).await?;
        Ok(self.blobs().put(stage.finish().await?).await?.digest)
    }

    /// The sample rows of this name.
    pub(crate) async fn samples(&self, name: &Digest) -> Result<Samples, Error> {
        let text = self.blobs().read(name).await?;
        serde_json::from_slice(&text).map_err(|error| Error::Internal(error.into()))
    }
}

/// One JSON value; nothing if there is none, or none that can be read.
fn json<'t, T: Deserialize<'t>>(
    pointer: &str,
    text: Option<&'t str>,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    let read = serde_json::from_str(text?);
    read.map_err(|error| {
        let detail = format!("the part is not valid JSON: {error}");
        errors.push(FieldError::new(pointer, "invalid-value", detail));
    })
    .ok()
}

fn number(text: &str) -> Result<f64, FieldError> {
    let number = text.trim().parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| {
        let detail = "expected a finite number that is not negative";
        let error = FieldError::new("/tolerance", "invalid-value", detail);
        error.expected_got("number ≥ 0", "string")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_is_asked_for_in_the_clients_own_words() {
        for (inputs, expected) in [
            ("[[1.50, 2], [3, 4]]", r#"{"inputs":[[1.50, 2]]}"#),
            (r#"[{"b": 1, "a": 2}]"#, r#"{"inputs":[{"b": 1, "a": 2}]}"#),
            (r#"{"b": 1, "a": 2}"#, r#"{"inputs":{"b": 1, "a": 2}}"#),
            ("[1, 2]", r#"{"inputs":[1, 2]}"#),
            (
                r#"{"columns": ["a"], "data": [[1], [2]]}"#,
                r#"{"inputs":{"columns":["a"],"data":[[1]]}}"#,
            ),
        ] {
            let meta = UploadMeta {
                sample_inputs: Some(inputs.to_owned()),
                ..UploadMeta::default()
            };
            let samples = Samples::of(&meta, &mut Vec::new()).unwrap();
            assert_eq!(samples.first_request(), expected);
        }
    }
}
