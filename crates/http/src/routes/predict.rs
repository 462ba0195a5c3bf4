//! Predictions: the fast path.
//!
//! The handler looks at nothing in the body: the application decodes the bytes
//! with the model's own schema and writes the answer's bytes itself.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use plimsoll_app::App;
use plimsoll_app::auth;
use plimsoll_app::serving::{Asking, Headers, PredictCall, Reuse, Target};
use plimsoll_core::endpoint::EndpointRef;
use plimsoll_core::model::{ModelRef, VersionRef};

use crate::context::Context;
use crate::deprecation::{DEPRECATION, since};
use crate::dto::predict::{PredictAnswer, PredictRequest};
use crate::extract::{Caller, Path, RawJson, needs};
use crate::openapi::PredictProblems;
use crate::problem::Problem;

/// Headers of a usual answer, those of the edge among them: also the most that
/// a map holds in a block for which the allocator has a fast list.
const HEADERS: usize = 6;

/// Predict
///
/// With the version in production, else the latest, unless the body names one.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/predict", tag = "Predictions",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of the model")),
    request_body = PredictRequest,
    responses((status = 200, description = "Predictions", body = PredictAnswer), PredictProblems)
)]
pub(crate) async fn predict(
    State(app): State<App>,
    context: Context,
    caller: Caller<needs::Predict>,
    Path(model): Path<String>,
    RawJson(body, reuse): RawJson,
) -> Result<Response, Problem> {
    let target = Target::Model {
        model: ModelRef::from(model.as_str()),
        version: VersionRef::Default,
    };
    answer(&app, &context, &caller, (target, reuse), &body).await
}

/// Predict with one version
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions/{version}/predict", tag = "Predictions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    request_body = PredictRequest,
    responses((status = 200, description = "Predictions", body = PredictAnswer), PredictProblems)
)]
pub(crate) async fn predict_version(
    State(app): State<App>,
    context: Context,
    caller: Caller<needs::Predict>,
    Path((model, version)): Path<(String, String)>,
    RawJson(body, reuse): RawJson,
) -> Result<Response, Problem> {
    let target = Target::Model {
        model: ModelRef::from(model.as_str()),
        version: VersionRef::from(version.as_str()),
    };
    answer(&app, &context, &caller, (target, reuse), &body).await
}

/// Predict through an endpoint
///
/// With the version that the endpoint's traffic gives this request to.
#[utoipa::path(
    post, path = "/api/v1/endpoints/{endpoint}/predict", tag = "Predictions",
    security(("bearer" = []), ("api_key" = [])),
    params(("endpoint" = String, Path, description = "Id or name of the endpoint")),
    request_body = PredictRequest,
    responses((status = 200, description = "Predictions", body = PredictAnswer), PredictProblems)
)]
#[expect(clippy::too_many_arguments, reason = "one for each extractor")]
pub(crate) async fn predict_endpoint(
    State(app): State<App>,
    context: Context,
    caller: Caller<needs::Predict>,
    Path(endpoint): Path<String>,
    headers: HeaderMap,
    RawJson(body, reuse): RawJson,
) -> Result<Response, Problem> {
    answer_endpoint(&app, &context, &caller, (&endpoint, &headers, reuse), &body).await
}

/// Asks an endpoint, one of whose callers may be kept with a version by a header.
pub(crate) async fn answer_endpoint(
    app: &App,
    context: &Context,
    caller: &auth::Caller,
    (endpoint, headers, reuse): (&str, &HeaderMap, Reuse),
    body: &Bytes,
) -> Result<Response, Problem> {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let target = Target::Endpoint {
        endpoint: EndpointRef::from(endpoint),
        headers: Headers(&value),
    };
    answer(app, context, caller, (target, reuse), body).await
}

/// Asks the application, and writes its answer.
pub(crate) async fn answer<'a>(
    app: &App,
    context: &'a Context,
    caller: &'a auth::Caller,
    (target, reuse): (Target<'a>, Reuse),
    body: &'a Bytes,
) -> Result<Response, Problem> {
    let call = PredictCall {
        caller,
        target,
        body: Asking::Rows(body),
        request_id: context.request_id(),
        deadline: context.deadline(),
        reuse,
    };
    let answer = app.predict(call).await?;
    let mut response = Response::new(Body::from(answer.to_json()));
    // Room for those of the edge as well, since growing means hashing again.
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(at) = answer.deprecated_at() {
        headers.insert(DEPRECATION, since(at));
    }
    *response.headers_mut() = headers;
    Ok(response)
}
