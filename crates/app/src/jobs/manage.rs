//! What people and programs do with their jobs: look, cancel, retry, remove.

use plimsoll_core::audit::Action;
use plimsoll_core::id::JobId;
use plimsoll_core::job::JobState;
use plimsoll_core::key::Scope;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_store::{JobEvent, JobFilter, JobRow};
use serde_json::json;

use crate::auth::Caller;
use crate::{App, Error};

/// How often a person may queue a job again.
const MAX_RETRIES: i64 = 3;
const ABSENT: Error = Error::NotFound { what: "job" };

/// Which jobs are wanted.
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// Only of this type.
    pub kind: Option<String>,
    /// Only in this state.
    pub state: Option<JobState>,
}

impl App {
    /// The caller's jobs, newest first; a key that is limited to models sees
    /// those about them.
    pub async fn jobs_page(
        &self,
        caller: &Caller,
        query: JobQuery,
        page: PageRequest,
    ) -> Result<Page<JobRow>, Error> {
        let filter = JobFilter {
            owner_id: Some(caller.user),
            kind: query.kind,
            state: query.state,
            models: caller.models().to_vec(),
        };
        Ok(self.db().jobs_page(&filter, page).await?)
    }

    /// A job of the caller's; administrators reach everyone's. What a key asked
    /// for it may look at; for anything else it needs the scope `read`.
    pub async fn job(&self, caller: &Caller, id: JobId) -> Result<JobRow, Error> {
        self.job_for(caller, id, Scope::Read).await
    }

    /// What happened to a job after event number `after`, at most `limit` events.
    pub async fn job_events(
        &self,
        caller: &Caller,
        id: JobId,
        (after, limit): (i64, u32),
    ) -> Result<Vec<JobEvent>, Error> {
        let job = self.job(caller, id).await?;
        Ok(self.db().job_events(job.id, after, limit).await?)
    }

    /// Cancels a job: at once if it waits, else as soon as whoever runs it
    /// notices. Cancelling twice changes nothing.
    pub async fn cancel_job(&self, caller: &Caller, id: JobId) -> Result<JobRow, Error> {
        let job = self.job_for(caller, id, Scope::Write).await?;
        if job.state == JobState::Cancelled {
            return Ok(job);
        }
        let now = self.clock().now();
        let mut tx = self.begin(caller).await?;
        let Some(row) = tx.cancel_job(job.id, now).await? else {
            return Err(Error::conflict("job-finished", "the job has ended already"));
        };
        if !job.cancel_requested {
            let event = if row.state.is_final() {
                "cancelled"
            } else {
                "cancel requested"
            };
            tx.insert_job_event(row.id, now, (event, "")).await?;
            tx.audit(Action::JobCancelled, row.id, json!({"kind": row.kind}));
        }
        tx.commit().await?;
        if let Some(running) = self.jobs().running().get(&row.id) {
            running.cancel();
        }
        Ok(row)
    }

    /// Queues a job again that failed or was cancelled, up to three times.
    pub async fn retry_job(&self, caller: &Caller, id: JobId) -> Result<JobRow, Error> {
        let job = self.job_for(caller, id, Scope::Write).await?;
        let now = self.clock().now();
        let mut tx = self.begin(caller).await?;
        let Some(row) = tx.retry_job(job.id, MAX_RETRIES, now).await? else {
            let current = tx.job_by_id(job.id).await?.ok_or(ABSENT)?;
            return Err(not_retried(&current));
        };
        let detail = format!("retry {} of {MAX_RETRIES}", row.retries);
        tx.insert_job_event(row.id, now, ("queued", &detail))
            .await?;
        let facts = json!({"kind": row.kind, "retry": row.retries});
        tx.audit(Action::JobRetried, row.id, facts);
        tx.commit().await?;
        self.wake_workers();
        Ok(row)
    }

    /// Removes a job that has ended, with everything it read and wrote.
    pub async fn delete_job(&self, caller: &Caller, id: JobId) -> Result<(), Error> {
        let job = self.job_for(caller, id, Scope::Write).await?;
        if self.remove_job(&job, Some(caller)).await? {
            return Ok(());
        }
        Err(Error::conflict(
            "job-unfinished",
            "the job has not ended; cancel it first",
        ))
    }

    async fn job_for(&self, caller: &Caller, id: JobId, scope: Scope) -> Result<JobRow, Error> {
        let job = self.db().job_by_id(id).await?;
        let job = job
            .filter(|job| job.owner_id == caller.user || caller.is_admin())
            .ok_or(ABSENT)?;
        if caller.key.is_none() || caller.key != job.key_id {
            caller.require(scope)?;
        }
        let is_reached = match job.model_id {
            Some(model) => caller.reaches(model),
            None => caller.models().is_empty(),
        };
        if is_reached {
            return Ok(job);
        }
        Err(Error::Forbidden {
            need: "the job's model in its list of models",
        })
    }
}

fn not_retried(job: &JobRow) -> Error {
    match job.state {
        JobState::Queued | JobState::Running => {
            Error::conflict("job-unfinished", "the job has not ended; it needs no retry")
        }
        JobState::Succeeded => Error::conflict("job-finished", "the job has succeeded"),
        JobState::Failed | JobState::Cancelled => Error::conflict(
            "retries-exhausted",
            format!("the job was retried {MAX_RETRIES} times; send a new one"),
        ),
    }
}
