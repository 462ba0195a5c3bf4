//! Access tokens (JWT, HS256) and refresh tokens (opaque, rotating).
//!
//! RFC 8725: one algorithm, pinned; audience and type checked; nothing in the
//! token chooses the key.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use plimsoll_core::entropy::Entropy;
use plimsoll_core::id::UserId;
use plimsoll_core::secret::Secret;
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{AuthFailure, AuthSettings, Error};

const ISSUER: &str = "plimsoll";
const AUDIENCE: &str = "plimsoll-api";
/// RFC 9068, section 2.1: the type of an access token.
const TYPE: &str = "at+jwt";
/// Clocks of two machines may differ by this much, in seconds.
const LEEWAY: i64 = 30;
/// Nothing longer is even parsed, in bytes.
const MAX_LEN: usize = 4096;

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    role: Role,
    #[serde(rename = "type")]
    kind: String,
    epoch: i64,
    jti: String,
    iss: String,
    aud: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// What a valid access token says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessClaims {
    pub(crate) user: UserId,
    pub(crate) epoch: i64,
}

/// Signs and checks tokens.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    refresh_key: Secret<[u8; 32]>,
    access_seconds: i64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    pub(crate) fn new(settings: &AuthSettings) -> Self {
        let secret = settings.secret.expose();
        let access = derive(secret, b"plimsoll access token 1");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.required_spec_claims = ["exp", "nbf", "aud", "iss", "sub"]
            .map(String::from)
            .into_iter()
            .collect::<HashSet<_>>();
        // Expiry is checked below against the injected clock, not the system's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            encoding: EncodingKey::from_secret(&access),
            decoding: DecodingKey::from_secret(&access),
            validation,
            refresh_key: Secret::new(derive(secret, b"plimsoll refresh token 1")),
            access_seconds: i64::try_from(settings.access_ttl.as_secs()).unwrap_or(i64::MAX),
        }
    }

    /// Life of an access token, in seconds.
    pub(crate) fn access_seconds(&self) -> u64 {
        self.access_seconds.unsigned_abs()
    }

    /// A fresh access token.
    pub(crate) fn issue(
        &self,
        (user, role, epoch): (UserId, Role, i64),
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Secret<String>, Error> {
        let mut jti = [0; 16];
        entropy.fill(&mut jti);
        let iat = now.as_seconds();
        let claims = Claims {
            sub: user,
            role,
            kind: "access".to_owned(),
            epoch,
            jti: URL_SAFE_NO_PAD.encode(jti),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat,
            nbf: iat,
            exp: iat + self.access_seconds,
        };
        let header = Header {
            typ: Some(TYPE.to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims, &self.encoding)
            .map(Secret::new)
            .map_err(|error| Error::Internal(error.into()))
    }

    /// Checks a token someone presents.
    pub(crate) fn verify(&self, text: &str, now: Timestamp) -> Result<AccessClaims, Error> {
        const INVALID: Error = Error::Unauthenticated(AuthFailure::Invalid);
        if text.len() > MAX_LEN {
            return Err(INVALID);
        }
        let token = jsonwebtoken::decode::<Claims>(text, &self.decoding, &self.validation)
            .map_err(|_| INVALID)?;
        let (header, claims) = (token.header, token.claims);
        if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() || claims.kind != "access" {
            return Err(INVALID);
        }
        let now = now.as_seconds();
        if claims.nbf > now.saturating_add(LEEWAY) {
            return Err(INVALID);
        }
        if claims.exp.saturating_add(LEEWAY) <= now {
            return Err(Error::Unauthenticated(AuthFailure::ExpiredToken));
        }
        Ok(AccessClaims {
            user: claims.sub,
            epoch: claims.epoch,
        })
    }

    /// The token that replaces `token`, the same every time: a client that lost
    /// the answer and asks again within the grace gets the same successor, so
    /// there is never a second branch of the family to steal.
    pub(crate) fn successor(&self, token: &Secret<String>) -> Secret<String> {
        let bytes = hmac(self.refresh_key.expose(), token.expose().as_bytes());
        Secret::new(format!("plim_refresh_{}", URL_SAFE_NO_PAD.encode(bytes)))
    }
}

/// A fresh refresh token.
pub(crate) fn new_refresh_token(entropy: &dyn Entropy) -> Secret<String> {
    opaque("plim_refresh_", entropy)
}

/// A fresh setup token.
pub(crate) fn new_setup_token(entropy: &dyn Entropy) -> Secret<String> {
    opaque("plim_setup_", entropy)
}

/// A token that means nothing by itself: 256 random bits.
fn opaque(prefix: &str, entropy: &dyn Entropy) -> Secret<String> {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is stored of an opaque token. It has 256 random bits, so a plain hash is enough.
pub(crate) fn token_hash(token: &Secret<String>) -> [u8; 32] {
    Sha256::digest(token.expose().as_bytes()).into()
}

/// One key per use from the installation's secret (HKDF-Expand with one block, RFC 5869).
pub(crate) fn derive(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let extracted = hmac(b"plimsoll", secret);
    let mut message = label.to_vec();
    message.push(1);
    hmac(&extracted, &message)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plimsoll_core::entropy::SeededEntropy;
    use plimsoll_core::id::IdSource;
    use plimsoll_core::time::ManualClock;

    use super::*;
    use crate::Settings;

    fn tokens(secret: &[u8]) -> Tokens {
        Tokens::new(&AuthSettings {
            secret: Secret::new(secret.to_vec()),
            ..Settings::default().auth
        })
    }

    fn user() -> UserId {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        UserId::new(&IdSource::new(clock, &SeededEntropy::new(1)))
    }

    fn issued(tokens: &Tokens, now: Timestamp) -> String {
        tokens
            .issue((user(), Role::User, 3), now, &SeededEntropy::new(2))
            .unwrap()
            .into_exposed()
    }

    #[test]
    fn a_token_lives_for_its_time_and_no_longer() {
        let tokens = tokens(b"secret");
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let token = issued(&tokens, start);
        let at =
            |seconds| tokens.verify(&token, start.plus(std::time::Duration::from_secs(seconds)));
        assert_eq!(at(0).unwrap().epoch, 3);
        assert!(at(1800 + 29).is_ok());
        assert!(matches!(
            at(1800 + 31),
            Err(Error::Unauthenticated(AuthFailure::ExpiredToken))
        ));
    }

    #[test]
    fn a_token_of_another_secret_or_shape_is_refused() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let ours = tokens(b"secret");
        let token = issued(&ours, now);
        assert!(tokens(b"other").verify(&token, now).is_err());
        let (head, tail) = token.split_at(token.len() / 2);
        let flipped = format!(
            "{head}{}{}",
            if tail.starts_with('A') { "B" } else { "A" },
            &tail[1..]
        );
        assert!(ours.verify(&flipped, now).is_err());
        let body = token.split('.').nth(1).unwrap();
        let none = format!(
            "{}.{body}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#)
        );
        for bad in ["", "a.b.c", &none, &"x".repeat(5000)] {
            assert!(ours.verify(bad, now).is_err(), "{bad:.40}");
        }
    }

    #[test]
    fn a_refresh_token_has_one_successor() {
        let tokens = tokens(b"secret");
        let first = new_refresh_token(&SeededEntropy::new(1));
        assert_eq!(tokens.successor(&first), tokens.successor(&first));
        assert_ne!(tokens.successor(&first), first);
    }
}
