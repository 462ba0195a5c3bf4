//! Versions in memory: load one ahead of its first caller, let go of one.

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;
use plimsoll_core::model::{ModelRef, VersionRef};

use crate::dto::load::LoadedDto;
use crate::extract::{Caller, Json, Path, needs};
use crate::openapi::{ActionProblems, VersionProblems};
use crate::problem::Problem;

/// Load a version
///
/// Its stored files are checked, it is loaded and warmed with its sample rows, and stays in memory
/// until it has to give way or is let go of. Its first caller then waits for nothing.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions/{version}/load", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses((status = 200, description = "The version is in memory", body = LoadedDto), VersionProblems)
)]
pub(crate) async fn load_version(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<LoadedDto>, Problem> {
    let (model, version) = (ModelRef::from(&*model), VersionRef::from(&*version));
    let loaded = app.load_version(&caller, &model, &version).await?;
    Ok(Json(loaded.into()))
}

/// Let go of a version
///
/// Its memory is free once the requests that use it have ended. The next request loads it again, so
/// nobody is refused; versions of the same content are let go of together.
#[utoipa::path(
    delete, path = "/api/v1/models/{model}/versions/{version}/load", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses((status = 204, description = "The version is not in memory"), ActionProblems)
)]
pub(crate) async fn unload_version(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path((model, version)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (model, version) = (ModelRef::from(&*model), VersionRef::from(&*version));
    app.unload_version(&caller, &model, &version).await?;
    Ok(StatusCode::NO_CONTENT)
}
