//! Whether the server works: for load balancers, without a credential.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;
use plimsoll_app::health::{Component, Health, HealthStatus};
use plimsoll_core::mode::Mode;
use plimsoll_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::dto::health::DetailedHealthDto;
use crate::extract::{AdminUser, Json};
use crate::openapi::{PublicProblems, ReadProblems, ReadyProblems};
use crate::problem::Problem;

/// How the server and its parts are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthView {
    /// `healthy`, `degraded` or `unhealthy`: the worst of the parts.
    #[schema(value_type = String)]
    status: HealthStatus,
    /// When this was looked at.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// `inference`, `training` or `maintenance`.
    #[schema(value_type = String)]
    mode: Mode,
    /// Version of the program.
    #[schema(value_type = String)]
    version: &'static str,
    /// Seconds since start.
    uptime: u64,
    /// The same under the name all durations here have.
    uptime_s: u64,
    /// The parts.
    #[schema(value_type = BTreeMap<String, ComponentView>)]
    components: BTreeMap<&'static str, ComponentView>,
}

/// How one part is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Component)]
pub(crate) struct ComponentView {
    /// `healthy`, `degraded` or `unhealthy`.
    #[schema(value_type = String)]
    status: HealthStatus,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<Component> for ComponentView {
    fn from(component: Component) -> Self {
        Self {
            status: component.status,
            detail: component.detail,
        }
    }
}

impl From<Health> for HealthView {
    fn from(health: Health) -> Self {
        Self {
            status: health.status,
            timestamp: health.timestamp,
            mode: health.mode,
            version: health.version,
            uptime: health.uptime_s,
            uptime_s: health.uptime_s,
            components: health
                .components
                .into_iter()
                .map(|(name, part)| (name, part.into()))
                .collect(),
        }
    }
}

/// `ok`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ok)]
pub(crate) struct Ok200 {
    /// Always `ok`.
    #[schema(value_type = String)]
    status: &'static str,
}

const OK: Json<Ok200> = Json(Ok200 { status: "ok" });

/// Health of the server and its parts
///
/// 503 if it is unhealthy or on its way out.
#[utoipa::path(
    get, path = "/health", tag = "Server", security(()),
    responses((status = 200, description = "Healthy or degraded", body = HealthView),
              (status = 503, description = "Unhealthy", body = HealthView), PublicProblems)
)]
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, Json<HealthView>) {
    let health = app.health().await;
    let status = match health.status {
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health.into()))
}

/// Health in detail
///
/// For administrators: the mode, the versions that answer, whether their files are there, what
/// is in memory, and the space that is left. 200 whatever it says.
#[utoipa::path(
    get, path = "/health/detailed", tag = "Server",
    security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "How everything is", body = DetailedHealthDto), ReadProblems)
)]
pub(crate) async fn detailed(
    State(app): State<App>,
    caller: AdminUser,
) -> Result<Json<DetailedHealthDto>, Problem> {
    Ok(Json(app.detailed_health(&caller).await?.into()))
}

/// Liveness
///
/// The process answers; nothing else is looked at.
#[utoipa::path(
    get, path = "/health/live", tag = "Server", security(()),
    responses((status = 200, description = "It does", body = Ok200), PublicProblems)
)]
pub(crate) async fn live() -> Json<Ok200> {
    OK
}

/// Readiness
///
/// Whether requests should be sent here: 503 while starting, stopping, or without the database.
#[utoipa::path(
    get, path = "/health/ready", tag = "Server", security(()),
    responses((status = 200, description = "They should", body = Ok200), ReadyProblems)
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Ok200>, Problem> {
    app.readiness().await?;
    Ok(OK)
}

/// Health, under the prefix of the API
#[utoipa::path(
    get, path = "/api/v1/health", tag = "Server", security(()), operation_id = "api_health",
    responses((status = 200, description = "Healthy or degraded", body = HealthView),
              (status = 503, description = "Unhealthy", body = HealthView), PublicProblems)
)]
pub(crate) async fn api_health(state: State<App>) -> (StatusCode, Json<HealthView>) {
    health(state).await
}

/// Liveness, under the prefix of the API
#[utoipa::path(
    get, path = "/api/v1/health/live", tag = "Server", security(()),
    responses((status = 200, description = "It does", body = Ok200), PublicProblems)
)]
pub(crate) async fn api_live() -> Json<Ok200> {
    live().await
}

/// Readiness, under the prefix of the API
#[utoipa::path(
    get, path = "/api/v1/health/ready", tag = "Server", security(()),
    responses((status = 200, description = "They should", body = Ok200), ReadyProblems)
)]
pub(crate) async fn api_ready(state: State<App>) -> Result<Json<Ok200>, Problem> {
    ready(state).await
}
