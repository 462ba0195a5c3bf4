//! How much the log holds, and deleting the oldest rows of it.
//!
//! Deletes come in batches, each a transaction of its own, so that whoever
//! inserts never waits long. A model's rows are found through the index of its
//! times. How many there are is kept up to date in `stored_predictions`: files
//! do not shrink when rows go, so their size says nothing about what is left.

use plimsoll_core::id::ModelId;
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use super::{LogDb, LogTx, PredictionRow};
use crate::Result;
use crate::pools::{Side, on};

/// Newest rows of each model that a limit on space leaves alone.
pub const MIN_KEPT_ROWS: u32 = 10_000;

/// Bytes a row takes on disk beside its input and output: the other columns,
/// its entries in three indexes, and the space pages leave free.
const OVERHEAD: i64 = 480;

/// What the log holds of one model.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct StoredPredictions {
    /// The model.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// Rows.
    pub row_count: i64,
    /// About how many bytes they take, indexes included.
    pub bytes: i64,
}

/// A change of what the log holds of one model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) rows: i64,
    pub(super) bytes: i64,
}

/// The bytes counted for a row; the deletes below count the same.
pub(super) fn row_bytes(row: &PredictionRow) -> i64 {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let payload = length(&row.input) + length(&row.output);
    OVERHEAD + i64::try_from(payload).unwrap_or(i64::MAX - OVERHEAD)
}

/// Deletes the `$2` oldest rows of the model `$1` among those that pass `$guard`.
macro_rules! delete_oldest {
    ($guard:literal) => {
        concat!(
            "delete from predictions where id in (select id from predictions \
             where model_id = $1 and ",
            $guard,
            " order by created_at, id limit $2) \
             returning cast(octet_length(coalesce(input, '')) as bigint) \
             + octet_length(coalesce(output, ''))"
        )
    };
}

const DELETE_BEFORE: &str = delete_oldest!("created_at < $3");
const DELETE_BEYOND: &str = delete_oldest!(
    "(created_at, id) <= (select created_at, id from predictions where model_id = $1 \
     order by created_at desc, id desc limit 1 offset $3)"
);

impl LogDb {
    /// What the log holds of each model.
    pub async fn stored_predictions(&self) -> Result<Vec<StoredPredictions>> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select model_id, row_count, bytes from stored_predictions order by model_id",
            )
            .fetch_all(c)
            .await?
        }))
    }

    /// Deletes up to `batch` rows older than `before`, all of one model;
    /// answers how many. Nothing is left when it answers 0.
    pub async fn delete_before(&self, before: Timestamp, batch: u32) -> Result<u64> {
        let model: Option<String> = on!(self, |c| {
            sqlx::query_scalar(
                "select s.model_id from stored_predictions s where exists \
                 (select 1 from predictions p where p.model_id = s.model_id \
                 and p.created_at < $1) order by s.model_id limit 1",
            )
            .bind(before.as_micros())
            .fetch_optional(c)
            .await?
        });
        match model {
            Some(model) => {
                self.delete(DELETE_BEFORE, &model, before.as_micros(), batch)
                    .await
            }
            None => Ok(0),
        }
    }

    /// Deletes up to `batch` of the oldest rows of the model that takes the most
    /// space, if all models together take more than `max_bytes`; answers how
    /// many. The `keep` newest rows of each model stay, whatever they take.
    /// Nothing is left to do when it answers 0.
    pub async fn delete_beyond(&self, max_bytes: i64, keep: u32, batch: u32) -> Result<u64> {
        let mut stored = self.stored_predictions().await?;
        let total: i64 = stored.iter().map(|model| model.bytes).sum();
        if total <= max_bytes {
            return Ok(0);
        }
        stored.retain(|model| model.row_count > i64::from(keep));
        stored.sort_unstable_by_key(|model| std::cmp::Reverse(model.bytes));
        for model in stored {
            let deleted = self.delete_of_model(model.model_id, keep, batch).await?;
            if deleted > 0 {
                return Ok(deleted);
            }
        }
        Ok(0)
    }

    /// Deletes up to `batch` of a model's oldest rows but never its `keep`
    /// newest; answers how many.
    pub async fn delete_of_model(&self, model: ModelId, keep: u32, batch: u32) -> Result<u64> {
        let model = model.to_string();
        self.delete(DELETE_BEYOND, &model, i64::from(keep), batch)
            .await
    }

    /// Bytes the log takes on disk, without what deleted rows left behind on SQLite.
    pub async fn size_bytes(&self) -> Result<i64> {
        Ok(match self.side() {
            Side::Sqlite(pool) => {
                sqlx::query_scalar(
                    "select (page_count - freelist_count) * page_size \
                     from pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
                )
                .fetch_one(pool)
                .await?
            }
            Side::Postgres(pool) => {
                sqlx::query_scalar(
                    "select cast(sum(pg_total_relation_size(cast(name as regclass))) as bigint) \
                     from (values ('predictions'), ('stored_predictions'), ('key_usage'), \
                     ('version_usage'), ('log_cursors')) as tables (name)",
                )
                .fetch_one(pool)
                .await?
            }
        })
    }

    async fn delete(&self, text: &'static str, model: &str, guard: i64, batch: u32) -> Result<u64> {
        let mut tx = self.begin().await?;
        let payloads: Vec<i64> = on!(tx, |c| {
            sqlx::query_scalar(text)
                .bind(model)
                .bind(i64::from(batch))
                .bind(guard)
                .fetch_all(c)
                .await?
        });
        let rows = i64::try_from(payloads.len()).unwrap_or(i64::MAX);
        let bytes = payloads.iter().sum::<i64>() + OVERHEAD * rows;
        let change = Held {
            rows: -rows,
            bytes: -bytes,
        };
        tx.add_held(model, change).await?;
        tx.commit().await?;
        Ok(rows.unsigned_abs())
    }
}

impl LogTx {
    pub(super) async fn add_held(&mut self, model: &str, change: Held) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into stored_predictions (model_id, row_count, bytes) \
                 values ($1, $2, $3) on conflict (model_id) do update set \
                 row_count = stored_predictions.row_count + excluded.row_count, \
                 bytes = stored_predictions.bytes + excluded.bytes",
            )
            .bind(model)
            .bind(change.rows)
            .bind(change.bytes)
            .execute(c)
            .await?;
        });
        Ok(())
    }
}
