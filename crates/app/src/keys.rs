//! API keys: make, list, change, rotate, revoke.

mod activity;
mod checks;

use std::time::Duration;

use plimsoll_core::audit::Action;
use plimsoll_core::field::FieldError;
use plimsoll_core::id::{KeyId, ModelId};
use plimsoll_core::key::{NewKey, Scope};
use plimsoll_core::model::ModelRef;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::revision::{IfMatch, Revision};
use plimsoll_core::secret::Secret;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{Burst, Change, KeyChange, KeyRow, Subject};
use serde_json::{Value, json};

use crate::auth::Caller;
use crate::error::Require as _;
use crate::usage::add_to_keys;
use crate::{App, Error};
pub use activity::KeyActivity;
use checks::{check_burst, check_rate_limit, check_reach, check_scopes, check_texts};

/// Requests per hour of a key whose maker did not say.
pub const DEFAULT_RATE_LIMIT: i64 = 1000;
const DAY: Duration = Duration::from_hours(24);

/// Requests per UTC hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateLimit {
    /// [`DEFAULT_RATE_LIMIT`].
    #[default]
    Default,
    /// No limit.
    Unlimited,
    /// This many.
    PerHour(i64),
}

/// What a new key should be.
#[derive(Debug, Default)]
pub struct NewApiKey {
    /// For people, 1 to 100 characters.
    pub name: String,
    /// For people, at most 500 characters.
    pub description: Option<String>,
    /// Ids or names of the models it is limited to; empty means all.
    pub models: Vec<String>,
    /// Requests per hour.
    pub rate_limit: RateLimit,
    /// Short-term limit beside the hourly one.
    pub burst: Burst,
    /// Days until it ends, 1 to 365; `None` means never.
    pub expires_in_days: Option<i64>,
    /// What it allows; `None` means `["read"]`.
    pub scopes: Option<Vec<Scope>>,
}

/// What changes about a key; `None` keeps.
#[derive(Debug, Default)]
pub struct ApiKeyChange {
    /// A new name.
    pub name: Option<String>,
    /// A new description, or none.
    pub description: Option<Option<String>>,
    /// On or off.
    pub is_active: Option<bool>,
    /// A new limit.
    pub rate_limit: Option<RateLimit>,
    /// A new short-term limit, or none.
    pub burst: Option<Burst>,
    /// A new list of models.
    pub models: Option<Vec<String>>,
    /// New scopes.
    pub scopes: Option<Vec<Scope>>,
}

/// A key that was just made.
#[derive(Debug)]
pub struct CreatedKey {
    /// Its row.
    pub row: KeyRow,
    /// Its text: this is the only time it exists.
    pub text: Secret<String>,
}

impl App {
    /// Makes a key. A key never makes a key wider than itself.
    pub async fn create_key(&self, caller: &Caller, new: NewApiKey) -> Result<CreatedKey, Error> {
        caller.require(Scope::Admin)?;
        let mut errors = Vec::new();
        check_texts(Some(&new.name), new.description.as_deref(), &mut errors);
        let rate_limit = check_rate_limit(new.rate_limit, &mut errors);
        check_burst(new.burst, &mut errors);
        let scopes = new.scopes.unwrap_or_else(|| vec![Scope::Read]);
        check_scopes(caller, &scopes, &mut errors)?;
        if new
            .expires_in_days
            .is_some_and(|days| !(1..=365).contains(&days))
        {
            errors.push(
                FieldError::new(
                    "/expires_in_days",
                    "out-of-range",
                    "a key lives 1 to 365 days, or for ever if this is left out",
                )
                .expected_got("integer from 1 to 365", "integer"),
            );
        }
        let model_ids = self.check_models(caller, &new.models, &mut errors)?;
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let now = self.clock().now();
        let days = new
            .expires_in_days
            .and_then(|days| u32::try_from(days).ok());
        let key = NewKey::generate(self.entropy());
        let row = KeyRow {
            id: KeyId::new(self.ids()),
            handle: key.handle,
            hash: key.hash,
            user_id: caller.user,
            name: new.name,
            description: new.description.unwrap_or_default(),
            scopes,
            model_ids,
            rate_limit,
            burst: new.burst,
            is_active: true,
            created_at: now,
            expires_at: days.map(|days| now.plus(DAY * days)),
            revoked_at: None,
            rotated_from: None,
            last_used_at: None,
            total_requests: 0,
        };
        self.store_key(caller, row, key.text, KeyChange::default())
            .await
    }

    /// The caller's keys, newest first. Their counters hold every prediction in the
    /// log and every other request until now.
    pub async fn keys(
        &self,
        caller: &Caller,
        page: PageRequest,
        include_revoked: bool,
    ) -> Result<Page<KeyRow>, Error> {
        caller.require(Scope::Read)?;
        self.flush_usage().await?;
        let mut keys = self
            .db()
            .keys_page(caller.user, include_revoked, page)
            .await?;
        add_to_keys(self.log(), &mut keys.items).await?;
        Ok(keys)
    }

    /// One of the caller's keys.
    pub async fn key(&self, caller: &Caller, id: KeyId) -> Result<KeyRow, Error> {
        caller.require(Scope::Read)?;
        self.flush_usage().await?;
        let row = self.db().key_by_id(id, caller.user).await?;
        let mut row = row.ok_or(Error::NotFound { what: "key" })?;
        add_to_keys(self.log(), std::slice::from_mut(&mut row)).await?;
        Ok(row)
    }

