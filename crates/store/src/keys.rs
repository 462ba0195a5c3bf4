//! The table `api_keys`: what is stored of API keys, never their secret.

use plimsoll_core::id::{KeyId, ModelId, UserId};
use plimsoll_core::key::{KeyHandle, KeyHash, Scope};
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::column::{Change, Column, json_text};
use crate::pools::on;
use crate::{Db, Result, Tx};

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct KeyRow {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: KeyId,
    /// Public part of the key text, unique.
    #[sqlx(try_from = "Column<String>")]
    pub handle: KeyHandle,
    /// SHA-256 of the secret part.
    #[sqlx(try_from = "Column<Vec<u8>>")]
    pub hash: KeyHash,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// As given.
    pub name: String,
    /// As given; may be empty.
    pub description: String,
    /// What it allows, as given.
    #[sqlx(try_from = "Column<String>")]
    pub scopes: Vec<Scope>,
    /// The only models it reaches; empty = all of its owner's.
    #[sqlx(try_from = "Column<String>")]
    pub model_ids: Vec<ModelId>,
    /// Requests per UTC hour; `None` = no limit.
    pub rate_limit: Option<i64>,
    /// Short-term limit, if any.
    #[sqlx(flatten)]
    pub burst: Burst,
    /// False: refused.
    pub is_active: bool,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When it stops working.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, for good.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub revoked_at: Option<Timestamp>,
    /// The key it replaces.
    #[sqlx(try_from = "Column<Option<String>>")]
    pub rotated_from: Option<KeyId>,
    /// Last accepted request.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub last_used_at: Option<Timestamp>,
    /// Accepted requests so far.
    pub total_requests: i64,
}

/// A short-term limit: both set or both absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Burst {
    /// Requests per window.
    #[sqlx(rename = "burst_requests")]
    pub requests: Option<i64>,
    /// Length of the window in seconds.
    #[sqlx(rename = "burst_window_s")]
    pub window_s: Option<i64>,
}

/// What to change of a key; `None` and [`Change::Keep`] leave a column alone.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New scopes.
    pub scopes: Option<Vec<Scope>>,
    /// New list of models.
    pub model_ids: Option<Vec<ModelId>>,
    /// New hourly limit, or none.
    pub rate_limit: Change<Option<i64>>,
    /// New short-term limit, or none.
    pub burst: Change<Burst>,
    /// Switch on or off.
    pub is_active: Option<bool>,
    /// New end, or none.
    pub expires_at: Change<Option<Timestamp>>,
}

/// Requests made with one key since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// The key.
    pub key: KeyId,
    /// Requests to add.
    pub requests: i64,
    /// The latest of them.
    pub last_used_at: Timestamp,
}

macro_rules! columns {
    () => {
        "id, handle, hash, user_id, name, description, scopes, model_ids, rate_limit, \
         burst_requests, burst_window_s, is_active, created_at, expires_at, revoked_at, \
         rotated_from, last_used_at, total_requests"
    };
}

const BY_ID: &str = concat!(
    "select ",
    columns!(),
    " from api_keys where id = $1 and user_id = $2"
);

impl Db {
    /// The key with this id, if it is `owner`'s.
    pub async fn key_by_id(&self, id: KeyId, owner: UserId) -> Result<Option<KeyRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .bind(owner.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// `owner`'s keys, newest first; revoked ones only if asked for.
    pub async fn keys_page(
        &self,
        owner: UserId,
        with_revoked: bool,
        page: PageRequest,
    ) -> Result<Page<KeyRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from api_keys where user_id = $1 and ($2 or revoked_at is null) \
             order by created_at desc, id desc limit $3 offset $4"
        );
        const COUNT: &str =
            "select count(*) from api_keys where user_id = $1 and ($2 or revoked_at is null)";
        let owner = owner.to_string();
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(SQL)
                .bind(&owner)
                .bind(with_revoked)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar(COUNT).bind(&owner).bind(with_revoked);
            (items, total.fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }

    /// Every key that is not revoked, for the table in memory.
    pub async fn live_keys(&self) -> Result<Vec<KeyRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from api_keys where revoked_at is null order by id"
        );
        Ok(on!(self, |c| sqlx::query_as(SQL).fetch_all(c).await?))
    }
}

