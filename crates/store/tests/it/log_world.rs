//! What the tests of the log start from: an open log database and rows for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use plimsoll_core::entropy::{Entropy, SeededEntropy};
use plimsoll_core::id::{IdSource, KeyId, ModelId, PredictionId, UserId, VersionId};
use plimsoll_core::time::{ManualClock, Timestamp};
use plimsoll_store::{DatabaseUrl, DbOptions, LogDb, LogOptions, Payload, PredictionRow};
use plimsoll_testkit::postgres;

/// Expands each test body once for each back end.
macro_rules! on_both_logs {
    ($(async fn $name:ident($world:ident: LogWorld) $body:block)+) => {
        mod body {
            use super::*;
            $(pub(super) async fn $name($world: crate::log_world::LogWorld) $body)+
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::log_world::on_sqlite(super::body::$name).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::log_world::on_postgres(super::body::$name).await;
            })+
        }
    };
}
pub(crate) use on_both_logs;

/// The moment of the first row.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_763_711_340_000_001);

#[derive(Debug)]
pub(crate) struct LogWorld {
    pub(crate) log: LogDb,
    pub(crate) ids: IdSource,
    entropy: SeededEntropy,
}

pub(crate) async fn on_sqlite<F: Future<Output = ()>>(body: impl FnOnce(LogWorld) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    run(DatabaseUrl::Sqlite { path }, body).await;
}

pub(crate) async fn on_postgres<F: Future<Output = ()>>(body: impl FnOnce(LogWorld) -> F) {
    // Beside the tables of the metadata, as in use.
    if let Some(database) = postgres::database().await {
        run(database.url(), body).await;
    }
}

async fn run<F: Future<Output = ()>>(url: DatabaseUrl, body: impl FnOnce(LogWorld) -> F) {
    let log = open(url).await;
    log.migrate().await.unwrap();
    let entropy = SeededEntropy::new(11);
    let ids = IdSource::new(Arc::new(ManualClock::new(START)), &entropy);
    let world = LogWorld {
        log: log.clone(),
        ids,
        entropy,
    };
    body(world).await;
    log.close().await;
}

/// Opens a log that looks through few rows at a time.
pub(crate) async fn open(url: DatabaseUrl) -> LogDb {
    let mut options = LogOptions::new(DbOptions::new(url));
    options.database.pool_size = 4;
    options.page_scan = 100;
    LogDb::open(&options).await.unwrap()
}

impl LogWorld {
    /// A number below `end`; the same sequence in every run.
    pub(crate) fn number(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % end as u64).unwrap()
    }

    /// One of `choices`.
    pub(crate) fn one<T: Clone>(&self, choices: &[T]) -> T {
        choices[self.number(choices.len())].clone()
    }

    /// A row with every column set, `seconds` after the start.
    pub(crate) fn row(&self, model: ModelId, seconds: i64) -> PredictionRow {
        PredictionRow {
            id: PredictionId::new(&self.ids),
            owner_id: UserId::from_u128(1),
            model_id: model,
            version_id: VersionId::from_u128(model.as_u128()),
            version_number: 3,
            endpoint: Some("fraud".into()),
            key_id: Some(KeyId::from_u128(1)),
            request_id: Some("order 17 – ✓".into()),
            header_request_id: "req_01JD3T9Q2G0000000000000000".into(),
            error_code: Some("model-failed".into()),
            error_message: Some("no \"answer\"".into()),
            row_count: 2,
            input_bytes: 70_000,
            truncated: true,
            payload: Payload::Hashed,
            confidence: Some(0.1 + 0.2),
            latency_us: 431,
            created_at: Timestamp::from_micros(START.as_micros() + seconds * 1_000_000),
            input: Some(r#"{"Ärger\u0000":[1e-3,null]}"#.into()),
            output: Some("[]".into()),
            shadow: false,
        }
    }

    /// Adds rows in one transaction; answers how many were new.
    pub(crate) async fn add(&self, rows: &[PredictionRow]) -> u64 {
        let mut tx = self.log.begin().await.unwrap();
        let added = tx.insert_predictions(rows).await.unwrap();
        tx.commit().await.unwrap();
        added
    }

    /// The number of rows the log says it holds of each model, zeros left out.
    pub(crate) async fn held(&self) -> BTreeMap<ModelId, i64> {
        let stored = self.log.stored_predictions().await.unwrap();
        for model in &stored {
            assert!(model.bytes >= 480 * model.row_count, "{model:?}");
            assert_eq!(model.bytes == 0, model.row_count == 0, "{model:?}");
        }
        let counts = stored.iter().map(|model| (model.model_id, model.row_count));
        counts.filter(|(_, rows)| *rows > 0).collect()
    }
}
