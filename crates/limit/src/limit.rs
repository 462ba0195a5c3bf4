//! What every limit says of itself: how many requests, per what.

use std::time::Duration;

use crate::MAX_LIMIT;

/// So many requests per so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub requests: u32,
    /// Per what; at least one.
    pub window_seconds: u32,
}

impl Limit {
    /// What is larger than a field holds counts as [`MAX_LIMIT`]; a window lasts a
    /// second at least.
    pub fn new(requests: u64, window: Duration) -> Self {
        let small = |number: u64| u32::try_from(number.min(MAX_LIMIT)).unwrap_or(u32::MAX);
        Self {
            requests: small(requests),
            window_seconds: small(window.as_secs().max(1)),
        }
    }

    /// Per what.
    pub const fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds as u64)
    }
}
