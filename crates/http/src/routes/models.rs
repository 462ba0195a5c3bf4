//! Models: upload, look at, change, archive.

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;
use plimsoll_app::registry::model_revision;
use plimsoll_core::model::ModelRef;

use super::upload::{Created, Target, receive};
use crate::deprecation::Dated;
use crate::dto::model::{
    AddedDto, ModelDetail, ModelDto, ModelQuery, UpdateModelRequest, UploadForm,
};
use crate::dto::page::List;
use crate::extract::{Caller, Form, IfMatch, Json, Path, Query, Tagged, needs};
use crate::openapi::{ConditionalProblems, ReadProblems, StopProblems, UploadProblems};
use crate::problem::Problem;
use crate::wire::Wire;

/// List my models
#[utoipa::path(
    get, path = "/api/v1/models", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    params(ModelQuery),
    responses((status = 200, description = "Models", body = List<ModelDto>), ReadProblems)
)]
pub(crate) async fn list_models(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<ModelQuery>,
) -> Result<Json<List<ModelDto>>, Problem> {
    let (filter, page) = query.into_parts()?;
    let page = app.models(&caller, filter, page).await?;
    Ok(Json(List::from_page(page, ModelDto::from)))
}

/// Upload a model
///
/// A new name makes a model with version 1; the name of one of your models
/// makes its next version. The file is recognised by its content and never
/// executed. Parts may come in any order.
#[utoipa::path(
    post, path = "/api/v1/models", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "The model and its new version", body = AddedDto), UploadProblems)
)]
pub(crate) async fn create_model(
    State(wire): State<Wire>,
    caller: Caller<needs::Write>,
    form: Form,
) -> Result<Created, Problem> {
    let added = receive(wire.app(), &caller, form, Target::Named).await?;
    Ok(Created::new(added, &wire.config().base_path))
}

/// Look at a model
///
/// By id or by name. `serving_version` is what answers when a prediction names no version.
#[utoipa::path(
    get, path = "/api/v1/models/{model}", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model")),
    responses((status = 200, description = "The model", body = ModelDetail), ReadProblems)
)]
pub(crate) async fn get_model(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(model): Path<String>,
) -> Result<Tagged<Dated<Json<ModelDetail>>>, Problem> {
    let view = app.model(&caller, &ModelRef::from(model.as_str())).await?;
    let revision = model_revision(&view.row);
    let dated = Dated {
        deprecated_at: view.deprecated_at(),
        body: Json(view.into()),
    };
    Ok(Tagged(revision, dated))
}

/// Change a model
///
/// `status: active` restores an archived model.
#[utoipa::path(
    patch, path = "/api/v1/models/{model}", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model")),
    request_body = UpdateModelRequest,
    responses((status = 200, description = "The model", body = ModelDetail), ConditionalProblems)
)]
pub(crate) async fn update_model(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path(model): Path<String>,
    IfMatch(condition): IfMatch,
    Json(request): Json<UpdateModelRequest>,
) -> Result<Tagged<Json<ModelDetail>>, Problem> {
    let model = ModelRef::from(model.as_str());
    let view = app
        .update_model(&caller, &model, request.into(), &condition)
        .await?;
    Ok(Tagged(model_revision(&view.row), Json(view.into())))
}

/// Archive a model
///
/// It stops answering and leaves the lists; its files stay, and it can be restored.
#[utoipa::path(
    delete, path = "/api/v1/models/{model}", tag = "Models",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model")),
    responses((status = 204, description = "Archived"), StopProblems)
)]
pub(crate) async fn delete_model(
    State(app): State<App>,
    caller: Caller<needs::Write>,
    Path(model): Path<String>,
    IfMatch(condition): IfMatch,
) -> Result<StatusCode, Problem> {
    let model = ModelRef::from(model.as_str());
    app.delete_model(&caller, &model, &condition).await?;
    Ok(StatusCode::NO_CONTENT)
}
