//! Ready again after a kill, however much there is.
//!
//! `PLIMSOLL_TRUST_FULL=1` makes it 100 models and a million predictions, and
//! measures; `PLIMSOLL_TRUST_BINARY` names a release build to measure.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::entropy::SeededEntropy;
use plimsoll_core::id::{IdSource, KeyId, ModelId, PredictionId, UserId, VersionId};
use plimsoll_core::time::{Clock, ManualClock, SystemClock};
use plimsoll_store::{DatabaseUrl, DbOptions, LogDb, LogOptions, Payload, PredictionRow};
use plimsoll_testkit::postgres::empty_database;
use serde_json::Value;

use crate::process::Installation;
use crate::trust_load::{Ledger, Load, Owner, figure, installation, is_full, on_postgres};

const CLIENTS: usize = 4;
/// Rows of one transaction.
const BATCH: usize = 1000;
/// What P4 allows for being ready again.
const BOUND: Duration = Duration::from_secs(2);

/// How much there is.
struct Scale {
    models: usize,
    rows: usize,
    kills: usize,
}

impl Scale {
    fn chosen() -> Self {
        if is_full() {
            return Self {
                models: 100,
                rows: 1_000_000,
                kills: 5,
            };
        }
        Self {
            models: 3,
            rows: 2_000,
            kills: 2,
        }
    }
}

async fn ready_again(installation: Installation, log: DatabaseUrl, database: &str) {
    let scale = Scale::chosen();
    let owner = Owner::new(&installation);
    let server = installation.serve(&[]);
    for number in 1..scale.models {
        owner.upload(&server, &format!("m{number}")).await;
    }
    owner.upload(&server, "iris").await;
    let (_, mut model) = owner.get(&server, "/api/v1/models/iris").await;
    let (_, me) = owner.get(&server, "/api/v1/auth/me").await;
    model["owner_id"] = me["id"].clone();
    server.stop();
    fill(log, &model, scale.rows).await;

    let (clock, ledger) = (SystemClock::new(), Arc::<Ledger>::default());
    let mut times = Vec::new();
    let mut server = installation.serve(&[]);
    for _ in 0..scale.kills {
        let load = Load::start(&owner, &server, &ledger, CLIENTS);
        load.answered(300).await;
        // Dropping it sends SIGKILL.
        drop(server);
        load.end().await;
        let started = clock.monotonic();
        server = installation.serve(&[]);
        let (ready, _) = owner.get(&server, "/health/ready").await;
        times.push(clock.monotonic().since(started));
        assert_eq!(ready, 200);
    }
    owner.recorded(&server).await;
    for id in ledger.acknowledged() {
        let path = format!("/api/v1/predictions/{id}");
        assert_eq!(owner.get(&server, &path).await.0, 200, "{id}");
    }
    server.stop();
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    figure(
        "P4",
        &format!(
            "{database}: models={} rows={} ready after kill: p50={} ms p100={} ms",
            scale.models,
            scale.rows,
            median.as_millis(),
            worst.as_millis()
        ),
    );
    assert!(!is_full() || worst < BOUND, "ready only after {worst:?}");
}

/// Writes `rows` predictions of a model straight into the log.
async fn fill(url: DatabaseUrl, model: &Value, rows: usize) {
    let log = LogDb::open(&LogOptions::new(DbOptions::new(url)))
        .await
        .unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let ids = IdSource::new(clock.clone(), &SeededEntropy::new(1));
    let id = |name: &str| model[name].as_str().unwrap();
    let (owner, model): (UserId, ModelId) =
        (id("owner_id").parse().unwrap(), id("id").parse().unwrap());
    let (version, key) = (VersionId::new(&ids), KeyId::new(&ids));
    for _ in 0..rows / BATCH {
        let batch: Vec<PredictionRow> = (0..BATCH)
            .map(|_| PredictionRow {
                id: PredictionId::new(&ids),
                owner_id: owner,
                model_id: model,
                version_id: version,
                version_number: 1,
                endpoint: None,
                key_id: Some(key),
                request_id: None,
                header_request_id: "req_01JD3T9Q2G0000000000000000".to_owned(),
                error_code: None,
                error_message: None,
                row_count: 1,
                input_bytes: 90,
                truncated: false,
                payload: Payload::Full,
                confidence: Some(0.75),
                latency_us: 431,
                created_at: clock.now(),
                input: Some("{\"a\":5.1}".repeat(10)),
                output: Some("{\"predictions\":[0]}".to_owned()),
                shadow: false,
            })
            .collect();
        let mut tx = log.begin().await.unwrap();
        tx.insert_predictions(&batch).await.unwrap();
        tx.commit().await.unwrap();
    }
    log.close().await;
}

/// P4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_ready_again_after_a_kill() {
    let installation = installation();
    let path = installation.path("data/log.db");
    ready_again(installation, DatabaseUrl::Sqlite { path }, "SQLite").await;
}

/// P4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_ready_again_after_a_kill() {
    let Some(database) = empty_database().await else {
        return;
    };
    let url = database.url();
    ready_again(on_postgres(&database), url, "PostgreSQL").await;
}
