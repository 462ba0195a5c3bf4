//! The table `mode_changes`: the newest row is the mode the platform is in.

use plimsoll_core::mode::Mode;
use plimsoll_core::page::{Page, PageRequest};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::pools::on;
use crate::{Db, Result, Tx};

/// One change of the mode.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ModeRow {
    /// Its number, from 1.
    pub seq: i64,
    /// The mode from then on.
    #[sqlx(try_from = "String")]
    pub mode: Mode,
    /// Whether predictions are served; always, except in some maintenance.
    pub serve: bool,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
    /// Who did it.
    pub by_user_id: Option<String>,
    /// When.
    #[sqlx(try_from = "i64")]
    pub at: Timestamp,
}

const NEWEST: &str =
    "select seq, mode, serve, reason, by_user_id, at from mode_changes order by seq desc limit 1";

impl Db {
    /// The newest change; none if the mode was never changed.
    pub async fn mode(&self) -> Result<Option<ModeRow>> {
        Ok(on!(self, |c| sqlx::query_as(NEWEST)
            .fetch_optional(c)
            .await?))
    }

    /// All changes, newest first.
    pub async fn modes_page(&self, page: PageRequest) -> Result<Page<ModeRow>> {
        const SQL: &str = "select seq, mode, serve, reason, by_user_id, at from mode_changes \
             order by seq desc limit $1 offset $2";
        let (items, total) = on!(self, |c| {
            let items = sqlx::query_as(SQL)
                .bind(i64::from(page.size))
                .bind(page.offset())
                .fetch_all(c)
                .await?;
            let total = sqlx::query_scalar("select count(*) from mode_changes");
            (items, total.fetch_one(c).await?)
        });
        Ok(Page::new(items, total, page))
    }
}

impl Tx {
    /// The newest change. Call [`Tx::touch_only`] first: then it stays the newest
    /// until this transaction ends.
    pub async fn mode(&mut self) -> Result<Option<ModeRow>> {
        Ok(on!(self, |c| sqlx::query_as(NEWEST)
            .fetch_optional(c)
            .await?))
    }

    /// Adds a change.
    pub async fn insert_mode(&mut self, row: &ModeRow) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into mode_changes (seq, mode, serve, reason, by_user_id, at) \
                 values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(row.seq)
            .bind(row.mode.name())
            .bind(row.serve)
            .bind(&row.reason)
            .bind(&row.by_user_id)
            .bind(row.at.as_micros())
            .execute(c)
            .await?;
        });
        Ok(())
    }
}
