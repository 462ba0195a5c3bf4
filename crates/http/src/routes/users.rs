//! One's own account, and other people's for administrators.

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;
use plimsoll_core::id::UserId;

use crate::dto::account::{
    ChangePasswordRequest, CreateUserRequest, DeleteAccountRequest, UpdateAccountRequest,
    UpdateUserRequest, UserView,
};
use crate::dto::page::{List, PageQuery};
use crate::extract::{AdminUser, Caller, Json, Path, Query, needs};
use crate::openapi::{AccountProblems, ReadProblems};
use crate::problem::Problem;

/// My account
#[utoipa::path(
    get, path = "/api/v1/users/me", tag = "Users",
    security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The account", body = UserView), ReadProblems)
)]
pub(crate) async fn get_account(
    State(app): State<App>,
    caller: Caller<needs::Read>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(app.user(caller.user).await?.into()))
}

/// Change my name or e-mail address
#[utoipa::path(
    patch, path = "/api/v1/users/me", tag = "Users",
    security(("bearer" = []), ("api_key" = [])),
    request_body = UpdateAccountRequest,
    responses((status = 200, description = "The account", body = UserView), AccountProblems)
)]
pub(crate) async fn update_account(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Json(request): Json<UpdateAccountRequest>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(
        app.update_account(&caller, request.into()).await?.into(),
    ))
}

/// Delete my account
///
/// With its keys, models and versions, for good. The last administrator stays.
#[utoipa::path(
    delete, path = "/api/v1/users/me", tag = "Users",
    security(("bearer" = []), ("api_key" = [])),
    request_body = DeleteAccountRequest,
    responses((status = 204, description = "Deleted"), AccountProblems)
)]
pub(crate) async fn delete_account(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Json(request): Json<DeleteAccountRequest>,
) -> Result<StatusCode, Problem> {
    app.delete_account(&caller, &request.password.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change my password
///
/// Every session ends, the one that asks included: sign in again.
#[utoipa::path(
    post, path = "/api/v1/users/me/password", tag = "Users",
    security(("bearer" = []), ("api_key" = [])),
    request_body = ChangePasswordRequest,
    responses((status = 204, description = "Changed"), AccountProblems)
)]
pub(crate) async fn change_password(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Json(request): Json<ChangePasswordRequest>,
) -> Result<StatusCode, Problem> {
    let ChangePasswordRequest {
        current_password,
        new_password,
    } = request;
    app.change_password(&caller, &current_password.0, &new_password.0)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List accounts
#[utoipa::path(
    get, path = "/api/v1/users", tag = "Users",
    security(("bearer" = []), ("api_key" = [])),
    params(PageQuery),
    responses((status = 200, description = "Accounts, newest first", body = List<UserView>), ReadProblems)
)]
pub(crate) async fn list_users(
    State(app): State<App>,
    caller: AdminUser,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<UserView>>, Problem> {
    let page = app.users(&caller, query.request()?).await?;
    Ok(Json(List::from_page(page, UserView::from)))
}

/// Open an account for somebody
#[utoipa::path(
    post, path = "/api/v1/users", tag = "Users",
    security(("bearer" = []), ("api_key" = [])),
    request_body = CreateUserRequest,
    responses((status = 201, description = "The account", body = UserView), AccountProblems)
)]
pub(crate) async fn create_user(
    State(app): State<App>,
    caller: AdminUser,
    Json(request): Json<CreateUserRequest>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let (account, role) = request.into_parts();
    let user = app.create_user(Some(&caller), account, role).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Switch an account on or off, or change its role
#[utoipa::path(
    patch, path = "/api/v1/users/{user}", tag = "Users",
    security(("bearer" = []), ("api_key" = [])),
    params(("user" = String, Path, description = "Id of the account")),
    request_body = UpdateUserRequest,
    responses((status = 200, description = "The account", body = UserView), AccountProblems)
)]
pub(crate) async fn update_user(
    State(app): State<App>,
    caller: AdminUser,
    Path(user): Path<UserId>,
    Json(request): Json<UpdateUserRequest>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(
        app.administer_user(&caller, user, request.into())
            .await?
            .into(),
    ))
}
