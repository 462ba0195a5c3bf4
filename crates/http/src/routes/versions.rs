//! Versions: upload, look at, change, promote, verify, delete.

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;
use plimsoll_app::registry::version_revision;
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_store::VersionRow;

use super::upload::{Created, Target, receive};
use crate::deprecation::Dated;
use crate::dto::model::{AddedDto, UploadForm};
use crate::dto::page::List;
use crate::dto::version::{
    DeleteVersionQuery, UpdateVersionRequest, VerifiedDto, VersionDto, VersionQuery,
};
use crate::extract::{Caller, Form, IfMatch, Json, Path, Query, Tagged, needs};
use crate::openapi::{
    ActionProblems, ChangeProblems, DeleteProblems, PromoteProblems, ReadProblems, UploadProblems,
};
use crate::problem::Problem;
use crate::wire::Wire;

/// List the versions of a model
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model"), VersionQuery),
    responses((status = 200, description = "Versions, newest first", body = List<VersionDto>), ReadProblems)
)]
pub(crate) async fn list_versions(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<List<VersionDto>>, Problem> {
    let model = ModelRef::from(model.as_str());
    let (filter, page) = query.parts()?;
    let page = app.versions(&caller, &model, filter, page).await?;
    Ok(Json(List::from_page(page, |row| view(&app, row))))
}

/// Upload a version
///
/// Of a model that exists. The file is recognised by its content and never executed.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model")),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "The model and its new version", body = AddedDto), UploadProblems)
)]
pub(crate) async fn create_version(
    State(wire): State<Wire>,
    caller: Caller<needs::Write>,
    Path(model): Path<String>,
    form: Form,
) -> Result<Created, Problem> {
    let target = Target::Existing(ModelRef::from(model.as_str()));
    let added = receive(wire.app(), &caller, form, target).await?;
    Ok(Created::new(added, &wire.config().base_path))
}

/// Look at a version
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses((status = 200, description = "The version", body = VersionDto), ReadProblems)
)]
pub(crate) async fn get_version(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Tagged<Dated<Json<VersionDto>>>, Problem> {
    let (model, version) = named(&model, &version);
    let row = app.version(&caller, &model, &version).await?;
    let live = app.live();
    let entry = live.model_by_id(row.model_id);
    let deprecated_at = entry.and_then(|model| {
        let version = model.version(&VersionRef::Id(row.id)).ok()?;
        version.deprecated_at(model)
    });
    let revision = version_revision(&row);
    let body = Json(view(&app, row));
    Ok(Tagged(
        revision,
        Dated {
            body,
            deprecated_at,
        },
    ))
}

/// Change a version
///
/// What is said about it, and whether it is in use. The file, the schemas, the label, `config` and
/// `training_info` are what the version is and never change. An `archived` version answers nobody
/// until it is `active` again.
#[utoipa::path(
    patch, path = "/api/v1/models/{model}/versions/{version}", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    request_body = UpdateVersionRequest,
    responses((status = 200, description = "The version", body = VersionDto), ChangeProblems)
)]
pub(crate) async fn update_version(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path((model, version)): Path<(String, String)>,
    IfMatch(condition): IfMatch,
    Json(request): Json<UpdateVersionRequest>,
) -> Result<Tagged<Json<VersionDto>>, Problem> {
    let (model, version) = named(&model, &version);
    let row = app
        .update_version(&caller, (&model, &version), request.into(), &condition)
        .await?;
    Ok(Tagged(version_revision(&row), Json(view(&app, row))))
}

/// Delete a version
///
/// For good: the version, and its file unless another version has the same one or
/// `keep_artifact` asks for it to stay. Its number is not given again. A version in production is
/// not deleted.
#[utoipa::path(
    delete, path = "/api/v1/models/{model}/versions/{version}", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
        DeleteVersionQuery,
    ),
    responses((status = 204, description = "Deleted"), DeleteProblems)
)]
pub(crate) async fn delete_version(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path((model, version)): Path<(String, String)>,
    IfMatch(condition): IfMatch,
    Query(query): Query<DeleteVersionQuery>,
) -> Result<StatusCode, Problem> {
    let (model, version) = named(&model, &version);
    let keep = query.keep_artifact()?;
    app.delete_version(&caller, (&model, &version), keep, &condition)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a version into production
///
/// It is loaded and checked first, then replaces the version in production at once.
/// `If-Match` is about the model.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions/{version}/promote", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses((status = 200, description = "The version in production", body = VersionDto), PromoteProblems)
)]
pub(crate) async fn promote_version(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path((model, version)): Path<(String, String)>,
    IfMatch(condition): IfMatch,
) -> Result<Json<VersionDto>, Problem> {
    let (model, version) = named(&model, &version);
    let row = app.promote(&caller, &model, &version, &condition).await?;
    Ok(Json(view(&app, row)))
}

/// Hash a version's stored file again
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions/{version}/verify", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses((status = 200, description = "What was found", body = VerifiedDto), ActionProblems)
)]
pub(crate) async fn verify_version(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<VerifiedDto>, Problem> {
    let (model, version) = named(&model, &version);
    Ok(Json(
        app.verify_version(&caller, &model, &version).await?.into(),
    ))
}

fn named(model: &str, version: &str) -> (ModelRef, VersionRef) {
    (ModelRef::from(model), VersionRef::from(version))
}

/// A version's row with the name of its model, which is in memory.
fn view(app: &App, row: VersionRow) -> VersionDto {
    let name = app
        .live()
        .model_by_id(row.model_id)
        .map(|model| model.name.clone());
    VersionDto::new(row, name.unwrap_or_default())
}
