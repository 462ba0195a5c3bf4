//! What one prediction request was and what became of it, and its binary form.
//!
//! A record is written on the hot path and read once, by whoever computes log
//! rows and metrics from it. So the form is flat and columnar: fixed-size
//! numbers are copied as blocks, nothing is compressed, and a reader borrows
//! everything it can. [`PredictionRecord::encode`] writes, [`RecordView::decode`]
//! reads and refuses every input that the encoder could not have written.

mod capture;
mod decode;
mod encode;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::capture::{CapturePolicy, Kept, masked};
pub use self::decode::{
    BatchView, ColumnView, OutcomeView, OutputView, RecordError, RecordView, RedactedView,
    ValuesView,
};
use crate::column::{Batch, Output};
use crate::id::{KeyId, ModelId, PredictionId, UserId, VersionId};
use crate::schema::Slot;
use crate::time::Timestamp;

/// First byte of every record; another layout gets another number.
pub const RECORD_FORMAT: u8 = 1;

/// What is kept of one input field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redaction {
    /// The value itself.
    #[default]
    Keep,
    /// Nothing.
    Drop,
    /// The last characters, the rest hidden.
    Mask {
        /// How many characters stay readable.
        keep_last: u8,
    },
    /// A keyed hash: equal values stay equal, the value itself is gone.
    Pseudonym,
}

/// How much of a request reaches the prediction log. Metrics count everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// Every request with its values.
    #[default]
    Full,
    /// A part of the requests; failures always.
    Sampled {
        /// Between 0 and 1.
        rate: f64,
    },
    /// A digest of the values instead of the values.
    Hashed,
    /// Nothing of the values.
    Off,
}

/// Who asked what, when, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead<'a> {
    /// Names the record.
    pub prediction: PredictionId,
    /// When the request was answered.
    pub at: Timestamp,
    /// The model asked.
    pub model: ModelId,
    /// The version that answered; it also names the schema of input and output.
    pub version: VersionId,
    /// The version's number within its model.
    pub version_number: i64,
    /// The endpoint called; `None` for a model's implicit one.
    pub endpoint: Option<&'a str>,
    /// The key used; `None` for a person signed in.
    pub key: Option<KeyId>,
    /// Whose request it was.
    pub user: UserId,
    /// The name the client gave the row in the body.
    pub request_id: Option<&'a str>,
    /// The name of the HTTP request, from its header or made up.
    pub header_request_id: &'a str,
    /// From arrival to answer, in microseconds.
    pub latency_us: u64,
    /// Whether the model was in memory already.
    pub cached: bool,
    /// Whether the answer came from the result cache.
    pub result_cached: bool,
    /// Whether a shadow was asked: nobody got this answer.
    pub shadow: bool,
    /// What the log keeps of the request, as its model's policy was when it was answered.
    pub kept: Kept,
}

/// One input field whose values must not be stored as they are.
///
/// The encoder blanks the field's place in its block, so that a redacted value
/// cannot be written by forgetting to clear it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Redacted<'a> {
    /// Index of the field in the schema's inputs.
    pub field: u32,
    /// What is kept instead.
    pub redaction: Redaction,
    /// Where the field lies.
    pub slot: Slot,
    /// Elements of the field in one row.
    pub width: usize,
    /// Masked texts or pseudonyms, one per element, row by row; empty if dropped.
    pub stand_ins: &'a [Option<String>],
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// The model answered.
    Answered(&'a Output),
    /// The model or the server failed.
    Failed {
        /// The slug of the error.
        code: &'a str,
    },
}

/// One prediction request and its outcome, ready to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictionRecord<'a> {
    /// Who asked what, when.
    pub head: RecordHead<'a>,
    /// The rows asked about: `rows × width` elements per column. Without
    /// columns if the request failed before its body could be read.
    pub input: &'a Batch,
    /// Fields of which less than the value is kept.
    pub redacted: &'a [Redacted<'a>],
    /// What became of it.
    pub outcome: Outcome<'a>,
}
