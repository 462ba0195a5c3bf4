//! Entries of the ledgers of endpoints on the wire.

use plimsoll_core::endpoint::DeploymentAction;
use plimsoll_core::page::PageRequest;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{DEPLOYMENT_STATUSES, DeploymentEntry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page::{out_of_range, page_request};
use crate::problem::Problem;

/// Entries of a history if the query does not say.
const USUAL_HISTORY: u32 = 50;
/// Most entries of a history.
const MAX_HISTORY: u32 = 100;

/// One change of an endpoint, or one that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deployment)]
pub(crate) struct DeploymentDto {
    /// Its id.
    #[schema(example = "dep_01JD3T9Q2G0000000000000000")]
    id: String,
    /// Counted from 1 within the endpoint, without a gap.
    number: i64,
    /// Name of the endpoint.
    endpoint: String,
    /// Name of the model at the time.
    model: String,
    /// Number of the version that stood for the endpoint from then on.
    version: i64,
    /// Number of the version before it.
    previous_version: Option<i64>,
    /// `create`, `update`, `traffic`, `rollback` or `delete`.
    #[schema(value_type = String)]
    action: DeploymentAction,
    /// `active`, `superseded`, `stopped` or `failed`.
    status: String,
    /// Number of the entry that a rollback went back to.
    restores: Option<i64>,
    /// Why it failed, in a stable word.
    error: Option<String>,
    /// Why it was done, as given.
    reason: Option<String>,
    /// Id of whoever did it.
    deployed_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    deployed_at: Timestamp,
}

impl From<DeploymentEntry> for DeploymentDto {
    fn from(entry: DeploymentEntry) -> Self {
        let DeploymentEntry {
            row,
            status,
            endpoint,
        } = entry;
        Self {
            id: row.id.to_string(),
            number: row.number,
            endpoint,
            model: row.model_name,
            version: row.version_number,
            previous_version: row.previous_version_number,
            action: row.action,
            status,
            restores: row.restores,
            error: row.error,
            reason: row.reason,
            deployed_by: row.by_user_id.to_string(),
            deployed_at: row.at,
        }
    }
}

/// The newest entries of a ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// The entries, newest first.
    items: Vec<DeploymentDto>,
}

impl From<Vec<DeploymentEntry>> for History {
    fn from(entries: Vec<DeploymentEntry>) -> Self {
        Self {
            items: entries.into_iter().map(DeploymentDto::from).collect(),
        }
    }
}

/// How much of a ledger is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Most entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
}

impl HistoryQuery {
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        let Some(text) = &self.limit else {
            return Ok(USUAL_HISTORY);
        };
        let limit = text.parse().ok();
        limit
            .filter(|limit| (1..=MAX_HISTORY).contains(limit))
            .ok_or_else(|| {
                let expected = format!("integer from 1 to {MAX_HISTORY}");
                Problem::invalid(vec![out_of_range("limit", &expected)])
            })
    }
}

/// Which entries are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeploymentQuery {
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
    /// `active`, `superseded`, `stopped` or `failed`.
    status: Option<String>,
}

impl DeploymentQuery {
    pub(crate) fn into_parts(self) -> Result<(Option<String>, PageRequest), Problem> {
        let mut errors = Vec::new();
        let page = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        let is_known = |text: &String| DEPLOYMENT_STATUSES.contains(&text.as_str());
        if !self.status.as_ref().is_none_or(is_known) {
            let expected = format!("one of {}", DEPLOYMENT_STATUSES.join(", "));
            errors.push(out_of_range("status", &expected));
        }
        if errors.is_empty() {
            Ok((self.status, page))
        } else {
            Err(Problem::invalid(errors))
        }
    }
}
