//! API keys on the wire.

use std::time::Duration;

use plimsoll_app::keys::{ApiKeyChange, CreatedKey, NewApiKey, RateLimit};
use plimsoll_core::field::FieldError;
use plimsoll_core::key::Scope;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{Burst, KeyRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Patch;
use super::page::{flag, page_request};
use super::secret::RevealedOnce;
use crate::problem::Problem;

/// The longest time two keys of a rotation may work side by side.
const MAX_OVERLAP: u64 = 30 * 24 * 3600;
/// How long they do unless asked otherwise.
const DEFAULT_OVERLAP: u64 = 24 * 3600;

/// A short-term limit beside the hourly one.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Burst)]
#[serde(deny_unknown_fields)]
pub(crate) struct BurstLimit {
    /// Requests per window.
    #[schema(minimum = 1, maximum = 1_000_000)]
    requests: i64,
    /// Length of the window in seconds.
    #[schema(minimum = 1, maximum = 3600)]
    window_seconds: i64,
}

/// What a new key should be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKeyRequest {
    /// For people, 1 to 100 characters.
    #[schema(example = "mobile app")]
    name: String,
    /// For people, at most 500 characters.
    description: Option<String>,
    /// Ids or names of the models it is limited to; none means all.
    #[serde(default)]
    model_ids: Vec<String>,
    /// Requests per UTC hour; 1000 if left out, `null` for no limit.
    #[serde(default)]
    #[schema(value_type = Option<i64>, default = 1000)]
    rate_limit: Patch<i64>,
    /// A short-term limit beside the hourly one.
    burst: Option<BurstLimit>,
    /// Days until it ends; never if left out.
    #[serde(alias = "expires_days")]
    #[schema(minimum = 1, maximum = 365)]
    expires_in_days: Option<i64>,
    /// `predict`, `read`, `write`, `admin`, `feedback`; `["read"]` if left out.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Vec<Scope>>,
}

impl CreateKeyRequest {
    pub(crate) fn into_new_key(self) -> NewApiKey {
        NewApiKey {
            name: self.name,
            description: self.description,
            models: self.model_ids,
            rate_limit: rate_limit(self.rate_limit).unwrap_or_default(),
            burst: self.burst.map(Burst::from).unwrap_or_default(),
            expires_in_days: self.expires_in_days,
            scopes: self.scopes,
        }
    }
}

fn rate_limit(limit: Patch<i64>) -> Option<RateLimit> {
    match limit {
        Patch::Keep => None,
        Patch::Set(None) => Some(RateLimit::Unlimited),
        Patch::Set(Some(limit)) => Some(RateLimit::PerHour(limit)),
    }
}

/// What changes about a key; fields left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateKeyRequest {
    /// A new name.
    name: Option<String>,
    /// A new description, or `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    /// `false`: refused until it is `true` again.
    is_active: Option<bool>,
    /// A new hourly limit, or `null` for none.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    rate_limit: Patch<i64>,
    /// A new short-term limit, or `null` for none. It begins whole.
    #[serde(default)]
    #[schema(value_type = Option<BurstLimit>)]
    burst: Patch<BurstLimit>,
    /// A new list of models (ids or names); empty means all.
    model_ids: Option<Vec<String>>,
    /// New scopes.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Vec<Scope>>,
}

impl From<BurstLimit> for Burst {
    fn from(limit: BurstLimit) -> Self {
        Self {
            requests: Some(limit.requests),
            window_s: Some(limit.window_seconds),
        }
    }
}

impl From<UpdateKeyRequest> for ApiKeyChange {
    fn from(request: UpdateKeyRequest) -> Self {
        Self {
            name: request.name,
            description: request.description.into(),
            is_active: request.is_active,
            rate_limit: rate_limit(request.rate_limit),
            burst: match request.burst {
                Patch::Keep => None,
                Patch::Set(burst) => Some(burst.map(Burst::from).unwrap_or_default()),
            },
            models: request.model_ids,
            scopes: request.scopes,
        }
    }
}

/// How a key is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RotateKeyRequest {
    /// Seconds for which the old key still works; a day if left out.
    #[schema(maximum = 2_592_000, default = 86_400)]
    overlap_seconds: Option<u64>,
}

impl RotateKeyRequest {
    pub(crate) fn overlap(&self) -> Result<Duration, Problem> {
        let seconds = self.overlap_seconds.unwrap_or(DEFAULT_OVERLAP);
        if seconds <= MAX_OVERLAP {
            return Ok(Duration::from_secs(seconds));
        }
        let expected = format!("integer from 0 to {MAX_OVERLAP}");
        let error = FieldError::new(
            "/overlap_seconds",
            "out-of-range",
            format!("expected {expected}"),
        );
        Err(Problem::invalid(vec![
            error.expected_got(expected, "integer"),
        ]))
    }
}

/// Which keys are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyQuery {
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
    /// Whether revoked keys are listed too.
    #[param(value_type = Option<bool>, default = false)]
    include_revoked: Option<String>,
}

impl KeyQuery {
    pub(crate) fn page(&self) -> Result<plimsoll_core::page::PageRequest, Problem> {
        let mut errors = Vec::new();
        let page = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        if errors.is_empty() {
            Ok(page)
        } else {
            Err(Problem::invalid(errors))
        }
    }

    pub(crate) fn include_revoked(&self) -> Result<bool, Problem> {
        flag("include_revoked", self.include_revoked.as_deref())
    }
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    /// Its id.
    #[schema(example = "key_01JD3T9Q2G0000000000000000")]
    id: String,
    /// For people.
    name: String,
    /// For people.
    description: String,
    /// How the key's text begins.
    prefix: String,
    /// What it allows.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    /// The only models it reaches; empty means all.
    model_ids: Vec<String>,
    /// Requests per UTC hour; `null` for no limit.
    rate_limit: Option<i64>,
    /// A short-term limit beside the hourly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<BurstLimit>,
    /// `false`: refused.
    is_active: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends; `null` for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was revoked for good.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// The key it replaced.
    rotated_from: Option<String>,
    /// Last accepted request.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Accepted requests so far.
    total_requests: i64,
}

impl From<KeyRow> for KeyView {
    fn from(row: KeyRow) -> Self {
        let burst = row.burst.requests.zip(row.burst.window_s);
        Self {
            id: row.id.to_string(),
            name: row.name,
            description: row.description,
            prefix: row.handle.display_prefix(),
            scopes: row.scopes,
            model_ids: row.model_ids.iter().map(ToString::to_string).collect(),
            rate_limit: row.rate_limit,
            burst: burst.map(|(requests, window_seconds)| BurstLimit {
                requests,
                window_seconds,
            }),
            is_active: row.is_active && row.revoked_at.is_none(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            rotated_from: row.rotated_from.map(|id| id.to_string()),
            last_used_at: row.last_used_at,
            total_requests: row.total_requests,
        }
    }
}

/// A key that was just made: the only answer that holds its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub(crate) struct CreatedKeyView {
    /// Its id.
    #[schema(example = "key_01JD3T9Q2G0000000000000000")]
    key_id: String,
    /// The key itself. It is shown once and stored nowhere.
    #[schema(value_type = String)]
    api_key: RevealedOnce,
    /// Everything else about it.
    #[serde(flatten)]
    key: KeyView,
}

impl From<CreatedKey> for CreatedKeyView {
    fn from(created: CreatedKey) -> Self {
        Self {
            key_id: created.row.id.to_string(),
            api_key: RevealedOnce(created.text),
            key: created.row.into(),
        }
    }
}
