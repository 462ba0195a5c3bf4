//! The server about itself: counters, version, documentation.

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use plimsoll_app::auth::ClientAddress;
use plimsoll_app::limits::Spend;
use plimsoll_app::{App, Error};
use plimsoll_core::key::Scope;
use plimsoll_core::user::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::Context;
use crate::extract::{Json, Path, credential};
use crate::metrics::OPEN_METRICS;
use crate::openapi::{PublicProblems, ReadProblems};
use crate::problem::page::{Explanation, explanation_html};
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

/// All counters
///
/// In OpenMetrics text. Open to this machine; from elsewhere it takes an
/// administrator's credential with the scope `read`.
#[utoipa::path(
    get, path = "/metrics", tag = "Server",
    security((), ("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "OpenMetrics text", body = String,
               content_type = "application/openmetrics-text"), ReadProblems)
)]
pub(crate) async fn metrics(
    State(wire): State<Wire>,
    context: Context,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !context.is_loopback() {
        allow_scrape(wire.app(), &context, &headers)?;
    }
    wire.app().look_at_journal();
    wire.app().look_at_workers();
    wire.app().look_at_registry();
    let text = wire
        .meters()
        .encode(wire.app().meters().registry())
        .map_err(|error| Problem::of(Kind::Internal).caused_by(error))?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn allow_scrape(app: &App, context: &Context, headers: &HeaderMap) -> Result<(), Problem> {
    let from = ClientAddress(context.address());
    // A scraper may come as often as it likes.
    let caller = app.authenticate(credential(headers)?, from, Spend::Nothing)?;
    caller.require(Scope::Read)?;
    if caller.role != Role::Admin {
        return Err(Error::Forbidden {
            need: "the admin role",
        }
        .into());
    }
    Ok(())
}

/// What is running.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerVersion)]
pub(crate) struct VersionView {
    /// Always `plimsoll`.
    #[schema(value_type = String)]
    name: &'static str,
    /// Version of the program.
    #[schema(value_type = String)]
    version: &'static str,
}

/// What is running
#[utoipa::path(
    get, path = "/version", tag = "Server", security(()),
    responses((status = 200, description = "Name and version", body = VersionView), PublicProblems)
)]
pub(crate) async fn version() -> Json<VersionView> {
    Json(VersionView {
        name: "plimsoll",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "Server", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Value), PublicProblems)
)]
pub(crate) async fn openapi_json(State(wire): State<Wire>) -> Response {
    ([(CONTENT_TYPE, "application/json")], wire.openapi_json()).into_response()
}

/// This document, under the prefix of the API
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "Server", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Value), PublicProblems)
)]
pub(crate) async fn api_openapi_json(state: State<Wire>) -> Response {
    openapi_json(state).await
}

/// What a kind of problem means
///
/// As a page for browsers, else as JSON.
#[utoipa::path(
    get, path = "/problems/{slug}", tag = "Server", security(()),
    params(("slug" = String, Path, description = "The `code` of a problem document")),
    responses((status = 200, description = "The explanation", body = Explanation), PublicProblems)
)]
pub(crate) async fn problem(
    State(wire): State<Wire>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let unknown = || Problem::new(Kind::NotFound, "there is no such kind of problem");
    let row = Kind::from_slug(&slug).ok_or_else(unknown)?.row();
    let wants_page = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        return Ok(Html(explanation_html(row, &wire.config().base_path)).into_response());
    }
    Ok((StatusCode::OK, Json(Explanation::from(row))).into_response())
}
