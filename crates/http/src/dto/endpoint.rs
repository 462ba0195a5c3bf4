//! Endpoints on the wire.

mod request;

use std::collections::BTreeMap;

use plimsoll_app::endpoints::{
    Check, CheckStatus, Deployed, EndpointView, RolledBack, ServedVersion, Validation,
};
use plimsoll_core::endpoint::{EndpointState, Guardrails, Role};
use plimsoll_core::page::PageRequest;
use plimsoll_core::time::Timestamp;
use plimsoll_store::EndpointFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::deployment::DeploymentDto;
use super::page::{out_of_range, page_request};
use crate::problem::Problem;

pub(crate) use request::{DeployRequest, RollbackRequest, TrafficRequest, UpdateEndpointRequest};

/// What an endpoint refuses before its model runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Guardrails)]
pub(crate) struct GuardrailsDto {
    /// Requests per window, all callers together.
    rate_limit: Option<WindowLimit>,
    /// Most rows in one request.
    #[schema(minimum = 1)]
    max_rows: Option<usize>,
    /// Ranges of numeric inputs.
    bounds: Option<Vec<BoundsDto>>,
}

/// Requests per fixed window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WindowLimit {
    /// How many.
    #[schema(minimum = 1)]
    requests: u32,
    /// In how many seconds.
    #[schema(minimum = 1)]
    window_seconds: u32,
}

/// The range of one input; a missing value lies within.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bounds)]
pub(crate) struct BoundsDto {
    /// Name of the input.
    input: String,
    /// Smallest accepted value.
    min: Option<f64>,
    /// Largest accepted value.
    max: Option<f64>,
}

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointDto {
    /// Its id.
    #[schema(example = "end_01JD3T9Q2G0000000000000000")]
    id: String,
    /// Its name.
    name: String,
    /// Name of its model.
    model: String,
    /// `creating`, `ready`, `updating`, `failed` or `stopped`.
    #[schema(value_type = String)]
    state: EndpointState,
    /// What it serves; nothing if it answers nobody.
    served: Vec<ServedDto>,
    /// What keeps a caller with a version: `none`, `key` or `header:NAME`.
    sticky: String,
    /// `small`, `medium` or `large`.
    workload_size: &'static str,
    /// Whether its models leave memory when nobody asks for them.
    scale_to_zero: bool,
    /// Variables for the process of a model that runs in one.
    environment: BTreeMap<String, String>,
    /// What is refused before the model runs.
    #[schema(value_type = GuardrailsDto)]
    guardrails: Guardrails,
    /// Number of the deployment in effect.
    revision: i64,
    /// Who made it.
    created_by: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One version of an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServedVersion)]
pub(crate) struct ServedDto {
    /// Name of the model.
    model: String,
    /// Number of the version.
    version: i64,
    /// Label of the version.
    label: String,
    /// Percent of the requests.
    weight: u8,
    /// `primary`, `canary` or `shadow`.
    #[schema(value_type = String)]
    role: Role,
}

impl From<EndpointView> for EndpointDto {
    fn from(view: EndpointView) -> Self {
        let EndpointView {
            row,
            state,
            model,
            served,
        } = view;
        let share = |served: ServedVersion| ServedDto {
            model: model.clone(),
            version: served.version,
            label: served.label,
            weight: served.weight,
            role: served.role,
        };
        Self {
            id: row.id.to_string(),
            name: row.name,
            state,
            served: served.into_iter().map(share).collect(),
            model,
            sticky: row.sticky.to_string(),
            workload_size: row.workload_size.name(),
            scale_to_zero: row.scale_to_zero,
            environment: row.environment,
            guardrails: row.guardrails,
            revision: row.revision,
            created_by: row.created_by.to_string(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// An endpoint after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeployedDto {
    /// The endpoint.
    #[serde(flatten)]
    endpoint: EndpointDto,
    /// The entry of its ledger.
    deployment: DeploymentDto,
}

impl From<Deployed> for DeployedDto {
    fn from(deployed: Deployed) -> Self {
        Self {
            endpoint: deployed.endpoint.into(),
            deployment: deployed.deployment.into(),
        }
    }
}

/// An endpoint that went back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolledBackDto {
    /// The endpoint and the entry of its ledger.
    #[serde(flatten)]
    deployed: DeployedDto,
    /// Number of the version that stood for it before.
    previous_version: Option<i64>,
    /// Number of the version that stands for it now.
    target_version: i64,
}

impl From<RolledBack> for RolledBackDto {
    fn from(back: RolledBack) -> Self {
        Self {
            deployed: back.deployed.into(),
            previous_version: back.previous_version,
            target_version: back.target_version,
        }
    }
}

/// Whether an endpoint would answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValidationDto {
    /// Whether nothing failed.
    is_valid: bool,
    /// Each check.
    checks: Vec<CheckDto>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckDto {
    /// A stable word: `ready`, `artifact`, `loads`, `predicts`, `current`.
    name: &'static str,
    /// `pass`, `warning` or `fail`.
    status: &'static str,
    /// A sentence for people.
    message: String,
}

impl From<Validation> for ValidationDto {
    fn from(validation: Validation) -> Self {
        let check = |check: Check| CheckDto {
            name: check.name,
            status: match check.status {
                CheckStatus::Pass => "pass",
                CheckStatus::Warning => "warning",
                CheckStatus::Fail => "fail",
            },
            message: check.message,
        };
        Self {
            is_valid: validation.is_valid,
            checks: validation.checks.into_iter().map(check).collect(),
        }
    }
}

/// Which endpoints are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndpointQuery {
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
    /// `ready`, `failed` or `stopped`; without it, all but stopped ones.
    state: Option<String>,
}

impl EndpointQuery {
    pub(crate) fn into_parts(self) -> Result<(EndpointFilter, PageRequest), Problem> {
        let mut errors = Vec::new();
        let page = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        let state = self.state.map(|text| text.parse::<EndpointState>());
        if let Some(Err(error)) = &state {
            errors.push(out_of_range("state", &error.to_string()));
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        let filter = EndpointFilter {
            state: state.and_then(Result::ok),
            ..EndpointFilter::default()
        };
        Ok((filter, page))
    }
}
