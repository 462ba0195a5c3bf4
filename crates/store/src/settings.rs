//! The table `settings`: named values, the one-time setup token among them.

use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::pools::on;
use crate::{Db, Result, Tx};

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct SettingRow {
    /// Its name.
    pub name: String,
    /// Its value; what it means is up to whoever named it.
    pub value: String,
    /// When it was last set.
    #[sqlx(try_from = "i64")]
    pub updated_at: Timestamp,
}

const BY_NAME: &str = "select name, value, updated_at from settings where name = $1";

impl Db {
    /// The value of this name.
    pub async fn setting(&self, name: &str) -> Result<Option<SettingRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_NAME).bind(name).fetch_optional(c).await?
        }))
    }
}

impl Tx {
    /// The value of this name.
    pub async fn setting(&mut self, name: &str) -> Result<Option<SettingRow>> {
        Ok(on!(self, |c| {
            sqlx::query_as(BY_NAME).bind(name).fetch_optional(c).await?
        }))
    }

    /// Sets a value, replacing what was there.
    pub async fn set_setting(&mut self, name: &str, value: &str, now: Timestamp) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into settings (name, value, updated_at) values ($1, $2, $3) \
                 on conflict (name) do update \
                 set value = excluded.value, updated_at = excluded.updated_at",
            )
            .bind(name)
            .bind(value)
            .bind(now.as_micros())
            .execute(c)
            .await?;
        });
        Ok(())
    }

    /// Sets a value unless there is one; answers the one that holds, so that
    /// replicas which start at once agree on it.
    pub async fn setting_or_insert(
        &mut self,
        name: &str,
        value: &str,
        now: Timestamp,
    ) -> Result<SettingRow> {
        Ok(on!(self, |c| {
            // The update changes nothing, but makes the row that was there come back.
            sqlx::query_as(
                "insert into settings (name, value, updated_at) values ($1, $2, $3) \
                 on conflict (name) do update set name = excluded.name \
                 returning name, value, updated_at",
            )
            .bind(name)
            .bind(value)
            .bind(now.as_micros())
            .fetch_one(c)
            .await?
        }))
    }

    /// Removes a value; true for exactly one of several callers.
    pub async fn delete_setting(&mut self, name: &str) -> Result<bool> {
        let removed = on!(self, |c| {
            sqlx::query("delete from settings where name = $1")
                .bind(name)
                .execute(c)
                .await?
                .rows_affected()
        });
        Ok(removed > 0)
    }
}
