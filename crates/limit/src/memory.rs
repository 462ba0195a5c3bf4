//! Limits kept in this process: a quota per fixed UTC window, and a delay that
//! doubles with every failure.

use std::hash::Hash;
use std::time::Duration;

use plimsoll_core::time::Timestamp;

use crate::table::{Expires, Table};

/// What a limiter says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// Requests per window.
    pub limit: u64,
    /// Requests still allowed in this window, after this one.
    pub remaining: u64,
    /// When the window ends and the quota is whole again.
    pub reset_at: Timestamp,
    /// How long to wait; zero if allowed.
    pub retry_after: Duration,
}

/// Counts requests per key in windows that start at multiples of their length
/// since the Unix epoch (an hour's window starts at the full UTC hour).
///
/// A refused request is not counted. When the wall clock steps back, a key
/// keeps its window until that has ended: stepping the clock gives no quota.
#[derive(Debug)]
pub struct FixedWindow<K> {
    windows: Table<K, Window>,
}

#[derive(Debug)]
struct Window {
    used: u64,
    end: Timestamp,
}

impl Expires for Window {
    fn expires_at(&self) -> Timestamp {
        self.end
    }
}

impl<K: Hash + Eq + Clone> FixedWindow<K> {
    /// Remembers about `capacity` keys; beyond that, the windows that end
    /// first are forgotten.
    pub fn new(capacity: usize) -> Self {
        Self {
            windows: Table::new(capacity),
        }
    }

    /// Counts one request of `key` unless `limit` is reached in the current
    /// window. `window` is taken as at least one microsecond. With several
    /// windows for one caller, put which one into the key.
    pub fn check(&self, key: &K, limit: u64, window: Duration, now: Timestamp) -> Decision {
        let end = window_end(now, window);
        let first = || Window { used: 0, end };
        self.windows.update(key, now, first, |entry| {
            if entry.end <= now {
                *entry = first();
            }
            let allowed = entry.used < limit;
            entry.used += u64::from(allowed);
            decide(entry, limit, now, allowed)
        })
    }

    /// What [`FixedWindow::check`] would say, without counting.
    pub fn peek(&self, key: &K, limit: u64, window: Duration, now: Timestamp) -> Decision {
        let fresh = Window {
            used: 0,
            end: window_end(now, window),
        };
        self.windows.read(key, |entry| {
            let entry = entry.filter(|entry| entry.end > now).unwrap_or(&fresh);
            decide(entry, limit, now, entry.used < limit)
        })
    }

    /// Forgets windows that have ended.
    pub fn sweep(&self, now: Timestamp) {
        self.windows.sweep(now);
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn decide(entry: &Window, limit: u64, now: Timestamp, allowed: bool) -> Decision {
    Decision {
        allowed,
        limit,
        // A limit lowered within the window may lie below what was used.
        remaining: limit.saturating_sub(entry.used),
        reset_at: entry.end,
        retry_after: if allowed {
            Duration::ZERO
        } else {
            entry.end.since(now)
        },
    }
}

fn window_end(now: Timestamp, window: Duration) -> Timestamp {
    let length = i64::try_from(window.as_micros()).unwrap_or(i64::MAX).max(1);
    let start = now.as_micros().div_euclid(length).saturating_mul(length);
    Timestamp::from_micros(start.saturating_add(length))
}

/// The first delay.
const FIRST_DELAY: Duration = Duration::from_secs(5);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// After this long without a failure a key starts from the beginning.
const FORGET_AFTER: Duration = Duration::from_hours(24);

/// Delays the next attempt after failures: not at all after the first few,
/// then 5 s, doubling up to 15 min. For sign-in, per account.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: Table<K, Failures>,
    free: u32,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
    blocked_until: Timestamp,
}

impl Expires for Failures {
    fn expires_at(&self) -> Timestamp {
        self.last.plus(FORGET_AFTER)
    }
}

impl<K: Hash + Eq + Clone> Backoff<K> {
    /// Lets `free` failures pass without delay; remembers about `capacity` keys.
    pub fn new(capacity: usize, free: u32) -> Self {
        Self {
            failures: Table::new(capacity),
            free,
        }
    }

    /// How long `key` must still wait; zero if it may try now.
    pub fn wait(&self, key: &K, now: Timestamp) -> Duration {
        self.failures.read(key, |entry| {
            entry.map_or(Duration::ZERO, |entry| entry.blocked_until.since(now))
        })
    }

