//! The Open Inference Protocol, version 2, over HTTP: what clients of Triton,
//! KServe and MLServer speak.
//!
//! Source: the specification of the protocol and Triton's extensions for binary
//! tensor data and model repositories.

mod answer;
mod error;
mod infer;
mod message;
mod metadata;
mod repository;

use axum::http::HeaderValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::Wire;

pub(crate) use error::{body as error_body, status as error_status};

/// Media type of answers without binary data.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// All routes of the protocol.
pub(crate) fn routes() -> OpenApiRouter<Wire> {
    OpenApiRouter::new()
        .routes(routes!(metadata::server))
        .routes(routes!(metadata::live))
        .routes(routes!(metadata::ready))
        .routes(routes!(metadata::list))
        .routes(routes!(metadata::model))
        .routes(routes!(metadata::model_version))
        .routes(routes!(metadata::model_ready))
        .routes(routes!(metadata::model_version_ready))
        .routes(routes!(infer::infer))
        .routes(routes!(infer::infer_version))
        .routes(routes!(repository::index))
        .routes(routes!(repository::load))
        .routes(routes!(repository::unload))
}
