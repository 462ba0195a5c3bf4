//! Keys for programs.

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;
use plimsoll_app::keys::revision;
use plimsoll_core::id::KeyId;

use crate::dto::key::{
    CreateKeyRequest, CreatedKeyView, KeyQuery, KeyView, RotateKeyRequest, UpdateKeyRequest,
};
use crate::dto::key_usage::{KeyUsageQuery, KeyUsageView};
use crate::dto::page::List;
use crate::extract::{Caller, IfMatch, Json, OptionalJson, Path, Query, Tagged, needs};
use crate::openapi::{
    ActionProblems, ConditionalProblems, ReadProblems, RotateProblems, WriteProblems,
};
use crate::problem::Problem;

/// List my keys
#[utoipa::path(
    get, path = "/api/v1/api-keys", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    params(KeyQuery),
    responses((status = 200, description = "Keys, newest first", body = List<KeyView>), ReadProblems)
)]
pub(crate) async fn list_keys(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<KeyQuery>,
) -> Result<Json<List<KeyView>>, Problem> {
    let page = app
        .keys(&caller, query.page()?, query.include_revoked()?)
        .await?;
    Ok(Json(List::from_page(page, KeyView::from)))
}

/// Create a key
///
/// The answer is the only place where the key's text ever appears. A key never
/// makes a key wider than itself.
#[utoipa::path(
    post, path = "/api/v1/api-keys", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    request_body = CreateKeyRequest,
    responses((status = 201, description = "The key, shown once", body = CreatedKeyView), WriteProblems)
)]
pub(crate) async fn create_key(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Json(request): Json<CreateKeyRequest>,
) -> Result<(StatusCode, Json<CreatedKeyView>), Problem> {
    let created = app.create_key(&caller, request.into_new_key()).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// Look at a key
#[utoipa::path(
    get, path = "/api/v1/api-keys/{key}", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    params(("key" = String, Path, description = "Id of the key")),
    responses((status = 200, description = "The key", body = KeyView), ReadProblems)
)]
pub(crate) async fn get_key(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path(key): Path<KeyId>,
) -> Result<Tagged<Json<KeyView>>, Problem> {
    let key = app.key(&caller, key).await?;
    Ok(Tagged(revision(&key), Json(key.into())))
}

/// Change a key
///
/// In force for the next request.
#[utoipa::path(
    patch, path = "/api/v1/api-keys/{key}", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    params(("key" = String, Path, description = "Id of the key")),
    request_body = UpdateKeyRequest,
    responses((status = 200, description = "The key", body = KeyView), ConditionalProblems)
)]
pub(crate) async fn update_key(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path(key): Path<KeyId>,
    IfMatch(condition): IfMatch,
    Json(request): Json<UpdateKeyRequest>,
) -> Result<Tagged<Json<KeyView>>, Problem> {
    let key = app
        .update_key(&caller, key, request.into(), &condition)
        .await?;
    Ok(Tagged(revision(&key), Json(key.into())))
}

/// Revoke a key
///
/// For good, and for the next request. Its usage history stays.
#[utoipa::path(
    delete, path = "/api/v1/api-keys/{key}", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    params(("key" = String, Path, description = "Id of the key")),
    responses((status = 204, description = "Revoked"), ActionProblems)
)]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path(key): Path<KeyId>,
) -> Result<StatusCode, Problem> {
    app.revoke_key(&caller, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate a key
///
/// Makes a key that takes over from this one; for a while both work.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{key}/rotate", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    params(("key" = String, Path, description = "Id of the key")),
    request_body = Option<RotateKeyRequest>,
    responses((status = 201, description = "The new key, shown once", body = CreatedKeyView), RotateProblems)
)]
pub(crate) async fn rotate_key(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path(key): Path<KeyId>,
    OptionalJson(request): OptionalJson<RotateKeyRequest>,
) -> Result<(StatusCode, Json<CreatedKeyView>), Problem> {
    let created = app.rotate_key(&caller, key, request.overlap()?).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// See what my keys are used for
///
/// Totals are exact. What is of the last 24 hours counts predictions in the log.
#[utoipa::path(
    get, path = "/api/v1/monitoring/api-keys/usage", tag = "API keys",
    security(("bearer" = []), ("api_key" = [])),
    params(KeyUsageQuery),
    responses((status = 200, description = "Keys, newest first", body = List<KeyUsageView>), ReadProblems)
)]
pub(crate) async fn key_usage(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Query(query): Query<KeyUsageQuery>,
) -> Result<Json<List<KeyUsageView>>, Problem> {
    let page = app.key_activity(&caller, query.page()?).await?;
    Ok(Json(List::from_page(page, KeyUsageView::from)))
}
