//! What writing and reading the prediction log costs.
//!
//! `cargo run --release --example ingest_cost -- DATABASE [ROWS]`, where
//! `DATABASE` is `sqlite:PATH` or `postgresql://…` and is left behind for the
//! next look. Writes requests with 500 bytes of input and 200 of output in
//! transactions of 1,000, as the ingester does, then reads pages of the history.
//! CPU time is that of this process and, apart, of PostgreSQL's own.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "an example prints, and nanoseconds fit into f64"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::entropy::SeededEntropy;
use plimsoll_core::id::{IdSource, KeyId, ModelId, PredictionId, UserId, VersionId};
use plimsoll_core::time::{Clock, ManualClock, SystemClock};
use plimsoll_store::{
    DatabaseUrl, DbOptions, JournalCursor, KeyUsage, LogDb, LogOptions, Payload, PredictionFilter,
    PredictionRow, PredictionStatus, VersionCounts,
};

const BATCH: usize = 1000;
const MODELS: usize = 8;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("expected a database")?;
    let rows: usize = arguments.next().map_or(Ok(100_000), |rows| rows.parse())?;
    let url: DatabaseUrl = url.parse()?;
    let mut options = LogOptions::new(DbOptions::new(url.clone()));
    // One process of the server to look at.
    options.database.pool_size = 1;
    let log = LogDb::open(&options).await?;
    log.migrate().await?;
    let mut source = Source::new();
    write(&log, &url, &mut source, rows).await?;
    read(&log, &source).await?;
    log.close().await;
    Ok(())
}

/// Makes requests a millisecond apart, to eight models of one person.
struct Source {
    clock: Arc<ManualClock>,
    ids: IdSource,
    owner: UserId,
    key: KeyId,
    models: Vec<(ModelId, VersionId)>,
    made: usize,
}

impl Source {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
        let ids = IdSource::new(clock.clone(), &SeededEntropy::new(1));
        Self {
            owner: UserId::new(&ids),
            key: KeyId::new(&ids),
            models: (0..MODELS)
                .map(|_| (ModelId::new(&ids), VersionId::new(&ids)))
                .collect(),
            made: 0,
            clock,
            ids,
        }
    }

    fn row(&mut self) -> PredictionRow {
        self.clock.advance(Duration::from_millis(1));
        self.made += 1;
        let (model_id, version_id) = self.models[self.made % MODELS];
        let failed = self.made.is_multiple_of(100);
        PredictionRow {
            id: PredictionId::new(&self.ids),
            owner_id: self.owner,
            model_id,
            version_id,
            version_number: 3,
            endpoint: None,
            key_id: Some(self.key),
            request_id: None,
            header_request_id: format!("req_{:026}", self.made),
            error_code: failed.then(|| "model-failed".to_owned()),
            error_message: None,
            row_count: 1,
            input_bytes: 500,
            truncated: false,
            payload: Payload::Full,
            confidence: Some(0.75),
            latency_us: 431,
            created_at: self.clock.now(),
            input: Some(json("feature", self.made, 500)),
            output: Some(json("class", self.made, 200)),
            shadow: false,
        }
    }
}

/// An object of about `length` bytes.
fn json(name: &str, seed: usize, length: usize) -> String {
    let mut text = String::from("{");
    let mut index = 0;
    while text.len() < length {
        let value = (seed * 7919 + index * 104_729) % 1_000_003;
        // Writing to a String never fails.
        let _ = write!(text, "\"{name}_{index}\":0.{value:07},");
        index += 1;
    }
    text.pop();
    text.push('}');
    text
}

async fn write(log: &LogDb, url: &DatabaseUrl, source: &mut Source, rows: usize) -> Outcome<()> {
    let clock = SystemClock::new();
    let (mut wall, mut own, mut server) = (Duration::ZERO, 0, 0);
    let size = log.size_bytes().await?;
    for number in 0..rows / BATCH {
        let batch: Vec<PredictionRow> = (0..BATCH).map(|_| source.row()).collect();
        let server_before = server_cpu(url).await?;
        let (started, own_before) = (clock.monotonic(), own_cpu()?);
        ingest(log, source, &batch, number).await?;
        wall += clock.monotonic().since(started);
        own += own_cpu()? - own_before;
        server += server_cpu(url).await? - server_before;
    }
    let count = (rows / BATCH * BATCH) as f64;
    println!(
        "{:.0} rows/s; {:.2} us of own CPU, {:.2} us of server CPU a row; {:.0} bytes a row",
        count / wall.as_secs_f64(),
        own as f64 / count / 1e3,
        server as f64 / count / 1e3,
        (log.size_bytes().await? - size) as f64 / count,
    );
    Ok(())
}

