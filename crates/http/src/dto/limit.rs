//! Limits on the wire.

use plimsoll_app::limits::{Standing, Standings};
use plimsoll_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// How the caller stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub(crate) struct LimitsView {
    /// Every limit that applies; none for a caller without limits.
    limits: Vec<LimitView>,
}

/// One limit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limit)]
pub(crate) struct LimitView {
    /// Which: `hour`, `burst` or `default`.
    #[schema(value_type = String)]
    policy: &'static str,
    /// Requests per window.
    limit: u32,
    /// The window, in seconds.
    window_seconds: u32,
    /// Requests that may follow at once.
    remaining: u32,
    /// When nothing of it is taken any more.
    #[schema(value_type = String, format = DateTime)]
    reset: Timestamp,
    /// Seconds until then.
    reset_seconds: u32,
}

impl From<&Standings> for LimitsView {
    fn from(standings: &Standings) -> Self {
        Self {
            limits: standings.iter().map(LimitView::from).collect(),
        }
    }
}

impl From<&Standing> for LimitView {
    fn from(standing: &Standing) -> Self {
        Self {
            policy: standing.policy.name(),
            limit: standing.limit,
            window_seconds: standing.window_seconds,
            remaining: standing.remaining,
            reset: standing.resets_at,
            reset_seconds: standing.resets_in,
        }
    }
}
