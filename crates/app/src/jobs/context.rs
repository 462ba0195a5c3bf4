//! What a running job sees of the world.

use std::sync::{Mutex, PoisonError};

use plimsoll_core::id::{JobId, KeyId, UserId};
use plimsoll_store::{Claim, JobProgress, JobRow};
use tokio_util::sync::CancellationToken;

use super::Ended;
use crate::App;

/// A job that is being worked on.
#[derive(Debug)]
pub(super) struct JobContext {
    app: App,
    /// Whose it is.
    pub(super) owner: UserId,
    /// The key that asked for it.
    pub(super) key: Option<KeyId>,
    pub(super) claim: Claim,
    progress: Mutex<JobProgress>,
    cancelled: CancellationToken,
}

impl JobContext {
    pub(super) fn new(app: App, row: &JobRow, claim: Claim) -> Self {
        Self {
            app,
            owner: row.owner_id,
            key: row.key_id,
            claim,
            progress: Mutex::default(),
            cancelled: CancellationToken::new(),
        }
    }

    /// The application.
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// The job's id.
    pub(super) fn id(&self) -> JobId {
        self.claim.job
    }

    /// Says how far the job is; written down with the next heartbeat.
    pub(super) fn report(&self, progress: JobProgress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// How far the job is.
    pub(super) fn progress(&self) -> JobProgress {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.clone()
    }

    /// Raised when the job should stop.
    pub(super) fn cancellation(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Waits for some of the job's work, or ends the job as soon as somebody
    /// asks for it; the work is then dropped.
    pub(super) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, Ended>>,
    ) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(Ended::Cancelled),
            outcome = work => outcome,
        }
    }
}
