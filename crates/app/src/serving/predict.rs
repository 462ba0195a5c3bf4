//! The hot path: resolve, load, decode, run, count.
//!
//! Nothing here touches the database or holds a lock across an await.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::decode::{DecodeError, Decoded, VersionText};
use plimsoll_core::field::FieldError;
use plimsoll_core::id::PredictionId;
use plimsoll_core::model::{Status, VersionRef};
use plimsoll_core::record::Outcome;
use plimsoll_core::time::{Clock, Monotonic};
use plimsoll_engine::{Control, EngineError, Stop};

use super::guard;
use super::{Answer, Asking, LoadedModel, Reuse, Route, Target};
use crate::auth::Caller;
use crate::history::{Asked, Ran};
use crate::live::VersionEntry;
use crate::{App, Error};

/// One request for predictions.
#[derive(Debug)]
pub struct PredictCall<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What is asked.
    pub target: Target<'a>,
    /// The rows.
    pub body: Asking<'a>,
    /// The name of the HTTP request.
    pub request_id: &'a str,
    /// When the answer must be there.
    pub deadline: Option<Monotonic>,
    /// Whether an answer given before will do.
    pub reuse: Reuse,
}

impl App {
    /// Answers one request.
    pub async fn predict(&self, call: PredictCall<'_>) -> Result<Answer, Error> {
        let started = self.clock().monotonic();
        let route = self.resolve(&call)?;
        let (version, loaded, cached, decoded) = self.prepare(&route, &call).await?;
        let Decoded { batch, options } = decoded;
        let batch = Arc::new(batch);
        let deadline = self.deadline(started, &call);
        let recall = self.recall(&version, &batch, call.reuse);
        let ran = match &recall.known {
            Some(output) => Ok(Run::known(output, self.clock().monotonic())),
            None => self.run_in_room(&route, &loaded, &batch, deadline).await,
        };
        let at = self.clock().now();
        let facts = Ran {
            id: PredictionId::new_at(self.ids(), at),
            at,
            started,
            model: &route.model,
            version: &version,
            schema: loaded.predictor.schema(),
            client_request_id: options.request_id.as_deref(),
            request_id: call.request_id,
            asked: Asked::By(call.caller),
            endpoint: route.endpoint_name(),
            cached,
            result_cached: recall.known.is_some(),
        };
        let Run {
            output,
            began,
            ended,
        } = match ran {
            Ok(run) => run,
            Err(error) => return Err(Box::pin(self.failed(&facts, &batch, error)).await),
        };
        self.record(&facts, &batch, Outcome::Answered(&output))
            .await?;
        self.count_answer(&version, &recall, (&output, began, ended));
        self.show_to_shadows(&route, &call, options.request_id.as_deref());
        let (prediction_id, timestamp) = (facts.id, facts.at);
        Ok(Answer {
            prediction_id,
            timestamp,
            latency: ended.since(started),
            model: route.model,
            endpoint: route.endpoint,
            version,
            loaded,
            output,
            options,
            cached,
            result_cached: recall.known.is_some(),
        })
    }

    /// Whether a request would be answered; nothing is counted or recorded.
    pub async fn rehearse(&self, call: PredictCall<'_>) -> Result<(), Error> {
        let deadline = self.deadline(self.clock().monotonic(), &call);
        let route = self.resolve(&call)?;
        let (_, loaded, _, decoded) = self.prepare(&route, &call).await?;
        let batch = Arc::new(decoded.batch);
        self.run(&loaded, &batch, deadline).await.map(drop)
    }

    /// The model's and the server's failures are counted and recorded; the
    /// client's are neither.
    pub(super) async fn failed(&self, facts: &Ran<'_>, batch: &Batch, error: Error) -> Error {
        let Some(code) = failure_code(&error) else {
            return error;
        };
        facts.version.meters.failed();
        let recorded = self.record(facts, batch, Outcome::Failed { code }).await;
        recorded.err().unwrap_or(error)
    }

