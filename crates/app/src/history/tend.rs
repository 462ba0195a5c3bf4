//! What keeps the journal and the log in order: syncs and retention.

use std::sync::atomic::Ordering;

use plimsoll_core::id::ModelId;
use plimsoll_journal::State;
use plimsoll_store::MIN_KEPT_ROWS;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::History;
use crate::{App, Error};

/// Rows deleted in one transaction, so that the writer is never held for long.
const DELETE_BATCH: u32 = 1000;

impl App {
    /// Syncs the journal. A failed sync is final: what was written may be gone
    /// although the next sync would succeed, so the process must end.
    pub(crate) async fn sync_journal(&self) -> Result<(), Error> {
        let app = self.clone();
        let work = move || app.history().map(|history| history.journal.sync());
        let synced = self.tasks().blocking(work).await;
        if let Some(Err(error)) = synced.map_err(|error| Error::Internal(error.into()))? {
            self.fail_for_good("the journal could not be synced");
            return Err(Error::Internal(error.into()));
        }
        Ok(())
    }

    /// Bytes of the journal that are not in the log yet.
    pub fn unrecorded_bytes(&self) -> u64 {
        self.history()
            .map_or(0, |history| history.journal.stats().spool_bytes)
    }

    /// Copies the journal's own counters into the meters.
    pub fn look_at_journal(&self) {
        let Some(history) = self.history() else {
            return;
        };
        let (stats, meters) = (history.journal.stats(), &self.meters().journal);
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        let copy = |counter: &Counter, value| counter.inner().store(value, Ordering::Relaxed);
        copy(&meters.appended, stats.appended);
        copy(&meters.written_bytes, stats.bytes_written);
        copy(&meters.dropped, stats.dropped);
        copy(&meters.rejected, stats.rejected);
        set(
            &meters.is_dropping,
            u64::from(stats.state != State::Writing),
        );
        set(&meters.spool_bytes, stats.spool_bytes);
        set(&meters.spool_limit_bytes, history.max_spool_bytes);
        set(&meters.segments, stats.segments as u64);
        set(&meters.leftovers, history.journal.leftovers().len() as u64);
        meters.last_sync_age.set(stats.last_sync_age.as_secs_f64());
        let lag = history.progress.lag(self.clock().now());
        let waits = stats.spool_bytes > 0;
        meters.lag.set(if waits { lag.as_secs_f64() } else { 0.0 });
    }

    /// Deletes everything the log holds of some models.
    pub(crate) async fn forget_predictions(&self, models: &[ModelId]) -> Result<(), Error> {
        let Some(history) = self.history() else {
            return Ok(());
        };
        let _nothing_is_written = history.writing.lock().await;
        for model in models.iter().copied() {
            while history.log.delete_of_model(model, 0, DELETE_BATCH).await? > 0 {}
            history.log.forget_usage(model).await?;
        }
        Ok(())
    }

    /// Models that were deleted by a process without a journal, or while this
    /// one was away, but have predictions still.
    async fn orphaned(&self, history: &History) -> Result<Vec<ModelId>, Error> {
        let mut orphaned = Vec::new();
        for stored in history.log.stored_predictions().await? {
            if self.db().model_by_id(stored.model_id).await?.is_none() {
                orphaned.push(stored.model_id);
            }
        }
        Ok(orphaned)
    }

    /// Deletes what is older or more than the log should hold.
    pub(crate) async fn retain(&self) -> Result<(), Error> {
        let Some(history) = self.history() else {
            return Ok(());
        };
        let orphaned = self.orphaned(history).await?;
        self.forget_predictions(&orphaned).await?;
        let before = self.clock().now().minus(history.retention);
        while history.log.delete_before(before, DELETE_BATCH).await? > 0 {}
        while history
            .log
            .delete_beyond(history.max_bytes, MIN_KEPT_ROWS, DELETE_BATCH)
            .await?
            > 0
        {}
        Ok(())
    }
}
