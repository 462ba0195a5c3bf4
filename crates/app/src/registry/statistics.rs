//! How a model has been doing: totals, latencies, days, failures.
//!
//! Totals are exact. Latencies, days and failures are read from the rows of the
//! log, so they know what the capture mode keeps and retention has left.

use std::time::Duration;

use plimsoll_core::id::ModelId;
use plimsoll_core::key::Scope;
use plimsoll_core::model::ModelRef;
use plimsoll_core::time::Timestamp;
use plimsoll_store::{DayOfPredictions, FailedPrediction, Latencies};

use crate::auth::Caller;
use crate::{App, Error};

/// Newest predictions whose latencies are looked at.
const RECENT: u32 = 1000;
/// Failures that are shown.
const FAILURES: u32 = 10;
const DAY: Duration = Duration::from_hours(24);

/// How a model has been doing since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// Requests that were answered.
    pub predictions: i64,
    /// Requests on which the model or the server failed.
    pub failures: i64,
    /// Latencies of the newest 1000 requests.
    pub latencies: Latencies,
}

impl Statistics {
    /// The part of the requests that were answered, from 0 to 1; nothing before the first.
    pub fn success_rate(&self) -> Option<f64> {
        rate(self.predictions, self.predictions + self.failures)
    }
}

/// How a model has been doing lately.
#[derive(Debug)]
pub struct Analytics {
    /// The first moment that is looked at: the beginning of a day in UTC.
    pub from: Timestamp,
    /// The moment of looking.
    pub to: Timestamp,
    /// Days with predictions, oldest first.
    pub days: Vec<DayOfPredictions>,
    /// The last failures, newest first.
    pub failures: Vec<FailedPrediction>,
}

impl App {
    /// How a model has been doing in the last days, today being one of them.
    pub async fn analytics(
        &self,
        caller: &Caller,
        model: &ModelRef,
        days: u32,
    ) -> Result<Analytics, Error> {
        caller.require(Scope::Read)?;
        let id = self.live().model(caller, model)?.id;
        let to = self.clock().now();
        let today = to.as_micros().div_euclid(micros(DAY)) * micros(DAY);
        let from = today - i64::from(days.saturating_sub(1)) * micros(DAY);
        let from = Timestamp::from_micros(from);
        Ok(Analytics {
            from,
            to,
            days: self.log().days_of_predictions(id, from).await?,
            failures: self.log().last_failures(id, from, FAILURES).await?,
        })
    }

    /// How a model has been doing since it was made.
    pub(super) async fn statistics(&self, id: ModelId) -> Result<Statistics, Error> {
        let counted = self.log().model_usage(&[id]).await?;
        let row = self.db().model_by_id(id).await?;
        let unlogged = self.db().failures_of_model(id).await?;
        Ok(Statistics {
            predictions: row.map_or(0, |row| row.prediction_count)
                + counted.iter().map(|model| model.predictions).sum::<i64>(),
            failures: unlogged + counted.iter().map(|model| model.failures).sum::<i64>(),
            latencies: self.log().recent_latencies(id, RECENT).await?,
        })
    }
}

/// The part that `some` are of `all`.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests are far below 2^53"
)]
pub fn rate(some: i64, all: i64) -> Option<f64> {
    (all > 0).then(|| some as f64 / all as f64)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
