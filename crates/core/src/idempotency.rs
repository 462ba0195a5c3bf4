//! Requests that may be sent twice and take effect once.

use crate::digest::Digest;

/// The right to carry out one request. Whoever took it later has it alone: what
/// an earlier holder still tries to commit is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Digest of who asked for what under which key.
    pub id: Digest,
    /// Name of the attempt.
    pub token: Box<str>,
}
