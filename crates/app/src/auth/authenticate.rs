//! A credential to a [`Caller`], from memory alone.

use std::time::Duration;

use plimsoll_core::key::PresentedKey;
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;

use super::{Caller, Origin};
use crate::live::{KeyEntry, Live};
use crate::usage::KeyUse;
use crate::{App, AuthFailure, Error};

/// What a request brought along to prove who it is.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// `Authorization: Bearer …`: an access token or an API key.
    Bearer(&'a str),
    /// `X-API-Key: …`.
    ApiKey(&'a str),
    /// Nothing.
    None,
}

/// What a key's limit counts in.
const HOUR: Duration = Duration::from_hours(1);
/// Every API key starts like this; no access token does.
const KEY_START: &str = "plim_";

impl App {
    /// Accepts or refuses a credential. Reads memory only: a key costs a
    /// checksum, a map lookup and one SHA-256.
    ///
    /// All refusals look alike from outside, except that a key or token which
    /// was ours and ran out says so to the one who holds it.
    pub fn authenticate(&self, credential: Credential<'_>) -> Result<Caller, Error> {
        let live = self.live();
        let checked = match credential {
            Credential::ApiKey(text) => self.check_key(&live, text),
            Credential::Bearer(text) if text.starts_with(KEY_START) => self.check_key(&live, text),
            Credential::Bearer(text) => self.check_token(&live, text),
            Credential::None if self.settings().dev => return developer(&live),
            Credential::None => Err(Error::Unauthenticated(AuthFailure::Missing)),
        };
        if let Err(Error::Unauthenticated(failure)) = &checked {
            self.meters().refused(match failure {
                AuthFailure::Missing => "missing",
                AuthFailure::Invalid => "invalid",
                AuthFailure::ExpiredKey => "expired-key",
                AuthFailure::ExpiredToken => "expired-token",
                AuthFailure::ReusedToken => "reused-token",
            });
        }
        checked
    }

    fn check_key(&self, live: &Live, text: &str) -> Result<Caller, Error> {
        const INVALID: Error = Error::Unauthenticated(AuthFailure::Invalid);
        let presented = PresentedKey::parse(text).map_err(|_| INVALID)?;
        let key = live.key(&presented.handle).ok_or(INVALID)?;
        if !presented.matches(&key.hash) || !key.is_active {
            return Err(INVALID);
        }
        let now = self.clock().now();
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Unauthenticated(AuthFailure::ExpiredKey));
        }
        let user = live.user(key.user).ok_or(INVALID)?;
        if !user.is_active {
            return Err(Error::AccountDisabled);
        }
        self.take_quota(key, now)?;
        Ok(Caller {
            user: key.user,
            role: user.role,
            scopes: key.scopes,
            key: Some(key.id),
            models: key.models.clone(),
            origin: Origin::default(),
            usage: Some(KeyUse::new(key.usage.clone(), now)),
        })
    }

    /// Takes one request of the key's hour. An hour is one on the clock (UTC),
    /// so that everybody can tell when it ends.
    fn take_quota(&self, key: &KeyEntry, now: Timestamp) -> Result<(), Error> {
        let limit = key.rate_limit.and_then(|limit| u64::try_from(limit).ok());
        let Some(limit) = limit.filter(|_| self.settings().auth.limits_enabled) else {
            return Ok(());
        };
        let decision = key.usage.quota.take(limit, HOUR, now);
        if decision.allowed {
            return Ok(());
        }
        Err(Error::RateLimited {
            retry_after: decision.retry_after,
            limit,
            reset: decision.reset_at,
        })
    }

    fn check_token(&self, live: &Live, text: &str) -> Result<Caller, Error> {
        let claims = self.tokens().verify(text, self.clock().now())?;
        let invalid = || Error::Unauthenticated(AuthFailure::Invalid);
        let user = live.user(claims.user).ok_or_else(invalid)?;
        if user.token_epoch != claims.epoch {
            return Err(invalid());
        }
        if !user.is_active {
            return Err(Error::AccountDisabled);
        }
        Ok(Caller::person(claims.user, user.role))
    }
}

/// Without credentials in development mode, a caller is the first administrator.
fn developer(live: &Live) -> Result<Caller, Error> {
    live.first_admin()
        .map(|user| Caller::person(user, Role::Admin))
        .ok_or(Error::Unauthenticated(AuthFailure::Missing))
}
