//! How often one address may try to sign in, register or refresh.

use std::net::IpAddr;
use std::time::Duration;

use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Email;
use plimsoll_limit::{Backoff, Decision, FixedWindow};

use crate::Error;
use crate::limits::{Policy, REMEMBERED, Standing, refused};
use crate::meters::Meters;

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What one attacker controls: an IPv4 address, or an IPv6 /64 network.
    pub(crate) fn bucket(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        }
    }
}

/// What is limited, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SignInAction {
    Login,
    Register,
    Refresh,
}

impl SignInAction {
    const fn limit(self) -> (u64, Duration) {
        match self {
            Self::Login => (10, Duration::from_mins(1)),
            Self::Register => (5, Duration::from_hours(1)),
            Self::Refresh => (20, Duration::from_hours(1)),
        }
    }

    const fn policy(self) -> Policy {
        match self {
            Self::Login => Policy::Login,
            Self::Register => Policy::Register,
            Self::Refresh => Policy::Refresh,
        }
    }
}

/// Limits per address, and a growing delay per account and address.
///
/// The delay belongs to the pair, not to the account alone: an attacker must
/// not be able to lock the owner out by guessing from elsewhere.
#[derive(Debug)]
pub(crate) struct SignInLimits {
    enabled: bool,
    attempts: FixedWindow<(SignInAction, IpAddr)>,
    failures: Backoff<(String, IpAddr)>,
    meters: Meters,
}

/// Wrong passwords without a delay: people mistype.
const FREE_FAILURES: u32 = 4;

impl SignInLimits {
    pub(crate) fn new(enabled: bool, meters: Meters) -> Self {
        Self {
            enabled,
            attempts: FixedWindow::new(REMEMBERED),
            failures: Backoff::new(REMEMBERED, FREE_FAILURES),
            meters,
        }
    }

    /// Counts one attempt, or refuses it.
    pub(crate) fn attempt(
        &self,
        action: SignInAction,
        from: ClientAddress,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !self.enabled {
            return Ok(());
        }
        let (limit, window) = action.limit();
        let decision = self
            .attempts
            .check(&(action, from.bucket()), limit, window, now);
        if decision.allowed {
            return Ok(());
        }
        Err(self.refused(action, decision, now))
    }

    /// Refuses while the delay after earlier failures lasts.
    pub(crate) fn wait_over(
        &self,
        email: &Email,
        from: ClientAddress,
        now: Timestamp,
    ) -> Result<(), Error> {
        let wait = self.failures.wait(&pair(email, from), now);
        if !self.enabled || wait.is_zero() {
            return Ok(());
        }
        let decision = Decision {
            allowed: false,
            limit: SignInAction::Login.limit().0,
            remaining: 0,
            reset_at: now.plus(wait),
            retry_after: wait,
        };
        Err(self.refused(SignInAction::Login, decision, now))
    }

    fn refused(&self, action: SignInAction, decision: Decision, now: Timestamp) -> Error {
        let (_, window) = action.limit();
        let standing = Standing::new(action.policy(), window, decision, now);
        refused(&self.meters, standing.into(), decision.retry_after)
    }

    /// Remembers a wrong password.
    pub(crate) fn failed(&self, email: &Email, from: ClientAddress, now: Timestamp) {
        self.failures.failed(&pair(email, from), now);
    }

    /// Forgets wrong passwords after a right one.
    pub(crate) fn succeeded(&self, email: &Email, from: ClientAddress) {
        self.failures.succeeded(&pair(email, from));
    }
}

fn pair(email: &Email, from: ClientAddress) -> (String, IpAddr) {
    (email.as_str().to_owned(), from.bucket())
}
