//! Writing rows of `predictions`, many at a time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plimsoll_core::id::ModelId;
use plimsoll_core::time::Timestamp;

use super::chunk::{Placeholders, chunks, insert_text};
use super::retention::{Held, row_bytes};
use super::{LogTx, PredictionRow};
use crate::Result;
use crate::pools::{Side, on};

impl LogTx {
    /// Adds rows and answers how many were new; a row whose id is there already
    /// is skipped.
    pub async fn insert_predictions(&mut self, rows: &[PredictionRow]) -> Result<u64> {
        let mut added = 0;
        let mut held = BTreeMap::new();
        for chunk in chunks(rows) {
            let new = self.insert_chunk(chunk).await?;
            added += new;
            count(&mut held, chunk, new);
        }
        for (model, change) in held {
            self.add_held(&model.to_string(), change).await?;
        }
        Ok(added)
    }

    async fn insert_chunk(&mut self, rows: &[PredictionRow]) -> Result<u64> {
        let placeholders = match self.open {
            Side::Sqlite(_) => Placeholders::Anonymous,
            Side::Postgres(_) => Placeholders::Numbered,
        };
        let text = insert_text(placeholders, rows.len());
        Ok(on!(self, |c| {
            let mut query = sqlx::query(text);
            for row in rows {
                query = query
                    .bind(row.id.to_string())
                    .bind(row.owner_id.to_string())
                    .bind(row.model_id.to_string())
                    .bind(row.version_id.to_string())
                    .bind(row.version_number)
                    .bind(row.endpoint.as_deref().map(storable))
                    .bind(row.key_id.map(|id| id.to_string()))
                    .bind(row.request_id.as_deref().map(storable))
                    .bind(storable(&row.header_request_id))
                    .bind(row.error_code.as_deref().map(storable))
                    .bind(row.error_message.as_deref().map(storable))
                    .bind(row.row_count)
                    .bind(row.input_bytes)
                    .bind(row.truncated)
                    .bind(row.payload.name())
                    .bind(row.confidence)
                    .bind(row.latency_us)
                    .bind(Timestamp::as_micros(row.created_at))
                    .bind(row.input.as_deref().map(storable))
                    .bind(row.output.as_deref().map(storable))
                    .bind(row.shadow);
            }
            query.execute(c).await?.rows_affected()
        }))
    }
}

/// The text without the one character PostgreSQL cannot store.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Adds a chunk to what each model holds. If rows were skipped, which takes a
/// journal that was read twice, each model gets its share of the new ones.
fn count(held: &mut BTreeMap<ModelId, Held>, chunk: &[PredictionRow], new: u64) {
    let new = i64::try_from(new).unwrap_or(i64::MAX);
    let all = i64::try_from(chunk.len()).unwrap_or(i64::MAX);
    let mut sums: BTreeMap<ModelId, Held> = BTreeMap::new();
    for row in chunk {
        let sum = sums.entry(row.model_id).or_default();
        sum.rows += 1;
        sum.bytes += row_bytes(row);
    }
    for (model, sum) in sums {
        let total = held.entry(model).or_default();
        total.rows += sum.rows * new / all;
        total.bytes += sum.bytes * new / all;
    }
}
