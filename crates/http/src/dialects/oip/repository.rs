//! The model repository extension: which versions there are, load, let go.

use axum::extract::{FromRequest, Request, State};
use plimsoll_app::App;
use plimsoll_core::model::{ModelRef, Status, VersionRef};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::Errors;
use crate::extract::{Caller, Json, Path, needs, read_control_body};
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

/// A body of any content type, which may be left out.
#[derive(Debug)]
pub(super) struct Optional<T>(T);

impl<T: DeserializeOwned + Default> FromRequest<Wire> for Optional<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, wire: &Wire) -> Result<Self, Problem> {
        let bytes = read_control_body(request.into_body(), wire).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        let value = serde_json::from_slice(&bytes);
        // The message of serde may repeat a value.
        value.map(Self).map_err(|_| {
            let detail = "the body is not the JSON that the protocol has here";
            Problem::new(Kind::MalformedJson, detail)
        })
    }
}

/// Which versions are listed.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub(super) struct InferIndexRequest {
    /// Only those that answer.
    #[serde(default)]
    ready: bool,
}

/// One version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferIndexItem {
    /// Name of its model.
    name: String,
    /// Its number.
    version: String,
    /// `READY` or `UNAVAILABLE`.
    state: &'static str,
    /// Why it does not answer.
    reason: &'static str,
}

/// How a model is loaded or let go of.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub(super) struct InferRepositoryRequest {
    /// `unload_dependents` is accepted and means nothing here.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Map<String, Value>,
}

/// Versions of all models
#[utoipa::path(
    post, path = "/v2/repository/index", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_index",
    request_body = Option<InferIndexRequest>,
    responses((status = 200, description = "Versions by model", body = Vec<InferIndexItem>), Errors)
)]
pub(super) async fn index(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Optional(wanted): Optional<InferIndexRequest>,
) -> Result<Json<Vec<InferIndexItem>>, Problem> {
    let mut items = Vec::new();
    for model in app.offered(&caller)? {
        for version in &model.versions {
            let (state, reason) = match version.status {
                Status::Archived if wanted.ready => continue,
                Status::Archived => ("UNAVAILABLE", "archived"),
                Status::Active | Status::Deprecated => ("READY", ""),
            };
            items.push(InferIndexItem {
                name: model.name.clone(),
                version: version.number.to_string(),
                state,
                reason,
            });
        }
    }
    Ok(Json(items))
}

/// Load a model
///
/// The version that answers, ahead of its first caller.
#[utoipa::path(
    post, path = "/v2/repository/models/{model}/load", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_load",
    params(("model" = String, Path, description = "Id or name of the model")),
    request_body = Option<InferRepositoryRequest>,
    responses((status = 200, description = "It is in memory"), Errors)
)]
pub(super) async fn load(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path(model): Path<String>,
    Optional(wanted): Optional<InferRepositoryRequest>,
) -> Result<(), Problem> {
    if !wanted.parameters.is_empty() {
        let detail = "configurations and files are not taken here; upload a version instead";
        return Err(Problem::new(Kind::MalformedRequest, detail));
    }
    let model = ModelRef::from(&*model);
    app.load_version(&caller, &model, &VersionRef::Default)
        .await?;
    Ok(())
}

/// Let go of a model
///
/// Its memory is free once running requests have ended; the next one loads it again.
#[utoipa::path(
    post, path = "/v2/repository/models/{model}/unload", tag = "Open Inference Protocol",
    security(("bearer" = []), ("api_key" = [])), operation_id = "infer_unload",
    params(("model" = String, Path, description = "Id or name of the model")),
    request_body = Option<InferRepositoryRequest>,
    responses((status = 200, description = "It is not in memory"), Errors)
)]
pub(super) async fn unload(
    State(app): State<App>,
    caller: Caller<needs::Admin>,
    Path(model): Path<String>,
    Optional(_wanted): Optional<InferRepositoryRequest>,
) -> Result<(), Problem> {
    let model = ModelRef::from(&*model);
    app.unload_version(&caller, &model, &VersionRef::Default)
        .await?;
    Ok(())
}
