//! What every limiter must do, alone or shared between processes, as one
//! function that checks it.
//!
//! A process is an [`Allowance`]; what carries counts between them (nothing,
//! memory, a network) is a function. The allowances given must be fresh.

use std::cell::Cell;
use std::time::Duration;

use plimsoll_core::time::Timestamp;

use crate::{Allowance, HOUR, Rate, Rules};

/// One process, as the check sees it.
#[derive(Debug)]
pub struct Replica<'a> {
    allowance: &'a Allowance,
    /// Requests it let pass since it last told the others.
    untold: Cell<u64>,
    rules: Cell<Rules>,
    now: Cell<Timestamp>,
}

impl<'a> Replica<'a> {
    /// A process that decides with `allowance`.
    pub fn of(allowance: &'a Allowance) -> Self {
        Self {
            allowance,
            untold: Cell::new(0),
            rules: Cell::default(),
            now: Cell::new(Timestamp::from_micros(0)),
        }
    }

    /// Tells every process what the others let pass.
    pub fn exchange(replicas: &[Self]) {
        for (from, teller) in replicas.iter().enumerate() {
            let passed = teller.untold.take();
            let listeners = replicas.iter().enumerate().filter(|(to, _)| *to != from);
            for (_, replica) in listeners.filter(|_| passed > 0) {
                let rules = replica.rules.get();
                let now = replica.now.get();
                replica.allowance.spent_elsewhere(passed, &rules, now);
            }
        }
    }

    fn take(&self, rules: &Rules, now: Timestamp) -> bool {
        self.rules.set(*rules);
        self.now.set(now);
        let seen = self.allowance.peek(rules, now).is_allowed();
        let allowed = self.allowance.take(rules, now).is_allowed();
        assert_eq!(seen, allowed, "looking says what taking does");
        self.untold.set(self.untold.get() + u64::from(allowed));
        allowed
    }
}

/// Checks everything; panics with what does not hold. `exchange` carries what
/// passed from each process to the others.
pub fn conforms(replicas: &[Replica<'_>], exchange: &dyn Fn()) {
    a_quota_is_exact_while_all_hear_of_each_other(replicas, exchange);
    a_new_hour_gives_a_new_quota(replicas, exchange);
    a_rate_gives_its_burst_and_then_its_share(replicas, exchange);
    silence_costs_at_most_one_limit_for_each_process(replicas);
}

/// The start of the hour with this number.
fn hour(number: u32) -> Timestamp {
    Timestamp::from_micros(0).plus(HOUR * number)
}

/// How many of `requests` pass, one process after the other.
fn passed(
    replicas: &[Replica<'_>],
    exchange: &dyn Fn(),
    (rules, requests): (&Rules, usize),
    now: Timestamp,
) -> usize {
    for replica in replicas {
        replica.now.set(now);
        replica.rules.set(*rules);
    }
    let turns = replicas.iter().cycle().take(requests);
    turns
        .filter(|replica| {
            let allowed = replica.take(rules, now);
            exchange();
            allowed
        })
        .count()
}

fn hourly(limit: u64) -> Rules {
    Rules {
        hourly: Some(limit),
        burst: None,
    }
}

fn a_quota_is_exact_while_all_hear_of_each_other(replicas: &[Replica<'_>], exchange: &dyn Fn()) {
    let now = hour(1).plus(Duration::from_mins(59));
    assert_eq!(passed(replicas, exchange, (&hourly(50), 200), now), 50);
    let raised = passed(replicas, exchange, (&hourly(60), 200), now);
    assert_eq!(raised, 10, "a raised limit helps at once");
    assert_eq!(passed(replicas, exchange, (&hourly(20), 10), now), 0);
}

fn a_new_hour_gives_a_new_quota(replicas: &[Replica<'_>], exchange: &dyn Fn()) {
    assert_eq!(passed(replicas, exchange, (&hourly(7), 20), hour(2)), 7);
    let spent = replicas.iter().map(|r| r.allowance.spent(hour(2)));
    assert_eq!(spent.max(), Some(7), "everything that passed is counted");
}

fn a_rate_gives_its_burst_and_then_its_share(replicas: &[Replica<'_>], exchange: &dyn Fn()) {
    let rules = Rules {
        hourly: None,
        burst: Some(Rate::new(20, Duration::from_secs(10))),
    };
    assert_eq!(passed(replicas, exchange, (&rules, 60), hour(3)), 20);
    let later = hour(3).plus(Duration::from_secs(4));
    assert_eq!(passed(replicas, exchange, (&rules, 60), later), 8);
}

/// While nothing is carried, each process holds to the limit by itself.
fn silence_costs_at_most_one_limit_for_each_process(replicas: &[Replica<'_>]) {
    let requests = 30 * replicas.len();
    let alone = passed(replicas, &|| {}, (&hourly(10), requests), hour(4));
    assert_eq!(alone, 10 * replicas.len());
}
