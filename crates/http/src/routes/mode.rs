//! The platform's mode.

use axum::extract::State;
use plimsoll_app::App;
use plimsoll_app::mode::revision;

use crate::dto::mode::{ModeDto, ModeRequest};
use crate::dto::page::{List, PageQuery};
use crate::extract::{AdminUser, Caller, IfMatch, Json, Query, Tagged, needs};
use crate::openapi::{ConditionalProblems, ReadProblems};
use crate::problem::Problem;

/// The mode of the platform
#[utoipa::path(
    get, path = "/api/v1/mode", tag = "Administration",
    security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The mode", body = ModeDto), ReadProblems)
)]
pub(crate) async fn get_mode(
    State(app): State<App>,
    caller: Caller<needs::Read>,
) -> Result<Tagged<Json<ModeDto>>, Problem> {
    let mode = app.mode(&caller)?;
    Ok(Tagged(revision(&mode), Json(mode.into())))
}

/// Change the mode
///
/// In force for the next request. Maintenance takes in no uploads, promotions and
/// deployments; with `"serve": false` it serves no predictions either.
#[utoipa::path(
    put, path = "/api/v1/mode", tag = "Administration",
    security(("bearer" = []), ("api_key" = [])),
    request_body = ModeRequest,
    responses((status = 200, description = "The mode", body = ModeDto), ConditionalProblems)
)]
pub(crate) async fn set_mode(
    State(app): State<App>,
    caller: AdminUser,
    IfMatch(condition): IfMatch,
    Json(request): Json<ModeRequest>,
) -> Result<Tagged<Json<ModeDto>>, Problem> {
    let mode = app.set_mode(&caller, request.into(), &condition).await?;
    Ok(Tagged(revision(&mode), Json(mode.into())))
}

/// Changes of the mode
#[utoipa::path(
    get, path = "/api/v1/mode/history", tag = "Administration",
    security(("bearer" = []), ("api_key" = [])),
    params(PageQuery),
    responses((status = 200, description = "Changes, newest first", body = List<ModeDto>), ReadProblems)
)]
pub(crate) async fn list_modes(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<ModeDto>>, Problem> {
    let page = app.mode_history(&caller, query.request()?).await?;
    Ok(Json(List::from_page(page, ModeDto::from)))
}
