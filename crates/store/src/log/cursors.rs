//! The table `log_cursors`: how far each journal has been read.

use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use super::{LogDb, LogTx};
use crate::Result;
use crate::pools::on;

/// How far the journal of one start of the program has been read.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct JournalCursor {
    /// Names the start.
    pub boot: String,
    /// The segment being read.
    pub segment: i64,
    /// The first byte in it that has not been read.
    pub byte_offset: i64,
    /// Whether the journal has been read to its end, for good.
    pub closed: bool,
    /// When it was last moved.
    #[sqlx(try_from = "i64")]
    pub updated_at: Timestamp,
}

impl LogDb {
    /// All cursors, closed ones too, by boot.
    pub async fn cursors(&self) -> Result<Vec<JournalCursor>> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select boot, segment, byte_offset, closed, updated_at \
                 from log_cursors order by boot",
            )
            .fetch_all(c)
            .await?
        }))
    }
}

impl LogTx {
    /// Writes a cursor, new or moved.
    pub async fn set_cursor(&mut self, cursor: &JournalCursor) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into log_cursors (boot, segment, byte_offset, closed, updated_at) \
                 values ($1, $2, $3, $4, $5) on conflict (boot) do update set \
                 segment = excluded.segment, byte_offset = excluded.byte_offset, \
                 closed = excluded.closed, updated_at = excluded.updated_at",
            )
            .bind(&cursor.boot)
            .bind(cursor.segment)
            .bind(cursor.byte_offset)
            .bind(cursor.closed)
            .bind(cursor.updated_at.as_micros())
            .execute(c)
            .await?;
        });
        Ok(())
    }

    /// Marks a journal as read to its end; answers whether it was open before.
    pub async fn close_boot(&mut self, boot: &str, now: Timestamp) -> Result<bool> {
        let closed = on!(self, |c| {
            sqlx::query(
                "update log_cursors set closed = true, updated_at = $2 \
                 where boot = $1 and not closed",
            )
            .bind(boot)
            .bind(now.as_micros())
            .execute(c)
            .await?
            .rows_affected()
        });
        Ok(closed > 0)
    }

    /// Removes the cursor of a closed journal that is no longer there; answers
    /// whether there was one.
    pub async fn forget_boot(&mut self, boot: &str) -> Result<bool> {
        let forgotten = on!(self, |c| {
            sqlx::query("delete from log_cursors where boot = $1 and closed")
                .bind(boot)
                .execute(c)
                .await?
                .rows_affected()
        });
        Ok(forgotten > 0)
    }
}
