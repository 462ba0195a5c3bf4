//! Who works on a job: claimed with a lease, renewed while it is worked on.
//!
//! Whatever a worker writes about its job is fenced by its id and the attempt,
//! so that one which lost its lease cannot end what another one does.

use plimsoll_core::id::{JobId, WorkerId};
use plimsoll_core::job::JobState;
use plimsoll_core::time::Timestamp;
use serde_json::Value;

use super::JobRow;
use crate::column::json_text;
use crate::pools::{Side, on};
use crate::{Db, Result, Tx};

/// Who works on which attempt at which job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The job.
    pub job: JobId,
    /// Who works on it.
    pub worker: WorkerId,
    /// Which attempt it is.
    pub attempt: i64,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// Units of work that are done.
    pub done: i64,
    /// Units of work in all, once that is known.
    pub total: Option<i64>,
    /// What it is doing, in a word.
    pub phase: &'static str,
    /// What it is doing, in a sentence; may be empty.
    pub message: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum JobOutcome {
    /// Done, with this result.
    Succeeded(Value),
    /// Given up, for this reason.
    Failed(Value),
    /// Stopped because somebody asked for it.
    Cancelled,
    /// To be tried again at this time.
    Again(Timestamp),
}

/// A job that may be claimed at `$1`: its time has come, or its worker is gone.
macro_rules! due {
    () => {
        " from jobs where (state = 'queued' and run_at <= $1) \
         or (state = 'running' and locked_until < $1)"
    };
}

macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "update jobs set state = 'running', locked_by = $2, locked_until = $3, \
             attempt = attempt + 1, started_at = $1, done = 0, total = null, phase = 'starting', \
             message = '' where id = (select id",
            due!(),
            " order by run_at, id limit 1",
            $lock,
            ") returning ",
            columns!()
        )
    };
}

impl Db {
    /// Whether some job may be claimed now.
    pub async fn is_job_due(&self, now: Timestamp) -> Result<bool> {
        const SQL: &str = concat!("select exists (select 1", due!(), ")");
        Ok(on!(self, |c| {
            let due = sqlx::query_scalar(SQL).bind(now.as_micros());
            due.fetch_one(c).await?
        }))
    }
}

impl Tx {
    /// Gives one due job to a worker until `until`: the one that waits longest,
    /// or one whose worker let its lease run out.
    pub async fn claim_job(
        &mut self,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<JobRow>> {
        // SQLite has one writer at a time; on PostgreSQL two workers must not wait for one row.
        let sql = match self.side() {
            Side::Sqlite(_) => claim!(""),
            Side::Postgres(_) => claim!(" for update skip locked"),
        };
        Ok(on!(self, |c| {
            sqlx::query_as(sql)
                .bind(now.as_micros())
                .bind(worker.to_string())
                .bind(until.as_micros())
                .fetch_optional(c)
                .await?
        }))
    }

    /// Renews a lease and writes the progress down. Answers whether the job
    /// should stop; nothing if the lease was lost.
    pub async fn renew_job(
        &mut self,
        claim: Claim,
        until: Timestamp,
        progress: &JobProgress,
    ) -> Result<Option<bool>> {
        Ok(on!(self, |c| {
            sqlx::query_scalar(
                "update jobs set locked_until = $4, done = $5, total = $6, phase = $7, \
                 message = $8 where id = $1 and locked_by = $2 and attempt = $3 \
                 and state = 'running' returning cancel_requested",
            )
            .bind(claim.job.to_string())
            .bind(claim.worker.to_string())
            .bind(claim.attempt)
            .bind(until.as_micros())
            .bind(progress.done)
            .bind(progress.total)
            .bind(progress.phase)
            .bind(&progress.message)
            .fetch_optional(c)
            .await?
        }))
    }

    /// Ends an attempt; false, and nothing is written, if the lease was lost.
    pub async fn end_job(
        &mut self,
        claim: Claim,
        outcome: &JobOutcome,
        progress: &JobProgress,
        now: Timestamp,
    ) -> Result<bool> {
        let (state, result, error, run_at) = match outcome {
            JobOutcome::Succeeded(result) => (JobState::Succeeded, Some(result), None, None),
            JobOutcome::Failed(error) => (JobState::Failed, None, Some(error), None),
            JobOutcome::Cancelled => (JobState::Cancelled, None, None, None),
            JobOutcome::Again(at) => (JobState::Queued, None, None, Some(at.as_micros())),
        };
        let finished_at = state.is_final().then(|| now.as_micros());
        let ended = on!(self, |c| {
            sqlx::query(
                "update jobs set state = $4, result = $5, error = $6, \
                 run_at = coalesce($7, run_at), finished_at = $8, locked_by = null, \
                 locked_until = null, done = $9, total = $10, phase = $4, message = $11, \
                 unique_key = case when $4 = 'queued' then unique_key end \
                 where id = $1 and locked_by = $2 and attempt = $3 and state = 'running'",
            )
            .bind(claim.job.to_string())
            .bind(claim.worker.to_string())
            .bind(claim.attempt)
            .bind(state.name())
            .bind(result.map(json_text))
            .bind(error.map(json_text))
            .bind(run_at)
            .bind(finished_at)
            .bind(progress.done)
            .bind(progress.total)
            .bind(&progress.message)
            .execute(c)
            .await?
            .rows_affected()
        });
        Ok(ended > 0)
    }

    /// Ends every lease: whoever held one is known to be gone.
    pub async fn expire_leases(&mut self) -> Result<()> {
        on!(self, |c| {
            sqlx::query("update jobs set locked_until = 0 where state = 'running'")
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// Gives back what a worker that stops in order was working on; these
    /// attempts do not count. Answers how many there were.
    pub async fn release_jobs(&mut self, worker: WorkerId, now: Timestamp) -> Result<u64> {
        Ok(on!(self, |c| {
            sqlx::query(
                "update jobs set state = 'queued', phase = 'queued', run_at = $2, \
                 attempt = attempt - 1, locked_by = null, locked_until = null \
                 where locked_by = $1 and state = 'running'",
            )
            .bind(worker.to_string())
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        }))
    }
}
