//! Jobs on the wire.

use plimsoll_app::jobs::{JobQuery, ResultFormat, RowsFormat};
use plimsoll_core::field::FieldError;
use plimsoll_core::id::JobId;
use plimsoll_core::job::JobState;
use plimsoll_core::page::PageRequest;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{JobEvent, JobRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::page::{flag, out_of_range, page_request};
use crate::problem::Problem;

/// Items on a page of events if the query does not say.
const USUAL_EVENTS: u32 = 50;
/// Most items on a page of events.
const MOST_EVENTS: u32 = 200;

/// The answer to everything that becomes a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobAccepted)]
pub(crate) struct JobAcceptedDto {
    /// Id of the job.
    job_id: String,
    /// Its state: `queued`.
    status: &'static str,
    /// When it will probably have ended, if nothing else is to be done.
    #[schema(value_type = String, format = DateTime)]
    estimated_completion: Timestamp,
    /// Where to ask for it.
    pub url: String,
}

impl JobAcceptedDto {
    pub(crate) fn new(job: &JobRow, ends: Timestamp, base_path: &str) -> Self {
        Self {
            job_id: job.id.to_string(),
            status: job.state.name(),
            estimated_completion: ends,
            url: format!("{base_path}/api/v1/jobs/{}", job.id),
        }
    }
}

/// A piece of long work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobDto {
    /// Its id.
    id: String,
    /// Its type, `batch` for instance.
    kind: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    status: &'static str,
    /// How far it is, 0 to 100.
    progress: i64,
    /// Units of work that are done; rows of a batch.
    done: i64,
    /// Units of work in all, once that is known.
    total: Option<i64>,
    /// What it is doing, in a word.
    phase: String,
    /// What it is doing, in a sentence.
    message: String,
    /// Seconds until it will probably have ended; while it runs.
    eta_s: Option<u64>,
    /// Attempts so far, since it was last queued by a person.
    attempt: i64,
    /// Most attempts.
    max_attempts: i64,
    /// How often a person queued it again; at most 3 times.
    retries: i64,
    /// Whether it was asked to stop.
    cancel_requested: bool,
    /// The model it is about.
    model_id: Option<String>,
    /// The key that asked for it.
    api_key_id: Option<String>,
    /// What came of it; for a batch the counts of rows.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Why it failed: `code`, `message`, `hint`.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its last attempt began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl JobDto {
    pub(crate) fn new(job: JobRow, now: Timestamp) -> Self {
        Self {
            progress: progress(&job),
            eta_s: eta_s(&job, now),
            id: job.id.to_string(),
            kind: job.kind,
            status: job.state.name(),
            done: job.done,
            total: job.total,
            phase: job.phase,
            message: job.message,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            retries: job.retries,
            cancel_requested: job.cancel_requested,
            model_id: job.model_id.map(|id| id.to_string()),
            api_key_id: job.key_id.map(|id| id.to_string()),
            result: job.result,
            error: job.error,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// 100 is kept for what has succeeded.
fn progress(job: &JobRow) -> i64 {
    match (job.state, job.total) {
        (JobState::Succeeded, _) => 100,
        (_, Some(total)) if total > 0 => (job.done.saturating_mul(100) / total).clamp(0, 99),
        _ => 0,
    }
}

fn eta_s(job: &JobRow, now: Timestamp) -> Option<u64> {
    let (started, total) = (job.started_at?, job.total?);
    let done = u64::try_from(job.done).ok().filter(|done| *done > 0)?;
    let left = u64::try_from(total - job.done).ok()?;
    let elapsed_ms = u64::try_from(now.since(started).as_millis()).ok()?;
    let left_ms = elapsed_ms.saturating_mul(left) / done;
    (job.state == JobState::Running).then(|| left_ms.div_ceil(1000))
}

/// Which jobs are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobListQuery {
    /// Only of this type, `batch` for instance.
    kind: Option<String>,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    status: Option<String>,
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
}

impl JobListQuery {
    pub(crate) fn into_parts(self) -> Result<(JobQuery, PageRequest), Problem> {
        let mut errors = Vec::new();
        let state = self.status.as_deref().and_then(|text| {
            let parsed = text.parse::<JobState>();
            parsed
                .map_err(|error| errors.push(out_of_range("status", &error.to_string())))
                .ok()
        });
        let page = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let kind = self.kind;
        Ok((JobQuery { kind, state }, page))
    }
}

/// Something that happened to a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobEvent)]
pub(crate) struct JobEventDto {
    /// Counted from 1 within the job.
    number: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What, in a word: `queued`, `started`, `postponed`, `succeeded`, `failed`, `cancelled`, …
    event: String,
    /// What, in a sentence; may be empty.
    detail: String,
}

/// One page of what happened to a job, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobEventList {
    /// The events.
    items: Vec<JobEventDto>,
    /// The cursor of the next page, if this one is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl JobEventList {
    pub(crate) fn new(events: Vec<JobEvent>, limit: u32) -> Self {
        let is_full = events.len() == limit as usize;
        let last = events.last().map(|event| event.number.to_string());
        let view = |event: JobEvent| JobEventDto {
            number: event.number,
            at: event.at,
            event: event.event,
            detail: event.detail,
        };
        Self {
            items: events.into_iter().map(view).collect(),
            next: last.filter(|_| is_full),
        }
    }
}

/// Which events are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobEventQuery {
    /// Most items, 1 to 200.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl JobEventQuery {
    /// After which event, and how many.
    pub(crate) fn after_and_limit(&self) -> Result<(i64, u32), Problem> {
        let limit = self.limit.as_deref().map_or(Some(USUAL_EVENTS), |text| {
            let limit = text.parse().ok();
            limit.filter(|limit| (1..=MOST_EVENTS).contains(limit))
        });
        let refused = |name, expected: &str| Problem::invalid(vec![out_of_range(name, expected)]);
        let limit = limit.ok_or_else(|| refused("limit", "integer from 1 to 200"))?;
        let after = self.cursor.as_deref().map_or(Ok(0), str::parse);
        let unknown = |_| Problem::from(plimsoll_app::Error::UnknownCursor);
        Ok((after.map_err(unknown)?, limit))
    }
}

