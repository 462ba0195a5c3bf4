//! The table `jobs`: long work, as those see it who ask for it.

macro_rules! columns {
    () => {
        "id, kind, owner_id, key_id, model_id, input, state, cancel_requested, done, total, \
         phase, message, attempt, max_attempts, retries, run_at, result, error, created_at, \
         started_at, finished_at"
    };
}

mod claims;
mod events;
mod files;

pub use claims::{Claim, JobOutcome, JobProgress};
pub use events::JobEvent;
pub use files::{JobFile, JobFileRole};

use plimsoll_core::id::{JobId, KeyId, ModelId, UserId};
use plimsoll_core::job::JobState;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use serde_json::Value;
use sqlx::FromRow;

use crate::column::{Column, json_text};
use crate::pools::on;
use crate::{Db, Result, Tx};

/// A job.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct JobRow {
    /// Identity; sorts by time.
    #[sqlx(try_from = "String")]
    pub id: JobId,
    /// Which type of job, `batch` for instance.
    pub kind: String,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub owner_id: UserId,
    /// The key that asked for it, if one was used.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub key_id: Option<KeyId>,
    /// The model it is about, if it is about one.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub model_id: Option<ModelId>,
    /// What is to be done.
    #[sqlx(try_from = "Column<String>")]
    pub input: Value,
    /// How far it is.
    #[sqlx(try_from = "String")]
    pub state: JobState,
    /// Whether whoever runs it should stop.
    pub cancel_requested: bool,
    /// Units of work that are done.
    pub done: i64,
    /// Units of work in all, once that is known.
    pub total: Option<i64>,
    /// What it is doing, in a word.
    pub phase: String,
    /// What it is doing, in a sentence; may be empty.
    pub message: String,
    /// Attempts so far, since it was last queued by a person.
    pub attempt: i64,
    /// Most attempts.
    pub max_attempts: i64,
    /// How often a person queued it again.
    pub retries: i64,
    /// When it may run.
    #[sqlx(try_from = "i64")]
    pub run_at: Timestamp,
    /// What came of it.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub result: Option<Value>,
    /// Why it failed.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub error: Option<Value>,
    /// When it was asked for.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When its last attempt began.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub finished_at: Option<Timestamp>,
}

/// A job to be added.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Identity.
    pub id: JobId,
    /// Which type of job.
    pub kind: &'static str,
    /// Whose it is.
    pub owner_id: UserId,
    /// The key that asked for it.
    pub key_id: Option<KeyId>,
    /// The model it is about.
    pub model_id: Option<ModelId>,
    /// What is to be done.
    pub input: Value,
    /// Most attempts.
    pub max_attempts: i64,
    /// At most one unfinished job has this key.
    pub unique_key: Option<String>,
    /// Now, which is also when it may run.
    pub created_at: Timestamp,
}

/// Which jobs are wanted.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only this person's.
    pub owner_id: Option<UserId>,
    /// Only of this type.
    pub kind: Option<String>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only those about one of these models; empty = all.
    pub models: Vec<ModelId>,
}

macro_rules! filter {
    () => {
        " from jobs where (cast($1 as text) is null or owner_id = $1) \
         and (cast($2 as text) is null or kind = $2) \
         and (cast($3 as text) is null or state = $3) \
         and (cast($4 as text) is null or $4 like '%' || model_id || '%')"
    };
}

const BY_ID: &str = concat!("select ", columns!(), " from jobs where id = $1");

impl Db {
    /// The job with this id, whoever owns it.
    pub async fn job_by_id(&self, id: JobId) -> Result<Option<JobRow>> {
        Ok(on!(self, |c| {
            let found = sqlx::query_as(BY_ID).bind(id.to_string());
            found.fetch_optional(c).await?
        }))
    }

