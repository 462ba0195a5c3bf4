//! Sign in, stay signed in, sign out.

use std::time::Duration;

use plimsoll_core::audit::Action;
use plimsoll_core::id::{FamilyId, UserId};
use plimsoll_core::secret::Secret;
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::{Email, normalise_password};
use plimsoll_store::{RefreshRow, Tx, UserChange, UserRow};
use serde_json::json;

use super::token::{new_refresh_token, token_hash};
use super::{Origin, SignInAction};
use crate::{App, AuthFailure, Error};

/// A client that lost the answer may present the same refresh token again for this long.
const GRACE: Duration = Duration::from_secs(10);
const INVALID: Error = Error::Unauthenticated(AuthFailure::Invalid);

/// A person who just signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// JWT for the `Authorization` header.
    pub access_token: Secret<String>,
    /// Opaque token for the next refresh; good once.
    pub refresh_token: Secret<String>,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// Who it is.
    pub user: UserRow,
}

impl App {
    /// Exchanges e-mail and password for tokens. A wrong password and an
    /// unknown address are the same answer after the same work.
    pub async fn login(
        &self,
        email: &str,
        password: &Secret<String>,
        from: &Origin,
    ) -> Result<SignedIn, Error> {
        let limits = self.sign_in_limits();
        let now = self.clock().now();
        let client = from.client();
        limits.attempt(SignInAction::Login, client, now)?;
        let email = Email::parse(email).ok();
        if let Some(email) = &email {
            limits.wait_over(email, client, now)?;
        }
        let user = match &email {
            Some(email) => self.db().user_by_email(email.as_str()).await?,
            None => None,
        };
        let stored = user.as_ref().and_then(|user| user.password_hash.clone());
        // A text no account can have still costs one hash.
        let text = normalise_password(password.expose()).unwrap_or_default();
        let matches = self.passwords().matches(Secret::new(text), stored).await?;
        match (user, email) {
            (Some(user), Some(email)) if matches => {
                limits.succeeded(&email, client);
                self.sign_in(user, from).await
            }
            (user, email) => {
                if let Some(email) = email {
                    limits.failed(&email, client, now);
                }
                self.meters().refused("wrong-password");
                self.sign_in_failed(user.as_ref(), from, "wrong-password")
                    .await?;
                Err(INVALID)
            }
        }
    }

    /// Tokens for a person who proved who they are.
    pub(super) async fn sign_in(&self, user: UserRow, from: &Origin) -> Result<SignedIn, Error> {
        if !user.is_active {
            self.sign_in_failed(Some(&user), from, "account-disabled")
                .await?;
            return Err(Error::AccountDisabled);
        }
        let now = self.clock().now();
        let family = Family {
            id: FamilyId::new(self.ids()),
            user: user.id,
            ends: now.plus(self.settings().auth.refresh_absolute_ttl),
        };
        let refresh_token = new_refresh_token(self.entropy());
        let mut tx = self.begin_as(from.stranger()).await?;
        tx.by(user.id);
        self.store_refresh(&mut tx, &family, &refresh_token).await?;
        let login = UserChange {
            last_login_at: Some(now),
            ..UserChange::default()
        };
        tx.update_user(user.id, login, now).await?;
        tx.audit(Action::UserLogin, user.id, json!({}));
        tx.commit().await?;
        self.signed_in(user, refresh_token)
    }

