//! A rate with a burst, in one atomic word: the generic cell rate algorithm
//! (ITU-T I.371, annex A) in its virtual-scheduling form.
//!
//! The word is the theoretical arrival time: when the whole burst is free
//! again. No window has an edge, so nobody gets two bursts around one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plimsoll_core::time::Timestamp;

use crate::{Decision, Limit};

const SECOND_NS: u64 = 1_000_000_000;

/// So many requests at once, and as many again spread over each window.
///
/// Of any stretch of time `t`, at most `requests + requests / window × t` pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, and per what.
    limit: Limit,
    /// What one request takes, rounded up so that the rate is never exceeded.
    interval_ns: u64,
}

impl Rate {
    /// At least one request, and what [`Limit::new`] takes.
    pub fn new(requests: u64, window: Duration) -> Self {
        let limit = Limit::new(requests.max(1), window);
        let window_ns = u64::from(limit.window_seconds) * SECOND_NS;
        Self {
            interval_ns: window_ns.div_ceil(u64::from(limit.requests)),
            limit,
        }
    }

    /// How many, and per what.
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// What the whole burst takes, in nanoseconds.
    const fn burst_ns(&self) -> u64 {
        self.interval_ns * self.limit.requests as u64
    }
}

/// What one caller has taken of a [`Rate`].
///
/// A wall clock that steps back costs a caller one burst and a second at most.
#[derive(Debug, Default)]
pub struct Gcra {
    /// Nanoseconds since the Unix epoch at which the whole burst is free.
    whole_at_ns: AtomicU64,
}

impl Gcra {
    /// Takes one request, or refuses.
    pub fn take(&self, rate: &Rate, now: Timestamp) -> Decision {
        let now_ns = nanos(now);
        let mut word = self.whole_at_ns.load(Ordering::Relaxed);
        loop {
            let taken = rate.taken_ns(word, now_ns);
            if taken + rate.interval_ns > rate.burst_ns() {
                self.follow_clock(word, now_ns + taken);
                return rate.decide(taken, now, false);
            }
            let after = taken + rate.interval_ns;
            let swap = self.whole_at_ns.compare_exchange_weak(
                word,
                now_ns + after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return rate.decide(after, now, true),
                Err(current) => word = current,
            }
        }
    }

    /// What [`Gcra::take`] would say, without taking.
    pub fn peek(&self, rate: &Rate, now: Timestamp) -> Decision {
        let word = self.whole_at_ns.load(Ordering::Relaxed);
        let taken = rate.taken_ns(word, nanos(now));
        rate.decide(taken, now, taken + rate.interval_ns <= rate.burst_ns())
    }

