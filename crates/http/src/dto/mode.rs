//! The platform's mode.

use plimsoll_app::mode::ModeChange;
use plimsoll_core::mode::Mode;
use plimsoll_core::time::Timestamp;
use plimsoll_store::ModeRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The mode the platform is or was in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mode)]
pub(crate) struct ModeDto {
    /// `inference`, `training` or `maintenance`.
    #[schema(value_type = String)]
    mode: Mode,
    /// Whether predictions are served.
    serve: bool,
    /// Why, in the words of whoever changed it.
    reason: Option<String>,
    /// Who changed it; nobody, as long as it is the first one.
    changed_by: Option<String>,
    /// When it was changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    changed_at: Option<Timestamp>,
}

impl From<ModeRow> for ModeDto {
    fn from(row: ModeRow) -> Self {
        Self {
            mode: row.mode,
            serve: row.serve,
            reason: row.reason,
            changed_by: row.by_user_id,
            changed_at: (row.seq > 0).then_some(row.at),
        }
    }
}

/// What the mode should be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModeRequest {
    /// `inference`, `training` or `maintenance`.
    #[schema(value_type = String)]
    mode: Mode,
    /// Whether predictions are served; `false` in maintenance only.
    serve: Option<bool>,
    /// Why, at most 500 characters.
    reason: Option<String>,
}

impl From<ModeRequest> for ModeChange {
    fn from(request: ModeRequest) -> Self {
        Self {
            mode: request.mode,
            serve: request.serve,
            reason: request.reason,
        }
    }
}
