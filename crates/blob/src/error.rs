//! What can go wrong with an artifact.

use std::io;

use plimsoll_core::digest::Digest;

/// What can go wrong with an artifact.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// More bytes than allowed; nothing was kept.
    #[error("the content is longer than {limit} bytes")]
    TooLarge {
        /// Most bytes allowed.
        limit: u64,
    },
    /// No space left, or the quota is used up.
    #[error("no space left for artifacts")]
    Full(#[source] io::Error),
    /// Nothing has this digest.
    #[error("there is no artifact {digest}")]
    Missing {
        /// What was asked for.
        digest: Digest,
    },
    /// The stored content is not what it was.
    #[error("artifact {expected} is damaged: its content hashes to {found}")]
    Corrupt {
        /// The digest it is stored under.
        expected: Digest,
        /// The digest of what is there now.
        found: Digest,
    },
    /// A sync failed: what was acknowledged may be gone, so the process must
    /// stop and not retry (Rebello et al., "Can Applications Recover from
    /// fsync Failures?", USENIX ATC 2020).
    #[error("artifacts could not be written to disk")]
    Disk(#[source] io::Error),
    /// Anything else the operating system refuses.
    #[error("failed to {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl BlobError {
    /// Wraps what the operating system said while doing `action`.
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(source),
            _ => Self::Io { action, source },
        }
    }

    /// Wraps a failed sync. Delayed allocation can report a full disk here.
    pub(crate) fn sync(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(source),
            _ => Self::Disk(source),
        }
    }
}
