//! The contents of jobs: what they read and what they wrote.

use plimsoll_blob::Staged;
use plimsoll_core::audit::Action;
use plimsoll_store::{JobFile, JobRow};
use serde_json::json;

use crate::auth::Caller;
use crate::{App, Error};

/// Jobs removed in one turn.
const REMOVED_AT_ONCE: u32 = 100;

impl App {
    /// Makes a staged content a job's. The caller holds the lock of the files
    /// until the row that names it is committed.
    pub(super) async fn put_job_file(&self, staged: Staged) -> Result<JobFile, Error> {
        let put = self.blobs().put(staged).await?;
        Ok(JobFile {
            digest: put.digest,
            size_bytes: i64::try_from(put.size).unwrap_or(i64::MAX),
        })
    }

    /// Removes jobs that ended longer ago than they are kept.
    pub async fn remove_old_jobs(&self) -> Result<(), Error> {
        let cutoff = self.clock().now().minus(self.settings().jobs.retention);
        loop {
            let old = self
                .db()
                .jobs_finished_before(cutoff, REMOVED_AT_ONCE)
                .await?;
            for job in &old {
                self.remove_job(job, None).await?;
            }
            if old.len() < REMOVED_AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    /// Removes a job that has ended, with its contents; false if it has not. What
    /// `by` nobody is removed because of its age leaves no row in the audit log.
    pub(super) async fn remove_job(
        &self,
        job: &JobRow,
        by: Option<&Caller>,
    ) -> Result<bool, Error> {
        let _naming = self.jobs().naming_files().await;
        let actor = by.map(Caller::actor).unwrap_or_default();
        let mut tx = self.begin_as(actor).await?;
        let files = tx.drop_job_files(job.id).await?;
        if !tx.delete_job(job.id).await? {
            return Ok(false);
        }
        if by.is_some() {
            tx.audit(Action::JobDeleted, job.id, json!({"kind": job.kind}));
        }
        let mut unused = Vec::new();
        for file in files {
            if tx.uses_of_content(&file.digest).await? == 0 {
                unused.push(file.digest);
            }
        }
        tx.commit().await?;
        // Only after the commit: a row must never lack its file.
        for digest in unused {
            self.blobs().delete(&digest).await?;
        }
        Ok(true)
    }
}
