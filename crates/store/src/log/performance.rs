//! How a model's predictions went: looked up in the rows of the log, without those
//! of shadows, which nobody got.

use plimsoll_core::id::{ModelId, PredictionId};
use plimsoll_core::time::Timestamp;
use sqlx::FromRow;

use super::LogDb;
use crate::Result;
use crate::pools::on;

/// Latencies of some predictions, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, FromRow)]
pub struct Latencies {
    /// How many predictions.
    pub count: i64,
    /// The shortest.
    pub least_us: Option<i64>,
    /// Their mean.
    pub mean_us: Option<f64>,
    /// The longest.
    pub most_us: Option<i64>,
}

/// What happened on one day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, FromRow)]
pub struct DayOfPredictions {
    /// Days since 1970.
    pub day: i64,
    /// Requests with a row.
    pub count: i64,
    /// Of them, answered.
    pub answered: i64,
    /// The shortest latency, in microseconds.
    pub least_us: i64,
    /// All latencies together, in microseconds.
    pub sum_us: i64,
    /// The longest latency, in microseconds.
    pub most_us: i64,
}

/// A prediction that failed.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FailedPrediction {
    /// Identity.
    #[sqlx(try_from = "String")]
    pub id: PredictionId,
    /// Number of the version.
    pub version_number: i64,
    /// A word.
    pub error_code: String,
    /// A sentence.
    pub error_message: Option<String>,
    /// When.
    #[sqlx(try_from = "i64")]
    pub created_at: Timestamp,
}

impl LogDb {
    /// Latencies of a model's newest `limit` predictions.
    pub async fn recent_latencies(&self, model: ModelId, limit: u32) -> Result<Latencies> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select count(*) as count, min(latency_us) as least_us, \
                 cast(avg(latency_us) as double precision) as mean_us, \
                 max(latency_us) as most_us \
                 from (select latency_us from predictions where model_id = $1 and not shadow \
                 order by created_at desc limit $2) as newest",
            )
            .bind(model.to_string())
            .bind(i64::from(limit))
            .fetch_one(c)
            .await?
        }))
    }

    /// What happened to a model since `from`, by day; days without predictions left
    /// out. Reads every row since then.
    pub async fn days_of_predictions(
        &self,
        model: ModelId,
        from: Timestamp,
    ) -> Result<Vec<DayOfPredictions>> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select created_at / 86400000000 as day, count(*) as count, \
                 cast(sum(case when error_code is null then 1 else 0 end) as bigint) as answered, \
                 min(latency_us) as least_us, cast(sum(latency_us) as bigint) as sum_us, \
                 max(latency_us) as most_us \
                 from predictions where model_id = $1 and created_at >= $2 and not shadow \
                 group by created_at / 86400000000 order by day",
            )
            .bind(model.to_string())
            .bind(from.as_micros())
            .fetch_all(c)
            .await?
        }))
    }

    /// A model's last `limit` failures since `from`, newest first.
    pub async fn last_failures(
        &self,
        model: ModelId,
        from: Timestamp,
        limit: u32,
    ) -> Result<Vec<FailedPrediction>> {
        Ok(on!(self, |c| {
            sqlx::query_as(
                "select id, version_number, error_code, error_message, created_at \
                 from predictions where model_id = $1 and created_at >= $2 and not shadow \
                 and error_code is not null order by created_at desc, id desc limit $3",
            )
            .bind(model.to_string())
            .bind(from.as_micros())
            .bind(i64::from(limit))
            .fetch_all(c)
            .await?
        }))
    }
}
