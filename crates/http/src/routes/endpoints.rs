//! Endpoints: deploy, look at, change, stop.

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;
use plimsoll_app::endpoints::revision;
use plimsoll_core::endpoint::EndpointRef;

use crate::dto::deployment::{DeploymentDto, DeploymentQuery, History, HistoryQuery};
use crate::dto::endpoint::{
    DeployRequest, DeployedDto, EndpointDto, EndpointQuery, RollbackRequest, RolledBackDto,
    TrafficRequest, UpdateEndpointRequest, ValidationDto,
};
use crate::dto::page::List;
use crate::extract::{Caller, IfMatch, Json, OptionalJson, Path, Query, Tagged, needs};
use crate::openapi::{ActionProblems, DeployProblems, ReadProblems, StopProblems, SwitchProblems};
use crate::problem::Problem;

/// List my endpoints
#[utoipa::path(
    get, path = "/api/v1/endpoints", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(EndpointQuery),
    responses((status = 200, description = "Endpoints, newest first", body = List<EndpointDto>), ReadProblems)
)]
pub(crate) async fn list_endpoints(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<EndpointQuery>,
) -> Result<Json<List<EndpointDto>>, Problem> {
    let (filter, page) = query.into_parts()?;
    let page = app.endpoints(&caller, filter, page).await?;
    Ok(Json(List::from_page(page, EndpointDto::from)))
}

/// Serve a version under a name
///
/// A new endpoint, or another version of the one that has the name. The version
/// is checked, loaded and warm before it gets a request.
#[utoipa::path(
    post, path = "/api/v1/endpoints", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    request_body = DeployRequest,
    responses(
        (status = 201, description = "The new endpoint", body = DeployedDto),
        (status = 200, description = "The endpoint, which was there before", body = DeployedDto),
        DeployProblems
    )
)]
pub(crate) async fn deploy(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Json(request): Json<DeployRequest>,
) -> Result<(StatusCode, Json<DeployedDto>), Problem> {
    let deployed = app.deploy(&caller, request.into()).await?;
    let status = if deployed.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(deployed.into())))
}

/// Look at an endpoint
#[utoipa::path(
    get, path = "/api/v1/endpoints/{endpoint}", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint")),
    responses((status = 200, description = "The endpoint", body = EndpointDto), ReadProblems)
)]
pub(crate) async fn get_endpoint(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(endpoint): Path<String>,
) -> Result<Tagged<Json<EndpointDto>>, Problem> {
    let endpoint = EndpointRef::from(endpoint.as_str());
    let view = app.endpoint(&caller, &endpoint).await?;
    Ok(Tagged(revision(&view.row), Json(view.into())))
}

/// Change an endpoint
///
/// Another version gets all requests at once; those that run end with the version
/// they began with.
#[utoipa::path(
    patch, path = "/api/v1/endpoints/{endpoint}", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint")),
    request_body = UpdateEndpointRequest,
    responses((status = 200, description = "The endpoint", body = DeployedDto), SwitchProblems)
)]
pub(crate) async fn update_endpoint(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path(endpoint): Path<String>,
    IfMatch(condition): IfMatch,
    Json(request): Json<UpdateEndpointRequest>,
) -> Result<Tagged<Json<DeployedDto>>, Problem> {
    let endpoint = EndpointRef::from(endpoint.as_str());
    let deployed = app
        .update_endpoint(&caller, &endpoint, request.into(), condition)
        .await?;
    let revision = revision(&deployed.endpoint.row);
    Ok(Tagged(revision, Json(deployed.into())))
}

