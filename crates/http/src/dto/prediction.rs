//! Predictions that were made.

use plimsoll_app::history::{HistoryFilter, MAX_PAGE, PredictionView};
use plimsoll_core::time::Timestamp;
use plimsoll_store::PredictionStatus;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::page::Reader;
use crate::problem::Problem;

/// One prediction request and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prediction)]
pub(crate) struct PredictionDto {
    /// Its id, as the answer gave it.
    id: String,
    /// Name of the model.
    model: String,
    /// Number of the version that answered.
    model_version: i64,
    /// The endpoint called, if it was not the model itself.
    endpoint: Option<String>,
    /// The key used; none for a person signed in.
    api_key_id: Option<String>,
    /// The name the client gave it in the body, else the id of the HTTP request.
    request_id: String,
    /// `success` or `failed`.
    status: &'static str,
    /// Rows asked about.
    rows: i64,
    /// The input with the names of the features; cut beyond 64 KiB.
    #[schema(value_type = serde_json::Value)]
    input: Option<Box<RawValue>>,
    /// What was answered; none for a failure.
    #[schema(value_type = serde_json::Value)]
    output: Option<Box<RawValue>>,
    /// What `input` and `output` hold: `full` values, `hashed` digests or `none`,
    /// as the model's `capture` was at the time.
    payload: &'static str,
    /// Whether input or output was cut.
    truncated: bool,
    /// Mean over the rows of the largest probability.
    confidence: Option<f64>,
    /// Time from arrival to answer, in milliseconds.
    latency_ms: f64,
    /// What went wrong, in a stable word as the answer's `code` had it.
    error_code: Option<String>,
    /// What went wrong.
    error_message: Option<String>,
    /// Whether a shadow of the endpoint was asked: nobody got this answer.
    shadow: bool,
    /// When it was answered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<PredictionView> for PredictionDto {
    fn from(view: PredictionView) -> Self {
        let PredictionView { row, model } = view;
        let raw = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        let micros = u32::try_from(row.latency_us).unwrap_or(u32::MAX);
        Self {
            id: row.id.to_string(),
            model,
            model_version: row.version_number,
            status: word(row.status()),
            endpoint: row.endpoint,
            api_key_id: row.key_id.map(|id| id.to_string()),
            request_id: row.request_id.unwrap_or(row.header_request_id),
            rows: row.row_count,
            input: raw(row.input),
            output: raw(row.output),
            payload: row.payload.name(),
            truncated: row.truncated,
            confidence: row.confidence,
            latency_ms: f64::from(micros) / 1000.0,
            error_code: row.error_code,
            error_message: row.error_message,
            shadow: row.shadow,
            created_at: row.created_at,
        }
    }
}

/// One page of predictions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PredictionList {
    /// The predictions.
    items: Vec<PredictionDto>,
    /// The cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl PredictionList {
    pub(crate) fn new((views, next): (Vec<PredictionView>, Option<String>)) -> Self {
        Self {
            items: views.into_iter().map(PredictionDto::from).collect(),
            next,
        }
    }
}

/// Which predictions are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PredictionQuery {
    /// Id or name of the model.
    model: Option<String>,
    /// Number, label or id of one of its versions.
    version: Option<String>,
    /// Name of the endpoint.
    endpoint: Option<String>,
    /// Id of the key.
    key: Option<String>,
    /// `success` or `failed`.
    status: Option<String>,
    /// From this moment on (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Before this moment (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// Text in the input, the output or the request id.
    search: Option<String>,
    /// Most items, 1 to 200.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// `next` of the page before, with the same filters.
    cursor: Option<String>,
}

impl PredictionQuery {
    /// The filter and the cursor.
    pub(crate) fn into_parts(self) -> Result<(HistoryFilter, Option<String>), Problem> {
        let mut errors = Vec::new();
        let mut read = Reader(&mut errors);
        let (from, to) = read.range(self.from.as_deref(), self.to.as_deref());
        let filter = HistoryFilter {
            key: read.text("key", self.key.as_deref(), "id of a key", |t| {
                t.parse().ok()
            }),
            status: read.text(
                "status",
                self.status.as_deref(),
                "success or failed",
                status,
            ),
            from,
            to,
            limit: read.limit(self.limit.as_deref(), MAX_PAGE),
            model: self.model,
            version: self.version,
            endpoint: self.endpoint,
            search: self.search.filter(|text| !text.is_empty()),
        };
        if errors.is_empty() {
            Ok((filter, self.cursor))
        } else {
            Err(Problem::invalid(errors))
        }
    }
}

fn status(text: &str) -> Option<PredictionStatus> {
    let all = [PredictionStatus::Success, PredictionStatus::Error];
    all.into_iter().find(|status| word(*status) == text)
}

/// The API's words for what became of a request.
const fn word(status: PredictionStatus) -> &'static str {
    match status {
        PredictionStatus::Success => "success",
        PredictionStatus::Error => "failed",
    }
}
