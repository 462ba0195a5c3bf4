//! Accounts and tokens for people.

use axum::extract::State;
use axum::http::StatusCode;
use plimsoll_app::App;

use crate::dto::account::{
    LoginRequest, MeView, RefreshRequest, RegisterRequest, SetupRequest, SignedInView, UserView,
};
use crate::extract::{Authenticated, Json, Visitor};
use crate::openapi::{ReadProblems, SignInProblems};
use crate::problem::Problem;

/// Open an account
///
/// Accounts made this way are never administrators'. At most 5 per hour and address.
#[utoipa::path(
    post, path = "/api/v1/auth/register", tag = "Sign-in", security(()),
    request_body = RegisterRequest,
    responses((status = 201, description = "The account", body = UserView), SignInProblems)
)]
pub(crate) async fn register(
    State(app): State<App>,
    Visitor(from): Visitor,
    Json(request): Json<RegisterRequest>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let user = app.register(request.into(), &from).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Sign in
///
/// At most 10 attempts per minute and address.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "Sign-in", security(()),
    request_body = LoginRequest,
    responses((status = 200, description = "Tokens", body = SignedInView), SignInProblems)
)]
pub(crate) async fn login(
    State(app): State<App>,
    Visitor(from): Visitor,
    Json(LoginRequest { email, password }): Json<LoginRequest>,
) -> Result<Json<SignedInView>, Problem> {
    Ok(Json(app.login(&email, &password.0, &from).await?.into()))
}

/// Exchange a refresh token
///
/// Each refresh token works once; a second use signs out everything that grew
/// from the same sign-in. At most 20 per hour and address.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "Sign-in", security(()),
    request_body = RefreshRequest,
    responses((status = 200, description = "New tokens", body = SignedInView), SignInProblems)
)]
pub(crate) async fn refresh(
    State(app): State<App>,
    Visitor(from): Visitor,
    Json(request): Json<RefreshRequest>,
) -> Result<Json<SignedInView>, Problem> {
    Ok(Json(
        app.refresh(&request.refresh_token.0, &from).await?.into(),
    ))
}

/// Sign out
///
/// Ends everything that grew from the sign-in of this refresh token.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "Sign-in", security(()),
    request_body = RefreshRequest,
    responses((status = 204, description = "Signed out"), SignInProblems)
)]
pub(crate) async fn logout(
    State(app): State<App>,
    Visitor(from): Visitor,
    Json(request): Json<RefreshRequest>,
) -> Result<StatusCode, Problem> {
    app.logout(&request.refresh_token.0, &from).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Claim the administrator's account
///
/// With the token that the server printed when it started; it works once.
#[utoipa::path(
    post, path = "/api/v1/auth/setup", tag = "Sign-in", security(()),
    request_body = SetupRequest,
    responses((status = 201, description = "Tokens", body = SignedInView), SignInProblems)
)]
pub(crate) async fn setup(
    State(app): State<App>,
    Visitor(from): Visitor,
    Json(request): Json<SetupRequest>,
) -> Result<(StatusCode, Json<SignedInView>), Problem> {
    let (token, account) = request.into_parts();
    let signed_in = app.setup(&token.0, account, &from).await?;
    Ok((StatusCode::CREATED, Json(signed_in.into())))
}

/// Who am I
///
/// The account behind the credential, and what the credential allows.
#[utoipa::path(
    get, path = "/api/v1/auth/me", tag = "Sign-in",
    security(("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The caller", body = MeView), ReadProblems)
)]
pub(crate) async fn me(
    State(app): State<App>,
    caller: Authenticated,
) -> Result<Json<MeView>, Problem> {
    let user = app.user(caller.user).await?;
    Ok(Json(MeView::new(&caller, user)))
}