/// Stop an endpoint
///
/// It answers nobody from now on. Its name and its history stay.
#[utoipa::path(
    delete, path = "/api/v1/endpoints/{endpoint}", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint")),
    responses((status = 204, description = "Stopped"), StopProblems)
)]
pub(crate) async fn stop_endpoint(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path(endpoint): Path<String>,
    IfMatch(condition): IfMatch,
) -> Result<StatusCode, Problem> {
    let endpoint = EndpointRef::from(endpoint.as_str());
    app.stop_endpoint(&caller, &endpoint, None, &condition)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Spread an endpoint's requests over versions
///
/// By weight, with canaries and shadows. A shadow is shown requests and its
/// answers are recorded; nobody gets them.
#[utoipa::path(
    put, path = "/api/v1/endpoints/{endpoint}/traffic", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint")),
    request_body = TrafficRequest,
    responses((status = 200, description = "The endpoint", body = DeployedDto), SwitchProblems)
)]
pub(crate) async fn set_traffic(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path(endpoint): Path<String>,
    IfMatch(condition): IfMatch,
    Json(request): Json<TrafficRequest>,
) -> Result<Tagged<Json<DeployedDto>>, Problem> {
    let endpoint = EndpointRef::from(endpoint.as_str());
    let deployed = app
        .set_traffic(&caller, &endpoint, request.into(), condition)
        .await?;
    let revision = revision(&deployed.endpoint.row);
    Ok(Tagged(revision, Json(deployed.into())))
}

/// Go back to what was served before
#[utoipa::path(
    post, path = "/api/v1/endpoints/{endpoint}/rollback", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint")),
    request_body = Option<RollbackRequest>,
    responses((status = 200, description = "The endpoint", body = RolledBackDto), SwitchProblems)
)]
pub(crate) async fn roll_back(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path(endpoint): Path<String>,
    IfMatch(condition): IfMatch,
    OptionalJson(request): OptionalJson<RollbackRequest>,
) -> Result<Json<RolledBackDto>, Problem> {
    let endpoint = EndpointRef::from(endpoint.as_str());
    let back = app
        .roll_back(&caller, &endpoint, request.into(), condition)
        .await?;
    Ok(Json(back.into()))
}

/// Check whether an endpoint would answer
///
/// Its files are hashed, its versions loaded, and each answers its sample rows.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{endpoint}/validate", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint")),
    responses((status = 200, description = "What was found", body = ValidationDto), ActionProblems)
)]
pub(crate) async fn validate(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(endpoint): Path<String>,
) -> Result<Json<ValidationDto>, Problem> {
    let endpoint = EndpointRef::from(endpoint.as_str());
    Ok(Json(
        app.validate_endpoint(&caller, &endpoint).await?.into(),
    ))
}

/// The history of an endpoint
///
/// Every change that was made or failed, newest first.
#[utoipa::path(
    get, path = "/api/v1/endpoints/{endpoint}/history", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint"), HistoryQuery),
    responses((status = 200, description = "Deployments, newest first", body = History), ReadProblems)
)]
pub(crate) async fn history(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(endpoint): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    let endpoint = EndpointRef::from(endpoint.as_str());
    let entries = app
        .endpoint_history(&caller, &endpoint, query.limit()?)
        .await?;
    Ok(Json(entries.into()))
}

/// The history of all my endpoints
#[utoipa::path(
    get, path = "/api/v1/deployments", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(DeploymentQuery),
    responses((status = 200, description = "Deployments, newest first", body = List<DeploymentDto>), ReadProblems)
)]
pub(crate) async fn list_deployments(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<DeploymentQuery>,
) -> Result<Json<List<DeploymentDto>>, Problem> {
    let (status, page) = query.into_parts()?;
    let page = app.deployments(&caller, None, status, page).await?;
    Ok(Json(List::from_page(page, DeploymentDto::from)))
}

/// Where a model was deployed
#[utoipa::path(
    get, path = "/api/v1/models/{model}/deployments", tag = "Endpoints",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model"), DeploymentQuery),
    responses((status = 200, description = "Deployments, newest first", body = List<DeploymentDto>), ReadProblems)
)]
pub(crate) async fn model_deployments(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
    Query(query): Query<DeploymentQuery>,
) -> Result<Json<List<DeploymentDto>>, Problem> {
    let (status, page) = query.into_parts()?;
    let model = model.as_str().into();
    let page = app.deployments(&caller, Some(&model), status, page).await?;
    Ok(Json(List::from_page(page, DeploymentDto::from)))
}
