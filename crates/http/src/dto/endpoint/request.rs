//! What is asked of endpoints.

use std::collections::BTreeMap;

use plimsoll_app::endpoints::{
    EndpointChange, NewEndpoint, NewShare, Rollback, SettingsChange, TrafficChange,
};
use plimsoll_core::endpoint::{EndpointName, Guardrails, Role, Sticky, WorkloadSize};
use plimsoll_core::model::{ModelRef, VersionRef};
use serde::Deserialize;
use utoipa::ToSchema;

use super::GuardrailsDto;
use crate::dto::VersionName;

/// Which version to serve under which name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeployRequest {
    /// Id or name of the model.
    #[serde(alias = "model_name")]
    model: String,
    /// Number, label, id, `latest` or `production`; what answers for the model if left out.
    #[serde(alias = "model_version")]
    #[schema(value_type = Option<String>)]
    version: Option<VersionName>,
    /// A DNS label; `{model}-v{version}` if left out.
    #[serde(alias = "endpoint_name")]
    #[schema(value_type = Option<String>, max_length = 63)]
    name: Option<EndpointName>,
    /// `small`, `medium` or `large`: 1, 2 or 4 predictions at once.
    #[schema(value_type = Option<String>, default = "small")]
    workload_size: Option<WorkloadSize>,
    /// Whether its models leave memory when nobody asks for them.
    #[schema(default = true)]
    scale_to_zero: Option<bool>,
    /// Variables for the process of a model that runs in one.
    #[serde(alias = "environment_vars")]
    environment: Option<BTreeMap<String, String>>,
    /// What is refused before the model runs.
    #[schema(value_type = Option<GuardrailsDto>)]
    guardrails: Option<Guardrails>,
    /// Why, for the ledger.
    reason: Option<String>,
}

impl From<DeployRequest> for NewEndpoint {
    fn from(request: DeployRequest) -> Self {
        Self {
            model: ModelRef::from(request.model.as_str()),
            version: request
                .version
                .map_or(VersionRef::Default, VersionRef::from),
            name: request.name,
            settings: SettingsChange {
                workload_size: request.workload_size,
                scale_to_zero: request.scale_to_zero,
                environment: request.environment,
                guardrails: request.guardrails,
                sticky: None,
            },
            reason: request.reason,
        }
    }
}

/// What changes about an endpoint; fields left out stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateEndpointRequest {
    /// All requests go to this version of its model.
    #[serde(alias = "model_version")]
    #[schema(value_type = Option<String>)]
    version: Option<VersionName>,
    /// `small`, `medium` or `large`.
    #[schema(value_type = Option<String>)]
    workload_size: Option<WorkloadSize>,
    /// Whether its models leave memory when nobody asks for them.
    scale_to_zero: Option<bool>,
    /// All variables for the process of a model that runs in one.
    environment: Option<BTreeMap<String, String>>,
    /// Everything that is refused before the model runs.
    #[schema(value_type = Option<GuardrailsDto>)]
    guardrails: Option<Guardrails>,
    /// Why, for the ledger.
    reason: Option<String>,
}

impl From<UpdateEndpointRequest> for EndpointChange {
    fn from(request: UpdateEndpointRequest) -> Self {
        Self {
            version: request.version.map(VersionRef::from),
            settings: SettingsChange {
                workload_size: request.workload_size,
                scale_to_zero: request.scale_to_zero,
                environment: request.environment,
                guardrails: request.guardrails,
                sticky: None,
            },
            reason: request.reason,
        }
    }
}

/// How requests are spread over versions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrafficRequest {
    /// Everything that is served. The weights of those that answer are 100 together.
    #[schema(min_items = 1, max_items = 16)]
    served: Vec<ShareRequest>,
    /// What keeps a caller with a version: `none`, `key` or `header:NAME`; as it is if left out.
    #[schema(value_type = Option<String>, example = "key")]
    sticky: Option<Sticky>,
    /// Why, for the ledger.
    reason: Option<String>,
}

/// One version and its share.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareRequest {
    /// Number, label, id, `latest` or `production`.
    #[schema(value_type = String)]
    version: VersionName,
    /// Percent of the requests it answers; of a shadow, those it sees.
    #[schema(maximum = 100)]
    weight: u8,
    /// `primary`, `canary` or `shadow`.
    #[serde(default)]
    #[schema(value_type = Option<String>, default = "primary")]
    role: Role,
}

impl From<TrafficRequest> for TrafficChange {
    fn from(request: TrafficRequest) -> Self {
        let share = |share: ShareRequest| NewShare {
            version: share.version.into(),
            weight: share.weight,
            role: share.role,
        };
        Self {
            served: request.served.into_iter().map(share).collect(),
            sticky: request.sticky,
            reason: request.reason,
        }
    }
}

/// Where an endpoint goes back to.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackRequest {
    /// All requests go to this version; without it, to what was served before.
    #[schema(value_type = Option<String>)]
    target_version: Option<VersionName>,
    /// Why, for the ledger.
    reason: Option<String>,
}

impl From<RollbackRequest> for Rollback {
    fn from(request: RollbackRequest) -> Self {
        Self {
            target: request.target_version.map(VersionRef::from),
            reason: request.reason,
        }
    }
}
