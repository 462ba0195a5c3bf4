//! What serving reads about versions, and the counts it writes back.

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{ModelId, UserId, VersionId};
use plimsoll_core::model::{Stage, Status};
use plimsoll_core::record::CapturePolicy;
use plimsoll_core::schema::Task;
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use crate::column::Column;
use crate::pools::on;
use crate::{Db, Result, Tx};

/// What serving needs to know about a model; kept in memory for all of them.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct LiveModel {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: ModelId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub owner_id: UserId,
    /// Unique among its owner's.
    pub name: String,
    /// Whether it is in use.
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// Since when.
    #[sqlx(try_from = "i64")]
    pub status_at: Timestamp,
    /// What is kept of requests to it.
    #[sqlx(try_from = "Column<String>")]
    pub capture: CapturePolicy,
}

/// What serving needs to know about a version; kept in memory for all of them.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct LiveVersion {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: VersionId,
    /// The model it belongs to.
    #[sqlx(try_from = "String")]
    pub model_id: ModelId,
    /// Counted from 1 within the model.
    pub number: i64,
    /// Unique within the model.
    pub label: String,
    /// Whether the version is in use.
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// Since when.
    #[sqlx(try_from = "i64")]
    pub status_at: Timestamp,
    /// How far it has come.
    #[sqlx(try_from = "String")]
    pub stage: Stage,
    /// Its content's name in the blob store.
    #[sqlx(try_from = "String")]
    pub sha256: Digest,
    /// The content with its sample rows, if there are any.
    #[sqlx(rename = "samples_sha256", try_from = "Column<Option<String>>")]
    pub samples: Option<Digest>,
    /// The version of the content's flat form, if it has one.
    pub flat_version: Option<String>,
    /// The flat form itself.
    #[sqlx(rename = "flat_sha256", try_from = "Column<Option<String>>")]
    pub flat: Option<Digest>,
    /// Length of the content.
    pub size_bytes: i64,
    /// What computes.
    pub algorithm: String,
    /// What it is for.
    #[sqlx(try_from = "String")]
    pub task: Task,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
}

/// Predictions of one version since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionCounts {
    /// The model.
    pub model_id: ModelId,
    /// The version.
    pub version_id: VersionId,
    /// Successful predictions to add.
    pub predictions: i64,
    /// Failed predictions to add.
    pub failures: i64,
}

macro_rules! models {
    () => {
        "select id, owner_id, name, status, status_at, capture from models "
    };
}

macro_rules! versions {
    () => {
        "select v.id, v.model_id, v.number, v.label, v.status, v.status_at, v.stage, v.sha256, \
         v.samples_sha256, f.version as flat_version, f.flat_sha256, v.size_bytes, v.algorithm, \
         v.task, v.created_at \
         from versions v left join flat_forms f on f.sha256 = v.sha256 "
    };
}

impl Db {
    /// What serving needs to know about every model, archived ones included.
    pub async fn live_models(&self) -> Result<Vec<LiveModel>> {
        const SQL: &str = concat!(models!(), "order by id");
        Ok(on!(self, |c| sqlx::query_as(SQL).fetch_all(c).await?))
    }

    /// The same about one model.
    pub async fn live_model(&self, id: ModelId) -> Result<Option<LiveModel>> {
        const SQL: &str = concat!(models!(), "where id = $1");
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(id.to_string())
                .fetch_optional(c)
                .await?
        }))
    }

    /// What serving needs to know about every version, archived ones included.
    pub async fn live_versions(&self) -> Result<Vec<LiveVersion>> {
        const SQL: &str = concat!(versions!(), "order by v.model_id, v.number");
        Ok(on!(self, |c| sqlx::query_as(SQL).fetch_all(c).await?))
    }

    /// The same about the versions of one model.
    pub async fn live_versions_of(&self, model: ModelId) -> Result<Vec<LiveVersion>> {
        const SQL: &str = concat!(versions!(), "where v.model_id = $1 order by v.number");
        Ok(on!(self, |c| {
            sqlx::query_as(SQL)
                .bind(model.to_string())
                .fetch_all(c)
                .await?
        }))
    }
}

impl Tx {
    /// Adds what was counted since the last report, to models and versions.
    /// What is gone is skipped.
    pub async fn add_version_counts(&mut self, counts: &[VersionCounts]) -> Result<()> {
        // Models before versions, both sorted: every writer locks in this
        // order, so none waits for another in a circle.
        let mut counts = counts.to_vec();
        counts.sort_unstable_by_key(|entry| (entry.model_id, entry.version_id));
        for entry in &counts {
            on!(self, |c| {
                sqlx::query(
                    "update models set prediction_count = prediction_count + $2 where id = $1",
                )
                .bind(entry.model_id.to_string())
                .bind(entry.predictions)
                .execute(c)
                .await?;
            });
        }
        for entry in &counts {
            on!(self, |c| {
                sqlx::query(
                    "update versions set prediction_count = prediction_count + $2, \
                     failure_count = failure_count + $3 where id = $1",
                )
                .bind(entry.version_id.to_string())
                .bind(entry.predictions)
                .bind(entry.failures)
                .execute(c)
                .await?;
            });
        }
        Ok(())
    }
}
