//! What can go wrong with a journal.

use std::io;
use std::sync::Arc;

/// What can go wrong with a journal. Appending never fails; it drops and counts.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// A sync failed: what was written may be gone although later syncs would
    /// succeed, so the process must exit and not retry (Rebello et al., "Can
    /// Applications Recover from fsync Failures?", USENIX ATC 2020).
    #[error("the journal could not be synced to disk")]
    SyncFailed(#[source] Arc<io::Error>),
    /// The boot is the running one, which cannot be removed.
    #[error("the journal of the running process cannot be removed")]
    Running,
    /// Anything else the storage refuses.
    #[error("failed to {action} of the journal")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the storage said.
        source: Arc<io::Error>,
    },
}

impl JournalError {
    /// Wraps what the storage said while doing `action`.
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            source: Arc::new(source),
        }
    }
}
