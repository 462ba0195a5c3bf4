//! Everything that can be refused or go wrong, named by what it means to a caller.

use std::time::Duration;

use plimsoll_blob::BlobError;
use plimsoll_core::field::FieldError;
use plimsoll_core::id::VersionId;
use plimsoll_core::mode::Mode;
use plimsoll_core::revision::{IfMatch, Revision};
use plimsoll_engine::EngineError;
use plimsoll_store::StoreError;

use crate::idempotency::in_progress;

use crate::limits::Standings;

/// Why a credential was not accepted. The wire shows one body for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// No credential was sent.
    Missing,
    /// Unknown, malformed, tampered with, revoked or switched off.
    Invalid,
    /// The secret matched, but the key's time is over.
    ExpiredKey,
    /// The token was ours, but its time is over.
    ExpiredToken,
    /// A refresh token was presented again after it had been exchanged.
    ReusedToken,
}

/// Everything that can be refused or go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, or not the caller's to see.
    #[error("{what} not found")]
    NotFound {
        /// Kind of thing: `model`, `version`, …
        what: &'static str,
    },
    /// The state of things does not allow it.
    #[error("{detail}")]
    Conflict {
        /// Stable word, e.g. `email-taken`.
        code: &'static str,
        /// Sentence for people.
        detail: String,
    },
    /// Well-formed, but some fields are not acceptable.
    #[error("the request has invalid fields")]
    Invalid(Vec<FieldError>),
    /// Not parsable at all.
    #[error("{detail}")]
    Malformed {
        /// Where parsing stopped and why.
        detail: String,
    },
    /// A cursor of no page of this list.
    #[error("the cursor belongs to no page of this list; begin without one")]
    UnknownCursor,
    /// No valid credential.
    #[error("no valid credential")]
    Unauthenticated(AuthFailure),
    /// A valid credential that does not reach this far.
    #[error("the credential lacks {need}")]
    Forbidden {
        /// What it would need, e.g. `the scope write`.
        need: &'static str,
    },
    /// The account was switched off.
    #[error("the account is deactivated")]
    AccountDisabled,
    /// Too many requests.
    #[error("too many requests")]
    RateLimited {
        /// When to come back.
        retry_after: Duration,
        /// The limits that apply, the violated ones among them.
        standings: Standings,
    },
    /// More work than the server accepts at once.
    #[error("the server is at its limit")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// What runs the model failed too often and is not started again yet.
    #[error("what runs the model failed and is not started again yet")]
    ModelResting {
        /// When to come back.
        retry_after: Duration,
    },
    /// A part that is needed is not there (yet).
    #[error("{what} is not ready")]
    NotReady {
        /// Which part.
        what: &'static str,
    },
    /// It took longer than allowed.
    #[error("the request took too long")]
    Timeout,
    /// Larger than allowed.
    #[error("{detail}")]
    TooLarge {
        /// The limit that was passed.
        limit: u64,
        /// Sentence for people.
        detail: String,
    },
    /// A model file that refers to code.
    #[error("{detail}")]
    UnsafeModel {
        /// The offending global, e.g. `os.system`.
        global: String,
        /// Sentence for people.
        detail: String,
    },
    /// A model file that cannot be served.
    #[error("{detail}")]
    ModelRefused {
        /// `unrecognised-model`, `damaged-model`, `unsupported-model`.
        code: &'static str,
        /// Sentence for people.
        detail: String,
    },
    /// The content is not of the type the caller declared.
    #[error("{detail}")]
    TypeMismatch {
        /// Sentence for people.
        detail: String,
    },
    /// The engine a format needs is not installed here.
    #[error("{detail}")]
    EngineUnavailable {
        /// Sentence for people, with the way to install it.
        detail: String,
    },
    /// A stored version cannot be loaded any more.
    #[error("version {version} cannot be loaded")]
    ModelBroken {
        /// Which version.
        version: VersionId,
        /// What happened, for the log.
        #[source]
        source: anyhow::Error,
    },
    /// The model failed on this input.
    #[error("the model failed on this input")]
    PredictionFailed {
        /// What happened, for the log.
        #[source]
        source: anyhow::Error,
    },
    /// The content does not have the SHA-256 the client announced.
    #[error("the content does not have the announced SHA-256")]
    DigestMismatch {
        /// What was announced.
        expected: String,
        /// What arrived.
        got: String,
    },
    /// No room left on the disk.
    #[error("no room left for the file")]
    StorageFull,
    /// The platform's mode does not allow it.
    #[error("not in the mode {}", current.name())]
    WrongMode {
        /// The mode the platform is in.
        current: Mode,
        /// The modes that would allow it.
        required: &'static [Mode],
    },
    /// Predictions are not served for now.
    #[error("predictions are not served during maintenance")]
    Maintenance {
        /// When to come back.
        retry_after: Duration,
    },
    /// The thing was changed since the caller looked at it.
    #[error("it was changed meanwhile")]
    PreconditionFailed,
    /// Our own mistake, or a broken part.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

impl Error {
    /// An [`Error::Invalid`] about one field.
    pub fn field(
        pointer: &str,
        code: &'static str,
        detail: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let mut error = FieldError::new(pointer, code, detail);
        error.expected = Some(expected.into());
        Self::Invalid(vec![error])
    }

    /// A conflict with a stable word and a sentence.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict {
            code,
            detail: detail.into(),
        }
    }
}

/// A condition that is met or refuses.
pub(crate) trait Require {
    /// Refuses a change of what was changed since the caller looked at it.
    fn require(&self, current: &Revision) -> Result<(), Error>;
}

impl Require for IfMatch {
    fn require(&self, current: &Revision) -> Result<(), Error> {
        if self.allows(current) {
            Ok(())
        } else {
            Err(Error::PreconditionFailed)
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::NotReady {
                what: "the database",
            },
            StoreError::ClaimLost => in_progress(),
            other => Self::Internal(other.into()),
        }
    }
}

impl From<BlobError> for Error {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Full { .. } => Self::StorageFull,
            BlobError::TooLarge { limit } => Self::TooLarge {
                limit,
                detail: format!("the file is larger than {limit} bytes"),
            },
            other => Self::Internal(other.into()),
        }
    }
}

/// How an [`EngineError`] reads when a file was just uploaded.
pub(crate) fn refused_upload(error: EngineError) -> Error {
    let detail = error.to_string();
    match error {
        EngineError::Unsafe { global } => Error::UnsafeModel { global, detail },
        EngineError::Unrecognised { .. } => Error::ModelRefused {
            code: "unrecognised-model",
            detail,
        },
        EngineError::Unsupported { .. } => Error::ModelRefused {
            code: "unsupported-model",
            detail,
        },
        EngineError::Malformed { .. } | EngineError::TooLarge { .. } => Error::ModelRefused {
            code: "damaged-model",
            detail,
        },
        EngineError::Unavailable { .. } => Error::EngineUnavailable { detail },
        EngineError::Input { .. }
        | EngineError::Failed { .. }
        | EngineError::Resting { .. }
        | EngineError::Stopped(_) => Error::Internal(error.into()),
    }
}
