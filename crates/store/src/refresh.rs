//! The table `refresh_tokens`: what is stored of opaque refresh tokens.
//!
//! A family is everything that grew from one sign-in. A token is used once;
//! the caller revokes the family of a token that comes back.

use plimsoll_core::id::{FamilyId, UserId};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::column::Column;
use crate::pools::on;
use crate::{Db, Result, Tx};

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RefreshRow {
    /// SHA-256 of the token.
    #[sqlx(try_from = "Column<Vec<u8>>")]
    pub hash: [u8; 32],
    /// The sign-in it grew from.
    #[sqlx(try_from = "String")]
    pub family_id: FamilyId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// When it was given out.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When it stops working unused.
    #[sqlx(try_from = "i64")]
    pub expires_at: Timestamp,
    /// When the whole family stops working.
    #[sqlx(try_from = "i64")]
    pub family_expires_at: Timestamp,
    /// When it was exchanged for its successor.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub used_at: Option<Timestamp>,
    /// When it was made void.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub revoked_at: Option<Timestamp>,
}

macro_rules! columns {
    () => {
        "hash, family_id, user_id, created_at, expires_at, family_expires_at, used_at, revoked_at"
    };
}

const BY_HASH: &str = concat!(
    "select ",
    columns!(),
    " from refresh_tokens where hash = $1"
);

impl Db {
    /// The token with this hash.
    pub async fn refresh_by_hash(&self, hash: &[u8; 32]) -> Result<Option<RefreshRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_HASH)
                .bind(hash.as_slice())
                .fetch_optional(c)
                .await?
        }))
    }
}

impl Tx {
    /// Adds a token.
    pub async fn insert_refresh(&mut self, token: &RefreshRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into refresh_tokens (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8)"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(token.hash.as_slice())
                .bind(token.family_id.to_string())
                .bind(token.user_id.to_string())
                .bind(token.created_at.as_micros())
                .bind(token.expires_at.as_micros())
                .bind(token.family_expires_at.as_micros())
                .bind(token.used_at.map(Timestamp::as_micros))
                .bind(token.revoked_at.map(Timestamp::as_micros))
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// The token with this hash.
    pub async fn refresh_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<RefreshRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_HASH)
                .bind(hash.as_slice())
                .fetch_optional(c)
                .await?
        }))
    }

    /// Uses a token up. True for exactly one caller, however many try at once.
    pub async fn mark_refresh_used(&mut self, hash: &[u8; 32], now: Timestamp) -> Result<bool> {
        let marked = on!(self, |c| {
            sqlx::query(
                "update refresh_tokens set used_at = $2 \
                 where hash = $1 and used_at is null and revoked_at is null",
            )
            .bind(hash.as_slice())
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        });
        Ok(marked > 0)
    }

    /// Makes every token of a family void; answers how many still worked.
    pub async fn revoke_refresh_family(&mut self, family: FamilyId, now: Timestamp) -> Result<u64> {
        Ok(on!(self, |c| {
            sqlx::query(
                "update refresh_tokens set revoked_at = $2 \
                 where family_id = $1 and revoked_at is null",
            )
            .bind(family.to_string())
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        }))
    }

    /// Makes every token of a person void; answers how many still worked.
    pub async fn revoke_refresh_of_user(&mut self, user: UserId, now: Timestamp) -> Result<u64> {
        Ok(on!(self, |c| {
            sqlx::query(
                "update refresh_tokens set revoked_at = $2 \
                 where user_id = $1 and revoked_at is null",
            )
            .bind(user.to_string())
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        }))
    }

    /// Removes tokens whose family has expired. Used and revoked ones stay
    /// until then, so that a stolen token that comes back is recognised.
    pub async fn purge_refresh(&mut self, now: Timestamp) -> Result<u64> {
        Ok(on!(self, |c| {
            sqlx::query("delete from refresh_tokens where family_expires_at <= $1")
                .bind(now.as_micros())
                .execute(c)
                .await?
                .rows_affected()
        }))
    }
}
