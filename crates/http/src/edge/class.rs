//! What kind of work an operation is, and so how long it may take.

use axum::http::Method;

/// How long a route may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Ordinary requests.
    Control,
    /// Requests that may load models, which takes as long as they are large.
    Load,
    /// Predictions.
    Predict,
    /// Uploads: as long as data keeps coming.
    Upload,
}

impl Class {
    /// The class of one operation.
    pub(crate) fn of(method: &Method, template: &str) -> Self {
        if template.ends_with("/predict") || template.ends_with("/infer") {
            Self::Predict
        } else if method == Method::POST
            && (template == "/api/v1/models"
                || template == "/api/v1/models/{model}/versions"
                || template.ends_with("/batch"))
        {
            Self::Upload
        } else if loads(method, template) {
            Self::Load
        } else {
            Self::Control
        }
    }
}

/// Whether an operation checks and loads versions before it answers.
fn loads(method: &Method, template: &str) -> bool {
    let verb = template.rsplit('/').next().unwrap_or_default();
    match *method {
        Method::POST => {
            template == "/api/v1/endpoints"
                || ["promote", "verify", "load", "rollback", "validate"].contains(&verb)
        }
        Method::PUT => verb == "traffic",
        Method::PATCH => template == "/api/v1/endpoints/{endpoint}",
        _ => false,
    }
}
