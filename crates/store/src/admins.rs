//! Administrators: who was first, and whether anybody can sign in as one.

use plimsoll_core::user::Role;

use crate::pools::on;
use crate::users::UserRow;
use crate::{Result, Tx};

impl Tx {
    /// The administrator who was created first, active or not.
    pub async fn first_admin(&mut self) -> Result<Option<UserRow>> {
        const SQL: &str = "select id, email, password_hash, full_name, role, is_active, \
             token_epoch, created_at, updated_at, last_login_at \
             from users where role = $1 order by id limit 1";
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(Role::Admin.name())
                .fetch_optional(c)
                .await?
        }))
    }

    /// How many administrators have a password to sign in with.
    pub async fn count_admins_with_password(&mut self) -> Result<i64> {
        const SQL: &str =
            "select count(*) from users where role = $1 and password_hash is not null";
        Ok(on!(self, |c| {
            sqlx::query_scalar(SQL)
                .bind(Role::Admin.name())
                .fetch_one(c)
                .await?
        }))
    }
}
