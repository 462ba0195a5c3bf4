//! Requests that may be sent twice and take effect once (docs/adr/0009).
//!
//! A request is claimed before it is carried out; the transaction of its change
//! marks the claim, so that a crash leaves both or neither; the answer is kept
//! afterwards, and until then, for a while, the request counts as under way. A
//! claim without an effect ends after the same while, and what its first holder
//! still tries to commit then is refused.

use std::time::Duration;

use plimsoll_core::digest::Digest;
use plimsoll_core::id::RequestId;
use plimsoll_core::idempotency::Claim;
use plimsoll_store::{ClaimTimes, StoredAnswer};

use crate::auth::Caller;
use crate::{App, Error};

/// How long an answer is kept.
const LIFE: Duration = Duration::from_hours(24);
/// How long a claim without an effect keeps others off, and how long an effect
/// waits for its answer.
const LEASE: Duration = Duration::from_mins(1);

/// Whether a request is to be carried out.
#[derive(Debug)]
pub enum Admission {
    /// It is, under this claim.
    Fresh(Claim),
    /// It was, and this was answered.
    Answered(StoredAnswer),
}

impl App {
    /// Claims the request that `caller` names with `key`. `target` is its method and path.
    pub async fn admit_once(
        &self,
        caller: &Caller,
        target: &str,
        key: &str,
    ) -> Result<Admission, Error> {
        let principal = match caller.key {
            Some(key) => key.to_string(),
            None => caller.user.to_string(),
        };
        // Ids hold no line break, neither do methods and paths of HTTP.
        let id = Digest::of(format!("{principal}\n{target}\n{key}").as_bytes());
        let token = RequestId::new(self.ids()).to_string().into();
        let claim = Claim { id, token };
        let now = self.clock().now();
        let stale = now.minus(LEASE);
        let times = ClaimTimes {
            now,
            stale,
            expires_at: now.plus(LIFE),
        };
        let Some(row) = self.db().claim_request(&claim, times).await? else {
            return Ok(Admission::Fresh(claim));
        };
        match (row.request_sha256, row.status, row.effect) {
            (Some(request_sha256), Some(status), _) => Ok(Admission::Answered(StoredAnswer {
                request_sha256,
                status: u16::try_from(status).unwrap_or(200),
                headers: row.headers.unwrap_or_default(),
                body: row.body.unwrap_or_default(),
            })),
            (_, _, Some(effect)) if row.claimed_at <= stale => Err(Error::conflict(
                "idempotency-answer-lost",
                format!("the request took effect, but its answer was lost; it did {effect}"),
            )),
            // Without an effect, or between the effect and its answer.
            _ => Err(in_progress()),
        }
    }

    /// Keeps what was answered under a claim.
    pub async fn keep_answer(&self, claim: &Claim, answer: &StoredAnswer) -> Result<(), Error> {
        Ok(self.db().keep_answer(claim, answer).await?)
    }

    /// Gives a claim back under which nothing was done.
    pub async fn release_claim(&self, claim: &Claim) -> Result<(), Error> {
        Ok(self.db().release_request(claim).await?)
    }
}

/// Somebody else carries the request out.
pub(crate) fn in_progress() -> Error {
    Error::conflict(
        "idempotency-in-progress",
        "a request with this Idempotency-Key is being carried out",
    )
}
