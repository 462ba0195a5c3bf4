//! The tables `key_usage` and `version_usage`: totals that only grow.

use plimsoll_core::id::{KeyId, ModelId, UserId, VersionId};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use super::{LogDb, LogTx};
use crate::pools::on;
use crate::{KeyUsage, Result, VersionCounts};

/// Ids looked up with one statement; shorter lists repeat their last id.
const LOOKUP: usize = 8;

#[derive(FromRow)]
struct KeyRow {
    #[sqlx(try_from = "String")]
    key_id: KeyId,
    requests: i64,
    #[sqlx(try_from = "i64")]
    last_used_at: Timestamp,
}

#[derive(FromRow)]
struct VersionRow {
    #[sqlx(try_from = "String")]
    version_id: VersionId,
    #[sqlx(try_from = "String")]
    model_id: ModelId,
    predictions: i64,
    failures: i64,
}

impl LogDb {
    /// What each of these keys was used for, those never used left out.
    pub async fn key_usage(&self, keys: &[KeyId]) -> Result<Vec<KeyUsage>> {
        let mut found = Vec::with_capacity(keys.len());
        for ids in keys.chunks(LOOKUP) {
            let rows: Vec<KeyRow> = on!(self, |c| {
                let mut query = sqlx::query_as(
                    "select key_id, requests, last_used_at from key_usage \
                     where key_id in ($1, $2, $3, $4, $5, $6, $7, $8) order by key_id",
                );
                for slot in 0..LOOKUP {
                    query = query.bind(ids[slot.min(ids.len() - 1)].to_string());
                }
                query.fetch_all(c).await?
            });
            found.extend(rows.into_iter().map(|row| KeyUsage {
                key: row.key_id,
                requests: row.requests,
                last_used_at: row.last_used_at,
            }));
        }
        Ok(found)
    }

    /// What each of these versions answered, those never asked left out.
    pub async fn version_usage(&self, versions: &[VersionId]) -> Result<Vec<VersionCounts>> {
        let mut found = Vec::with_capacity(versions.len());
        for ids in versions.chunks(LOOKUP) {
            let rows: Vec<VersionRow> = on!(self, |c| {
                let mut query = sqlx::query_as(
                    "select version_id, model_id, predictions, failures from version_usage \
                     where version_id in ($1, $2, $3, $4, $5, $6, $7, $8) order by version_id",
                );
                for slot in 0..LOOKUP {
                    query = query.bind(ids[slot.min(ids.len() - 1)].to_string());
                }
                query.fetch_all(c).await?
            });
            found.extend(rows.into_iter().map(|row| VersionCounts {
                model_id: row.model_id,
                version_id: row.version_id,
                predictions: row.predictions,
                failures: row.failures,
            }));
        }
        Ok(found)
    }
}

/// What the versions of a model answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct ModelCounts {
    /// The model.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// Predictions that were answered.
    pub predictions: i64,
    /// Predictions on which the model or the server failed.
    pub failures: i64,
}

/// How often a key asked for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct KeyModel {
    /// The key.
    #[sqlx(try_from = "String")]
    pub key_id: KeyId,
    /// The model.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// Predictions, failed ones among them.
    pub predictions: i64,
}

impl LogDb {
    /// What each of these models answered, those never asked left out.
    pub async fn model_usage(&self, models: &[ModelId]) -> Result<Vec<ModelCounts>> {
        let mut found = Vec::with_capacity(models.len());
        for ids in models.chunks(LOOKUP) {
            let rows: Vec<ModelCounts> = on!(self, |c| {
                let mut query = sqlx::query_as(
                    "select model_id, cast(sum(predictions) as bigint) as predictions, \
                     cast(sum(failures) as bigint) as failures \
                     from version_usage where model_id in ($1, $2, $3, $4, $5, $6, $7, $8) \
                     group by model_id order by model_id",
                );
                for slot in 0..LOOKUP {
                    query = query.bind(ids[slot.min(ids.len() - 1)].to_string());
                }
                query.fetch_all(c).await?
            });
            found.extend(rows);
        }
        Ok(found)
    }

    /// Which models a person's keys asked for since then, and how often. One pass
    /// over their predictions of that time, by the index on their owner.
    pub async fn key_models(&self, owner: UserId, since: Timestamp) -> Result<Vec<KeyModel>> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select key_id, model_id, count(*) as predictions from predictions \
                 where owner_id = $1 and created_at >= $2 and key_id is not null and not shadow \
                 group by key_id, model_id order by key_id, predictions desc, model_id",
            )
            .bind(owner.to_string())
            .bind(since.as_micros())
            .fetch_all(c)
            .await?
        }))
    }

    /// Forgets what a model's versions were used for.
    pub async fn forget_usage(&self, model: ModelId) -> Result<()> {
        let mut tx = self.begin().await?;
        on!(tx, |c| {
            sqlx::query("delete from version_usage where model_id = $1")
                .bind(model.to_string())
                .execute(c)
                .await?;
        });
        on!(tx, |c| {
            sqlx::query("delete from stored_predictions where model_id = $1 and row_count <= 0")
                .bind(model.to_string())
                .execute(c)
                .await?;
        });
        tx.commit().await
    }
}

impl LogTx {
    /// Adds what a batch counted. A key's last use never goes back.
    pub async fn add_usage(&mut self, keys: &[KeyUsage], versions: &[VersionCounts]) -> Result<()> {
        // In one order everywhere, so that two replicas never wait for each other in a circle.
        let mut keys = keys.to_vec();
        keys.sort_unstable_by_key(|entry| entry.key);
        for entry in &keys {
            self.add_key_usage(entry).await?;
        }
        let mut versions = versions.to_vec();
        versions.sort_unstable_by_key(|entry| entry.version_id);
        for entry in &versions {
            self.add_version_usage(entry).await?;
        }
        Ok(())
    }

    async fn add_key_usage(&mut self, entry: &KeyUsage) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into key_usage (key_id, requests, last_used_at) values ($1, $2, $3) \
                 on conflict (key_id) do update set \
                 requests = key_usage.requests + excluded.requests, \
                 last_used_at = case when key_usage.last_used_at > excluded.last_used_at \
                 then key_usage.last_used_at else excluded.last_used_at end",
            )
            .bind(entry.key.to_string())
            .bind(entry.requests)
            .bind(entry.last_used_at.as_micros())
            .execute(c)
            .await?;
        });
        Ok(())
    }

    async fn add_version_usage(&mut self, entry: &VersionCounts) -> Result<()> {
        on!(self, |c| {
            sqlx::query(
                "insert into version_usage (version_id, model_id, predictions, failures) \
                 values ($1, $2, $3, $4) on conflict (version_id) do update set \
                 predictions = version_usage.predictions + excluded.predictions, \
                 failures = version_usage.failures + excluded.failures",
            )
            .bind(entry.version_id.to_string())
            .bind(entry.model_id.to_string())
            .bind(entry.predictions)
            .bind(entry.failures)
            .execute(c)
            .await?;
        });
        Ok(())
    }
}
