//! What the product counts about itself, in Prometheus terms.
//!
//! Handles that the hot path touches are resolved once (see
//! [`VersionMeters`]), so counting is an atomic add and never a map lookup.

mod journal;
mod registry;
mod version;

use std::sync::Arc;

use plimsoll_core::id::ModelId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use journal::JournalMeters;
pub use registry::RegistryMeters;
use version::VersionFamilies;
pub use version::VersionMeters;

/// Label of failed authentications: why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// A word from a fixed list.
    pub reason: &'static str,
}

/// Label of requests that a limit refused: which limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabel {
    policy: &'static str,
}

/// Labels of attempts at jobs: the type of job, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    kind: String,
    outcome: &'static str,
}

/// Everything that is counted.
#[derive(Clone, Debug)]
pub struct Meters {
    versions: Arc<VersionFamilies>,
    /// Refused credentials, by reason.
    pub authentication_failures: Family<ReasonLabel, Counter>,
    /// Requests refused because a limit was passed, by limit.
    rate_limited: Family<PolicyLabel, Counter>,
    /// Artifacts whose SHA-256 did not match when they were loaded.
    pub integrity_failures: Counter,
    /// Requests that found their model in memory.
    pub cache_hits: Counter,
    /// Requests that had to wait for their model to be loaded.
    pub cache_misses: Counter,
    /// Model files read, checked and opened for a request.
    pub model_loads: Counter,
    /// Runs of a network for several requests at once.
    pub joint_runs: Counter,
    /// Models pushed out of memory by others.
    pub cache_evictions: Counter,
    /// Models in memory.
    pub loaded_models: Gauge,
    /// Bytes of models in memory.
    pub loaded_bytes: Gauge,
    /// Requests refused because the engine pool was full.
    pub overloads: Counter,
    /// What the registry holds.
    pub registered: RegistryMeters,
    /// What the journal and the ingester did.
    pub journal: JournalMeters,
    /// Requests that a shadow was shown and answered.
    pub shadow_predictions: Counter,
    /// Requests that a shadow was shown and could not answer.
    pub shadow_failures: Counter,
    /// Requests that shadows did not see because too many waited.
    pub shadow_missed: Counter,
    /// Requests answered as they were before.
    pub result_cache_hits: Counter,
    /// Requests whose answer was looked for and not remembered.
    pub result_cache_misses: Counter,
    /// Requests waiting for or running on the engine pool.
    pub queue_depth: Gauge,
    /// Python workers that run.
    pub python_workers: Gauge,
    /// Python workers that were started again after one failed.
    pub python_restarts: Counter,
    /// Attempts at jobs that this process ended.
    job_attempts: Family<JobLabels, Counter>,
    /// Jobs that this process works on.
    pub running_jobs: Gauge,
    registry: Arc<Registry>,
}

impl Meters {
    /// Meters that all stand at zero.
    pub fn new() -> Self {
        let mut meters = Self {
            versions: Arc::default(),
            authentication_failures: Family::default(),
            rate_limited: Family::default(),
            integrity_failures: Counter::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            model_loads: Counter::default(),
            joint_runs: Counter::default(),
            cache_evictions: Counter::default(),
            loaded_models: Gauge::default(),
            loaded_bytes: Gauge::default(),
            overloads: Counter::default(),
            registered: RegistryMeters::default(),
            journal: JournalMeters::default(),
            shadow_predictions: Counter::default(),
            shadow_failures: Counter::default(),
            shadow_missed: Counter::default(),
            result_cache_hits: Counter::default(),
            result_cache_misses: Counter::default(),
            queue_depth: Gauge::default(),
            python_workers: Gauge::default(),
            python_restarts: Counter::default(),
            job_attempts: Family::default(),
            running_jobs: Gauge::default(),
            registry: Arc::new(Registry::default()),
        };
        let mut registry = Registry::with_prefix("plimsoll");
        meters.register_serving(&mut registry);
        meters.registered.register(&mut registry);
        meters.register_pool(&mut registry);
        meters.register_shadows(&mut registry);
        meters.register_results(&mut registry);
        meters.register_python(&mut registry);
        meters.register_jobs(&mut registry);
        meters.register_trust(&mut registry);
        meters.journal.register(&mut registry);
        meters.registry = Arc::new(registry);
        meters
    }

    fn register_serving(&self, registry: &mut Registry) {
        self.versions.register(registry);
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
    }

    fn register_pool(&self, registry: &mut Registry) {
        registry.register(
            "joint_runs",
            "Runs of a network for several requests at once",
            self.joint_runs.clone(),
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

    fn register_results(&self, registry: &mut Registry) {
        registry.register(
            "result_cache_hits",
            "Requests answered as they were before",
            self.result_cache_hits.clone(),
        );
        registry.register(
            "result_cache_misses",
            "Requests whose answer was not remembered",
            self.result_cache_misses.clone(),
        );
    }

    fn register_shadows(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            (
                "predictions",
                "Requests answered by shadows",
                &self.shadow_predictions,
            ),
            (
                "failures",
                "Requests that shadows could not answer",
                &self.shadow_failures,
            ),
            (
                "missed",
                "Requests that shadows did not see because too many waited",
                &self.shadow_missed,
            ),
        ] {
            registry.register(format!("shadow_{name}"), help, counter.clone());
        }
    }

    fn register_python(&self, registry: &mut Registry) {
        registry.register(
            "python_workers",
            "Python workers that run",
            self.python_workers.clone(),
        );
        registry.register(
            "python_restarts",
            "Python workers started again after one failed",
            self.python_restarts.clone(),
        );
    }

    fn register_jobs(&self, registry: &mut Registry) {
        registry.register(
            "job_attempts",
            "Attempts at jobs that ended, by type and outcome",
            self.job_attempts.clone(),
        );
        registry.register(
            "running_jobs",
            "Jobs that are worked on",
            self.running_jobs.clone(),
        );
    }

    fn register_trust(&self, registry: &mut Registry) {
        registry.register(
            "authentication_failures",
            "Refused credentials by reason",
            self.authentication_failures.clone(),
        );
        registry.register(
            "rate_limited",
            "Requests refused by a limit, by limit",
            self.rate_limited.clone(),
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

    /// The counters of one version.
    pub fn version(&self, model: ModelId, version: i64) -> VersionMeters {
        VersionMeters::new(self.versions.clone(), model, version)
    }

    /// Counts one request that a limit refused.
    pub(crate) fn limited(&self, policy: &'static str) {
        let label = PolicyLabel { policy };
        self.rate_limited.get_or_create(&label).inc();
    }

    /// Counts one attempt at a job that ended.
    pub fn job_ended(&self, kind: &str, outcome: &'static str) {
        let kind = kind.to_owned();
        let labels = JobLabels { kind, outcome };
        self.job_attempts.get_or_create(&labels).inc();
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
