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
    /// Moves an open cursor from the segment and byte where it is thought to be,
    /// or makes it if there is thought to be none. Answers whether it was so; if
    /// not, the rows of this transaction have been counted already, and it must
    /// not be committed.
    pub async fn move_cursor(
        &mut self,
        from: Option<(i64, i64)>,
        to: &JournalCursor,
    ) -> Result<bool> {
        const MAKE: &str = "insert into log_cursors \
             (boot, segment, byte_offset, closed, updated_at) \
             values ($1, $2, $3, false, $4) on conflict (boot) do nothing";
        const MOVE: &str = "update log_cursors \
             set segment = $2, byte_offset = $3, updated_at = $4 \
             where boot = $1 and segment = $5 and byte_offset = $6 and not closed";
        let moved = on!(self, |c| {
            let mut query = sqlx::query(if from.is_some() { MOVE } else { MAKE })
                .bind(&to.boot)
                .bind(to.segment)
                .bind(to.byte_offset)
                .bind(to.updated_at.as_micros());
            if let Some((segment, byte_offset)) = from {
                query = query.bind(segment).bind(byte_offset);
            }
            query.execute(c).await?.rows_affected()
        });
        Ok(moved > 0)
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
