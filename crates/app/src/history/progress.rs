//! How far the ingester has got, for metrics and health.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use plimsoll_core::time::Timestamp;

/// No moment.
const NEVER: i64 = i64::MIN;

/// How far the ingester has got.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Every request answered before this is in the log; in microseconds.
    complete_until: AtomicI64,
    /// Since when the database refuses what is to be written.
    refused_since: AtomicI64,
}

impl Progress {
    /// At the start of the process.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            complete_until: AtomicI64::new(now.as_micros()),
            refused_since: AtomicI64::new(NEVER),
        }
    }

    /// Every request answered before `until` is in the log.
    pub(super) fn complete(&self, until: Timestamp) {
        self.complete_until
            .fetch_max(until.as_micros(), Ordering::Relaxed);
        self.refused_since.store(NEVER, Ordering::Relaxed);
    }

    /// A batch could not be written.
    pub(super) fn refused(&self, now: Timestamp) {
        let (from, to) = (NEVER, now.as_micros());
        // Already refused is the same outage.
        let _ = self
            .refused_since
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the last batch could not be written.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused_since.load(Ordering::Relaxed) != NEVER
    }

    /// Age of the oldest request that may not be in the log yet.
    pub(crate) fn lag(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_micros(
            self.complete_until.load(Ordering::Relaxed),
        ))
    }
}
