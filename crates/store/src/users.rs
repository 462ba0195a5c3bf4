//! The table `users`.

use plimsoll_core::id::UserId;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use plimsoll_core::user::Role;
use sqlx::FromRow;

use crate::column::{Change, Column};
use crate::pools::on;
use crate::{Db, Result, Tx};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct UserRow {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: UserId,
    /// Lower-cased address, unique.
    pub email: String,
    /// PHC string; `None` for the first administrator until set up.
    pub password_hash: Option<String>,
    /// As given.
    pub full_name: Option<String>,
    /// What they may do on the installation.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// False: no credential of theirs works.
    pub is_active: bool,
    /// Tokens of an earlier epoch are void.
    pub token_epoch: i64,
    /// When the row was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Timestamp,
    /// Last sign-in with a password.
    #[sqlx(try_from = "Column<Option<i64>>")]
    pub last_login_at: Option<Timestamp>,
}

/// What a request needs to know about a person; kept in memory for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct LiveUser {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: UserId,
    /// What they may do on the installation.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// False: no credential of theirs works.
    pub is_active: bool,
    /// Tokens of an earlier epoch are void.
    pub token_epoch: i64,
}

/// What to change of a person; `None` and [`Change::Keep`] leave a column alone.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// New lower-cased address.
    pub email: Option<String>,
    /// New name, or none.
    pub full_name: Change<Option<String>>,
    /// New role.
    pub role: Option<Role>,
    /// Switch on or off.
    pub is_active: Option<bool>,
    /// New PHC string.
    pub password_hash: Option<String>,
    /// Make all tokens given so far void.
    pub bump_token_epoch: bool,
    /// A sign-in with a password just happened.
    pub last_login_at: Option<Timestamp>,
}

macro_rules! columns {
    () => {
        "id, email, password_hash, full_name, role, is_active, token_epoch, created_at, \
         updated_at, last_login_at"
    };
}

const BY_ID: &str = concat!("select ", columns!(), " from users where id = $1");
const BY_EMAIL: &str = concat!("select ", columns!(), " from users where email = $1");

impl Db {
    /// The person with this id.
    pub async fn user_by_id(&self, id: UserId) -> Result<Option<UserRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// The person with this lower-cased address.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_EMAIL)
                .bind(email)
                .fetch_optional(c)
                .await?
        }))
    }

    /// Everybody, newest first.
    pub async fn users_page(&self, page: PageRequest) -> Result<Page<UserRow>> {
        const SQL: &str = concat!(
            "select ",
            columns!(),
            " from users order by created_at desc, id desc limit $1 offset $2"
        );
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(SQL)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar("select count(*) from users")
                .fetch_one(c)
                .await?;
            (items, total)
        });
        Ok(Page::new(items, total, page))
    }

    /// What requests need to know about everybody.
    pub async fn live_users(&self) -> Result<Vec<LiveUser>> {
        Ok(on!(self, |c| {
            sqlx::query_as("select id, role, is_active, token_epoch from users order by id")
                .fetch_all(c)
                .await?
        }))
    }
}

impl Tx {
    /// Adds a person; a taken address is `Unique { column: "users.email" }`.
    pub async fn insert_user(&mut self, user: &UserRow) -> Result<()> {
        const SQL: &str = concat!(
            "insert into users (",
            columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        );
        on!(self, |c| {
            sqlx::query(SQL)
                .bind(user.id.to_string())
                .bind(&user.email)
                .bind(&user.password_hash)
                .bind(&user.full_name)
                .bind(user.role.name())
                .bind(user.is_active)
                .bind(user.token_epoch)
                .bind(user.created_at.as_micros())
                .bind(user.updated_at.as_micros())
                .bind(user.last_login_at.map(Timestamp::as_micros))
                .execute(c)
                .await?;
        });
        Ok(())
    }

    /// The person with this id.
    pub async fn user_by_id(&mut self, id: UserId) -> Result<Option<UserRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_ID)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// The person with this lower-cased address.
    pub async fn user_by_email(&mut self, email: &str) -> Result<Option<UserRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_EMAIL)
                .bind(email)
                .fetch_optional(c)
                .await?
        }))
    }

    /// Changes a person; answers the new row, or nothing if there is none.
    pub async fn update_user(
        &mut self,
        id: UserId,
        change: UserChange,
        now: Timestamp,
    ) -> Result<Option<UserRow>> {
        const SQL: &str = concat!(
            "update users set email = coalesce(cast($2 as text), email), \
             full_name = case when $3 then $4 else full_name end, \
             role = coalesce(cast($5 as text), role), \
             is_active = coalesce(cast($6 as boolean), is_active), \
             password_hash = coalesce(cast($7 as text), password_hash), \
             token_epoch = token_epoch + $8, \
             last_login_at = coalesce(cast($9 as bigint), last_login_at), \
             updated_at = $10 where id = $1 returning ",
            columns!()
        );
        let (set_full_name, full_name) = change.full_name.into_binds();
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .bind(change.email)
                .bind(set_full_name)
                .bind(full_name)
                .bind(change.role.map(Role::name))
                .bind(change.is_active)
                .bind(change.password_hash)
                .bind(i64::from(change.bump_token_epoch))
                .bind(change.last_login_at.map(Timestamp::as_micros))
                .bind(now.as_micros())
                .fetch_optional(c)
                .await?
        }))
    }

    /// How many people are active administrators, after every other
    /// transaction that asked: two administrators who demote each other at the
    /// same moment cannot both find one left.
    pub async fn count_admins(&mut self) -> Result<i64> {
        // Changes nothing, but makes the callers wait for each other.
        const LOCK: &str = "update changes set counter = counter where id = 1";
        const SQL: &str = "select count(*) from users where role = 'admin' and is_active";
        Ok(on!(self, |c| {
            sqlx::query(LOCK).execute(&mut *c).await?;
            sqlx::query_scalar(SQL).fetch_one(c).await?
        }))
    }

    /// Removes a person and their refresh tokens; answers whether there was
    /// one. Their keys and models must be gone first ([`crate::StoreError::Reference`]).
    pub async fn delete_user(&mut self, id: UserId) -> Result<bool> {
        let removed = on!(self, |c| {
            sqlx::query("delete from users where id = $1")
                .bind(id.to_string())
                .execute(c)
                .await?
                .rows_affected()
        });
        Ok(removed > 0)
    }
}