impl Tx {
    /// Adds a key; a taken handle is `Unique { column: "api_keys.handle" }`.
    pub async fn insert_key(&mut self, key: &KeyRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into api_keys (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             $17, $18)"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(key.id.to_string())
                .bind(key.handle.as_str())
                .bind(key.hash.0.as_slice())
                .bind(key.user_id.to_string())
                .bind(&key.name)
                .bind(&key.description)
                .bind(json_text(&key.scopes))
                .bind(json_text(&key.model_ids))
                .bind(key.rate_limit)
                .bind(key.burst.requests)
                .bind(key.burst.window_s)
                .bind(key.is_active)
                .bind(key.created_at.as_micros())
                .bind(key.expires_at.map(Timestamp::as_micros))
                .bind(key.revoked_at.map(Timestamp::as_micros))
                .bind(key.rotated_from.map(|id| id.to_string()))
                .bind(key.last_used_at.map(Timestamp::as_micros))
                .bind(key.total_requests)
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// The key with this id, if it is `owner`'s.
    pub async fn key_by_id(&mut self, id: KeyId, owner: UserId) -> Result<Option<KeyRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .bind(owner.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// The same, locked until the transaction ends.
    pub async fn lock_key(&mut self, id: KeyId, owner: UserId) -> Result<Option<KeyRow>> {
        // An update that changes nothing is what locks a row on both databases.
        const SQL: &str = concat!(
            "update api_keys set id = id where id = $1 and user_id = $2 returning ",
            columns!()
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .bind(owner.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// Changes `owner`'s key unless it is revoked; answers the new row.
    pub async fn update_key(
        &mut self,
        id: KeyId,
        owner: UserId,
        change: KeyChange,
    ) -> Result<Option<KeyRow>> {
        const SQL: &str = concat!(
            "update api_keys set name = coalesce(cast($3 as text), name), \
             description = coalesce(cast($4 as text), description), \
             scopes = coalesce(cast($5 as text), scopes), \
             model_ids = coalesce(cast($6 as text), model_ids), \
             rate_limit = case when $7 then $8 else rate_limit end, \
             burst_requests = case when $9 then $10 else burst_requests end, \
             burst_window_s = case when $9 then $11 else burst_window_s end, \
             is_active = coalesce(cast($12 as boolean), is_active), \
             expires_at = case when $13 then $14 else expires_at end \
             where id = $1 and user_id = $2 and revoked_at is null returning ",
            columns!()
        );
        let (set_rate_limit, rate_limit) = change.rate_limit.into_binds();
        let burst = change.burst.into_set();
        let (set_expires_at, expires_at) = change.expires_at.into_binds();
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .bind(owner.to_string())
                .bind(change.name)
                .bind(change.description)
                .bind(change.scopes.map(|scopes| json_text(&scopes)))
                .bind(change.model_ids.map(|ids| json_text(&ids)))
                .bind(set_rate_limit)
                .bind(rate_limit)
                .bind(burst.is_some())
                .bind(burst.and_then(|burst| burst.requests))
                .bind(burst.and_then(|burst| burst.window_s))
                .bind(change.is_active)
                .bind(set_expires_at)
                .bind(expires_at.map(Timestamp::as_micros))
                .fetch_optional(c)
                .await?
        }))
    }

    /// Revokes `owner`'s key for good; answers whether it was not revoked before.
    pub async fn revoke_key(&mut self, id: KeyId, owner: UserId, now: Timestamp) -> Result<bool> {
        let revoked = on!(self, |c| {
            sqlx::query(
                "update api_keys set revoked_at = $3, is_active = false \
                 where id = $1 and user_id = $2 and revoked_at is null",
            )
            .bind(id.to_string())
            .bind(owner.to_string())
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        });
        Ok(revoked > 0)
    }

    /// All of a person's keys, revoked ones too, oldest first.
    pub async fn keys_of_user(&mut self, user: UserId) -> Result<Vec<KeyRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from api_keys where user_id = $1 order by id"
        );
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(user.to_string())
                .fetch_all(c)
                .await?
        }))
    }

    /// Removes all of a person's keys; answers how many.
    pub async fn delete_keys_of_user(&mut self, user: UserId) -> Result<u64> {
        Ok(on!(self, |c| {
            sqlx::query("delete from api_keys where user_id = $1")
                .bind(user.to_string())
                .execute(c)
                .await?
                .rows_affected()
        }))
    }

    /// Adds what was counted since the last report. Keys that are gone are skipped.
    pub async fn add_key_usage(&mut self, usage: &[KeyUsage]) -> Result<()> {
        // In one order everywhere, so that two replicas never wait for each other in a circle.
        let mut usage = usage.to_vec();
        usage.sort_unstable_by_key(|entry| entry.key);
        for entry in usage {
            on!(self, |c| {
                sqlx::query(
                    "update api_keys set total_requests = total_requests + $2, \
                     last_used_at = case when last_used_at > $3 then last_used_at else $3 end \
                     where id = $1",
                )
                .bind(entry.key.to_string())
                .bind(entry.requests)
                .bind(entry.last_used_at.as_micros())
                .execute(c)
                .await?;
            });
        }
        Ok(())
    }
}