    /// Notes requests that another process let pass. They are never refused,
    /// and at most one burst of them is remembered.
    pub fn spent_elsewhere(&self, requests: u64, rate: &Rate, now: Timestamp) {
        let (now_ns, spent) = (nanos(now), requests.saturating_mul(rate.interval_ns));
        let add = |word| {
            let taken = rate.taken_ns(word, now_ns).saturating_add(spent);
            Some(now_ns + taken.min(rate.burst_ns()))
        };
        // Always some: there is nothing that could go wrong.
        let _ = self
            .whole_at_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// A word further ahead than any burst is from before the wall clock stepped
    /// back. Threads whose times differ a little leave it alone.
    fn follow_clock(&self, word: u64, most: u64) {
        if word > most.saturating_add(SECOND_NS) {
            // If another request was quicker, it did the same.
            let _ =
                self.whole_at_ns
                    .compare_exchange(word, most, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Gives the whole burst back.
    pub fn reset(&self) {
        self.whole_at_ns.store(0, Ordering::Relaxed);
    }

    /// From when on the whole burst is free.
    pub(crate) fn whole_at(&self) -> Timestamp {
        let micros = self.whole_at_ns.load(Ordering::Relaxed).div_ceil(1000);
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

impl Rate {
    /// What is taken of the burst at `now_ns`, at most all of it.
    fn taken_ns(&self, word: u64, now_ns: u64) -> u64 {
        word.saturating_sub(now_ns).min(self.burst_ns())
    }

    fn decide(&self, taken_ns: u64, now: Timestamp, allowed: bool) -> Decision {
        let left = self.burst_ns() - taken_ns;
        let missing = self.interval_ns.saturating_sub(left);
        Decision {
            allowed,
            limit: u64::from(self.limit.requests),
            remaining: left / self.interval_ns,
            reset_at: now.plus(Duration::from_nanos(taken_ns)),
            retry_after: if allowed {
                Duration::ZERO
            } else {
                Duration::from_nanos(missing)
            },
        }
    }
}

/// Nanoseconds since the Unix epoch; the year 2262 is far enough.
fn nanos(now: Timestamp) -> u64 {
    u64::try_from(now.as_micros())
        .unwrap_or(0)
        .saturating_mul(1000)
        .min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + millis * 1000)
    }

    fn taken(gcra: &Gcra, rate: &Rate, now: Timestamp) -> bool {
        gcra.take(rate, now).allowed
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_request_per_interval() {
        let (gcra, rate) = (Gcra::default(), Rate::new(3, Duration::from_mins(1)));
        for left in [2, 1, 0] {
            let decision = gcra.take(&rate, at(0));
            assert_eq!((decision.allowed, decision.remaining), (true, left));
            assert_eq!(decision.reset_at, at((3 - left.cast_signed()) * 20_000));
        }
        let refused = gcra.take(&rate, at(0));
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Duration::from_secs(20));
        assert!(!taken(&gcra, &rate, at(19_999)));
        assert!(taken(&gcra, &rate, at(20_000)));
        assert!(!taken(&gcra, &rate, at(20_000)));
    }

    #[test]
    fn looking_takes_nothing_and_agrees_with_taking() {
        let (gcra, rate) = (Gcra::default(), Rate::new(2, Duration::from_secs(1)));
        assert_eq!(gcra.peek(&rate, at(0)).remaining, 2);
        gcra.take(&rate, at(0));
        gcra.take(&rate, at(0));
        assert_eq!(gcra.peek(&rate, at(0)), gcra.take(&rate, at(0)));
        assert_eq!(gcra.peek(&rate, at(1000)).remaining, 2);
    }

    #[test]
    fn what_passed_elsewhere_is_missing_here() {
        let (gcra, rate) = (Gcra::default(), Rate::new(10, Duration::from_secs(10)));
        gcra.spent_elsewhere(7, &rate, at(0));
        assert_eq!(gcra.peek(&rate, at(0)).remaining, 3);
        gcra.spent_elsewhere(u64::MAX, &rate, at(0));
        assert_eq!(gcra.take(&rate, at(0)).retry_after, Duration::from_secs(1));
        gcra.reset();
        assert_eq!(gcra.peek(&rate, at(0)).remaining, 10);
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let (gcra, rate) = (Gcra::default(), Rate::new(2, Duration::from_secs(10)));
        assert!(taken(&gcra, &rate, at(3_600_000)));
        assert!(!taken(&gcra, &rate, at(0)));
        assert!(taken(&gcra, &rate, at(5_000)));
    }

    #[test]
    fn sixty_four_threads_get_exactly_the_burst() {
        let (gcra, rate) = (Gcra::default(), Rate::new(12_345, Duration::from_mins(1)));
        let allowed: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..64)
                .map(|_| scope.spawn(|| (0..500).filter(|_| taken(&gcra, &rate, at(0))).count()))
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(allowed, 12_345);
    }

    proptest! {
        /// The model: every stretch that begins and ends with a request that
        /// passed holds at most the burst and what the rate gives meanwhile, and
        /// nothing is refused that would have kept to that.
        #[test]
        fn never_more_than_rate_times_time_and_the_burst(
            requests in 1_u64..20,
            seconds in 1_u64..8,
            steps in prop::collection::vec(0_i64..2_000, 1..200),
        ) {
            let (gcra, rate) = (Gcra::default(), Rate::new(requests, Duration::from_secs(seconds)));
            let most = |millis: i64| {
                let nanos = u64::try_from(millis).unwrap() * 1_000_000;
                requests + nanos / rate.interval_ns
            };
            let (mut passed, mut now): (Vec<i64>, i64) = (Vec::new(), 0);
            for step in steps {
                now += step;
                let fits = (0..passed.len())
                    .all(|first| (passed.len() - first + 1) as u64 <= most(now - passed[first]));
                let decision = gcra.take(&rate, at(now));
                prop_assert_eq!(decision.allowed, fits);
                if decision.allowed {
                    passed.push(now);
                }
            }
        }

        #[test]
        fn whoever_waits_as_told_passes_and_not_sooner(
            requests in 1_u64..1_000_000, seconds in 1_u64..3600, taken in 0_u64..1000,
        ) {
            let (gcra, rate) = (Gcra::default(), Rate::new(requests, Duration::from_secs(seconds)));
            gcra.spent_elsewhere(requests + taken, &rate, at(0));
            let refused = gcra.take(&rate, at(0));
            prop_assert!(!refused.allowed);
            let wait = i64::try_from(refused.retry_after.as_nanos().div_ceil(1000)).unwrap();
            let then = |micros: i64| Timestamp::from_micros(at(0).as_micros() + micros);
            prop_assert!(wait == 0 || !gcra.peek(&rate, then(wait - 1)).allowed);
            prop_assert!(gcra.peek(&rate, then(wait)).allowed);
        }

        #[test]
        fn no_rate_and_no_time_overflows(
            requests in any::<u64>(), window in any::<u64>(), now in any::<i64>(), more in any::<u64>(),
        ) {
            let (gcra, rate) = (Gcra::default(), Rate::new(requests, Duration::from_secs(window)));
            let now = Timestamp::from_micros(now);
            prop_assert!(gcra.take(&rate, now).allowed);
            gcra.spent_elsewhere(more, &rate, now);
            gcra.peek(&rate, now);
        }
    }
}