    /// Runs the model once the endpoint, if one was called, has a free slot.
    async fn run_in_room(
        &self,
        route: &Route,
        loaded: &Arc<LoadedModel>,
        batch: &Arc<Batch>,
        deadline: Monotonic,
    ) -> Result<Run, Error> {
        let Some(endpoint) = &route.endpoint else {
            return self.run(loaded, batch, deadline).await;
        };
        let patience = self.settings().predict.queue_max_age;
        let _slot = endpoint.room.enter(patience).await?;
        self.run(loaded, batch, deadline).await
    }

    /// Loads the model and reads the body with its schema. A version named in
    /// the body wins over a path that names none.
    async fn prepare(
        &self,
        route: &Route,
        call: &PredictCall<'_>,
    ) -> Result<(Arc<VersionEntry>, Arc<LoadedModel>, bool, Decoded), Error> {
        let version = route.version.clone();
        if version.status == Status::Archived {
            return Err(Error::NotFound { what: "version" });
        }
        let (loaded, cached) = self.loaded(&version).await?;
        let decoded = self.decode(route, &loaded, call.body);
        let Some(wanted) = wanted_version(&decoded, call.body) else {
            return Ok((version, loaded, cached, decoded.map_err(undecodable)?));
        };
        let named = route.model.version(&wanted)?.clone();
        if named.id == version.id {
            return Ok((version, loaded, cached, decoded.map_err(undecodable)?));
        }
        if route.is_settled || named.status == Status::Archived {
            return Err(Error::field(
                "/version",
                "contradiction",
                "the body names another version than the path or its endpoint, or one that was archived",
                "the version of the path, or none",
            ));
        }
        let (loaded, cached) = Box::pin(self.loaded(&named)).await?;
        let decoded = self.decode(route, &loaded, call.body);
        Ok((named, loaded, cached, decoded.map_err(undecodable)?))
    }

    /// Reads a body with the model's schema and within what its endpoint accepts.
    fn decode(
        &self,
        route: &Route,
        loaded: &LoadedModel,
        body: Asking<'_>,
    ) -> Result<Decoded, DecodeError> {
        let schema = loaded.predictor.schema();
        let max_rows = self.settings().predict.max_rows;
        let Some(endpoint) = &route.endpoint else {
            return body.decode(schema, max_rows);
        };
        let guardrails = &endpoint.guardrails;
        let max_rows = guardrails.max_rows.unwrap_or(max_rows).min(max_rows);
        let decoded = body.decode(schema, max_rows)?;
        guard::within_bounds(&guardrails.bounds, schema, &decoded.batch)?;
        Ok(decoded)
    }

    /// When the model has to be done.
    fn deadline(&self, started: Monotonic, call: &PredictCall<'_>) -> Monotonic {
        let timeout = started.plus(self.settings().predict.timeout);
        call.deadline
            .map_or(timeout, |deadline| deadline.min(timeout))
    }

    /// Runs short work here and long work on the engine pool.
    pub(super) async fn run(
        &self,
        loaded: &Arc<LoadedModel>,
        batch: &Arc<Batch>,
        deadline: Monotonic,
    ) -> Result<Run, Error> {
        if loaded.lane.is_none()
            && loaded.pace.expected(batch.rows) <= self.settings().predict.inline_limit
        {
            let never = AtomicBool::new(false);
            return run_model(loaded, batch, (self.clock().as_ref(), deadline, &never));
        }
        // Boxed, so that short work does not carry its room along.
        Box::pin(self.run_on_pool(loaded.clone(), batch.clone(), deadline)).await
    }

    async fn run_on_pool(
        &self,
        loaded: Arc<LoadedModel>,
        batch: Arc<Batch>,
        deadline: Monotonic,
    ) -> Result<Run, Error> {
        let left = deadline.since(self.serving().clock.monotonic());
        let timed_out = |_| Error::Timeout;
        if self.is_joined(&loaded, &batch) {
            let running = self.run_joined(loaded, batch, deadline);
            return tokio::time::timeout(left, running)
                .await
                .map_err(timed_out)?;
        }
        let clock = self.clock().clone();
        let model = loaded.clone();
        let pool = loaded.lane.as_ref().unwrap_or(&self.serving().pool);
        let running = pool
            .run(move |cancelled| run_model(&model, &batch, (clock.as_ref(), deadline, cancelled)));
        tokio::time::timeout(left, running)
            .await
            .map_err(timed_out)??
    }
}

