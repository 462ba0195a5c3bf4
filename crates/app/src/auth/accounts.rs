//! One's own account: register, change, change password, delete.

use plimsoll_core::audit::{Action, Actor};
use plimsoll_core::field::FieldError;
use plimsoll_core::id::UserId;
use plimsoll_core::secret::Secret;
use plimsoll_core::user::{Email, InvalidPassword, Role, normalise_password};
use plimsoll_store::{Change, OnUnique, Subject, UserChange, UserRow};
use serde_json::json;

use super::{Caller, Origin, SignInAction};
use crate::{App, Error};

/// What an account is made of.
#[derive(Debug)]
pub struct NewAccount {
    /// E-mail address, in any letter case.
    pub email: String,
    /// Password, 8 to 128 characters.
    pub password: Secret<String>,
    /// Name to show, at most 255 characters.
    pub full_name: Option<String>,
}

/// What a person changes about their own account; `None` keeps.
#[derive(Debug, Default)]
pub struct AccountChange {
    /// A new e-mail address.
    pub email: Option<String>,
    /// A new name, or none.
    pub full_name: Option<Option<String>>,
}

/// An account whose fields have been checked.
pub(super) struct CheckedAccount {
    pub(super) email: Email,
    pub(super) password: Secret<String>,
    pub(super) full_name: Option<String>,
}

impl App {
    /// Opens an account for a stranger, if registration is open. Never an administrator.
    pub async fn register(&self, new: NewAccount, from: &Origin) -> Result<UserRow, Error> {
        if !self.settings().auth.registration_open {
            return Err(Error::Forbidden {
                need: "an administrator: registration is closed",
            });
        }
        self.sign_in_limits()
            .attempt(SignInAction::Register, from.client(), self.clock().now())?;
        let deed = (from.stranger(), Action::UserRegistered);
        self.create_account(new, Role::User, deed).await
    }

    pub(super) async fn create_account(
        &self,
        new: NewAccount,
        role: Role,
        (by, action): (Actor, Action),
    ) -> Result<UserRow, Error> {
        let account = self.check_account(new)?;
        let password_hash = self.passwords().hash(account.password).await?;
        let mut user = self.new_user(account.email.as_str(), role);
        user.password_hash = Some(password_hash);
        user.full_name = account.full_name;
        let mut tx = self.begin_as(by).await?;
        tx.insert_user(&user)
            .await
            .on_unique("users.email", email_taken)?;
        if action == Action::UserRegistered {
            tx.by(user.id);
        }
        tx.audit(action, user.id, json!({"role": role}));
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        Ok(user)
    }

    /// An account that nobody can sign in to yet.
    pub(super) fn new_user(&self, email: &str, role: Role) -> UserRow {
        let now = self.clock().now();
        UserRow {
            id: UserId::new(self.ids()),
            email: email.to_owned(),
            password_hash: None,
            full_name: None,
            role,
            is_active: true,
            token_epoch: 0,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        }
    }

    /// The account of a person.
    pub async fn user(&self, id: UserId) -> Result<UserRow, Error> {
        self.db()
            .user_by_id(id)
            .await?
            .ok_or(Error::NotFound { what: "user" })
    }

