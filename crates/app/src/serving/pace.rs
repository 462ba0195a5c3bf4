//! How long a model will take, learned from how long it took.
//!
//! Measured once when it is loaded, on an example row, and corrected by every
//! request after that: real rows cost more than an example, and a row among
//! many less than a row on its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// From this many rows on, what every request costs no longer shows.
pub(super) const MANY_ROWS: usize = 16;
/// A measurement moves the estimate by this part of the difference.
const WEIGHT: u64 = 8;

/// Nanoseconds per row, in small requests and in large ones; never 0.
#[derive(Debug)]
pub(super) struct Pace {
    few: AtomicU64,
    many: AtomicU64,
}

impl Pace {
    /// What was measured for rows on their own, and for rows among many.
    pub(super) const fn new(few: u64, many: u64) -> Self {
        Self {
            few: AtomicU64::new(few),
            many: AtomicU64::new(many),
        }
    }

    /// The time that `rows` rows will take.
    pub(super) fn expected(&self, rows: usize) -> Duration {
        let nanos = self.cell(rows).load(Ordering::Relaxed);
        Duration::from_nanos(nanos.saturating_mul(rows as u64))
    }

    /// Counts in what `rows` rows have taken. One measurement, in which the
    /// thread may have waited for the processor, never counts more than double.
    pub(super) fn learn(&self, rows: usize, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let cell = self.cell(rows);
        let before = cell.load(Ordering::Relaxed);
        let measured = (nanos / (rows as u64).max(1)).min(before.saturating_mul(2));
        // Of two threads that learn at once, one is not heard: an estimate is enough.
        let learned = before - before / WEIGHT + measured.div_ceil(WEIGHT);
        cell.store(learned.max(1), Ordering::Relaxed);
    }

    const fn cell(&self, rows: usize) -> &AtomicU64 {
        if rows < MANY_ROWS {
            &self.few
        } else {
            &self.many
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_what_really_happens() {
        let pace = Pace::new(1_000, 100);
        assert_eq!(pace.expected(2), Duration::from_micros(2));
        assert_eq!(pace.expected(64), Duration::from_nanos(6_400));
        for _ in 0..100 {
            pace.learn(64, Duration::from_micros(128));
        }
        let expected = pace.expected(64);
        assert!(
            expected.abs_diff(Duration::from_micros(128)) < Duration::from_micros(2),
            "{expected:?}"
        );
        assert_eq!(pace.expected(1), Duration::from_micros(1));
    }

    #[test]
    fn one_interruption_changes_little_and_nothing_makes_it_zero() {
        let pace = Pace::new(1_000, 1_000);
        pace.learn(1, Duration::from_secs(1));
        assert!(pace.expected(1) <= Duration::from_nanos(1_126));
        for _ in 0..1_000 {
            pace.learn(1, Duration::ZERO);
        }
        assert!(pace.expected(1) > Duration::ZERO);
    }
}
