//! A journal record as a row of the log: names and JSON instead of blocks, and
//! no more than the model's policy keeps.

use std::sync::Arc;

use plimsoll_core::column::{Batch, Column, Output};
use plimsoll_core::digest::Digest;
use plimsoll_core::id::UserId;
use plimsoll_core::record::{Kept, OutcomeView, RecordView, RedactedView};
use plimsoll_core::schema::{Block, ClassLabel, Field, Schema};
use plimsoll_store::{Payload, PredictionRow, VersionRow};
use serde_json::json;

use super::input::InputJson;
use crate::capture::CaptureKeys;
use crate::serving::OutputJson;

/// Longest input or output kept in the log, in bytes; the rest is cut and said so.
const MAX_TEXT: usize = 64 << 10;

/// The fields and classes of one version, and whose it is.
pub(super) struct Meaning {
    owner: UserId,
    keys: Arc<CaptureKeys>,
    /// Engines pack scalars together or give every input a block of its own,
    /// and the stored fields do not say which.
    schemas: Vec<Schema>,
    outputs: Vec<Field>,
    classes: Vec<ClassLabel>,
}

impl Meaning {
    pub(super) fn of(row: &VersionRow, owner: UserId, keys: Arc<CaptureKeys>) -> Option<Self> {
        let inputs: Vec<Field> = serde_json::from_value(row.input_schema.clone()).ok()?;
        let schemas = [Schema::packed(inputs.clone()), Schema::separate(inputs)];
        Some(Self {
            owner,
            keys,
            schemas: schemas.into_iter().flatten().collect(),
            outputs: serde_json::from_value(row.output_schema.clone()).ok()?,
            classes: serde_json::from_value(row.classes.clone()).ok()?,
        })
    }

    /// The schema whose blocks fit the batch.
    fn schema(&self, batch: &Batch) -> Option<&Schema> {
        self.schemas.iter().find(|schema| fits(schema, batch))
    }
}

fn fits(schema: &Schema, batch: &Batch) -> bool {
    let fits = |(block, column): (&Block, &Column)| {
        block.data_type == column.values.data_type()
            && block.width.is_none_or(|width| width == column.width)
    };
    let blocks = schema.blocks();
    blocks.len() == batch.columns.len() && blocks.iter().zip(&batch.columns).all(fits)
}

/// The row of one record; `None` if the log keeps nothing of it.
pub(super) fn row(view: &RecordView<'_>, meaning: &Meaning) -> Option<PredictionRow> {
    if view.head.kept == Kept::Nothing {
        return None;
    }
    let error_code = match &view.outcome {
        OutcomeView::Answered(_) => None,
        OutcomeView::Failed { code } => Some((*code).to_owned()),
    };
    let head = &view.head;
    let values = RowValues::of(view, meaning);
    Some(PredictionRow {
        id: head.prediction,
        owner_id: meaning.owner,
        model_id: head.model,
        version_id: head.version,
        version_number: head.version_number,
        endpoint: head.endpoint.map(str::to_owned),
        key_id: head.key,
        request_id: head.request_id.map(str::to_owned),
        header_request_id: head.header_request_id.to_owned(),
        error_message: error_code
            .as_ref()
            .map(|_| "the model failed on this input".to_owned()),
        error_code,
        row_count: i64::try_from(view.input.rows).unwrap_or(i64::MAX),
        input_bytes: values.input_bytes,
        truncated: values.truncated,
        payload: values.payload,
        confidence: values.confidence,
        latency_us: i64::try_from(head.latency_us).unwrap_or(i64::MAX),
        created_at: head.at,
        input: values.input,
        output: values.output,
        shadow: head.shadow,
    })
}

/// The columns of a row that hold values, or what is kept instead.
struct RowValues {
    payload: Payload,
    input: Option<String>,
    output: Option<String>,
    input_bytes: i64,
    truncated: bool,
    confidence: Option<f64>,
}

impl RowValues {
    const NONE: Self = Self {
        payload: Payload::None,
        input: None,
        output: None,
        input_bytes: 0,
        truncated: false,
        confidence: None,
    };

    fn of(view: &RecordView<'_>, meaning: &Meaning) -> Self {
        let is_full = match view.head.kept {
            Kept::Values => true,
            Kept::Digests => false,
            Kept::Row | Kept::Nothing => return Self::NONE,
        };
        let input = input_text(&view.input.to_batch(), &view.redacted, meaning);
        let output = match &view.outcome {
            OutcomeView::Answered(output) => Some(output.to_output()),
            OutcomeView::Failed { .. } => None,
        };
        let output_text = output.as_ref().map(|output| output_text(output, meaning));
        if is_full {
            let confidence = output.and_then(|output| mean_confidence(&output, meaning));
            Self::full(input, output_text, confidence)
        } else {
            Self::hashed(&input, output_text.as_deref(), meaning)
        }
    }

    fn full(input: String, output: Option<String>, confidence: Option<f64>) -> Self {
        let input_bytes = length(&input);
        let (input, input_cut) = cut(input);
        let (output, output_cut) = output.map(cut).unzip();
        Self {
            payload: Payload::Full,
            input: Some(input),
            output,
            input_bytes,
            truncated: input_cut || output_cut == Some(true),
            confidence,
        }
    }

    fn hashed(input: &str, output: Option<&str>, meaning: &Meaning) -> Self {
        let hashed = |text: &str| {
            let digest = meaning.keys.payload(text);
            json!({"hmac_sha256": digest.to_string()}).to_string()
        };
        Self {
            payload: Payload::Hashed,
            input: Some(hashed(input)),
            output: output.map(hashed),
            input_bytes: length(input),
            ..Self::NONE
        }
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

fn input_text(batch: &Batch, redacted: &[RedactedView<'_>], meaning: &Meaning) -> String {
    let Some(schema) = meaning.schema(batch) else {
        return "null".to_owned();
    };
    serde_json::to_string(&InputJson::new(schema, batch, redacted))
        .expect("invariant: an input has no failing part")
}

fn output_text(output: &Output, meaning: &Meaning) -> String {
    let json = OutputJson {
        output,
        outputs: &meaning.outputs,
        classes: &meaning.classes,
    };
    serde_json::to_string(&json).expect("invariant: an answer has no failing part")
}

/// The mean over the rows of the largest probability.
fn mean_confidence(output: &Output, meaning: &Meaning) -> Option<f64> {
    let classes = meaning.classes.len();
    if output.probabilities.is_empty() || classes == 0 {
        return None;
    }
    let largest = |row: &[f64]| row.iter().copied().fold(0.0, f64::max);
    // A running mean: the count never has to become a float all at once.
    let mean = |(mean, count): (f64, f64), row: &[f64]| {
        let count = count + 1.0;
        (mean + (largest(row) - mean) / count, count)
    };
    let rows = output.probabilities.chunks(classes);
    Some(rows.fold((0.0, 0.0), mean).0)
}

/// Keeps what fits; of the rest, the digest of the whole.
fn cut(text: String) -> (String, bool) {
    if text.len() <= MAX_TEXT {
        return (text, false);
    }
    let stand_in = json!({
        "truncated": true,
        "bytes": text.len(),
        "sha256": Digest::of(text.as_bytes()).to_string(),
    });
    (stand_in.to_string(), true)
}
