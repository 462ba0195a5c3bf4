//! The first administrator: a row without a password, and a token printed once.

use std::time::Duration;

use plimsoll_core::audit::Action;
use plimsoll_core::id::UserId;
use plimsoll_core::secret::Secret;
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;
use plimsoll_store::{Change, OnUnique, Subject, UserChange};
use serde::{Deserialize, Serialize};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::accounts::email_taken;
use super::token::{new_setup_token, token_hash};
use super::{NewAccount, Origin, SignInAction, SignedIn};
use crate::{App, AuthFailure, Error};

/// Under this name the setup token's hash is kept.
const SETTING: &str = "setup";
/// How long a setup token is good for.
const LIFE: Duration = Duration::from_hours(1);
/// Address of the administrator until somebody claims the account.
const UNCLAIMED: &str = "admin@localhost";

#[derive(Serialize, Deserialize)]
struct StoredToken {
    hash: [u8; 32],
    expires_at: Timestamp,
}

impl App {
    /// The administrator's row, made on first start: it owns what `serve FILE`
    /// registers before anybody has signed in.
    pub async fn ensure_admin_row(&self) -> Result<UserId, Error> {
        let mut tx = self.db().begin().await?;
        if let Some(admin) = tx.first_admin().await? {
            return Ok(admin.id);
        }
        let user = self.new_user(UNCLAIMED, Role::Admin);
        tx.insert_user(&user).await?;
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        Ok(user.id)
    }

    /// A new setup token, which replaces any earlier one; `None` once an
    /// administrator has a password.
    pub async fn new_setup_token(&self) -> Result<Option<Secret<String>>, Error> {
        let mut tx = self.db().begin().await?;
        if tx.count_admins_with_password().await? > 0 {
            tx.delete_setting(SETTING).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let token = new_setup_token(self.entropy());
        let stored = StoredToken {
            hash: token_hash(&token),
            expires_at: self.clock().now().plus(LIFE),
        };
        let text = serde_json::to_string(&stored).map_err(|error| Error::Internal(error.into()))?;
        tx.set_setting(SETTING, &text, self.clock().now()).await?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// Claims the administrator's account with the printed token.
    pub async fn setup(
        &self,
        token: &Secret<String>,
        account: NewAccount,
        from: &Origin,
    ) -> Result<SignedIn, Error> {
        const INVALID: Error = Error::Unauthenticated(AuthFailure::Invalid);
        self.sign_in_limits()
            .attempt(SignInAction::Login, from.client(), self.clock().now())?;
        let account = self.check_account(account)?;
        let password_hash = self.passwords().hash(account.password).await?;
        let now = self.clock().now();
        let mut tx = self.begin_as(from.stranger()).await?;
        let stored = tx.setting(SETTING).await?.ok_or(INVALID)?;
        let stored: StoredToken =
            serde_json::from_str(&stored.value).map_err(|error| Error::Internal(error.into()))?;
        let matches: bool = token_hash(token).ct_eq(&stored.hash).into();
        if !matches || stored.expires_at <= now || tx.count_admins_with_password().await? > 0 {
            return Err(INVALID);
        }
        let admin = tx.first_admin().await?.ok_or(INVALID)?;
        let change = UserChange {
            email: Some(account.email.as_str().to_owned()),
            full_name: Change::Set(account.full_name),
            password_hash: Some(password_hash),
            ..UserChange::default()
        };
        let user = tx
            .update_user(admin.id, change, now)
            .await
            .on_unique("users.email", email_taken)?
            .ok_or(INVALID)?;
        tx.delete_setting(SETTING).await?;
        tx.by(user.id);
        tx.audit(Action::UserSetup, user.id, json!({}));
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        self.sign_in(user, from).await
    }
}
