//! What the product counts about itself, in Prometheus terms.
//!
//! Handles that the hot path touches are resolved once (see
//! [`VersionMeters`]), so counting is an atomic add and never a map lookup.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Labels of everything that is counted per model version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VersionLabels {
    /// Id of the model (names belong to users and would leak between them).
    pub model: String,
    /// Number of the version.
    pub version: i64,
}

/// Label of failed authentications: why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// A word from a fixed list.
    pub reason: &'static str,
}

/// Handles of one version, resolved once.
#[derive(Clone, Debug)]
pub struct VersionMeters {
    /// Rows answered.
    pub rows: Counter,
    /// Requests answered.
    pub predictions: Counter,
    /// Requests on which the model or the server failed.
    pub failures: Counter,
    /// Time inside the engine, in seconds.
    pub inference: Histogram,
}

impl VersionMeters {
    /// Counts one answered request of `rows` rows.
    pub fn answered(&self, rows: usize, inference: Duration) {
        self.predictions.inc();
        self.rows.inc_by(rows as u64);
        self.inference.observe(inference.as_secs_f64());
    }
}

/// What the journal and the ingester did. The journal's own counters are copied
/// when somebody looks.
#[derive(Clone, Debug, Default)]
pub struct JournalMeters {
    /// Records written since the start.
    pub appended: Counter,
    /// Their bytes.
    pub written_bytes: Counter,
    /// Records lost to a full disk or a full spool since the start.
    pub dropped: Counter,
    /// Requests refused because the spool was full.
    pub rejected: Counter,
    /// 1 while records are lost.
    pub is_dropping: Gauge,
    /// Bytes not yet in the log.
    pub spool_bytes: Gauge,
    /// Most bytes that may wait.
    pub spool_limit_bytes: Gauge,
    /// Files.
    pub segments: Gauge,
    /// Earlier starts whose journal still exists.
    pub leftovers: Gauge,
    /// Seconds since the last sync.
    pub last_sync_age: Gauge<f64, AtomicU64>,
    /// Places that could not be read.
    pub damage: Counter,
    /// Records that are not there although later ones are.
    pub missing: Counter,
    /// Predictions moved into the log.
    pub rows: Counter,
    /// Transactions that moved them.
    pub batches: Counter,
    /// Times the database refused one.
    pub refused_batches: Counter,
    /// Seconds by which the log is behind.
    pub lag: Gauge<f64, AtomicU64>,
}

/// Everything that is counted.
#[derive(Clone, Debug)]
pub struct Meters {
    rows: Family<VersionLabels, Counter>,
    predictions: Family<VersionLabels, Counter>,
    failures: Family<VersionLabels, Counter>,
    inference: Family<VersionLabels, Histogram, fn() -> Histogram>,
    /// Refused credentials, by reason.
    pub authentication_failures: Family<ReasonLabel, Counter>,
    /// Artifacts whose SHA-256 did not match when they were loaded.
    pub integrity_failures: Counter,
    /// Requests that found their model in memory.
    pub cache_hits: Counter,
    /// Requests that had to wait for their model to be loaded.
    pub cache_misses: Counter,
    /// Model files read, checked and opened for a request.
    pub model_loads: Counter,
    /// Models pushed out of memory by others.
    pub cache_evictions: Counter,
    /// Models in memory.
    pub loaded_models: Gauge,
    /// Bytes of models in memory.
    pub loaded_bytes: Gauge,
    /// Requests refused because the engine pool was full.
    pub overloads: Counter,
    /// What the journal and the ingester did.
    pub journal: JournalMeters,
    /// Requests waiting for or running on the engine pool.
    pub queue_depth: Gauge,
    registry: Arc<Registry>,
}

/// Seconds from 1 µs to about 17 s, a factor of four apart.
fn inference_histogram() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        1e-6, 4.0, 13,
    ))
}

impl Meters {
    /// Meters that all stand at zero.
    pub fn new() -> Self {
        let mut meters = Self {
            rows: Family::default(),
            predictions: Family::default(),
            failures: Family::default(),
            inference: Family::new_with_constructor(inference_histogram),
            authentication_failures: Family::default(),
            integrity_failures: Counter::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            model_loads: Counter::default(),
            cache_evictions: Counter::default(),
            loaded_models: Gauge::default(),
            loaded_bytes: Gauge::default(),
            overloads: Counter::default(),
            journal: JournalMeters::default(),
            queue_depth: Gauge::default(),
            registry: Arc::new(Registry::default()),
        };
        let mut registry = Registry::with_prefix("plimsoll");
        meters.register_serving(&mut registry);
        meters.register_trust(&mut registry);
        meters.register_journal(&mut registry);
        meters.register_log(&mut registry);
        meters.registry = Arc::new(registry);
        meters
    }

