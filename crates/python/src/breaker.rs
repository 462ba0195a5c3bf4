//! When a worker that failed is started again: growing pauses, then a rest.

use std::collections::VecDeque;
use std::time::Duration;

use plimsoll_core::time::Monotonic;

/// Failures within [`WINDOW`] after which the worker rests.
const FAILURES: usize = 5;
/// How long a failure counts.
const WINDOW: Duration = Duration::from_mins(1);
/// How long it rests.
const REST: Duration = Duration::from_secs(30);
/// The pause after the second failure in a row; each further one doubles it.
const PAUSE: Duration = Duration::from_millis(500);

/// What is remembered of a worker's failures.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    recent: VecDeque<Monotonic>,
    in_a_row: u32,
    until: Monotonic,
}

impl Breaker {
    /// How long nobody should ask; `None` if somebody may.
    pub(crate) fn pause(&self, now: Monotonic) -> Option<Duration> {
        let left = self.until.since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Counts an answer.
    pub(crate) fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    /// Counts a worker that had to be given up.
    pub(crate) fn failed(&mut self, now: Monotonic) {
        while self
            .recent
            .front()
            .is_some_and(|at| now.since(*at) >= WINDOW)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.in_a_row += 1;
        let pause = if self.recent.len() >= FAILURES {
            // The next failure opens it again; more need not be remembered.
            self.recent.pop_front();
            REST
        } else {
            self.growing_pause()
        };
        self.until = now.plus(pause);
    }

    /// Nothing after the first failure: most are one bad request.
    fn growing_pause(&self) -> Duration {
        match self.in_a_row {
            0 | 1 => Duration::ZERO,
            more => PAUSE * 2_u32.saturating_pow(more.min(10) - 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn pauses_grow_and_the_fifth_failure_in_a_minute_is_a_rest() {
        let mut breaker = Breaker::default();
        let pauses: Vec<_> = (0..6)
            .map(|_| {
                breaker.failed(at(100));
                breaker.pause(at(100)).unwrap_or_default().as_millis()
            })
            .collect();
        assert_eq!(pauses, [0, 500, 1_000, 2_000, 30_000, 30_000]);
        assert_eq!(breaker.pause(at(129)), Some(Duration::from_secs(1)));
        assert_eq!(breaker.pause(at(130)), None);
    }

    #[test]
    fn an_answer_ends_the_pauses_and_a_minute_ends_the_count() {
        let mut breaker = Breaker::default();
        for second in 0..4 {
            breaker.failed(at(second));
            breaker.succeeded();
        }
        assert_eq!(breaker.pause(at(4)), None);
        breaker.failed(at(61));
        assert_eq!(breaker.pause(at(61)), None, "two of the five are old");
    }

    #[test]
    fn it_opens_again_at_once_if_the_first_try_after_a_rest_fails() {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.failed(at(0));
        }
        breaker.failed(at(31));
        assert_eq!(breaker.pause(at(31)), Some(REST));
    }
}