    /// Changes one's own e-mail address or name.
    pub async fn update_account(
        &self,
        caller: &Caller,
        change: AccountChange,
    ) -> Result<UserRow, Error> {
        let mut errors = Vec::new();
        let email = change
            .email
            .and_then(|email| check_email(&email, &mut errors));
        if let Some(Some(name)) = &change.full_name {
            check_name(name, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let change = UserChange {
            email: email.map(|email| email.as_str().to_owned()),
            full_name: change.full_name.map_or(Change::Keep, Change::Set),
            ..UserChange::default()
        };
        let mut tx = self.begin(caller).await?;
        let mut changed = Vec::new();
        changed.extend(change.email.is_some().then_some("email"));
        changed.extend((change.full_name != Change::Keep).then_some("full_name"));
        let row = tx
            .update_user(caller.user, change, self.clock().now())
            .await
            .on_unique("users.email", email_taken)?
            .ok_or(Error::NotFound { what: "user" })?;
        tx.audit(Action::UserChanged, caller.user, json!({"fields": changed}));
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        Ok(row)
    }

    /// Replaces one's password; every session ends, this one included.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: &Secret<String>,
        new: &Secret<String>,
    ) -> Result<(), Error> {
        let new = self
            .check_password("/new_password", new)
            .map_err(|e| Error::Invalid(vec![e]))?;
        self.confirm_password(caller, "/current_password", current)
            .await?;
        let password_hash = self.passwords().hash(new).await?;
        let change = UserChange {
            password_hash: Some(password_hash),
            bump_token_epoch: true,
            ..UserChange::default()
        };
        let mut tx = self.begin(caller).await?;
        tx.revoke_refresh_of_user(caller.user, self.clock().now())
            .await?;
        tx.update_user(caller.user, change, self.clock().now())
            .await?;
        tx.audit(Action::UserPasswordChanged, caller.user, json!({}));
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await
    }

    /// Deletes one's account with everything that is its own: tokens, keys,
    /// models with their versions, and files no other version needs.
    pub async fn delete_account(
        &self,
        caller: &Caller,
        password: &Secret<String>,
    ) -> Result<(), Error> {
        self.confirm_password(caller, "/password", password).await?;
        let mut tx = self.begin(caller).await?;
        if caller.role == Role::Admin && tx.count_admins().await? <= 1 {
            return Err(Error::conflict(
                "last-admin",
                "the last administrator cannot be deleted; make another one first",
            ));
        }
        let mut unused = Vec::new();
        tx.delete_endpoints_of_user(caller.user).await?;
        let _naming = self.jobs().naming_files().await;
        for file in tx.delete_jobs_of_user(caller.user).await? {
            if tx.uses_of_content(&file.digest).await? == 0 {
                unused.push(file.digest);
            }
        }
        let models = tx.models_of_user(caller.user).await?;
        for model in models.iter().copied() {
            unused.extend(tx.delete_model(model).await?);
        }
        tx.delete_keys_of_user(caller.user).await?;
        tx.delete_user(caller.user).await?;
        tx.audit(
            Action::UserDeleted,
            caller.user,
            json!({"models": models.len()}),
        );
        tx.touch().await?;
        tx.commit().await?;
        self.refresh_live().await?;
        self.forget_predictions(&models).await?;
        self.discard(unused).await
    }

    async fn confirm_password(
        &self,
        caller: &Caller,
        pointer: &str,
        password: &Secret<String>,
    ) -> Result<(), Error> {
        let user = self.user(caller.user).await?;
        let matches = match normalise_password(password.expose()) {
            Ok(text) => {
                self.passwords()
                    .matches(Secret::new(text), user.password_hash)
                    .await?
            }
            Err(_) => false,
        };
        if matches {
            return Ok(());
        }
        Err(Error::field(
            pointer,
            "wrong-password",
            "this is not the current password",
            "the current password",
        ))
    }

    pub(super) fn check_account(&self, new: NewAccount) -> Result<CheckedAccount, Error> {
        let mut errors = Vec::new();
        let email = check_email(&new.email, &mut errors);
        let password = self.check_password("/password", &new.password);
        if let Some(name) = &new.full_name {
            check_name(name, &mut errors);
        }
        match (email, password, errors.is_empty()) {
            (Some(email), Ok(password), true) => Ok(CheckedAccount {
                email,
                password,
                full_name: new.full_name,
            }),
            (_, password, _) => {
                errors.extend(password.err());
                Err(Error::Invalid(errors))
            }
        }
    }

    fn check_password(
        &self,
        pointer: &str,
        password: &Secret<String>,
    ) -> Result<Secret<String>, FieldError> {
        let least = self.settings().auth.min_password_length;
        let checked = normalise_password(password.expose()).and_then(|text| {
            if text.chars().count() < least {
                Err(InvalidPassword::Length)
            } else {
                Ok(text)
            }
        });
        checked.map(Secret::new).map_err(|error| {
            FieldError::new(pointer, "invalid-password", error.to_string()).expected_got(
                format!(
                    "{least} to {} characters",
                    plimsoll_core::user::MAX_PASSWORD
                ),
                "string",
            )
        })
    }
}

pub(super) fn email_taken() -> Error {
    Error::conflict(
        "email-taken",
        "an account with this e-mail address exists already",
    )
}

fn check_email(text: &str, errors: &mut Vec<FieldError>) -> Option<Email> {
    Email::parse(text)
        .map_err(|error| {
            errors.push(
                FieldError::new("/email", "invalid-email", error.to_string())
                    .expected_got("e-mail address", "string"),
            );
        })
        .ok()
}

fn check_name(name: &str, errors: &mut Vec<FieldError>) {
    if name.chars().count() > 255 || name.chars().any(char::is_control) {
        errors.push(
            FieldError::new(
                "/full_name",
                "invalid-name",
                "expected at most 255 characters, none of them control characters",
            )
            .expected_got("string of at most 255 characters", "string"),
        );
    }
}