    /// Notes a failure; answers how long to wait from now on. A failure during
    /// the wait counts too: attempts that ran at once are failures each.
    pub fn failed(&self, key: &K, now: Timestamp) -> Duration {
        let first = || Failures {
            count: 0,
            last: now,
            blocked_until: now,
        };
        self.failures.update(key, now, first, |entry| {
            if entry.expires_at() <= now {
                *entry = first();
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = entry.last.max(now);
            let delay = delay_after(entry.count.saturating_sub(self.free));
            entry.blocked_until = entry.blocked_until.max(now.plus(delay));
            entry.blocked_until.since(now)
        })
    }

    /// Notes a success: the key starts from the beginning.
    pub fn succeeded(&self, key: &K) {
        self.failures.remove(key);
    }

    /// Forgets keys that have not failed for a day.
    pub fn sweep(&self, now: Timestamp) {
        self.failures.sweep(now);
    }
}

/// `counted` failures beyond the free ones: 0 s, 5 s, 10 s, 20 s, …, 15 min.
fn delay_after(counted: u32) -> Duration {
    match counted.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_DELAY
            .saturating_mul(1 << doublings.min(16))
            .min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_window_starts_at_the_full_hour_and_not_at_the_first_request() {
        let limiter = FixedWindow::new(100);
        let now = at(3600 * 7 + 3599);
        let first = limiter.check(&"k", 2, HOUR, now);
        assert_eq!((first.allowed, first.remaining), (true, 1));
        assert_eq!(first.reset_at, at(3600 * 8));
        assert_eq!(first.retry_after, Duration::ZERO);
        assert!(limiter.check(&"k", 2, HOUR, now).allowed);
        let refused = limiter.check(&"k", 2, HOUR, now);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert_eq!(limiter.check(&"k", 2, HOUR, at(3600 * 8)).remaining, 1);
    }

    #[test]
    fn a_refusal_is_not_counted_and_a_raised_limit_helps_at_once() {
        let limiter = FixedWindow::new(100);
        assert!(!limiter.check(&1, 0, HOUR, at(0)).allowed);
        for _ in 0..5 {
            limiter.check(&1, 3, HOUR, at(1));
        }
        assert!(limiter.check(&1, 4, HOUR, at(1)).allowed);
        let lowered = limiter.peek(&1, 2, HOUR, at(1));
        assert_eq!((lowered.allowed, lowered.remaining), (false, 0));
    }

    #[test]
    fn stepping_the_clock_back_gives_no_quota() {
        let limiter = FixedWindow::new(100);
        assert!(limiter.check(&1, 1, HOUR, at(7200)).allowed);
        let refused = limiter.check(&1, 1, HOUR, at(3600));
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, 2 * HOUR);
    }

    #[test]
    fn exactly_the_limit_passes_under_concurrency() {
        let limiter = FixedWindow::new(100);
        let passed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for key in 0..1000_u32 {
                        let decision = limiter.check(&(key % 2), 1234, HOUR, at(5));
                        passed.fetch_add(u64::from(decision.allowed), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 2 * 1234);
    }

    #[test]
    fn invented_keys_cannot_fill_the_memory() {
        let limiter = FixedWindow::new(160);
        for key in 0..100_000_u32 {
            assert!(limiter.check(&key, 1, HOUR, at(0)).allowed);
        }
        assert!(limiter.len() <= 160, "{}", limiter.len());
        limiter.sweep(at(3600));
        assert!(limiter.is_empty());
    }

    #[test]
    fn a_full_table_forgets_ended_windows_before_running_ones() {
        let limiter = FixedWindow::new(16 * 8);
        assert!(limiter.check(&u32::MAX, 1, 24 * HOUR, at(0)).allowed);
        for key in 0..10_000 {
            limiter.check(&key, 1, HOUR, at(0));
        }
        assert!(!limiter.check(&u32::MAX, 1, 24 * HOUR, at(10)).allowed);
    }

    #[test]
    fn delays_double_from_five_seconds_to_a_quarter_of_an_hour() {
        let backoff = Backoff::new(100, 3);
        let mut now = at(0);
        let mut delays = Vec::new();
        for _ in 0..13 {
            let delay = backoff.failed(&"ann", now);
            assert_eq!(backoff.wait(&"ann", now), delay);
            delays.push(delay.as_secs());
            now = now.plus(delay);
            assert_eq!(backoff.wait(&"ann", now), Duration::ZERO);
        }
        assert_eq!(
            delays,
            [0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
        );
        assert_eq!(backoff.wait(&"bob", now), Duration::ZERO);
        backoff.succeeded(&"ann");
        assert_eq!(backoff.failed(&"ann", now), Duration::ZERO);
    }

    #[test]
    fn a_day_without_failures_starts_from_the_beginning() {
        let backoff = Backoff::new(100, 0);
        for _ in 0..40 {
            backoff.failed(&1, at(0));
        }
        assert_eq!(backoff.wait(&1, at(0)), LONGEST_DELAY);
        assert_eq!(backoff.failed(&1, at(24 * 3600)), FIRST_DELAY);
        backoff.sweep(at(3 * 24 * 3600));
        assert_eq!(backoff.failures.len(), 0);
    }

    proptest! {
        /// The model: a map from (key, window number) to a count.
        #[test]
        fn agrees_with_counting_by_hand(
            steps in prop::collection::vec((0_u8..3, 0_i64..4_000_000, 0_u64..4), 1..300),
        ) {
            let window = Duration::from_secs(7);
            let limiter = FixedWindow::new(1000);
            let mut counts: HashMap<(u8, i64), u64> = HashMap::new();
            let mut now = 0;
            for (key, elapsed, limit) in steps {
                now += elapsed;
                let number = now / 7_000_000;
                let count = counts.entry((key, number)).or_default();
                let allowed = *count < limit;
                *count += u64::from(allowed);
                let end = Timestamp::from_micros((number + 1) * 7_000_000);
                let now = Timestamp::from_micros(now);
                let decision = limiter.check(&key, limit, window, now);
                prop_assert_eq!(decision, Decision {
                    allowed,
                    limit,
                    remaining: limit.saturating_sub(*count),
                    reset_at: end,
                    retry_after: if allowed { Duration::ZERO } else { end.since(now) },
                });
                let peeked = limiter.peek(&key, limit, window, now);
                prop_assert_eq!(peeked.remaining, decision.remaining);
            }
        }

        #[test]
        fn no_time_and_no_window_overflows(
            now in any::<i64>(), micros in any::<u64>(), limit in any::<u64>(),
        ) {
            let limiter = FixedWindow::new(10);
            let window = Duration::from_micros(micros);
            let decision = limiter.check(&(), limit, window, Timestamp::from_micros(now));
            prop_assert_eq!(decision.allowed, limit > 0);
            let backoff = Backoff::new(10, 0);
            backoff.failed(&(), Timestamp::from_micros(now));
        }
    }
}
