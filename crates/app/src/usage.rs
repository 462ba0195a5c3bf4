//! Exact usage counters that cost the request two atomic additions.
//!
//! Counts gather in memory and are written in one transaction every few
//! seconds, before anybody reads them, and at the end. Nothing is written per
//! request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_core::id::{KeyId, ModelId, VersionId};
use plimsoll_core::time::Timestamp;
use plimsoll_limit::Quota;
use plimsoll_store::{Db, KeyUsage as KeyCounts, StoreError, VersionCounts};

/// Requests made with one key: of this hour, and not yet written down.
#[derive(Debug, Default)]
pub struct KeyUsage {
    /// Requests of the current hour, for keys with a limit.
    pub quota: Quota,
    pending: AtomicU64,
    last_used_micros: AtomicI64,
}

impl KeyUsage {
    /// Counts one request.
    pub fn record(&self, now: Timestamp) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.last_used_micros
            .fetch_max(now.as_micros(), Ordering::Relaxed);
    }
}

/// Predictions of one version, not yet written down.
#[derive(Debug)]
pub struct VersionUsage {
    model: ModelId,
    predictions: AtomicU64,
    failures: AtomicU64,
}

impl VersionUsage {
    /// Counts one answered request.
    pub fn answered(&self) {
        self.predictions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one request on which the model or the server failed.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// All counters that wait to be written down.
#[derive(Debug, Default)]
pub struct Usage {
    keys: Mutex<HashMap<KeyId, Arc<KeyUsage>>>,
    versions: Mutex<HashMap<VersionId, Arc<VersionUsage>>>,
    /// One flush at a time, so that a reader who flushes first sees every count.
    flushing: tokio::sync::Mutex<()>,
}

impl Usage {
    /// The counter of one key; the same one every time.
    pub fn key(&self, id: KeyId) -> Arc<KeyUsage> {
        locked(&self.keys).entry(id).or_default().clone()
    }

    /// The counter of one version; the same one every time.
    pub fn version(&self, model: ModelId, id: VersionId) -> Arc<VersionUsage> {
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
    pub async fn flush(&self, db: &Db) -> Result<(), StoreError> {
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