async fn ingest(
    log: &LogDb,
    source: &Source,
    batch: &[PredictionRow],
    number: usize,
) -> Outcome<()> {
    let now = source.clock.now();
    let keys = [KeyUsage {
        key: source.key,
        requests: i64::try_from(batch.len())?,
        last_used_at: now,
    }];
    let versions: Vec<VersionCounts> = source
        .models
        .iter()
        .map(|&(model_id, version_id)| VersionCounts {
            model_id,
            version_id,
            predictions: 124,
            failures: 1,
        })
        .collect();
    let mut tx = log.begin().await?;
    tx.insert_predictions(batch).await?;
    tx.add_usage(&keys, &versions).await?;
    let byte_offset = i64::try_from(number)?;
    let to = JournalCursor {
        boot: "01JD3T9Q2G0000000000000000".into(),
        segment: 0,
        byte_offset,
        closed: false,
        updated_at: now,
    };
    let from = (number > 0).then_some((0, byte_offset - 1));
    tx.move_cursor(from, &to).await?;
    tx.commit().await?;
    Ok(())
}

/// What is read, under its name.
fn filters(source: &Source) -> Vec<(&'static str, PredictionFilter)> {
    let filter = |set: &dyn Fn(&mut PredictionFilter)| {
        let mut filter = PredictionFilter::of(source.owner);
        set(&mut filter);
        filter
    };
    let (model, version) = source.models[0];
    let now = source.clock.now();
    let search = |text: &str| filter(&|filter| filter.search = Some(text.to_owned()));
    let of_version =
        filter(&|filter| (filter.model, filter.version) = (Some(model), Some(version)));
    let in_range = filter(&|filter| {
        filter.from = Some(now.minus(Duration::from_secs(50)));
        filter.to = Some(now.minus(Duration::from_secs(10)));
    });
    vec![
        ("first page", filter(&|_| ())),
        ("of a model", filter(&|filter| filter.model = Some(model))),
        ("of a version, with its model", of_version),
        (
            "failures",
            filter(&|filter| filter.status = Some(PredictionStatus::Error)),
        ),
        ("in a range of time", in_range),
        ("with a text that is frequent", search("Feature_3")),
        ("with a text that is nowhere", search("nowhere")),
        (
            "with a key never used",
            filter(&|filter| filter.key = Some(KeyId::from_u128(1))),
        ),
    ]
}

async fn read(log: &LogDb, source: &Source) -> Outcome<()> {
    let clock = SystemClock::new();
    for (name, filter) in filters(source) {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..9 {
            let before = clock.monotonic();
            found = log.predictions(&filter, None).await?.items.len();
            times.push(clock.monotonic().since(before));
        }
        times.sort_unstable();
        println!("{name}: {found} rows in {:?}, median of 9", times[4]);
    }
    let before = clock.monotonic();
    let found = log.recent(source.models[0].0, 100).await?.len();
    println!(
        "recent: {found} rows in {:?}",
        clock.monotonic().since(before)
    );
    Ok(())
}

/// Nanoseconds all threads of this process have run so far.
fn own_cpu() -> Outcome<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        sum += ran(&thread?.path().join("schedstat"))?;
    }
    Ok(sum)
}

/// Nanoseconds PostgreSQL's processes for this database have run so far.
async fn server_cpu(url: &DatabaseUrl) -> Outcome<u64> {
    use sqlx::Connection as _;
    static PIDS: tokio::sync::OnceCell<Vec<i32>> = tokio::sync::OnceCell::const_new();
    let DatabaseUrl::Postgres { url } = url else {
        return Ok(0);
    };
    let pids = PIDS.get_or_try_init(async || {
        let mut connection = sqlx::PgConnection::connect(url.expose()).await?;
        sqlx::query_scalar(
            "select pid from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .fetch_all(&mut connection)
        .await
    });
    let mut sum = 0;
    for pid in pids.await? {
        sum += ran(format!("/proc/{pid}/schedstat").as_ref()).unwrap_or(0);
    }
    Ok(sum)
}

/// The first number of a `schedstat`, <https://docs.kernel.org/scheduler/sched-stats.html>.
fn ran(file: &std::path::Path) -> Outcome<u64> {
    let text = std::fs::read_to_string(file)?;
    let nanoseconds = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(nanoseconds.parse()?)
}
