//! The table `idempotent_requests`: what became of requests that may be sent twice.

use plimsoll_core::digest::Digest;
use plimsoll_core::idempotency::Claim;
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::column::Column;
use crate::pools::on;
use crate::{Db, Result, StoreError, Tx};

/// A request that somebody has claimed.
#[derive(Clone, Debug, FromRow)]
pub struct RequestRow {
    /// When it was claimed, or when it took effect.
    #[sqlx(try_from = "i64")]
    pub claimed_at: Timestamp,
    /// What it did, in words, once that is committed.
    pub effect: Option<String>,
    /// Digest of its body, with the answer.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub request_sha256: Option<Digest>,
    /// Status of the answer.
    pub status: Option<i64>,
    /// Headers of the answer, as a JSON object.
    pub headers: Option<String>,
    /// Body of the answer, without secrets.
    pub body: Option<String>,
}

/// What was answered to a request.
#[derive(Clone, Debug)]
pub struct StoredAnswer {
    /// Digest of the request's body.
    pub request_sha256: Digest,
    /// Status.
    pub status: u16,
    /// Headers worth keeping, as a JSON object.
    pub headers: String,
    /// Body, without secrets.
    pub body: String,
}

/// When a claim is made, and how long it and older ones hold.
#[derive(Clone, Copy, Debug)]
pub struct ClaimTimes {
    /// Now.
    pub now: Timestamp,
    /// A claim from before this moment without an effect is given up.
    pub stale: Timestamp,
    /// When the request is forgotten.
    pub expires_at: Timestamp,
}

impl Db {
    /// Takes the right to carry a request out. Answers what became of it if
    /// somebody else has or had it.
    pub async fn claim_request(
        &self,
        claim: &Claim,
        times: ClaimTimes,
    ) -> Result<Option<RequestRow>> {
        const CLAIM: &str = "insert into idempotent_requests (id, claim, claimed_at, expires_at) \
             values ($1, $2, $3, $4) on conflict (id) do update \
             set claim = excluded.claim, claimed_at = excluded.claimed_at, \
             expires_at = excluded.expires_at, effect = null, request_sha256 = null, \
             status = null, headers = null, body = null \
             where idempotent_requests.expires_at <= $3 \
             or (idempotent_requests.effect is null and idempotent_requests.status is null \
             and idempotent_requests.claimed_at <= $5)";
        const FIND: &str = "select claimed_at, effect, request_sha256, status, headers, body \
             from idempotent_requests where id = $1";
        let id = claim.id.to_string();
        let mut tx = self.begin().await?;
        let found = on!(tx, |c| {
            let claimed = sqlx::query(CLAIM)
                .bind(&id)
                .bind(&*claim.token)
                .bind(times.now.as_micros())
                .bind(times.expires_at.as_micros())
                .bind(times.stale.as_micros())
                .execute(&mut *c)
                .await?;
            match claimed.rows_affected() {
                0 => sqlx::query_as(FIND).bind(&id).fetch_optional(c).await?,
                _ => None,
            }
        });
        tx.commit().await?;
        Ok(found)
    }

    /// Keeps the answer of a request, unless somebody else took it over.
    pub async fn keep_answer(&self, claim: &Claim, answer: &StoredAnswer) -> Result<()> {
        let mut tx = self.begin().await?;
        on!(tx, |c| {
            sqlx::query(
                "update idempotent_requests set request_sha256 = $3, status = $4, headers = $5, \
                 body = $6 where id = $1 and claim = $2",
            )
            .bind(claim.id.to_string())
            .bind(&*claim.token)
            .bind(answer.request_sha256.to_string())
            .bind(i64::from(answer.status))
            .bind(&answer.headers)
            .bind(&answer.body)
            .execute(c)
            .await?;
        });
        tx.commit().await
    }

    /// Gives the right to a request back, if nothing was done with it.
    pub async fn release_request(&self, claim: &Claim) -> Result<()> {
        let mut tx = self.begin().await?;
        on!(tx, |c| {
            sqlx::query(
                "delete from idempotent_requests where id = $1 and claim = $2 and effect is null",
            )
            .bind(claim.id.to_string())
            .bind(&*claim.token)
            .execute(c)
            .await?;
        });
        tx.commit().await
    }
}

impl Tx {
    /// Writes down what the request did, in the transaction that does it. Fails
    /// with [`StoreError::ClaimLost`] if somebody else has taken it over. From
    /// `now` on the claim holds anew, until the answer is there.
    pub(crate) async fn mark_effect(
        &mut self,
        claim: &Claim,
        effect: &str,
        now: Timestamp,
    ) -> Result<()> {
        let marked = on!(self, |c| {
            sqlx::query(
                "update idempotent_requests set effect = coalesce(effect, $3), \
                 claimed_at = $4 where id = $1 and claim = $2",
            )
            .bind(claim.id.to_string())
            .bind(&*claim.token)
            .bind(effect)
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        });
        if marked == 0 {
            Err(StoreError::ClaimLost)
        } else {
            Ok(())
        }
    }

    /// Forgets requests whose time is over; answers how many.
    pub async fn purge_requests(&mut self, now: Timestamp) -> Result<u64> {
        Ok(on!(self, |c| {
            sqlx::query("delete from idempotent_requests where expires_at <= $1")
                .bind(now.as_micros())
                .execute(c)
                .await?
                .rows_affected()
        }))
    }
}