/// What a model answered, and when it ran.
pub(super) struct Run {
    pub(super) output: Output,
    pub(super) began: Monotonic,
    pub(super) ended: Monotonic,
}

impl Run {
    /// What was answered before.
    fn known(output: &Output, now: Monotonic) -> Self {
        Self {
            output: output.clone(),
            began: now,
            ended: now,
        }
    }

    /// What it answered, and how long that took.
    pub(super) fn into_parts(self) -> (Output, Duration) {
        (self.output, self.ended.since(self.began))
    }

    /// What it answered for some of its rows.
    pub(super) fn part(&self, rows: Range<usize>) -> Self {
        Self {
            output: self.output.part(rows),
            ..*self
        }
    }
}

/// Runs the model; a panic inside harms only its own caller.
pub(super) fn run_model(
    loaded: &LoadedModel,
    batch: &Batch,
    (clock, deadline, cancelled): (&dyn Clock, Monotonic, &AtomicBool),
) -> Result<Run, Error> {
    let mut output = Output::default();
    let control = Control::new(clock, deadline, cancelled);
    let began = clock.monotonic();
    let run = AssertUnwindSafe(|| loaded.predictor.predict(batch, &mut output, &control));
    let ran = catch_unwind(run).unwrap_or_else(|_| {
        Err(EngineError::Failed {
            detail: "the engine panicked".to_owned(),
        })
    });
    let ended = clock.monotonic();
    if matches!(ran, Ok(()) | Err(EngineError::Stopped(_))) {
        loaded.pace.learn(batch.rows, ended.since(began));
    }
    match ran {
        Ok(()) => Ok(Run {
            output,
            began,
            ended,
        }),
        Err(EngineError::Stopped(Stop::Deadline | Stop::Cancelled)) => Err(Error::Timeout),
        Err(EngineError::Input { detail }) => Err(Error::Invalid(vec![FieldError::new(
            "/inputs",
            "unpredictable",
            detail,
        )])),
        Err(EngineError::Resting { retry_after }) => Err(Error::ModelResting { retry_after }),
        Err(other) => Err(Error::PredictionFailed {
            source: other.into(),
        }),
    }
}

/// The word under which a failure of the model or the server is recorded; `None` for
/// a mistake of the client's.
pub(super) const fn failure_code(error: &Error) -> Option<&'static str> {
    match error {
        Error::Invalid(_) => None,
        Error::Timeout => Some("timeout"),
        Error::Overloaded { .. } => Some("overloaded"),
        Error::ModelResting { .. } => Some("model-resting"),
        _ => Some("prediction-failed"),
    }
}

/// A version named in the body. A body that does not fit the default version
/// may still name another one that it does fit.
fn wanted_version(decoded: &Result<Decoded, DecodeError>, body: Asking<'_>) -> Option<VersionRef> {
    if let Ok(decoded) = decoded {
        return decoded.options.version.as_ref().map(VersionText::version);
    }
    // Tensors name no version.
    let Asking::Rows(body) = body else {
        return None;
    };
    // serde would take a list for the members of an object in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let named: OnlyVersion<'_> = serde_json::from_slice(body).ok()?;
    let text = named.version?.get();
    // Anything else is among the mistakes that will be reported.
    let is_version = text.starts_with(|first: char| first == '"' || first.is_ascii_digit());
    is_version.then(|| VersionRef::from(text.trim_matches('"')))
}

/// The one member of a body that does not fit which is still of interest.
#[derive(serde::Deserialize)]
struct OnlyVersion<'a> {
    #[serde(borrow)]
    version: Option<&'a serde_json::value::RawValue>,
}

pub(super) fn undecodable(error: DecodeError) -> Error {
    match error {
        DecodeError::Malformed { detail } => Error::Malformed { detail },
        DecodeError::Invalid(errors) => Error::Invalid(errors),
        DecodeError::TooManyRows { limit, .. } => Error::TooLarge {
            limit: limit as u64,
            detail: format!(
                "one request takes at most {limit} rows; split it, or send a batch job"
            ),
        },
    }
}