    fn register_serving(&self, registry: &mut Registry) {
        registry.register(
            "predictions",
            "Prediction requests answered",
            self.predictions.clone(),
        );
        registry.register("prediction_rows", "Rows predicted", self.rows.clone());
        registry.register(
            "prediction_failures",
            "Prediction requests on which the model or the server failed",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "inference",
            "Time inside the engine",
            Unit::Seconds,
            self.inference.clone(),
        );
        registry.register(
            "model_cache_hits",
            "Requests that found their model in memory",
            self.cache_hits.clone(),
        );
        registry.register(
            "model_cache_misses",
            "Requests that waited for a load",
            self.cache_misses.clone(),
        );
        registry.register(
            "model_loads",
            "Model files read, checked and opened for a request",
            self.model_loads.clone(),
        );
        registry.register(
            "model_cache_evictions",
            "Models pushed out of memory by others",
            self.cache_evictions.clone(),
        );
        registry.register(
            "loaded_models",
            "Models in memory",
            self.loaded_models.clone(),
        );
        registry.register_with_unit(
            "loaded_models_size",
            "Memory of loaded models",
            Unit::Bytes,
            self.loaded_bytes.clone(),
        );
        registry.register(
            "overloads",
            "Requests refused because the engine pool was full",
            self.overloads.clone(),
        );
        registry.register(
            "engine_queue_depth",
            "Requests in the engine pool",
            self.queue_depth.clone(),
        );
    }

    fn register_journal(&self, registry: &mut Registry) {
        let JournalMeters {
            appended,
            written_bytes,
            dropped,
            rejected,
            is_dropping,
            segments,
            leftovers,
            last_sync_age,
            damage,
            missing,
            ..
        } = self.journal.clone();
        let mut counter = |name: &str, help: &str, counter| registry.register(name, help, counter);
        counter(
            "journal_appended",
            "Predictions written to the journal",
            appended,
        );
        counter(
            "log_dropped",
            "Predictions that could not be recorded",
            dropped,
        );
        counter(
            "log_rejected",
            "Requests refused because too much waits for the log",
            rejected,
        );
        counter(
            "journal_damage",
            "Places of the journal that could not be read",
            damage,
        );
        counter(
            "journal_missing",
            "Records that are gone although later ones are there",
            missing,
        );
        registry.register_with_unit(
            "journal_written",
            "Bytes written to the journal",
            Unit::Bytes,
            written_bytes,
        );
        registry.register_with_unit(
            "journal_last_sync_age",
            "Time since the journal was last synced",
            Unit::Seconds,
            last_sync_age,
        );
        let mut gauge = |name: &str, help: &str, gauge| registry.register(name, help, gauge);
        gauge(
            "journal_dropping",
            "Whether predictions cannot be recorded",
            is_dropping,
        );
        gauge("journal_segments", "Files of the journal", segments);
        gauge(
            "journal_leftovers",
            "Earlier starts whose journal still exists",
            leftovers,
        );
    }

    fn register_log(&self, registry: &mut Registry) {
        let JournalMeters {
            spool_bytes,
            spool_limit_bytes,
            rows,
            batches,
            refused_batches,
            lag,
            ..
        } = self.journal.clone();
        registry.register("log_rows", "Predictions moved into the log", rows);
        registry.register("log_batches", "Transactions that moved them", batches);
        registry.register(
            "log_refused_batches",
            "Times the database refused one",
            refused_batches,
        );
        registry.register_with_unit(
            "log_lag",
            "Age of the oldest prediction not in the log",
            Unit::Seconds,
            lag,
        );
        registry.register_with_unit(
            "log_spool",
            "Journal that waits to be moved into the log",
            Unit::Bytes,
            spool_bytes,
        );
        registry.register_with_unit(
            "log_spool_limit",
            "Most journal that may wait",
            Unit::Bytes,
            spool_limit_bytes,
        );
    }

    fn register_trust(&self, registry: &mut Registry) {
        registry.register(
            "authentication_failures",
            "Refused credentials by reason",
            self.authentication_failures.clone(),
        );
        registry.register(
            "integrity_failures",
            "Artifacts whose SHA-256 did not match",
            self.integrity_failures.clone(),
        );
    }

    /// The registry these meters are listed in, for the text encoder.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Handles of one version.
    pub fn version(&self, model: String, version: i64) -> VersionMeters {
        let labels = VersionLabels { model, version };
        VersionMeters {
            rows: self.rows.get_or_create_owned(&labels),
            predictions: self.predictions.get_or_create_owned(&labels),
            failures: self.failures.get_or_create_owned(&labels),
            inference: self.inference.get_or_create_owned(&labels),
        }
    }

    /// Counts one refused credential.
    pub fn refused(&self, reason: &'static str) {
        self.authentication_failures
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}
