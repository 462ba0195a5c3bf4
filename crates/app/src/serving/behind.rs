//! Predictions that give way to requests: the rows of batch jobs.
//!
//! They run on threads of low priority and not on the engine pool, so that no
//! request waits in a queue behind them. They are recorded and counted like any other.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::id::{IdText, KeyId, ModelId, PredictionId, UserId, VersionId};
use plimsoll_core::key::Scope;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use plimsoll_core::record::Outcome;
use plimsoll_core::schema::Schema;

use super::LoadedModel;
use super::pool::CancelOnDrop;
use super::predict::{Run, run_model};
use crate::auth::Caller;
use crate::history::{Asked, Ran};
use crate::live::{ModelEntry, VersionEntry};
use crate::{App, Error};

/// Longest a run may hold the one thread of a model that waits for another process.
const LANE_TURN: Duration = Duration::from_millis(50);

/// A version that answers rows behind requests.
pub(crate) struct BehindTarget {
    pub(crate) model: Arc<ModelEntry>,
    pub(crate) version: Arc<VersionEntry>,
    loaded: Arc<LoadedModel>,
    cached: bool,
}

impl BehindTarget {
    /// What it takes and answers.
    pub(crate) fn schema(&self) -> &Schema {
        self.loaded.predictor.schema()
    }
}

/// On whose behalf rows are answered.
pub(crate) struct BehindCall<'a> {
    pub(crate) target: &'a BehindTarget,
    /// Who asked.
    pub(crate) user: UserId,
    /// With which key.
    pub(crate) key: Option<KeyId>,
    /// The job, which stands in the log where the id of a request does.
    pub(crate) job: IdText,
}

/// Rows that were answered together.
pub(crate) struct AnsweredBehind {
    /// Under which they can be found again.
    pub(crate) id: PredictionId,
    pub(crate) output: Output,
}

impl App {
    /// The model and version a caller means, if they may ask it.
    pub(crate) fn find_behind(
        &self,
        caller: &Caller,
        model: &ModelRef,
        version: &VersionRef,
    ) -> Result<(Arc<ModelEntry>, Arc<VersionEntry>), Error> {
        caller.require(Scope::Predict)?;
        let live = self.live();
        answering(live.model(caller, model)?, version)
    }

    /// A version as it is now, in memory.
    pub(crate) async fn target_behind(
        &self,
        model: ModelId,
        version: VersionId,
    ) -> Result<BehindTarget, Error> {
        let (model, version) = {
            let live = self.live();
            let model = live.model_by_id(model);
            answering(
                model.ok_or(Error::NotFound { what: "model" })?,
                &VersionRef::Id(version),
            )?
        };
        let (loaded, cached) = self.loaded(&version).await?;
        Ok(BehindTarget {
            model,
            version,
            loaded,
            cached,
        })
    }

    /// Rows that are best run at once.
    pub(crate) fn rows_behind(&self, target: &BehindTarget) -> usize {
        let most = self.settings().predict.max_rows;
        if target.loaded.lane.is_none() {
            return most;
        }
        let nanos = target.loaded.pace.expected(1).as_nanos().max(1);
        usize::try_from(LANE_TURN.as_nanos() / nanos).map_or(most, |rows| rows.clamp(1, most))
    }

    /// The time rows will take, as far as the model is in memory.
    pub(crate) fn expected_behind(&self, version: VersionId, rows: usize) -> Duration {
        let live = self.live();
        let versions = live.models().flat_map(|model| &model.versions);
        let version = versions.into_iter().find(|entry| entry.id == version);
        let loaded = version.and_then(|version| self.in_memory(version));
        loaded.map_or(Duration::ZERO, |loaded| loaded.pace.expected(rows))
    }

    /// Runs rows and records what became of them. A failure of several rows is
    /// not recorded: whoever asked finds out which of them it was.
    pub(crate) async fn predict_behind(
        &self,
        call: &BehindCall<'_>,
        rows: &Arc<Batch>,
    ) -> Result<AnsweredBehind, Error> {
        let started = self.clock().monotonic();
        let target = call.target;
        let ran = self.run_behind(&target.loaded, rows.clone()).await;
        let at = self.clock().now();
        let facts = Ran {
            id: PredictionId::new_at(self.ids(), at),
            at,
            started,
            model: &target.model,
            version: &target.version,
            schema: target.schema(),
            client_request_id: None,
            request_id: call.job.as_str(),
            asked: Asked::Job(call.user, call.key),
            endpoint: None,
            cached: target.cached,
            result_cached: false,
        };
        match ran {
            Ok(run) => {
                let (output, took) = run.into_parts();
                self.record(&facts, rows, Outcome::Answered(&output))
                    .await?;
                target.version.meters.answered(rows.rows, took);
                Ok(AnsweredBehind {
                    id: facts.id,
                    output,
                })
            }
            Err(error) if rows.rows > 1 => Err(error),
            Err(error) => Err(self.failed(&facts, rows, error).await),
        }
    }

    /// Runs rows on a thread of low priority, or in the line of a model that has one.
    async fn run_behind(&self, loaded: &Arc<LoadedModel>, rows: Arc<Batch>) -> Result<Run, Error> {
        let (clock, model) = (self.clock().clone(), loaded.clone());
        let deadline = clock.monotonic().plus(self.settings().predict.timeout);
        if let Some(lane) = &loaded.lane {
            let run = lane.run(move |cancelled| {
                run_model(&model, &rows, (clock.as_ref(), deadline, cancelled))
            });
            return run.await?;
        }
        let cancel = CancelOnDrop::default();
        let cancelled = cancel.flag();
        let run = move || run_model(&model, &rows, (clock.as_ref(), deadline, &cancelled));
        let ran = self.tasks().blocking(run).await;
        ran.map_err(|error| Error::Internal(error.into()))?
    }
}

/// A version of a model, if both answer.
fn answering(
    model: &Arc<ModelEntry>,
    version: &VersionRef,
) -> Result<(Arc<ModelEntry>, Arc<VersionEntry>), Error> {
    let archived = |what| Err(Error::NotFound { what });
    if model.status == Status::Archived {
        return archived("model");
    }
    let version = model.version(version)?;
    if version.status == Status::Archived {
        return archived("version");
    }
    Ok((model.clone(), version.clone()))
}
