//! Who may ask how often: which limits a caller has, and how they stand.
//!
//! A key has limits of its own, or none. People and addresses share one rate,
//! each for themselves. Everything is decided from memory.

use std::net::IpAddr;
use std::time::Duration;

use plimsoll_core::id::UserId;
use plimsoll_core::time::Timestamp;
use plimsoll_limit::{Decision, HOUR, Limit, Rate, Rates, Verdict};

use crate::Error;
use crate::auth::ClientAddress;
use crate::meters::Meters;
use crate::settings::LimitSettings;

/// Callers remembered at once; beyond that, those who come free first are forgotten.
pub(crate) const REMEMBERED: usize = 100_000;
/// Wrong keys and tokens that one address may send in a minute.
const FAILURES: u64 = 60;

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Of a key, per UTC hour.
    Hour,
    /// Of a key, within its own window.
    Burst,
    /// Of people who signed in, and of addresses without a credential.
    Default,
    /// Of one endpoint, all its callers together.
    Endpoint,
    /// Of wrong credentials from one address.
    Failures,
    /// Of uploads by one person.
    Uploads,
    /// Of batches of one person.
    Batches,
    /// Of sign-ins from one address.
    Login,
    /// Of registrations from one address.
    Register,
    /// Of exchanged refresh tokens from one address.
    Refresh,
}

impl Policy {
    /// Its name in headers, problems and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Burst => "burst",
            Self::Default => "default",
            Self::Endpoint => "endpoint",
            Self::Failures => "failures",
            Self::Uploads => "uploads",
            Self::Batches => "batches",
            Self::Login => "login",
            Self::Register => "register",
            Self::Refresh => "refresh",
        }
    }
}

/// How a caller stands with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which limit.
    pub policy: Policy,
    /// Requests per window.
    pub limit: u32,
    /// That window.
    pub window_seconds: u32,
    /// Requests that may follow at once.
    pub remaining: u32,
    /// When nothing of it is taken any more.
    pub resets_at: Timestamp,
    /// Seconds until then, rounded up.
    pub resets_in: u32,
    /// Whether it is why the request was refused.
    pub is_violated: bool,
}

impl Standing {
    /// What a limiter decided at `now`.
    pub(crate) fn new(policy: Policy, window: Duration, decided: Decision, now: Timestamp) -> Self {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let limit = Limit::new(decided.limit, window);
        Self {
            policy,
            limit: limit.requests,
            window_seconds: limit.window_seconds,
            remaining: small(decided.remaining),
            resets_at: decided.reset_at,
            resets_in: small(whole_seconds(decided.reset_at.since(now))),
            is_violated: !decided.allowed,
        }
    }
}

/// How a caller stands with all limits that apply; none for whoever has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings([Option<Standing>; 2]);

impl Standings {
    /// With these limits, the one that is told first.
    pub const fn new(first: Option<Standing>, second: Option<Standing>) -> Self {
        Self([first, second])
    }

    /// Every limit, the one that is told first.
    pub fn iter(&self) -> impl Iterator<Item = &Standing> {
        self.0.iter().flatten()
    }

    /// The limit that a caller has to know: the violated one, else the longest.
    pub fn leading(&self) -> Option<&Standing> {
        let violated = self.iter().find(|standing| standing.is_violated);
        violated.or_else(|| self.iter().next())
    }

    /// How a key stands after `verdict`.
    fn of_key(verdict: &Verdict, burst: Option<Rate>, now: Timestamp) -> Self {
        let window = burst.map_or(HOUR, |rate| rate.limit().window());
        let hourly = |decided| Standing::new(Policy::Hour, HOUR, decided, now);
        let burst = |decided| Standing::new(Policy::Burst, window, decided, now);
        Self::new(verdict.hourly.map(hourly), verdict.burst.map(burst))
    }
}

impl From<Standing> for Standings {
    fn from(standing: Standing) -> Self {
        Self::new(Some(standing), None)
    }
}

/// Whether a request counts for its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// It is one.
    One,
    /// It only looks.
    Nothing,
}

/// A caller without limits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Somebody who signed in.
    Person(UserId),
    /// Somebody without a credential.
    Address(IpAddr),
}

