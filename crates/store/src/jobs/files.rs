//! The table `job_files`: which contents belong to a job. A content that no
//! row of any table names may be removed ([`Tx::uses_of_content`]).

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{JobId, UserId};
use sqlx::FromRow;

use crate::pools::on;
use crate::{Db, Result, Tx};

/// What a content is to its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFileRole {
    /// What the job reads.
    Input,
    /// What the job wrote.
    Result,
}

/// A content of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct JobFile {
    /// Its name in the blob store.
    #[sqlx(rename = "sha256", try_from = "String")]
    pub digest: Digest,
    /// Its length.
    pub size_bytes: i64,
}

impl JobFileRole {
    const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Result => "result",
        }
    }
}

impl Db {
    /// A job's content of this role.
    pub async fn job_file(&self, job: JobId, role: JobFileRole) -> Result<Option<JobFile>> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select sha256, size_bytes from job_files where job_id = $1 and role = $2",
            )
            .bind(job.to_string())
            .bind(role.name())
            .fetch_optional(c)
            .await?
        }))
    }
}

impl Tx {
    /// Names a content as a job's, in place of the one of the same role.
    pub async fn put_job_file(
        &mut self,
        job: JobId,
        role: JobFileRole,
        file: JobFile,
    ) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into job_files (job_id, role, sha256, size_bytes) \
                 values ($1, $2, $3, $4) on conflict (job_id, role) do update \
                 set sha256 = excluded.sha256, size_bytes = excluded.size_bytes",
            )
            .bind(job.to_string())
            .bind(role.name())
            .bind(file.digest.to_string())
            .bind(file.size_bytes)
            .execute(c)
            .await?;
        });
        Ok(())
    }

    /// Forgets a job's contents; answers which they were.
    pub async fn drop_job_files(&mut self, job: JobId) -> Result<Vec<JobFile>> {
        Ok(on!(self, |c| {
            sqlx::query_as("delete from job_files where job_id = $1 returning sha256, size_bytes")
                .bind(job.to_string())
                .fetch_all(c)
                .await?
        }))
    }

    /// Removes a person's jobs, whatever their state; answers the contents they had.
    pub async fn delete_jobs_of_user(&mut self, owner: UserId) -> Result<Vec<JobFile>> {
        let owner = owner.to_string();
        Ok(on!(self, |c| {
            let files = sqlx::query_as(
                "delete from job_files \
                 where job_id in (select id from jobs where owner_id = $1) \
                 returning sha256, size_bytes",
            )
            .bind(&owner)
            .fetch_all(&mut *c)
            .await?;
            sqlx::query("delete from jobs where owner_id = $1")
                .bind(&owner)
                .execute(c)
                .await?;
            files
        }))
    }
}
