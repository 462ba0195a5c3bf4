//! How a model has been doing, on the wire.

use plimsoll_app::registry::{Analytics, Statistics, rate};
use plimsoll_core::time::Timestamp;
use plimsoll_store::{DayOfPredictions, FailedPrediction, Latencies};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page::out_of_range;
use crate::problem::Problem;

/// How a model has been doing since it was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statistics)]
pub(crate) struct StatisticsDto {
    /// Requests that were answered or failed.
    total: i64,
    /// Requests that were answered.
    successful: i64,
    /// Requests on which the model or the server failed.
    failed: i64,
    /// `successful` of `total`, from 0 to 1; `null` before the first request.
    success_rate: Option<f64>,
    /// Mean latency of the newest requests in the log, in milliseconds.
    average_latency_ms: Option<f64>,
    /// How many requests that is: at most 1000.
    latency_requests: i64,
}

impl From<Statistics> for StatisticsDto {
    fn from(statistics: Statistics) -> Self {
        Self {
            total: statistics.predictions + statistics.failures,
            successful: statistics.predictions,
            failed: statistics.failures,
            success_rate: statistics.success_rate(),
            average_latency_ms: statistics.latencies.mean_us.map(milliseconds),
            latency_requests: statistics.latencies.count,
        }
    }
}

/// How far back is looked.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct AnalyticsQuery {
    /// Days in UTC, today being one of them.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 90, default = 30)]
    days: Option<String>,
}

impl AnalyticsQuery {
    /// How many days.
    pub(crate) fn days(&self) -> Result<u32, Problem> {
        let Some(text) = &self.days else {
            return Ok(30);
        };
        let days = text.parse().ok().filter(|days| (1..=90).contains(days));
        days.ok_or_else(|| Problem::invalid(vec![out_of_range("days", "integer from 1 to 90")]))
    }
}

/// How a model has been doing lately. It knows what is in the log: the capture mode decides
/// which requests have a row, and retention how long.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Analytics)]
pub(crate) struct AnalyticsDto {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Requests that were answered or failed.
    total: i64,
    /// Requests that were answered.
    successful: i64,
    /// Requests that failed.
    failed: i64,
    /// `successful` of `total`, from 0 to 1; `null` if there were none.
    success_rate: Option<f64>,
    /// Latencies.
    latency_ms: LatencyDto,
    /// Days with requests, oldest first.
    daily: Vec<DayDto>,
    /// The last 10 failures, newest first.
    recent_errors: Vec<FailureDto>,
}

/// Latencies in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LatencyRange)]
pub(crate) struct LatencyDto {
    /// The shortest.
    min: Option<f64>,
    /// Their mean.
    avg: Option<f64>,
    /// The longest.
    max: Option<f64>,
}

impl From<Latencies> for LatencyDto {
    fn from(latencies: Latencies) -> Self {
        Self {
            min: latencies.least_us.map(whole_milliseconds),
            avg: latencies.mean_us.map(milliseconds),
            max: latencies.most_us.map(whole_milliseconds),
        }
    }
}

/// One day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayOfPredictions)]
pub(crate) struct DayDto {
    /// Which, in UTC.
    #[schema(example = "2026-11-21", format = Date)]
    date: String,
    /// Requests that were answered or failed.
    total: i64,
    /// Requests that were answered.
    successful: i64,
    /// Requests that failed.
    failed: i64,
    /// Mean latency, in milliseconds.
    average_latency_ms: Option<f64>,
}

/// One failure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecentFailure)]
pub(crate) struct FailureDto {
    /// Id of the prediction.
    prediction_id: String,
    /// Number of the version.
    version: i64,
    /// A word.
    error_code: String,
    /// A sentence.
    error_message: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<FailedPrediction> for FailureDto {
    fn from(failure: FailedPrediction) -> Self {
        Self {
            prediction_id: failure.id.to_string(),
            version: failure.version_number,
            error_code: failure.error_code,
            error_message: failure.error_message,
            created_at: failure.created_at,
        }
    }
}

impl From<Analytics> for AnalyticsDto {
    fn from(analytics: Analytics) -> Self {
        let days = &analytics.days;
        let total: i64 = days.iter().map(|day| day.count).sum();
        let successful: i64 = days.iter().map(|day| day.answered).sum();
        let sum: i64 = days.iter().map(|day| day.sum_us).sum();
        let latencies = Latencies {
            count: total,
            least_us: days.iter().map(|day| day.least_us).min(),
            mean_us: rate(sum, total),
            most_us: days.iter().map(|day| day.most_us).max(),
        };
        Self {
            from: analytics.from,
            to: analytics.to,
            total,
            successful,
            failed: total - successful,
            success_rate: rate(successful, total),
            latency_ms: latencies.into(),
            daily: days.iter().map(DayDto::from).collect(),
            recent_errors: analytics.failures.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<&DayOfPredictions> for DayDto {
    fn from(day: &DayOfPredictions) -> Self {
        const MICROS: i64 = 86_400_000_000;
        // A time begins with its date.
        let mut date = Timestamp::from_micros(day.day * MICROS).to_string();
        date.truncate(10);
        Self {
            date,
            total: day.count,
            successful: day.answered,
            failed: day.count - day.answered,
            average_latency_ms: rate(day.sum_us, day.count).map(milliseconds),
        }
    }
}

/// From microseconds, to the microsecond.
fn milliseconds(micros: f64) -> f64 {
    micros.round() / 1e3
}

#[expect(
    clippy::cast_precision_loss,
    reason = "latencies are far below 2^53 microseconds"
)]
fn whole_milliseconds(micros: i64) -> f64 {
    micros as f64 / 1e3
}
