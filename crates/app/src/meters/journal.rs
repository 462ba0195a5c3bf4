//! What the journal and the ingester did.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

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

impl JournalMeters {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.register_files(registry);
        self.register_log(registry);
    }

    fn register_files(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("appended", "Predictions written to it", &self.appended),
            ("damage", "Places that could not be read", &self.damage),
            (
                "missing",
                "Records that are gone although later ones are there",
                &self.missing,
            ),
        ] {
            registry.register(format!("journal_{name}"), help, counter.clone());
        }
        for (name, help, gauge) in [
            (
                "dropping",
                "Whether nothing can be written",
                &self.is_dropping,
            ),
            ("segments", "Files of this start", &self.segments),
            (
                "leftovers",
                "Earlier starts that still have files",
                &self.leftovers,
            ),
        ] {
            registry.register(format!("journal_{name}"), help, gauge.clone());
        }
        registry.register_with_unit(
            "journal_written",
            "What was written",
            Unit::Bytes,
            self.written_bytes.clone(),
        );
        let age = self.last_sync_age.clone();
        registry.register_with_unit(
            "journal_last_sync_age",
            "Time since the last sync",
            Unit::Seconds,
            age,
        );
    }

    fn register_log(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("rows", "Predictions moved into the log", &self.rows),
            ("batches", "Transactions that moved them", &self.batches),
            (
                "refused_batches",
                "Times the database refused one",
                &self.refused_batches,
            ),
            (
                "dropped",
                "Predictions answered and not recorded",
                &self.dropped,
            ),
            (
                "rejected",
                "Requests refused because too much waits",
                &self.rejected,
            ),
        ] {
            registry.register(format!("log_{name}"), help, counter.clone());
        }
        for (name, help, gauge) in [
            (
                "log_spool",
                "Journal that waits for the log",
                &self.spool_bytes,
            ),
            (
                "log_spool_limit",
                "Most journal that may wait",
                &self.spool_limit_bytes,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        let help = "Age of the oldest prediction not in the log";
        registry.register_with_unit("log_lag", help, Unit::Seconds, self.lag.clone());
    }
}
