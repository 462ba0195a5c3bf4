//! What is counted per model version.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use plimsoll_core::id::ModelId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Labels of everything that is counted per model version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VersionLabels {
    /// Id of the model (names belong to users and would leak between them).
    pub model: String,
    /// Number of the version.
    pub version: i64,
}

/// What is counted per model version.
#[derive(Debug)]
pub(super) struct VersionFamilies {
    rows: Family<VersionLabels, Counter>,
    predictions: Family<VersionLabels, Counter>,
    failures: Family<VersionLabels, Counter>,
    inference: Family<VersionLabels, Histogram, fn() -> Histogram>,
}

/// The counters of one version. They come to be with its first prediction: a
/// registry of many versions would otherwise fill `/metrics` with zeros.
#[derive(Debug)]
pub struct VersionMeters {
    families: Arc<VersionFamilies>,
    model: ModelId,
    version: i64,
    handles: OnceLock<VersionHandles>,
}

#[derive(Debug)]
struct VersionHandles {
    rows: Counter,
    predictions: Counter,
    failures: Counter,
    inference: Histogram,
}

impl VersionMeters {
    pub(super) fn new(families: Arc<VersionFamilies>, model: ModelId, version: i64) -> Self {
        Self {
            families,
            model,
            version,
            handles: OnceLock::new(),
        }
    }

    /// Counts one answered request of `rows` rows.
    pub fn answered(&self, rows: usize, inference: Duration) {
        let handles = self.handles();
        handles.predictions.inc();
        handles.rows.inc_by(rows as u64);
        handles.inference.observe(inference.as_secs_f64());
    }

    /// Counts one request of `rows` rows whose answer was given before.
    pub fn repeated(&self, rows: usize) {
        let handles = self.handles();
        handles.predictions.inc();
        handles.rows.inc_by(rows as u64);
    }

    /// Counts one request on which the model or the server failed.
    pub fn failed(&self) {
        self.handles().failures.inc();
    }

    fn handles(&self) -> &VersionHandles {
        self.handles.get_or_init(|| {
            let labels = VersionLabels {
                model: self.model.to_string(),
                version: self.version,
            };
            VersionHandles {
                rows: self.families.rows.get_or_create_owned(&labels),
                predictions: self.families.predictions.get_or_create_owned(&labels),
                failures: self.families.failures.get_or_create_owned(&labels),
                inference: self.families.inference.get_or_create_owned(&labels),
            }
        })
    }
}

impl VersionFamilies {
    pub(super) fn register(&self, registry: &mut Registry) {
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
    }
}

impl Default for VersionFamilies {
    fn default() -> Self {
        Self {
            rows: Family::default(),
            predictions: Family::default(),
            failures: Family::default(),
            inference: Family::new_with_constructor(inference_histogram),
        }
    }
}

/// Seconds from 1 µs to about 17 s, a factor of four apart.
fn inference_histogram() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        1e-6, 4.0, 13,
    ))
}