    /// One page of jobs, newest first.
    pub async fn jobs_page(&self, filter: &JobFilter, page: PageRequest) -> Result<Page<JobRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            filter!(),
            " order by id desc limit $5 offset $6"
        );
        const COUNT: &str = concat!("select count(*)", filter!());
        let owner = filter.owner_id.map(|id| id.to_string());
        let state = filter.state.map(JobState::name);
        let models: Vec<_> = filter.models.iter().map(ToString::to_string).collect();
        let models = (!models.is_empty()).then(|| models.join(","));
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(SQL)
                .bind(&owner)
                .bind(&filter.kind)
                .bind(state)
                .bind(&models)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar(COUNT)
                .bind(&owner)
                .bind(&filter.kind)
                .bind(state)
                .bind(&models);
            (items, total.fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }

    /// Up to `limit` jobs that ended before this moment, oldest first.
    pub async fn jobs_finished_before(&self, cutoff: Timestamp, limit: u32) -> Result<Vec<JobRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from jobs where finished_at < $1 order by finished_at, id limit $2"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(cutoff.as_micros())
                .bind(i64::from(limit))
                .fetch_all(c)
                .await?
        }))
    }
}

impl Tx {
    /// Adds a job; false, and nothing is added, if an unfinished one has its unique key.
    pub async fn insert_job(&mut self, job: &NewJob) -> Result<bool> {
        let inserted = on!(self, |c| {
            sqlx::query(
                "insert into jobs (id, kind, owner_id, key_id, model_id, input, state, \
                 cancel_requested, done, phase, message, attempt, max_attempts, retries, run_at, \
                 unique_key, created_at) \
                 values ($1, $2, $3, $4, $5, $6, 'queued', false, 0, 'queued', '', 0, $7, 0, $8, \
                 $9, $8) on conflict (unique_key) do nothing",
            )
            .bind(job.id.to_string())
            .bind(job.kind)
            .bind(job.owner_id.to_string())
            .bind(job.key_id.map(|id| id.to_string()))
            .bind(job.model_id.map(|id| id.to_string()))
            .bind(json_text(&job.input))
            .bind(job.max_attempts)
            .bind(job.created_at.as_micros())
            .bind(&job.unique_key)
            .execute(c)
            .await?
            .rows_affected()
        });
        Ok(inserted > 0)
    }

    /// The job with this id, whoever owns it.
    pub async fn job_by_id(&mut self, id: JobId) -> Result<Option<JobRow>> {
        Ok(on!(self, |c| {
            let found = sqlx::query_as(BY_ID).bind(id.to_string());
            found.fetch_optional(c).await?
        }))
    }

    /// Ends a queued job, or asks whoever runs it to stop; answers the job as
    /// it is then, and nothing for one that has ended.
    pub async fn cancel_job(&mut self, id: JobId, now: Timestamp) -> Result<Option<JobRow>> {
        const SQL: &str = concat!(
            "update jobs set cancel_requested = true, \
             finished_at = case when state = 'queued' then $2 end, \
             phase = case when state = 'queued' then 'cancelled' else phase end, \
             unique_key = case when state = 'queued' then null else unique_key end, \
             state = case when state = 'queued' then 'cancelled' else state end \
             where id = $1 and state in ('queued', 'running') returning ",
            columns!()
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .bind(now.as_micros())
                .fetch_optional(c)
                .await?
        }))
    }

    /// Queues a job again that failed or was cancelled, unless a person did so
    /// `most` times before; answers the job as it is then.
    pub async fn retry_job(
        &mut self,
        id: JobId,
        most: i64,
        now: Timestamp,
    ) -> Result<Option<JobRow>> {
        const SQL: &str = concat!(
            "update jobs set state = 'queued', phase = 'queued', message = '', attempt = 0, \
             retries = retries + 1, cancel_requested = false, run_at = $3, done = 0, \
             total = null, error = null, started_at = null, finished_at = null \
             where id = $1 and state in ('failed', 'cancelled') and retries < $2 returning ",
            columns!()
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .bind(most)
                .bind(now.as_micros())
                .fetch_optional(c)
                .await?
        }))
    }

    /// Removes a job that has ended, with its events; answers whether there was one.
    pub async fn delete_job(&mut self, id: JobId) -> Result<bool> {
        let removed = on!(self, |c| {
            sqlx::query(
                "delete from jobs where id = $1 and state in ('succeeded', 'failed', 'cancelled')",
            )
            .bind(id.to_string())
            .execute(c)
            .await?
            .rows_affected()
        });
        Ok(removed > 0)
    }
}
