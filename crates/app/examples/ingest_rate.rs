//! How fast the ingester moves predictions from the journal into the log.
//!
//! `taskset -c 0 cargo run --release --example ingest_rate -- DATABASE FOLDER [RECORDS]`,
//! where `DATABASE` is `sqlite:PATH` or `postgresql://…` and `FOLDER` is new; both
//! are left behind. Writes the journal of an earlier start with requests of one
//! row to a model of four inputs and three classes, then starts the application
//! on it as `plimsoll serve` does and waits until the log has them all. CPU time
//! is that of this process; PostgreSQL's own comes on top.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "an example prints, and counts fit into f64"
)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_app::auth::Caller;
use plimsoll_app::history::{History, HistoryOptions, open_log};
use plimsoll_app::registry::{Added, UploadMeta};
use plimsoll_app::{App, AppParts, Background, Settings};
use plimsoll_blob::{Blobs, Limits};
use plimsoll_core::column::{Batch, Output};
use plimsoll_core::entropy::{SeededEntropy, SystemEntropy};
use plimsoll_core::example::example_batch;
use plimsoll_core::id::{IdSource, KeyId, PredictionId};
use plimsoll_core::record::{Kept, Outcome, PredictionRecord, RecordHead};
use plimsoll_core::time::{Clock, ManualClock, SystemClock};
use plimsoll_core::user::Role;
use plimsoll_engine::{Control, Engine, EngineOptions};
use plimsoll_journal::{BootId, Disk, Journal};
use plimsoll_store::{DatabaseUrl, Db, DbOptions, LogDb};

const MODEL: &str = "../../fixtures/sklearn/1.5.2/iris_logistic.joblib";

type Done<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("expected a database")?;
    let folder = arguments.next().ok_or("expected a folder")?;
    let records: u64 = arguments
        .next()
        .map_or(Ok(500_000), |count| count.parse())?;
    let (url, folder): (DatabaseUrl, _) = (url.parse()?, Path::new(&folder));
    std::fs::create_dir_all(folder)?;
    let options = DbOptions::new(url);
    let db = Db::open(&options).await?;
    db.migrate().await?;
    let background = Background::start()?;
    let log = open_log(&background, options).await?;
    let app = start(folder, &db, &log, false).await?;
    let caller = Caller::person(app.ensure_admin_row().await?, Role::Admin);
    let written = prepare(&app, &caller, folder, records).await?;
    println!(
        "{records} records, {:.0} bytes each in the journal",
        written as f64 / records as f64
    );
    let (clock, cpu) = (SystemClock::new(), own_cpu()?);
    let started = clock.monotonic();
    let app = start(folder, &db, &log, true).await?;
    while app.meters().journal.rows.get() < records {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (wall, cpu) = (clock.monotonic().since(started), own_cpu()? - cpu);
    println!(
        "{:.0} rows/s; {:.2} us of own CPU a row",
        records as f64 / wall.as_secs_f64(),
        cpu as f64 / records as f64 / 1e3
    );
    app.stop(Duration::from_secs(10)).await;
    Ok(())
}

async fn start(folder: &Path, db: &Db, log: &LogDb, recording: bool) -> Done<App> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let limits = Limits { max_bytes: 1 << 30 };
    let history = if recording {
        let options = HistoryOptions::new(folder.join("journal"), log.clone());
        Some(History::open(options, &clock, &SystemEntropy)?)
    } else {
        None
    };
    let parts = AppParts {
        clock,
        entropy: Arc::new(SystemEntropy),
        db: db.clone(),
        log: log.clone(),
        blobs: Blobs::open(folder, limits).await?,
        engine: engine(),
        history,
        settings: Settings::default(),
        background: Background::start()?,
    };
    Ok(App::start(parts).await?)
}

fn engine() -> Engine {
    Engine::new(EngineOptions {
        onnxruntime: None,
        intra_threads: 1,
    })
}

/// Adds a model and writes a journal of requests to it; answers its bytes.
async fn prepare(app: &App, caller: &Caller, folder: &Path, records: u64) -> Done<u64> {
    let content = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL))?;
    let added = add_model(app, caller, &content).await?;
    let predictor = engine().open(&content)?.predictor;
    let (input, mut output): (Batch, _) = (example_batch(predictor.schema()), Output::default());
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    predictor.predict(&input, &mut output, &Control::unlimited(clock.as_ref()))?;

    let ids = IdSource::new(clock.clone(), &SeededEntropy::new(1));
    let keys = [KeyId::new(&ids), KeyId::new(&ids)];
    let disk = Arc::new(Disk::new(folder.join("journal"))?);
    let boot = BootId::new(clock.as_ref(), &SystemEntropy);
    let journal = Journal::open(
        disk,
        boot,
        clock.clone(),
        plimsoll_journal::Settings::default(),
    )?;
    let mut bytes = Vec::new();
    for number in 0..records {
        clock.advance(Duration::from_micros(20));
        let header_request_id = format!("req_{number:026}");
        let head = RecordHead {
            prediction: PredictionId::new(&ids),
            at: clock.now(),
            model: added.model.id,
            version: added.version.id,
            version_number: 1,
            endpoint: None,
            key: Some(keys[usize::from(number % 2 == 0)]),
            user: caller.user,
            request_id: None,
            header_request_id: &header_request_id,
            latency_us: 40,
            cached: true,
            result_cached: false,
            shadow: false,
            kept: Kept::Values,
        };
        bytes.clear();
        PredictionRecord {
            head,
            input: &input,
            redacted: &[],
            outcome: Outcome::Answered(&output),
        }
        .encode(&mut bytes);
        if !matches!(
            journal.append(&bytes),
            plimsoll_journal::Appended::Written { .. }
        ) {
            return Err("the journal is full".into());
        }
    }
    journal.close()?;
    Ok(journal.stats().bytes_written)
}

async fn add_model(app: &App, caller: &Caller, content: &[u8]) -> Done<Added> {
    let mut stage = app.stage_upload(caller).await?;
    stage.write(content).await?;
    let meta = UploadMeta {
        name: Some("iris".to_owned()),
        ..UploadMeta::default()
    };
    Ok(app.add_model(caller, meta, stage).await?)
}

/// Nanoseconds all threads of this process have run so far.
fn own_cpu() -> Done<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = stat.split(' ').next().ok_or("no schedstat")?;
        sum += ran.parse::<u64>()?;
    }
    Ok(sum)
}
