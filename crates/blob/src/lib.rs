//! Artifacts by SHA-256 in a local folder.
//!
//! A blob is staged in `tmp/`, hashed while it is written, synced, and only
//! then renamed to `blobs/<aa>/<sha256>`: it is there whole or not at all,
//! whenever the process dies. Equal content is stored once. Every read checks
//! the digest, so a damaged file is an error and never a wrong model.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod local;
mod stage;

pub use error::BlobError;
pub use local::{BlobEntry, Blobs, Content, Limits, Put};
pub use stage::{Stage, Staged};

/// What every function of this crate answers.
pub type Result<T> = std::result::Result<T, BlobError>;
