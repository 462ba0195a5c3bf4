//! Protocols of other servers, over the same application.

pub(crate) mod oip;

use utoipa_axum::router::OpenApiRouter;

use crate::wire::Wire;

/// How errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As problem documents.
    Own,
    /// As the Open Inference Protocol has them.
    OpenInference,
}

impl Dialect {
    /// The dialect of a path, whether a route has it or not.
    pub(crate) fn of(path: &str) -> Self {
        match path.strip_prefix("/v2") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::OpenInference,
            _ => Self::Own,
        }
    }
}

/// The routes of all dialects.
pub(crate) fn routes() -> OpenApiRouter<Wire> {
    oip::routes()
}
