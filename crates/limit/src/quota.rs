//! One caller's quota per fixed UTC window, in one atomic word.
//!
//! On the path of every request, so it takes no lock and no map look-up: the
//! owner of a limit holds its counter. Exact under concurrency.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plimsoll_core::time::Timestamp;

use crate::Decision;

/// Requests of the current window: its number in the upper half, the count in
/// the lower.
#[derive(Debug, Default)]
pub struct Quota {
    state: AtomicU64,
}

/// Largest limit one word can count to.
pub const MAX_LIMIT: u64 = u32::MAX as u64;

impl Quota {
    /// Takes one of `limit` requests per `window`, or refuses. Windows start at
    /// multiples of `window` (at least one second) since the Unix epoch, so an
    /// hour is an hour on the clock. A limit above [`MAX_LIMIT`] counts as that.
    pub fn take(&self, limit: u64, window: Duration, now: Timestamp) -> Decision {
        let limit = limit.min(MAX_LIMIT);
        let (number, reset_at) = window_of(window, now);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let used = used(state, number);
            if used >= limit {
                return decision(false, limit, used, reset_at, now);
            }
            let taken = (number << 32) | (used + 1);
            let swap = self.state.compare_exchange_weak(
                state,
                taken,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return decision(true, limit, used + 1, reset_at, now),
                Err(current) => state = current,
            }
        }
    }

    /// How much of the window of `now` is used.
    pub fn spent(&self, window: Duration, now: Timestamp) -> u64 {
        used(self.state.load(Ordering::Relaxed), window_of(window, now).0)
    }

    /// Notes requests that another process let pass; they are never refused.
    pub fn spent_elsewhere(&self, requests: u64, window: Duration, now: Timestamp) {
        let (number, _) = window_of(window, now);
        let add = |state| {
            let spent = used(state, number).saturating_add(requests);
            Some((number << 32) | spent.min(MAX_LIMIT))
        };
        // Always some: there is nothing that could go wrong.
        let _ = self
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// What [`Quota::take`] would say, without taking.
    pub fn peek(&self, limit: u64, window: Duration, now: Timestamp) -> Decision {
        let limit = limit.min(MAX_LIMIT);
        let (number, reset_at) = window_of(window, now);
        let used = used(self.state.load(Ordering::Relaxed), number);
        decision(used < limit, limit, used, reset_at, now)
    }
}

/// What a state has used of the window with this number.
const fn used(state: u64, number: u64) -> u64 {
    if state >> 32 == number {
        state & MAX_LIMIT
    } else {
        0
    }
}

/// Number of the window that contains `now`, cut to 32 bits (two windows with
/// the same number are 136 years of seconds apart), and when it ends.
fn window_of(window: Duration, now: Timestamp) -> (u64, Timestamp) {
    let seconds = i64::try_from(window.as_secs().max(1)).unwrap_or(i64::MAX);
    let number = now.as_seconds().div_euclid(seconds);
    let ends = number.saturating_add(1).saturating_mul(seconds);
    let reset_at = Timestamp::from_micros(ends.saturating_mul(1_000_000));
    (number.unsigned_abs() & MAX_LIMIT, reset_at)
}

fn decision(allowed: bool, limit: u64, used: u64, reset_at: Timestamp, now: Timestamp) -> Decision {
    Decision {
        allowed,
        limit,
        remaining: limit.saturating_sub(used),
        reset_at,
        retry_after: if allowed {
            Duration::ZERO
        } else {
            reset_at.since(now)
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_window_gives_its_limit_and_then_refuses_until_it_ends() {
        let quota = Quota::default();
        for left in [1, 0] {
            let taken = quota.take(2, HOUR, at(7_199));
            assert!(taken.allowed);
            assert_eq!((taken.remaining, taken.reset_at), (left, at(7_200)));
        }
        let refused = quota.take(2, HOUR, at(7_199));
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert!(quota.take(2, HOUR, at(7_200)).allowed);
    }

    #[test]
    fn looking_takes_nothing() {
        let quota = Quota::default();
        assert_eq!(quota.peek(5, HOUR, at(0)).remaining, 5);
        assert!(quota.take(5, HOUR, at(0)).allowed);
        assert_eq!(quota.peek(5, HOUR, at(0)).remaining, 4);
        assert_eq!(quota.peek(5, HOUR, at(3_600)).remaining, 5);
    }

    #[test]
    fn what_passed_elsewhere_counts_in_its_window() {
        let quota = Quota::default();
        quota.spent_elsewhere(3, HOUR, at(10));
        assert_eq!(quota.peek(5, HOUR, at(10)).remaining, 2);
        quota.spent_elsewhere(u64::MAX, HOUR, at(10));
        assert!(!quota.take(MAX_LIMIT, HOUR, at(10)).allowed);
        assert_eq!(quota.spent(HOUR, at(3_600)), 0);
    }

    #[test]
    fn sixty_four_threads_get_exactly_the_limit() {
        let quota = Arc::new(Quota::default());
        let threads: Vec<_> = (0..64)
            .map(|_| {
                let quota = quota.clone();
                std::thread::spawn(move || {
                    (0..1_000)
                        .filter(|_| quota.take(12_345, HOUR, at(0)).allowed)
                        .count()
                })
            })
            .collect();
        let allowed: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(allowed, 12_345);
    }
}
