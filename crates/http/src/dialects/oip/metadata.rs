//! What the server is, which models it has, and what they take and answer.

use axum::extract::State;
use plimsoll_app::App;
use plimsoll_app::serving::{Offer, Signature};
use plimsoll_core::decode::{TensorSpec, input_specs, output_specs};
use plimsoll_core::model::{Status, VersionRef};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ErrorDto, Errors, PublicErrors};
use crate::extract::{Caller, Json, Path, needs};
use crate::problem::Problem;

/// What of the protocol's extensions there is.
const EXTENSIONS: [&str; 2] = ["binary_tensor_data", "model_repository"];

/// The server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferServer {
    /// Its name.
    name: &'static str,
    /// Its version.
    version: &'static str,
    /// What of the protocol's extensions it has.
    extensions: [&'static str; 2],
}

/// Whether the server is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferLive {
    /// It is.
    live: bool,
}

/// Whether the server is ready.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferReady {
    /// It is.
    ready: bool,
}

/// Models by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferModels {
    /// Their names.
    models: Vec<String>,
}

/// Whether a model is ready.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferModelReady {
    /// Its name.
    name: String,
    /// It is.
    ready: bool,
}

/// What a model takes and answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferModel {
    /// Its name.
    name: String,
    /// Numbers of its versions that answer.
    versions: Vec<String>,
    /// `plimsoll_` and the format of its file.
    platform: String,
    /// Tensors it takes.
    inputs: Vec<TensorDto>,
    /// Tensors it answers.
    outputs: Vec<TensorDto>,
}

/// What a tensor is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferTensor)]
struct TensorDto {
    /// Its name.
    name: String,
    /// `FP64`, `INT64`, `BYTES`, …
    datatype: &'static str,
    /// Its dimensions, rows first; -1 where a request chooses.
    shape: Vec<i64>,
}

impl From<TensorSpec> for TensorDto {
    fn from(spec: TensorSpec) -> Self {
        Self {
            name: spec.name,
            datatype: spec.datatype.name(),
            shape: spec.shape,
        }
    }
}

impl InferModel {
    fn new(offer: &Offer, signature: &Signature) -> Self {
        let schema = signature.schema();
        let outputs = output_specs(schema, signature.has_probabilities);
        let answering = offer.model.versions.iter();
        let answering = answering.filter(|version| version.status != Status::Archived);
        Self {
            name: offer.model.name.clone(),
            versions: answering.map(|v| v.number.to_string()).collect(),
            platform: format!("plimsoll_{}", signature.format()),
            inputs: input_specs(schema).into_iter().map(Into::into).collect(),
            outputs: outputs.into_iter().map(Into::into).collect(),
        }
    }
}

/// The server and its extensions
#[utoipa::path(
    get, path = "/v2", tag = "Open Inference Protocol", security(()), operation_id = "infer_server",
    responses((status = 200, description = "The server", body = InferServer), PublicErrors)
)]
pub(super) async fn server() -> Json<InferServer> {
    Json(InferServer {
        name: "plimsoll",
        version: env!("CARGO_PKG_VERSION"),
        extensions: EXTENSIONS,
    })
}

/// Liveness, as the protocol has it
#[utoipa::path(
    get, path = "/v2/health/live", tag = "Open Inference Protocol", security(()),
    operation_id = "infer_live",
    responses((status = 200, description = "It is alive", body = InferLive), PublicErrors)
)]
pub(super) async fn live() -> Json<InferLive> {
    Json(InferLive { live: true })
}

/// Readiness, as the protocol has it
#[utoipa::path(
    get, path = "/v2/health/ready", tag = "Open Inference Protocol", security(()),
    operation_id = "infer_ready",
    responses(
        (status = 200, description = "It is ready", body = InferReady),
        PublicErrors, (status = 503, description = "It is not", body = ErrorDto)
    )
)]
pub(super) async fn ready(State(app): State<App>) -> Result<Json<InferReady>, Problem> {
    app.readiness().await?;
    Ok(Json(InferReady { ready: true }))
}

/// Names of models
#[utoipa::path(
    get, path = "/v2/models", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_models",
    responses((status = 200, description = "Models of the caller", body = InferModels), Errors)
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller<needs::Read>,
) -> Result<Json<InferModels>, Problem> {
    let models = app.offered(&caller)?;
    let models = models.iter().map(|model| model.name.clone()).collect();
    Ok(Json(InferModels { models }))
}

/// What a model takes and answers
#[utoipa::path(
    get, path = "/v2/models/{model}", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_model",
    params(("model" = String, Path, description = "Id or name of a model, else of an endpoint")),
    responses((status = 200, description = "Its tensors", body = InferModel), Errors)
)]
pub(super) async fn model(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(model): Path<String>,
) -> Result<Json<InferModel>, Problem> {
    let offer = app.offer(&caller, &model, &VersionRef::Default)?;
    let signature = app.signature(&offer).await?;
    Ok(Json(InferModel::new(&offer, &signature)))
}

/// What a version takes and answers
#[utoipa::path(
    get, path = "/v2/models/{model}/versions/{version}", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_model_version",
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses((status = 200, description = "Its tensors", body = InferModel), Errors)
)]
pub(super) async fn model_version(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<InferModel>, Problem> {
    let offer = app.offer(&caller, &model, &VersionRef::from(version.as_str()))?;
    let signature = app.signature(&offer).await?;
    Ok(Json(InferModel::new(&offer, &signature)))
}

/// Whether a model answers
#[utoipa::path(
    get, path = "/v2/models/{model}/ready", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_model_ready",
    params(("model" = String, Path, description = "Id or name of a model, else of an endpoint")),
    responses((status = 200, description = "It does", body = InferModelReady), Errors)
)]
pub(super) async fn model_ready(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path(model): Path<String>,
) -> Result<Json<InferModelReady>, Problem> {
    let offer = app.offer(&caller, &model, &VersionRef::Default)?;
    Ok(is_ready(&offer))
}

/// Whether a version answers
#[utoipa::path(
    get, path = "/v2/models/{model}/versions/{version}/ready", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_model_version_ready",
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses((status = 200, description = "It does", body = InferModelReady), Errors)
)]
pub(super) async fn model_version_ready(
    State(app): State<App>,
    caller: Caller<needs::Predict>,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<InferModelReady>, Problem> {
    let offer = app.offer(&caller, &model, &VersionRef::from(version.as_str()))?;
    Ok(is_ready(&offer))
}

fn is_ready(offer: &Offer) -> Json<InferModelReady> {
    Json(InferModelReady {
        name: offer.model.name.clone(),
        ready: true,
    })
}
