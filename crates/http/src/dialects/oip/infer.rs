//! Inference.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use plimsoll_app::App;
use plimsoll_app::auth;
use plimsoll_app::serving::{Asking, Headers, PredictCall, Reuse, Target};
use plimsoll_core::decode::InferRequest;
use plimsoll_core::model::{ModelRef, VersionRef};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{InferAnswer, written};
use super::error::Errors;
use super::message::Message;
use crate::context::Context;
use crate::extract::{Caller, Path, needs};
use crate::problem::Problem;

/// Tensors to infer from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"inputs": [{"name": "inputs", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}))]
pub(super) struct InferRequestDto {
    /// A name of yours for this request; it is answered and logged.
    id: Option<String>,
    /// `binary_data_output`: whether outputs are answered as binary data.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// One tensor for each input of the model, or one of shape [rows, inputs].
    inputs: Vec<InputDto>,
    /// The outputs that are wanted; without it all.
    outputs: Option<Vec<OutputDto>>,
}

/// One tensor of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferInput)]
struct InputDto {
    /// Its name.
    name: String,
    /// Its dimensions, rows first.
    shape: Vec<i64>,
    /// `FP64`, `INT64`, `BYTES`, …
    datatype: String,
    /// `binary_data_size`: how many bytes behind the JSON are its data.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// Its elements, nested or flat, in row-major order.
    #[schema(value_type = Option<Vec<Value>>)]
    data: Option<Vec<Value>>,
}

/// One output that is wanted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferRequestedOutput)]
struct OutputDto {
    /// Its name.
    name: String,
    /// `binary_data`: whether it is answered as binary data.
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
}

/// Infer
///
/// With a model's version in production, else its latest, or through an endpoint of this name.
#[utoipa::path(
    post, path = "/v2/models/{model}/infer", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])),
    params(("model" = String, Path, description = "Id or name of a model, else of an endpoint")),
    request_body = InferRequestDto,
    responses((status = 200, description = "Tensors", body = InferAnswer<'_>), Errors)
)]
#[expect(clippy::too_many_arguments, reason = "one for each extractor")]
pub(super) async fn infer(
    State(app): State<App>,
    context: Context,
    caller: Caller<needs::Predict>,
    Path(model): Path<String>,
    headers: HeaderMap,
    message: Message,
) -> Result<Response, Problem> {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let target = Target::Named {
        name: &model,
        headers: Headers(&value),
    };
    let request = message.request()?;
    answer(&app, &context, &caller, (target, message.reuse), &request).await
}

/// Infer with one version
#[utoipa::path(
    post, path = "/v2/models/{model}/versions/{version}/infer", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    request_body = InferRequestDto,
    responses((status = 200, description = "Tensors", body = InferAnswer<'_>), Errors)
)]
pub(super) async fn infer_version(
    State(app): State<App>,
    context: Context,
    caller: Caller<needs::Predict>,
    Path((model, version)): Path<(String, String)>,
    message: Message,
) -> Result<Response, Problem> {
    let target = Target::Model {
        model: ModelRef::from(model.as_str()),
        version: VersionRef::from(version.as_str()),
    };
    let request = message.request()?;
    answer(&app, &context, &caller, (target, message.reuse), &request).await
}

async fn answer<'a>(
    app: &App,
    context: &'a Context,
    caller: &'a auth::Caller,
    (target, reuse): (Target<'a>, Reuse),
    request: &'a InferRequest<'a>,
) -> Result<Response, Problem> {
    let call = PredictCall {
        caller,
        target,
        body: Asking::Tensors(request),
        request_id: context.request_id(),
        deadline: context.deadline(),
        reuse,
    };
    let answer = app.predict(call).await?;
    written(request, &answer)
}
