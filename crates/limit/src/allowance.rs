//! What one caller may do: a quota per hour, a rate with a burst, or both.
//!
//! The decision is made from memory, at once, whoever else takes part: a
//! limiter that is shared between processes tells each of them afterwards what
//! the others let pass ([`Allowance::spent_elsewhere`]), and reads what this
//! one did ([`Allowance::spent`]). So a request never waits for a network, and
//! while the network is away each process still holds its own count.

use std::time::Duration;

use plimsoll_core::time::Timestamp;

use crate::{Decision, Gcra, Quota, Rate};

/// What a quota counts in.
pub const HOUR: Duration = Duration::from_hours(1);

/// The limits of one caller; without any, everything passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Requests per UTC hour.
    pub hourly: Option<u64>,
    /// Requests at once, and how fast they come back.
    pub burst: Option<Rate>,
}

impl Rules {
    /// Whether there is no limit at all.
    pub const fn is_empty(&self) -> bool {
        self.hourly.is_none() && self.burst.is_none()
    }
}

/// What the limits of a caller said about one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The quota of this hour.
    pub hourly: Option<Decision>,
    /// The rate.
    pub burst: Option<Decision>,
}

impl Verdict {
    /// Whether every limit let it pass.
    pub fn is_allowed(&self) -> bool {
        let allowed = |decision: &Option<Decision>| decision.is_none_or(|d| d.allowed);
        allowed(&self.hourly) && allowed(&self.burst)
    }
}

/// What one caller has taken. Exact under concurrency: of the requests of one
/// hour exactly the quota passes, and no stretch of time holds more than the
/// rate gives.
#[derive(Debug, Default)]
pub struct Allowance {
    quota: Quota,
    burst: Gcra,
}

impl Allowance {
    /// Takes one request, or refuses. A refused one is not counted, save that a
    /// burst may lose one for each thread that meets the end of an hour's quota.
    pub fn take(&self, rules: &Rules, now: Timestamp) -> Verdict {
        let Some(rate) = &rules.burst else {
            let take = |limit| self.quota.take(limit, HOUR, now);
            return Verdict {
                hourly: rules.hourly.map(take),
                burst: None,
            };
        };
        let seen = self.peek(rules, now);
        if !seen.is_allowed() {
            return seen;
        }
        let burst = self.burst.take(rate, now);
        let hourly = match rules.hourly {
            Some(limit) if burst.allowed => Some(self.quota.take(limit, HOUR, now)),
            _ => seen.hourly,
        };
        Verdict {
            hourly,
            burst: Some(burst),
        }
    }

    /// What [`Allowance::take`] would say, without taking.
    pub fn peek(&self, rules: &Rules, now: Timestamp) -> Verdict {
        Verdict {
            hourly: rules.hourly.map(|limit| self.quota.peek(limit, HOUR, now)),
            burst: rules.burst.as_ref().map(|rate| self.burst.peek(rate, now)),
        }
    }

    /// Requests that count for the hour of `now`, whoever let them pass.
    pub fn spent(&self, now: Timestamp) -> u64 {
        self.quota.spent(HOUR, now)
    }

    /// Notes requests that another process let pass; they are never refused.
    pub fn spent_elsewhere(&self, requests: u64, rules: &Rules, now: Timestamp) {
        self.quota.spent_elsewhere(requests, HOUR, now);
        if let Some(rate) = &rules.burst {
            self.burst.spent_elsewhere(requests, rate, now);
        }
    }

    /// Makes the burst whole again, for rules that have just been changed.
    pub fn begin_burst(&self) {
        self.burst.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Replica, conforms};

    #[test]
    fn one_process_conforms() {
        let alone = Allowance::default();
        conforms(&[Replica::of(&alone)], &|| {});
    }

    #[test]
    fn processes_that_tell_each_other_conform() {
        let (left, right) = (Allowance::default(), Allowance::default());
        let replicas = [Replica::of(&left), Replica::of(&right)];
        conforms(&replicas, &|| Replica::exchange(&replicas));
    }

    fn rules() -> Rules {
        Rules {
            hourly: Some(5),
            burst: Some(Rate::new(2, Duration::from_secs(10))),
        }
    }

    #[test]
    fn both_limits_hold_and_a_refusal_takes_from_neither() {
        let allowance = Allowance::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let mut passed = 0;
        for second in 0..40 {
            passed += u64::from(allowance.take(&rules(), at(second)).is_allowed());
        }
        assert_eq!(passed, 5, "2 at once, one after 5, 10 and 15 seconds");
        assert_eq!(allowance.spent(at(40)), 5);
        let refused = allowance.take(&rules(), at(40));
        assert!(!refused.hourly.unwrap().allowed && refused.burst.unwrap().allowed);
        assert_eq!(refused.burst.unwrap().remaining, 2);
        assert!(allowance.take(&rules(), at(3600)).is_allowed());
    }

    #[test]
    fn without_limits_everything_passes_and_nothing_is_counted() {
        let allowance = Allowance::default();
        let verdict = allowance.take(&Rules::default(), Timestamp::from_micros(0));
        assert!(verdict.is_allowed() && Rules::default().is_empty());
        assert_eq!(verdict, Verdict::default());
    }
}
