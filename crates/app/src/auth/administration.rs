//! What administrators do to other people's accounts.

use plimsoll_core::audit::{Action, Actor};
use plimsoll_core::id::UserId;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::user::Role;
use plimsoll_store::{Subject, UserChange, UserRow};
use serde_json::json;

use super::{Caller, NewAccount, Origin};
use crate::{App, Error};

/// What an administrator changes about an account; `None` keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserAdministration {
    /// Whether the person may do anything at all.
    pub is_active: Option<bool>,
    /// What the person may do on the installation.
    pub role: Option<Role>,
}

impl App {
    /// All accounts, newest first.
    pub async fn users(&self, caller: &Caller, page: PageRequest) -> Result<Page<UserRow>, Error> {
        caller.require_admin_role()?;
        Ok(self.db().users_page(page).await?)
    }

    /// Opens an account for somebody else; `by` is `None` on the command line,
    /// where whoever can write the data directory is in charge.
    pub async fn create_user(
        &self,
        by: Option<&Caller>,
        new: NewAccount,
        role: Role,
    ) -> Result<UserRow, Error> {
        if let Some(caller) = by {
            caller.require_admin_role()?;
        }
        let deed = (actor(by), Action::UserCreated);
        self.create_account(new, role, deed).await
    }

    /// Switches an account on or off, or changes its role.
    pub async fn administer_user(
        &self,
        caller: &Caller,
        id: UserId,
        change: UserAdministration,
    ) -> Result<UserRow, Error> {
        caller.require_admin_role()?;
        if id == caller.user {
            return Err(Error::conflict(
                "own-account",
                "administrators cannot change their own role or switch themselves off",
            ));
        }
        self.set_user(Some(caller), id, change).await
    }

    /// [`App::administer_user`] also without a caller, for the command line.
    pub async fn set_user(
        &self,
        by: Option<&Caller>,
        id: UserId,
        change: UserAdministration,
    ) -> Result<UserRow, Error> {
        let demoted = change.role.is_some_and(|role| role != Role::Admin);
        let switched_off = change.is_active == Some(false);
        let now = self.clock().now();
        let mut tx = self.begin_as(actor(by)).await?;
        let before = tx
            .user_by_id(id)
            .await?
            .ok_or(Error::NotFound { what: "user" })?;
        let row = tx
            .update_user(
                id,
                UserChange {
                    is_active: change.is_active,
                    role: change.role,
                    ..UserChange::default()
                },
                now,
            )
            .await?
            .ok_or(Error::NotFound { what: "user" })?;
        let was_admin = before.role == Role::Admin && before.is_active;
        if was_admin && (demoted || switched_off) && tx.count_admins().await? == 0 {
            return Err(Error::conflict(
                "last-admin",
                "the last administrator must stay one and stay active",
            ));
        }
        if switched_off {
            tx.revoke_refresh_of_user(id, now).await?;
        }
        let switched = match (before.is_active, row.is_active) {
            (false, true) => Some(Action::UserActivated),
            (true, false) => Some(Action::UserDeactivated),
            _ => None,
        };
        if let Some(action) = switched {
            tx.audit(action, id, json!({}));
        }
        if row.role != before.role {
            let roles = json!({"before": before.role, "after": row.role});
            tx.audit(Action::UserRoleChanged, id, roles);
        }
        tx.touch_only(Subject::Accounts).await?;
        tx.commit().await?;
        self.refresh_live().await?;
        Ok(row)
    }
}

/// Who administers: a caller, or whoever can write the data directory.
fn actor(by: Option<&Caller>) -> Actor {
    by.map_or_else(|| Origin::command_line().stranger(), Caller::actor)
}
