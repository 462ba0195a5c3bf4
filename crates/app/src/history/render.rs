//! A journal record as a row of the log: names and JSON instead of blocks.

use plimsoll_core::column::{Batch, Column, Output, Values};
use plimsoll_core::digest::Digest;
use plimsoll_core::id::UserId;
use plimsoll_core::record::{OutcomeView, RecordView};
use plimsoll_core::schema::{ClassLabel, Field, Schema};
use plimsoll_store::{Payload, PredictionRow, VersionRow};
use serde_json::{Map, Value, json};

use crate::serving::OutputJson;

/// Longest input or output kept in the log, in bytes; the rest is cut and said so.
const MAX_TEXT: usize = 64 << 10;

/// The fields and classes of one version, and whose it is.
pub(super) struct Meaning {
    owner: UserId,
    inputs: Vec<Field>,
    outputs: Vec<Field>,
    classes: Vec<ClassLabel>,
}

impl Meaning {
    pub(super) fn of(row: &VersionRow, owner: UserId) -> Option<Self> {
        Some(Self {
            owner,
            inputs: serde_json::from_value(row.input_schema.clone()).ok()?,
            outputs: serde_json::from_value(row.output_schema.clone()).ok()?,
            classes: serde_json::from_value(row.classes.clone()).ok()?,
        })
    }

    /// The schema whose blocks fit the batch: engines pack scalars together or
    /// give every input a block of its own, and the stored fields do not say which.
    fn schema(&self, batch: &Batch) -> Option<Schema> {
        let fits = |schema: &Schema| {
            schema.blocks().len() == batch.columns.len()
                && schema
                    .blocks()
                    .iter()
                    .zip(&batch.columns)
                    .all(|(block, column)| {
                        block.data_type == column.values.data_type()
                            && block.width.is_none_or(|width| width == column.width)
                    })
        };
        let packed = Schema::packed(self.inputs.clone()).ok().filter(fits);
        packed.or_else(|| Schema::separate(self.inputs.clone()).ok().filter(fits))
    }
}

/// The row of one record.
pub(super) fn row(view: &RecordView<'_>, meaning: &Meaning) -> PredictionRow {
    let head = &view.head;
    let batch = view.input.to_batch();
    let input = input_text(&batch, meaning);
    let (output, confidence, error_code) = match &view.outcome {
        OutcomeView::Answered(output) => {
            let output = output.to_output();
            (
                Some(output_text(&output, meaning)),
                mean_confidence(&output, meaning),
                None,
            )
        }
        OutcomeView::Failed { code } => (None, None, Some((*code).to_owned())),
    };
    let input_bytes = i64::try_from(input.len()).unwrap_or(i64::MAX);
    let (input, input_cut) = cut(input);
    let (output, output_cut) = output.map_or((None, false), |text| {
        let (text, is_cut) = cut(text);
        (Some(text), is_cut)
    });
    PredictionRow {
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
        row_count: i64::try_from(batch.rows).unwrap_or(i64::MAX),
        input_bytes,
        truncated: input_cut || output_cut,
        payload: Payload::Full,
        confidence,
        latency_us: i64::try_from(head.latency_us).unwrap_or(i64::MAX),
        created_at: head.at,
        input: Some(input),
        output,
    }
}

/// The input as a client would have sent it: one object, or a list of objects.
fn input_text(batch: &Batch, meaning: &Meaning) -> String {
    let Some(schema) = meaning.schema(batch) else {
        return "null".to_owned();
    };
    let row = |row: usize| {
        let cells = schema
            .inputs()
            .iter()
            .zip(schema.slots())
            .map(|(field, slot)| {
                let column = &batch.columns[slot.block];
                let width = field.width().unwrap_or(column.width);
                let start = row * column.width + slot.offset;
                (
                    field.name.clone(),
                    cell(column, start, width, field.is_scalar()),
                )
            });
        Value::Object(cells.collect::<Map<_, _>>())
    };
    match batch.rows {
        1 => row(0).to_string(),
        rows => Value::Array((0..rows).map(row).collect()).to_string(),
    }
}

fn cell(column: &Column, start: usize, width: usize, scalar: bool) -> Value {
    let one = |at: usize| match &column.values {
        Values::Float32(v) => json!(v[at]),
        Values::Float64(v) => json!(v[at]),
        Values::Int64(v) => json!(v[at]),
        Values::Bool(v) => json!(v[at]),
        Values::Text(v) => json!(v[at]),
    };
    if scalar {
        one(start)
    } else {
        Value::Array((start..start + width).map(one).collect())
    }
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
