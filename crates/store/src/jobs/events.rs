//! The table `job_events`: what happened to a job, in its order.

use plimsoll_core::id::JobId;
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::pools::on;
use crate::{Db, Result, Tx};

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct JobEvent {
    /// Counted from 1 within the job.
    pub number: i64,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
    /// What, in a word: `queued`, `started`, `succeeded`, …
    pub event: String,
    /// What, in a sentence; may be empty.
    pub detail: String,
}

impl Db {
    /// What happened to a job after event number `after`, in order.
    pub async fn job_events(&self, job: JobId, after: i64, limit: u32) -> Result<Vec<JobEvent>> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select number, at, event, detail from job_events \
                 where job_id = $1 and number > $2 order by number limit $3",
            )
            .bind(job.to_string())
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(c)
            .await?
        }))
    }
}

impl Tx {
    /// Writes down that something happened to a job.
    pub async fn insert_job_event(
        &mut self,
        job: JobId,
        at: Timestamp,
        (event, detail): (&str, &str),
    ) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into job_events (job_id, number, at, event, detail) \
                 select $1, coalesce(max(number), 0) + 1, $2, $3, $4 \
                 from job_events where job_id = $1",
            )
            .bind(job.to_string())
            .bind(at.as_micros())
            .bind(event)
            .bind(detail)
            .execute(c)
            .await?;
        });
        Ok(())
    }
}