    /// Changes one of the caller's keys; in force before this returns.
    pub async fn update_key(
        &self,
        caller: &Caller,
        id: KeyId,
        change: ApiKeyChange,
        condition: &IfMatch,
    ) -> Result<KeyRow, Error> {
        caller.require(Scope::Admin)?;
        let mut errors = Vec::new();
        let description = change.description.as_ref().and_then(Option::as_deref);
        check_texts(change.name.as_deref(), description, &mut errors);
        let rate_limit = change
            .rate_limit
            .map(|limit| check_rate_limit(limit, &mut errors));
        check_burst(change.burst.unwrap_or_default(), &mut errors);
        if let Some(scopes) = &change.scopes {
            check_scopes(caller, scopes, &mut errors)?;
        }
        let model_ids = match &change.models {
            Some(models) => Some(self.check_models(caller, models, &mut errors)?),
            None => None,
        };
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let change = KeyChange {
            name: change.name,
            description: change.description.map(Option::unwrap_or_default),
            is_active: change.is_active,
            rate_limit: rate_limit.map_or(Change::Keep, Change::Set),
            burst: change.burst.map_or(Change::Keep, Change::Set),
            model_ids,
            scopes: change.scopes,
            ..KeyChange::default()
        };
        let mut tx = self.begin(caller).await?;
        let before = tx.lock_key(id, caller.user).await?;
        if let Some(before) = &before {
            condition.require(&revision(before))?;
        }
        let row = tx.update_key(id, caller.user, change).await?;
        let (before, after) = before.zip(row).ok_or(Error::NotFound { what: "key" })?;
        let states = json!({"before": facts(&before), "after": facts(&after)});
        tx.audit(Action::KeyChanged, id, states);
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        self.key(caller, id).await
    }

    /// Ends a key for good; the next request with it is refused.
    pub async fn revoke_key(&self, caller: &Caller, id: KeyId) -> Result<(), Error> {
        caller.require(Scope::Admin)?;
        let mut tx = self.begin(caller).await?;
        if !tx.revoke_key(id, caller.user, self.clock().now()).await? {
            // Revoking twice is revoking; only a key that never was is missing.
            return match tx.key_by_id(id, caller.user).await? {
                Some(_) => Ok(()),
                None => Err(Error::NotFound { what: "key" }),
            };
        }
        tx.audit(Action::KeyRevoked, id, json!({}));
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await
    }

    /// Makes a key that takes over from another one, which ends after `overlap`.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        id: KeyId,
        overlap: Duration,
    ) -> Result<CreatedKey, Error> {
        caller.require(Scope::Admin)?;
        let now = self.clock().now();
        let old = self.key(caller, id).await?;
        if old.revoked_at.is_some() {
            return Err(Error::conflict(
                "key-revoked",
                "a revoked key cannot be rotated; make a new one",
            ));
        }
        check_scopes(caller, &old.scopes, &mut Vec::new())?;
        check_reach(caller, &old.model_ids)?;
        let key = NewKey::generate(self.entropy());
        let life = old.expires_at.map(|end| end.since(old.created_at));
        let ends = old
            .expires_at
            .unwrap_or(Timestamp::from_micros(i64::MAX))
            .min(now.plus(overlap));
        let row = KeyRow {
            id: KeyId::new(self.ids()),
            handle: key.handle,
            hash: key.hash,
            created_at: now,
            expires_at: life.map(|life| now.plus(life)),
            rotated_from: Some(id),
            last_used_at: None,
            total_requests: 0,
            ..old
        };
        let retire = KeyChange {
            expires_at: Change::Set(Some(ends)),
            ..KeyChange::default()
        };
        self.store_key(caller, row, key.text, retire).await
    }

    /// Stores a new key and, for a rotation, what that changes about the old one.
    async fn store_key(
        &self,
        caller: &Caller,
        row: KeyRow,
        text: Secret<String>,
        retire: KeyChange,
    ) -> Result<CreatedKey, Error> {
        let mut tx = self.begin(caller).await?;
        tx.insert_key(&row).await?;
        tx.audit(Action::KeyCreated, row.id, facts(&row));
        if let Some(old) = row.rotated_from {
            tx.update_key(old, row.user_id, retire).await?;
            tx.audit(Action::KeyRotated, old, json!({"successor": row.id}));
        }
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        Ok(CreatedKey { row, text })
    }

    /// Turns ids and names into ids of the caller's own models. A key that is
    /// limited to models cannot make one that reaches further.
    fn check_models(
        &self,
        caller: &Caller,
        models: &[String],
        errors: &mut Vec<FieldError>,
    ) -> Result<Vec<ModelId>, Error> {
        if models.is_empty() {
            return Ok(caller.models().to_vec());
        }
        let live = self.live();
        let mut ids = Vec::with_capacity(models.len());
        for (index, text) in models.iter().enumerate() {
            match live.model(caller, &ModelRef::from(text.as_str())) {
                Ok(model) => ids.push(model.id),
                Err(Error::NotFound { .. }) => errors.push(
                    FieldError::new(
                        format!("/model_ids/{index}"),
                        "unknown-model",
                        "no model of yours has this id or name",
                    )
                    .expected_got("id or name of one of your models", "string"),
                ),
                Err(other) => return Err(other),
            }
        }
        Ok(ids)
    }
}

/// Which state of a key this is; what was used of it does not count.
pub fn revision(key: &KeyRow) -> Revision {
    let state = (
        facts(key),
        &key.description,
        key.burst.requests,
        key.burst.window_s,
    );
    Revision::of(json!([state, key.revoked_at]).to_string().as_bytes())
}

/// What the audit log says of a key.
fn facts(key: &KeyRow) -> Value {
    json!({
        "name": key.name,
        "scopes": key.scopes,
        "model_ids": key.model_ids,
        "rate_limit": key.rate_limit,
        "burst_requests": key.burst.requests,
        "burst_window_s": key.burst.window_s,
        "is_active": key.is_active,
        "expires_at": key.expires_at,
    })
}