/// The limits of this process.
#[derive(Debug)]
pub(crate) struct Limits {
    is_enabled: bool,
    usual: Rate,
    uploads: Option<Rate>,
    batches: Option<Rate>,
    clients: Rates<Client>,
    works: Rates<(Policy, UserId)>,
    failures: Rates<IpAddr>,
    meters: Meters,
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings, meters: Meters) -> Self {
        let per_hour = |most: u64| (most > 0).then(|| Rate::new(most, HOUR));
        Self {
            is_enabled: settings.enabled,
            usual: Rate::new(settings.requests, settings.window),
            uploads: per_hour(settings.uploads_per_hour),
            batches: per_hour(settings.batches_per_hour),
            clients: Rates::new(REMEMBERED),
            works: Rates::new(REMEMBERED),
            failures: Rates::new(REMEMBERED),
            meters,
        }
    }

    /// Takes one request of a key with these limits, or refuses.
    pub(crate) fn key(
        &self,
        key: &crate::live::KeyEntry,
        spend: Spend,
        now: Timestamp,
    ) -> Result<Standings, Error> {
        if !self.is_enabled || key.rules.is_empty() {
            return Ok(Standings::default());
        }
        let allowance = &key.usage.allowance;
        let verdict = match spend {
            Spend::One => allowance.take(&key.rules, now),
            Spend::Nothing => allowance.peek(&key.rules, now),
        };
        let standings = Standings::of_key(&verdict, key.rules.burst, now);
        if verdict.is_allowed() || spend == Spend::Nothing {
            return Ok(standings);
        }
        // Both may refuse: whoever comes back has to wait for the later one.
        let refusals = [verdict.hourly, verdict.burst].into_iter().flatten();
        let wait = refusals.map(|decided| decided.retry_after).max();
        Err(refused(&self.meters, standings, wait.unwrap_or_default()))
    }

    /// Takes one request of somebody without limits of their own, or refuses.
    pub(crate) fn client(
        &self,
        client: Client,
        spend: Spend,
        now: Timestamp,
    ) -> Result<Standings, Error> {
        if !self.is_enabled {
            return Ok(Standings::default());
        }
        let decided = match spend {
            Spend::One => self.clients.take(&client, &self.usual, now),
            Spend::Nothing => self.clients.peek(&client, &self.usual, now),
        };
        let standings = of_rate(Policy::Default, &self.usual, decided, now);
        if decided.allowed || spend == Spend::Nothing {
            return Ok(standings);
        }
        Err(refused(&self.meters, standings, decided.retry_after))
    }

    /// Counts a wrong credential from `address`; refuses once there are too many.
    pub(crate) fn failure(&self, address: ClientAddress, now: Timestamp) -> Result<(), Error> {
        let rate = Rate::new(FAILURES, Duration::from_mins(1));
        self.one_of(
            &self.failures,
            (&address.bucket(), Policy::Failures),
            &rate,
            now,
        )
    }

    /// Counts an upload of `user`, or refuses it.
    pub(crate) fn upload(&self, user: UserId, now: Timestamp) -> Result<(), Error> {
        self.work((Policy::Uploads, user), self.uploads.as_ref(), now)
    }

    /// Counts a batch of `user`, or refuses it.
    pub(crate) fn batch(&self, user: UserId, now: Timestamp) -> Result<(), Error> {
        self.work((Policy::Batches, user), self.batches.as_ref(), now)
    }

    fn work(
        &self,
        work: (Policy, UserId),
        rate: Option<&Rate>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match rate {
            Some(rate) => self.one_of(&self.works, (&work, work.0), rate, now),
            None => Ok(()),
        }
    }

    fn one_of<K: std::hash::Hash + Eq + Clone>(
        &self,
        rates: &Rates<K>,
        (caller, policy): (&K, Policy),
        rate: &Rate,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !self.is_enabled {
            return Ok(());
        }
        let decided = rates.take(caller, rate, now);
        if decided.allowed {
            return Ok(());
        }
        let standings = of_rate(policy, rate, decided, now);
        Err(refused(&self.meters, standings, decided.retry_after))
    }
}

fn of_rate(policy: Policy, rate: &Rate, decided: Decision, now: Timestamp) -> Standings {
    Standing::new(policy, rate.limit().window(), decided, now).into()
}

/// A refusal, counted by the limits that were passed.
pub(crate) fn refused(meters: &Meters, standings: Standings, retry_after: Duration) -> Error {
    for standing in standings.iter().filter(|standing| standing.is_violated) {
        meters.limited(standing.policy.name());
    }
    Error::RateLimited {
        retry_after,
        standings,
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn limits() -> Limits {
        let settings = LimitSettings {
            requests: 1,
            ..crate::Settings::default().limits
        };
        Limits::new(&settings, Meters::new())
    }

    fn address(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_a_mapped_one_is_the_old_one() {
        let limits = limits();
        let visit = |text: &str| {
            let client = Client::Address(address(text).bucket());
            limits.client(client, Spend::One, NOW).is_ok()
        };
        for (text, passes) in [
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", false),
            ("2001:db8:0:2::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
        ] {
            assert_eq!(visit(text), passes, "{text}");
        }
    }

    #[test]
    fn a_wrong_credential_costs_its_address_nothing_else() {
        let limits = limits();
        let guesser = address("192.0.2.1");
        let refused = (0..100).filter(|_| limits.failure(guesser, NOW).is_err());
        assert_eq!(refused.count() as u64, 100 - FAILURES);
        let client = Client::Address(guesser.bucket());
        assert!(limits.client(client, Spend::One, NOW).is_ok());
        assert!(limits.failure(address("192.0.2.2"), NOW).is_ok());
        assert!(
            limits
                .failure(guesser, NOW.plus(Duration::from_secs(1)))
                .is_ok()
        );
    }

    #[test]
    fn the_violated_limit_leads_and_otherwise_the_longest() {
        let standing = |policy, window: Duration, allowed| {
            let decided = Decision {
                allowed,
                limit: 10,
                remaining: 0,
                reset_at: NOW.plus(Duration::from_micros(1)),
                retry_after: Duration::ZERO,
            };
            Some(Standing::new(policy, window, decided, NOW))
        };
        let leading = |hour, burst| {
            let second = Duration::from_secs(1);
            let hour = standing(Policy::Hour, HOUR, hour);
            let both = Standings::new(hour, standing(Policy::Burst, second, burst));
            *both.leading().unwrap()
        };
        assert_eq!(leading(true, true).policy, Policy::Hour);
        assert_eq!(leading(true, false).policy, Policy::Burst);
        assert_eq!(leading(false, false).policy, Policy::Hour);
        assert_eq!(leading(true, true).resets_in, 1, "rounded up");
        assert_eq!(Standings::default().leading(), None);
    }
}
