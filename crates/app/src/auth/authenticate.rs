//! A credential to a [`Caller`], from memory alone.

use plimsoll_core::key::PresentedKey;
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;

use super::{Caller, ClientAddress, Origin};
use crate::limits::{Client, Spend, Standings};
use crate::live::Live;
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

/// Every API key starts like this; no access token does.
const KEY_START: &str = "plim_";

impl App {
    /// Accepts or refuses a credential that came from `from`, and takes one request
    /// of its limits. Reads memory only: a key costs a checksum, a map lookup and
    /// one SHA-256.
    ///
    /// All refusals look alike from outside, except that a key or token which
    /// was ours and ran out says so to the one who holds it. Whoever sends too many
    /// wrong ones is told to wait; a right one from the same address is not.
    pub fn authenticate(
        &self,
        credential: Credential<'_>,
        from: ClientAddress,
        spend: Spend,
    ) -> Result<Caller, Error> {
        let live = self.live();
        let now = self.clock().now();
        let checked = match credential {
            Credential::ApiKey(text) => self.check_key(&live, text, spend, now),
            Credential::Bearer(text) if text.starts_with(KEY_START) => {
                self.check_key(&live, text, spend, now)
            }
            Credential::Bearer(text) => self.check_token(&live, text, spend, now),
            Credential::None if self.settings().dev => return developer(&live),
            Credential::None => Err(Error::Unauthenticated(AuthFailure::Missing)),
        };
        match checked {
            Err(Error::Unauthenticated(failure)) => Err(self.refuse(failure, from, now)),
            accepted => accepted,
        }
    }

    /// Counts somebody who needs no credential, or tells them to wait.
    pub fn visit(&self, from: ClientAddress) -> Result<Standings, Error> {
        let client = Client::Address(from.bucket());
        self.limits().client(client, Spend::One, self.clock().now())
    }

    /// What is answered to a credential that was not accepted.
    fn refuse(&self, failure: AuthFailure, from: ClientAddress, now: Timestamp) -> Error {
        self.meters().refused(match failure {
            AuthFailure::Missing => "missing",
            AuthFailure::Invalid => "invalid",
            AuthFailure::ExpiredKey => "expired-key",
            AuthFailure::ExpiredToken => "expired-token",
            AuthFailure::ReusedToken => "reused-token",
        });
        let limits = self.limits();
        let counted = match failure {
            AuthFailure::Invalid => limits.failure(from, now),
            // Nobody is guessing here.
            _ => limits
                .client(Client::Address(from.bucket()), Spend::One, now)
                .map(drop),
        };
        counted.err().unwrap_or(Error::Unauthenticated(failure))
    }

    fn check_key(
        &self,
        live: &Live,
        text: &str,
        spend: Spend,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        const INVALID: Error = Error::Unauthenticated(AuthFailure::Invalid);
        let presented = PresentedKey::parse(text).map_err(|_| INVALID)?;
        let key = live.key(&presented.handle).ok_or(INVALID)?;
        if !presented.matches(&key.hash) || !key.is_active {
            return Err(INVALID);
        }
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Unauthenticated(AuthFailure::ExpiredKey));
        }
        let user = live.user(key.user).ok_or(INVALID)?;
        if !user.is_active {
            return Err(Error::AccountDisabled);
        }
        Ok(Caller {
            standings: self.limits().key(key, spend, now)?,
            user: key.user,
            role: user.role,
            scopes: key.scopes,
            key: Some(key.id),
            models: key.models.clone(),
            origin: Origin::default(),
            usage: Some(KeyUse::new(key.usage.clone(), now)),
        })
    }

    fn check_token(
        &self,
        live: &Live,
        text: &str,
        spend: Spend,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        let claims = self.tokens().verify(text, now)?;
        let invalid = || Error::Unauthenticated(AuthFailure::Invalid);
        let user = live.user(claims.user).ok_or_else(invalid)?;
        if user.token_epoch != claims.epoch {
            return Err(invalid());
        }
        if !user.is_active {
            return Err(Error::AccountDisabled);
        }
        let client = Client::Person(claims.user);
        let standings = self.limits().client(client, spend, now)?;
        Ok(Caller {
            standings,
            ..Caller::person(claims.user, user.role)
        })
    }
}

/// Without credentials in development mode, a caller is the first administrator.
fn developer(live: &Live) -> Result<Caller, Error> {
    live.first_admin()
        .map(|user| Caller::person(user, Role::Admin))
        .ok_or(Error::Unauthenticated(AuthFailure::Missing))
}
