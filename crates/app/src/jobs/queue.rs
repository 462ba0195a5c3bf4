//! Putting jobs into the queue, and what this process knows of those it runs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use plimsoll_core::id::{IdSource, JobId, ModelId, WorkerId};
use plimsoll_store::{NewJob, Tx};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Job;
use crate::auth::Caller;
use crate::{App, Error};

/// What this process knows of jobs.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// Under which name it claims them.
    pub(super) worker: WorkerId,
    /// Told when there may be something to do.
    pub(super) wake: Notify,
    /// How to stop those it runs.
    running: Mutex<HashMap<JobId, CancellationToken>>,
    /// Held from the moment a job's content is put until its row is committed,
    /// and while contents that nobody needs are removed: equal contents are one
    /// file, and it must not go while somebody writes down that it is theirs.
    files: tokio::sync::Mutex<()>,
}

impl Jobs {
    pub(crate) fn new(ids: &IdSource) -> Self {
        Self {
            worker: WorkerId::new(ids),
            wake: Notify::new(),
            running: Mutex::default(),
            files: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits until nobody else puts or removes contents of jobs.
    pub(crate) async fn naming_files(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.files.lock().await
    }

    pub(super) fn running(&self) -> MutexGuard<'_, HashMap<JobId, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job as its caller wants it.
pub(super) struct Wanted<'a, J> {
    /// Its id.
    pub(super) id: JobId,
    /// Who asks.
    pub(super) caller: &'a Caller,
    /// The model it is about.
    pub(super) model: Option<ModelId>,
    /// At most one unfinished job has this key.
    pub(super) unique_key: Option<String>,
    /// What is to be done.
    pub(super) job: &'a J,
}

impl App {
    /// Adds a job within the caller's transaction: it is done if and only if
    /// that commits. False if an unfinished one has its unique key. Wake the
    /// workers with [`App::wake_workers`] after the commit.
    pub(super) async fn enqueue<J: Job>(
        &self,
        tx: &mut Tx,
        wanted: Wanted<'_, J>,
    ) -> Result<bool, Error> {
        let now = self.clock().now();
        let input: Result<Value, _> = serde_json::to_value(wanted.job);
        let new = NewJob {
            id: wanted.id,
            kind: J::NAME,
            owner_id: wanted.caller.user,
            key_id: wanted.caller.key,
            model_id: wanted.model,
            input: input.map_err(|error| Error::Internal(error.into()))?,
            max_attempts: i64::from(J::MAX_ATTEMPTS),
            unique_key: wanted.unique_key,
            created_at: now,
        };
        let added = tx.insert_job(&new).await?;
        if added {
            tx.insert_job_event(new.id, now, ("queued", "")).await?;
        }
        Ok(added)
    }

    /// Tells the workers that there may be something to do.
    pub(super) fn wake_workers(&self) {
        self.jobs().wake.notify_waiters();
    }
}
