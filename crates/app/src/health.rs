//! Whether the parts work.

mod detailed;

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_core::mode::Mode;
use plimsoll_core::time::Timestamp;
use plimsoll_engine::OnnxStatus;
use plimsoll_journal::{Cause, State};
use serde::Serialize;

use crate::{App, Error};

pub use detailed::{DetailedHealth, ModelHealth, RequiredFile};

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// As it should.
    Healthy,
    /// It answers, but something needs attention.
    Degraded,
    /// It does not.
    Unhealthy,
}

/// One part.
#[derive(Clone, Debug, Serialize)]
pub struct Component {
    /// How well it works.
    pub status: HealthStatus,
    /// What is wrong, without secrets or paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The whole.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// The worst of the parts.
    pub status: HealthStatus,
    /// When this was looked at.
    pub timestamp: Timestamp,
    /// The mode the platform is in.
    pub mode: Mode,
    /// Version of the program.
    pub version: &'static str,
    /// Seconds since start.
    pub uptime_s: u64,
    /// The parts.
    pub components: BTreeMap<&'static str, Component>,
}

/// A log that is further behind has stopped being of use for watching.
const LATE: Duration = Duration::from_mins(1);

impl Component {
    fn healthy() -> Self {
        Self {
            status: HealthStatus::Healthy,
            detail: None,
        }
    }

    fn with(status: HealthStatus, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: Some(detail.into()),
        }
    }
}

impl App {
    /// Looks at every part.
    pub async fn health(&self) -> Health {
        let mut components = BTreeMap::from([
            ("database", self.database_health().await),
            ("storage", self.storage_health()),
            ("cache", self.cache_health()),
            ("journal", self.journal_health()),
            ("onnxruntime", self.onnx_health()),
        ]);
        if let Some(python) = self.python_health().await {
            components.insert("python", python);
        }
        let mut status = HealthStatus::Healthy;
        for (name, component) in &components {
            // A missing optional engine is worth knowing, not worth an alarm.
            if !matches!(*name, "onnxruntime" | "python") {
                status = status.max(component.status);
            }
        }
        if self.is_draining() {
            status = HealthStatus::Unhealthy;
        }
        Health {
            status,
            timestamp: self.clock().now(),
            mode: self.live().mode().mode,
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.uptime().as_secs(),
            components,
        }
    }

    /// Whether requests should be sent here.
    pub async fn readiness(&self) -> Result<(), Error> {
        if self.is_draining() {
            return Err(Error::NotReady {
                what: "the server (it is shutting down)",
            });
        }
        self.db().ping().await.map_err(|_| Error::NotReady {
            what: "the database",
        })
    }

    async fn database_health(&self) -> Component {
        match self.db().ping().await {
            Ok(()) => Component::healthy(),
            Err(error) => {
                tracing::warn!(%error, "the database does not answer");
                Component::with(HealthStatus::Unhealthy, "the database does not answer")
            }
        }
    }

    fn storage_health(&self) -> Component {
        let floor = self.settings().min_free_bytes;
        match self.blobs().free_bytes() {
            Ok(free) if free < floor => Component::with(
                HealthStatus::Degraded,
                format!(
                    "less than {} MiB of disk space left (storage.min_free): nothing is uploaded",
                    floor >> 20
                ),
            ),
            Ok(_) => Component::healthy(),
            Err(error) => {
                tracing::warn!(%error, "the artifact folder cannot be examined");
                Component::with(
                    HealthStatus::Unhealthy,
                    "the artifact folder cannot be examined",
                )
            }
        }
    }

    fn journal_health(&self) -> Component {
        let Some(history) = self.history() else {
            return Component::healthy();
        };
        let stats = history.stats();
        if let State::Dropping { dropped, cause, .. } = stats.state {
            let why = match cause {
                Cause::Storage => "the disk of the journal is full or refuses to be written",
                Cause::SpoolFull => "too much waits to be moved into the log (log.max_spool)",
                Cause::Sync => "the disk failed to keep what was written",
            };
            let detail = format!("{why}: {dropped} predictions answered and not recorded so far");
            return Component::with(HealthStatus::Degraded, detail);
        }
        let (progress, waiting) = (history.progress(), stats.spool_bytes >> 10);
        if progress.is_refused() {
            let detail = format!(
                "the log cannot be written; predictions go on, {waiting} KiB wait in the journal"
            );
            return Component::with(HealthStatus::Degraded, detail);
        }
        let lag = progress.lag(self.clock().now());
        if stats.spool_bytes > 0 && lag > LATE {
            let detail = format!("the log is {} s behind, {waiting} KiB wait", lag.as_secs());
            return Component::with(HealthStatus::Degraded, detail);
        }
        Component::healthy()
    }

    fn cache_health(&self) -> Component {
        let loaded = self.meters().loaded_models.get();
        Component {
            status: HealthStatus::Healthy,
            detail: Some(format!("{loaded} models in memory")),
        }
    }

    /// The Python workers, if there may be any; the first look starts one.
    async fn python_health(&self) -> Option<Component> {
        let app = self.clone();
        let status = self
            .tasks()
            .blocking(move || app.serving().engine.outside_status());
        let status = status.await.ok().flatten()?;
        if !status.ready {
            let detail =
                "the interpreter of engine.python cannot be used; plimsoll doctor says why";
            return Some(Component::with(HealthStatus::Degraded, detail));
        }
        let (workers, restarts) = (status.workers, status.restarts);
        let detail = format!("{}; {workers} run, {restarts} restarts", status.detail);
        Some(Component::with(HealthStatus::Healthy, detail))
    }

    /// Brings the counters of Python workers up to date.
    pub fn look_at_workers(&self) {
        let (workers, restarts) = self.serving().engine.outside_counts();
        let meters = self.meters();
        let known = meters.python_restarts.get();
        meters
            .python_restarts
            .inc_by(restarts.saturating_sub(known));
        let workers = i64::try_from(workers).unwrap_or(i64::MAX);
        meters.python_workers.set(workers);
    }

    fn onnx_health(&self) -> Component {
        match self.serving().engine.onnx_status() {
            OnnxStatus::Ready { .. } => Component::healthy(),
            OnnxStatus::Missing { advice, .. } => Component::with(HealthStatus::Degraded, advice),
        }
    }
}
