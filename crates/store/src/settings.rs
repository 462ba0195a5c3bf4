//! The tables `settings` (named values, the one-time setup token among them)
//! and `changes` (a counter that tells a running server that another process wrote).

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

    /// How often [`Tx::touch`] was committed.
    pub async fn change_counter(&self) -> Result<i64> {
        Ok(on!(self, |c| {
            sqlx::query_scalar("select counter from changes where id = 1")
                .fetch_one(c)
                .await?
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

    /// Announces that keys, people, models or versions changed. Call it last:
    /// until the commit, other writers that call it wait.
    pub async fn touch(&mut self) -> Result<()> {
        on!(self, |c| {
            sqlx::query("update changes set counter = counter + 1 where id = 1")
                .execute(c)
                .await?;
        });
        Ok(())
    }
}
