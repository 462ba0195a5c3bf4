//! The use of API keys on the wire.

use plimsoll_app::keys::KeyActivity;
use plimsoll_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page::page_request;
use crate::problem::Problem;

/// Which page of keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyUsageQuery {
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
}

impl KeyUsageQuery {
    pub(crate) fn page(&self) -> Result<plimsoll_core::page::PageRequest, Problem> {
        let mut errors = Vec::new();
        let page = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        if errors.is_empty() {
            Ok(page)
        } else {
            Err(Problem::invalid(errors))
        }
    }
}

/// What a key is used for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyUsage)]
pub(crate) struct KeyUsageView {
    /// The key.
    #[schema(example = "key_01JD3T9Q2G0000000000000000")]
    api_key_id: String,
    /// For people.
    name: String,
    /// Accepted requests so far, of every kind.
    total_requests: i64,
    /// Predictions of the last 24 hours that are in the log.
    requests_last_24h: i64,
    /// Requests per UTC hour; `null` for no limit.
    rate_limit: Option<i64>,
    /// How much of this hour's limit is used; `null` without a limit.
    usage_percentage: Option<f64>,
    /// Names of the models of those predictions.
    models_accessed: Vec<String>,
    /// Last accepted request.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

impl From<KeyActivity> for KeyUsageView {
    fn from(activity: KeyActivity) -> Self {
        let KeyActivity {
            key,
            predictions_last_24h,
            models,
            used_this_hour,
        } = activity;
        Self {
            api_key_id: key.id.to_string(),
            name: key.name,
            total_requests: key.total_requests,
            requests_last_24h: predictions_last_24h,
            rate_limit: key.rate_limit,
            usage_percentage: key.rate_limit.map(|limit| percent(used_this_hour, limit)),
            models_accessed: models,
            last_used_at: key.last_used_at,
        }
    }
}

/// With one decimal.
fn percent(used: u64, limit: i64) -> f64 {
    let per_mille = used.saturating_mul(1000) / limit.unsigned_abs().max(1);
    f64::from(u32::try_from(per_mille).unwrap_or(u32::MAX)) / 10.0
}
