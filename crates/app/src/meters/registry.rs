//! What the registry holds, and how long files take to be stored and loaded.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::App;

/// What the registry holds. The gauges are set when somebody looks.
#[derive(Clone, Debug)]
pub struct RegistryMeters {
    models: Gauge,
    versions: Gauge,
    bytes: Gauge,
    mean_bytes: Gauge,
    /// From a stored file to a model in memory, in seconds.
    pub load: Histogram,
    /// From a whole upload to a version, in seconds.
    pub save: Histogram,
}

impl Default for RegistryMeters {
    fn default() -> Self {
        // From a millisecond to about 16 s, a factor of four apart.
        let times = || Histogram::new(exponential_buckets(1e-3, 4.0, 8));
        Self {
            models: Gauge::default(),
            versions: Gauge::default(),
            bytes: Gauge::default(),
            mean_bytes: Gauge::default(),
            load: times(),
            save: times(),
        }
    }
}

impl RegistryMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            ("models", "Models, archived ones included", &self.models),
            (
                "versions",
                "Versions, archived ones included",
                &self.versions,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, gauge) in [
            ("versions_size", "Files of all versions", &self.bytes),
            (
                "version_size_average",
                "Mean file of a version",
                &self.mean_bytes,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        for (name, help, histogram) in [
            ("model_load", "From a file to a model in memory", &self.load),
            ("model_save", "From an upload to a version", &self.save),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
    }
}

impl App {
    /// Brings the gauges of the registry up to date.
    pub fn look_at_registry(&self) {
        let live = self.live();
        let (mut models, mut versions, mut bytes) = (0, 0, 0);
        for model in live.models() {
            models += 1;
            for version in &model.versions {
                versions += 1;
                bytes += version.size_bytes;
            }
        }
        let meters = &self.meters().registered;
        meters.models.set(models);
        meters.versions.set(versions);
        meters.bytes.set(bytes);
        meters.mean_bytes.set(bytes / versions.max(1));
    }
}