    /// Exchanges a refresh token for new tokens. Each is good once; a replay
    /// ends everything that grew from the same sign-in (RFC 9700, section 4.14.2).
    pub async fn refresh(&self, token: &Secret<String>, from: &Origin) -> Result<SignedIn, Error> {
        let now = self.clock().now();
        self.sign_in_limits()
            .attempt(SignInAction::Refresh, from.client(), now)?;
        let mut tx = self.begin_as(from.stranger()).await?;
        let row = tx
            .refresh_by_hash(&token_hash(token))
            .await?
            .ok_or(INVALID)?;
        if row.revoked_at.is_some() || row.expires_at <= now || row.family_expires_at <= now {
            return Err(INVALID);
        }
        let successor = self.tokens().successor(token);
        let first_use = tx.mark_refresh_used(&row.hash, now).await?;
        if first_use {
            let family = Family {
                id: row.family_id,
                user: row.user_id,
                ends: row.family_expires_at,
            };
            self.store_refresh(&mut tx, &family, &successor).await?;
        } else if !self.within_grace(&mut tx, &row, &successor, now).await? {
            tx.revoke_refresh_family(row.family_id, now).await?;
            tx.audit(Action::UserTokenReused, row.user_id, json!({}));
            tx.commit().await?;
            tracing::warn!(user = %row.user_id, "a refresh token was used twice; its family was revoked");
            self.meters().refused("reused-token");
            return Err(Error::Unauthenticated(AuthFailure::ReusedToken));
        }
        let user = tx.user_by_id(row.user_id).await?.ok_or(INVALID)?;
        tx.commit().await?;
        if !user.is_active {
            return Err(Error::AccountDisabled);
        }
        self.signed_in(user, successor)
    }

    /// Ends everything that grew from one sign-in. Unknown tokens are nothing to end.
    pub async fn logout(&self, token: &Secret<String>, from: &Origin) -> Result<(), Error> {
        let mut tx = self.begin_as(from.stranger()).await?;
        if let Some(row) = tx.refresh_by_hash(&token_hash(token)).await? {
            tx.revoke_refresh_family(row.family_id, self.clock().now())
                .await?;
            tx.by(row.user_id);
            tx.audit(Action::UserLogout, row.user_id, json!({}));
        }
        Ok(tx.commit().await?)
    }

    /// Writes down a refused sign-in: of whom, but not what was typed, which may
    /// be a password in the wrong field. Attempts are limited per address, so
    /// these rows are as well.
    async fn sign_in_failed(
        &self,
        user: Option<&UserRow>,
        from: &Origin,
        reason: &str,
    ) -> Result<(), Error> {
        let mut tx = self.begin_as(from.stranger()).await?;
        let whom = user.map_or_else(|| "unknown".to_owned(), |user| user.id.to_string());
        tx.audit(Action::UserLoginFailed, whom, json!({"reason": reason}));
        Ok(tx.commit().await?)
    }

    /// Only the immediate predecessor gets a second answer, and only while its
    /// successor has not been used either.
    async fn within_grace(
        &self,
        tx: &mut Tx,
        row: &RefreshRow,
        successor: &Secret<String>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        // Read again: it may have been used by a request at the same moment.
        let used = tx
            .refresh_by_hash(&row.hash)
            .await?
            .and_then(|row| row.used_at);
        let recent = used.is_some_and(|used| now.since(used) <= GRACE);
        let next = tx.refresh_by_hash(&token_hash(successor)).await?;
        Ok(recent && next.is_some_and(|next| next.used_at.is_none() && next.revoked_at.is_none()))
    }

    async fn store_refresh(
        &self,
        tx: &mut Tx,
        family: &Family,
        token: &Secret<String>,
    ) -> Result<(), Error> {
        let now = self.clock().now();
        let row = RefreshRow {
            hash: token_hash(token),
            family_id: family.id,
            user_id: family.user,
            created_at: now,
            expires_at: now.plus(self.settings().auth.refresh_ttl).min(family.ends),
            family_expires_at: family.ends,
            used_at: None,
            revoked_at: None,
        };
        Ok(tx.insert_refresh(&row).await?)
    }

    fn signed_in(&self, user: UserRow, refresh_token: Secret<String>) -> Result<SignedIn, Error> {
        let who = (user.id, user.role, user.token_epoch);
        let access_token = self
            .tokens()
            .issue(who, self.clock().now(), self.entropy())?;
        Ok(SignedIn {
            access_token,
            refresh_token,
            expires_in: self.tokens().access_seconds(),
            user,
        })
    }
}

/// Everything that grew from one sign-in.
struct Family {
    id: FamilyId,
    user: UserId,
    ends: Timestamp,
}
