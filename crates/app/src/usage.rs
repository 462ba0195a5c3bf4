//! How often keys and versions were used, exactly.
//!
//! A prediction in the journal is counted by the ingester, together with its
//! row, so that a killed process loses no count. Everything else, such as reads,
//! refused bodies and predictions that could not be recorded, gathers in memory
//! and is written in one transaction every few seconds, before anybody reads it,
//! and at the end. What is shown is the sum of both.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_core::id::{KeyId, ModelId, VersionId};
use plimsoll_core::time::Timestamp;
use plimsoll_limit::{Allowance, Rate};
use plimsoll_store::{
    Db, KeyRow, KeyUsage as KeyCounts, LogDb, ModelRow, StoreError, VersionCounts,
};

/// One request with a key. It counts when it ends, unless the journal has it.
#[derive(Debug)]
pub(crate) struct KeyUse {
    usage: Arc<KeyUsage>,
    at: Timestamp,
    is_recorded: AtomicBool,
}

impl KeyUse {
    /// A request that began at `at`.
    pub(crate) fn new(usage: Arc<KeyUsage>, at: Timestamp) -> Self {
        Self {
            usage,
            at,
            is_recorded: AtomicBool::new(false),
        }
    }

    /// The journal has it: whoever reads the journal counts it.
    pub(crate) fn recorded(&self) {
        self.is_recorded.store(true, Ordering::Relaxed);
    }
}

impl Drop for KeyUse {
    fn drop(&mut self) {
        if !*self.is_recorded.get_mut() {
            self.usage.record(self.at);
        }
    }
}

/// Requests made with one key: what they took of its limits, and those not yet
/// written down.
#[derive(Debug, Default)]
pub struct KeyUsage {
    /// What was taken, for keys with limits.
    pub allowance: Allowance,
    burst: Mutex<Option<Rate>>,
    pending: AtomicU64,
    last_used_micros: AtomicI64,
}

impl KeyUsage {
    /// The key has this burst from now on. One that was changed begins whole.
    pub(crate) fn adopt(&self, burst: Option<Rate>) {
        let mut known = locked(&self.burst);
        if *known != burst {
            *known = burst;
            self.allowance.begin_burst();
        }
    }

    /// Counts one request.
    fn record(&self, now: Timestamp) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.last_used_micros
            .fetch_max(now.as_micros(), Ordering::Relaxed);
    }
}

/// Predictions of one version that the journal does not have, not yet written down.
#[derive(Debug)]
pub struct VersionUsage {
    model: ModelId,
    predictions: AtomicU64,
    failures: AtomicU64,
}

impl VersionUsage {
    /// Counts one request that was answered, or on which the model or the server failed.
    pub fn count(&self, failed: bool) {
        let counter = if failed {
            &self.failures
        } else {
            &self.predictions
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// All counters that wait to be written down.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    keys: Mutex<HashMap<KeyId, Arc<KeyUsage>>>,
    versions: Mutex<HashMap<VersionId, Arc<VersionUsage>>>,
    /// One flush at a time, so that a reader who flushes first sees every count.
    flushing: tokio::sync::Mutex<()>,
}

impl Usage {
    /// The counter of one key; the same one every time.
    pub(crate) fn key(&self, id: KeyId) -> Arc<KeyUsage> {
        locked(&self.keys).entry(id).or_default().clone()
    }

    /// The counter of one version; the same one every time.
    pub(crate) fn version(&self, model: ModelId, id: VersionId) -> Arc<VersionUsage> {
        let mut versions = locked(&self.versions);
        let counter = versions.entry(id).or_insert_with(|| {
            Arc::new(VersionUsage {
                model,
                predictions: AtomicU64::new(0),
                failures: AtomicU64::new(0),
            })
        });
        counter.clone()
    }

    /// Writes everything down. After it returns, the database knows every
    /// request that was counted before it was called.
    pub(crate) async fn flush(&self, db: &Db) -> Result<(), StoreError> {
        let _one_at_a_time = self.flushing.lock().await;
        let keys = self.take_keys();
        let versions = self.take_versions();
        if keys.is_empty() && versions.is_empty() {
            return Ok(());
        }
        let written = write_down(db, &keys, &versions).await;
        if written.is_err() {
            self.give_back(&keys, &versions);
        }
        written
    }

    fn take_keys(&self) -> Vec<KeyCounts> {
        locked(&self.keys)
            .iter()
            .map(|(key, usage)| KeyCounts {
                key: *key,
                last_used_at: Timestamp::from_micros(
                    usage.last_used_micros.load(Ordering::Relaxed),
                ),
                requests: signed(usage.pending.swap(0, Ordering::Relaxed)),
            })
            .filter(|counts| counts.requests > 0)
            .collect()
    }

    fn take_versions(&self) -> Vec<VersionCounts> {
        locked(&self.versions)
            .iter()
            .map(|(version_id, usage)| VersionCounts {
                model_id: usage.model,
                version_id: *version_id,
                predictions: signed(usage.predictions.swap(0, Ordering::Relaxed)),
                failures: signed(usage.failures.swap(0, Ordering::Relaxed)),
            })
            .filter(|counts| counts.predictions + counts.failures > 0)
            .collect()
    }

    fn give_back(&self, keys: &[KeyCounts], versions: &[VersionCounts]) {
        for counts in keys {
            self.key(counts.key)
                .pending
                .fetch_add(counts.requests.unsigned_abs(), Ordering::Relaxed);
        }
        for counts in versions {
            let usage = self.version(counts.model_id, counts.version_id);
            usage
                .predictions
                .fetch_add(counts.predictions.unsigned_abs(), Ordering::Relaxed);
            usage
                .failures
                .fetch_add(counts.failures.unsigned_abs(), Ordering::Relaxed);
        }
    }
}

/// Adds what the log counted to what keys show.
pub(crate) async fn add_to_keys(log: &LogDb, keys: &mut [KeyRow]) -> Result<(), StoreError> {
    let ids: Vec<KeyId> = keys.iter().map(|key| key.id).collect();
    let used: HashMap<KeyId, KeyCounts> = log
        .key_usage(&ids)
        .await?
        .into_iter()
        .map(|counts| (counts.key, counts))
        .collect();
    for key in keys {
        if let Some(counts) = used.get(&key.id) {
            key.total_requests += counts.requests;
            key.last_used_at = key.last_used_at.max(Some(counts.last_used_at));
        }
    }
    Ok(())
}

/// Adds what the log counted to what models show.
pub(crate) async fn add_to_models(log: &LogDb, models: &mut [ModelRow]) -> Result<(), StoreError> {
    let ids: Vec<ModelId> = models.iter().map(|model| model.id).collect();
    let used: HashMap<ModelId, i64> = log
        .model_usage(&ids)
        .await?
        .into_iter()
        .map(|counts| (counts.model_id, counts.predictions))
        .collect();
    for model in models {
        model.prediction_count += used.get(&model.id).copied().unwrap_or(0);
    }
    Ok(())
}

/// Counts of a few seconds always fit; the database has signed numbers only.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn write_down(
    db: &Db,
    keys: &[KeyCounts],
    versions: &[VersionCounts],
) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    tx.add_key_usage(keys).await?;
    tx.add_version_counts(versions).await?;
    tx.commit().await
}

/// A poisoned counter map is still a map of counters.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