/// What a batch should do.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct BatchQuery {
    /// Number, label, id, `latest` or `production`; else the version in production, else the latest.
    pub version: Option<String>,
    /// `csv` or `jsonl`, where neither media type nor file name says so.
    format: Option<String>,
    /// Whether class probabilities belong into the result.
    #[param(value_type = Option<bool>, default = true)]
    include_probabilities: Option<String>,
}

impl BatchQuery {
    /// The format and whether probabilities are wanted.
    pub(crate) fn options(&self) -> Result<(Option<RowsFormat>, bool), Problem> {
        let wanted = self.include_probabilities.as_deref().unwrap_or("true");
        let probabilities = flag("include_probabilities", Some(wanted))?;
        let format = match self.format.as_deref() {
            None => None,
            Some("csv") => Some(RowsFormat::Csv),
            Some("jsonl") => Some(RowsFormat::Jsonl),
            Some(_) => return Err(Problem::invalid(vec![unknown_format()])),
        };
        Ok((format, probabilities))
    }
}

/// In which form a result is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultQuery {
    /// `jsonl` or `csv`.
    #[param(default = "jsonl")]
    format: Option<String>,
}

impl ResultQuery {
    pub(crate) fn format(&self) -> Result<ResultFormat, Problem> {
        match self.format.as_deref() {
            None | Some("jsonl") => Ok(ResultFormat::Jsonl),
            Some("csv") => Ok(ResultFormat::Csv),
            Some(_) => Err(Problem::invalid(vec![unknown_format()])),
        }
    }
}

/// 422 about the format of rows.
pub(crate) fn unknown_format() -> FieldError {
    out_of_range("format", "csv or jsonl")
}

/// A file of rows, as a form.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct BatchForm {
    /// The rows: CSV with the features' names in its first line, or one JSON value a line.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// The id a path names; what is no id is the id of nothing.
pub(crate) fn job_id(text: &str) -> Result<JobId, Problem> {
    let absent = |_| plimsoll_app::Error::NotFound { what: "job" };
    Ok(text.parse().map_err(absent)?)
}
