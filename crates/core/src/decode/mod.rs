//! JSON inputs to a [`Batch`]: the one coercion table for all callers.
//!
//! [`predict_body`] reads the native request body straight into the flat
//! blocks of a schema, without a tree in between. Other dialects (CSV, tensors)
//! fill the same [`BatchBuilder`], so that a value is accepted or refused alike
//! whichever way it came.

mod body;
mod builder;
mod cells;
mod coerce;
mod json;
mod lines;
mod number;
mod report;
mod rows;
mod split;
mod tensor;
#[cfg(test)]
mod tests;

pub use body::{predict_body, rows_text};
pub use builder::BatchBuilder;
pub use coerce::{Cell, Mismatch};
pub use lines::{Header, json_row};
pub use tensor::{
    AnswerTensor, Datatype, InferRequest, RequestedOutput, Tensor, TensorSpec, answer_tensors,
    infer_batch, input_specs, output_specs,
};

use crate::column::Batch;
use crate::field::FieldError;
use crate::model::VersionRef;

/// A request body that can be predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The rows, in the blocks of the schema.
    pub batch: Batch,
    /// What the caller wants to be told.
    pub options: PredictOptions,
}

/// What a caller wants to be told, and how the answer is to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictOptions {
    /// Whether class probabilities belong into the answer.
    pub include_probabilities: bool,
    /// Whether timing and provenance belong into the answer.
    pub include_metadata: bool,
    /// The caller's own name for this prediction: 1 to 128 printable ASCII characters.
    pub request_id: Option<String>,
    /// The version asked for.
    pub version: Option<VersionText>,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self {
            include_probabilities: true,
            include_metadata: false,
            request_id: None,
            version: None,
        }
    }
}

/// A version as a body names it: a string, or an integer kept as its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionText(String);

impl VersionText {
    /// The text as sent; an integer in its decimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which version the text refers to.
    pub fn version(&self) -> VersionRef {
        VersionRef::from(self.0.as_str())
    }
}

/// Why a request body cannot be predicted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON as RFC 8259 has it, or a key twice in one object.
    #[error("the body is not valid JSON: {detail}")]
    Malformed {
        /// What and where (line, column), never the content.
        detail: String,
    },
    /// JSON, but not what the model takes.
    #[error("the body does not fit the model's inputs")]
    Invalid(Vec<FieldError>),
    /// More rows than one request may carry.
    #[error("the body has at least {at_least} rows, at most {limit} are allowed")]
    TooManyRows {
        /// Rows one request may carry.
        limit: usize,
        /// Rows seen when reading stopped.
        at_least: usize,
    },
}
