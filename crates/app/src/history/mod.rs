//! What was predicted: written to the journal before the answer, moved into
//! the log by one ingester, read by its owner.

mod batch;
mod ingest;
mod input;
mod inspect;
mod progress;
mod read;
mod record;
mod render;
mod tend;

pub use inspect::{JournalReport, inspect_journal};
pub use plimsoll_journal::{Durability, WhenFull};
pub(crate) use progress::Progress;
pub use read::{HistoryFilter, MAX_PAGE, PredictionView};
pub(crate) use record::{Asked, Ran};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::entropy::Entropy;
use plimsoll_core::time::Clock;
use plimsoll_journal::{BootId, Disk, Journal};
use plimsoll_store::{DatabaseUrl, DbOptions, LogDb, LogOptions};

use crate::{Background, Error};

/// How predictions are recorded.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// Folder of the journal.
    pub folder: PathBuf,
    /// Where predictions end up.
    pub log: LogDb,
    /// When a record counts as safe.
    pub durability: Durability,
    /// How often the journal is synced, which bounds what a power failure takes.
    pub sync_interval: Duration,
    /// Most bytes that may wait to be moved into the log.
    pub max_spool_bytes: u64,
    /// What happens beyond that.
    pub when_full: WhenFull,
    /// How long a prediction stays in the log.
    pub retention: Duration,
    /// How much the log may hold, in bytes; the newest
    /// [`plimsoll_store::MIN_KEPT_ROWS`] of each model stay all the same.
    pub max_bytes: i64,
}

impl HistoryOptions {
    /// The usual values for a folder and a log.
    pub fn new(folder: PathBuf, log: LogDb) -> Self {
        Self {
            folder,
            log,
            durability: Durability::Process,
            sync_interval: Duration::from_millis(50),
            max_spool_bytes: 1 << 30,
            when_full: WhenFull::ShedLog,
            retention: Duration::from_hours(30 * 24),
            max_bytes: 10 << 30,
        }
    }
}

/// Where predictions are recorded.
#[derive(Debug)]
pub struct History {
    journal: Journal,
    log: LogDb,
    progress: Progress,
    /// Held while a batch is written and while predictions of what was deleted
    /// are removed, so that none of them comes back.
    writing: tokio::sync::Mutex<()>,
    max_spool_bytes: u64,
    sync_interval: Duration,
    retention: Duration,
    max_bytes: i64,
}

impl History {
    /// Starts a journal. Only for whoever holds the data directory.
    pub fn open(
        options: HistoryOptions,
        clock: &Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let disk = Disk::new(options.folder).map_err(|error| Error::Internal(error.into()))?;
        let settings = plimsoll_journal::Settings {
            durability: options.durability,
            max_spool_bytes: options.max_spool_bytes,
            when_full: options.when_full,
            ..plimsoll_journal::Settings::default()
        };
        let boot = BootId::new(clock.as_ref(), entropy);
        let journal = Journal::open(Arc::new(disk), boot, clock.clone(), settings)
            .map_err(|error| Error::Internal(error.into()))?;
        Ok(Self {
            journal,
            log: options.log,
            progress: Progress::new(clock.now()),
            writing: tokio::sync::Mutex::new(()),
            max_spool_bytes: options.max_spool_bytes,
            sync_interval: options.sync_interval,
            retention: options.retention,
            max_bytes: options.max_bytes,
        })
    }

    /// How often the journal is synced.
    pub(crate) fn sync_interval(&self) -> Duration {
        self.sync_interval
    }

    /// What the journal says about itself.
    pub(crate) fn stats(&self) -> plimsoll_journal::Stats {
        self.journal.stats()
    }

    /// How far the log has got.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// Opens the log that lies beside the metadata and brings its schema up to
/// date. Its writer gives way to answers, as `background` does.
pub async fn open_log(background: &Background, metadata: DbOptions) -> Result<LogDb, Error> {
    let open = async move {
        let log = LogDb::open(&LogOptions::new(log_place(metadata))).await?;
        log.migrate().await?;
        Ok(log)
    };
    let opened = background.run(open).await;
    opened.unwrap_or_else(|| Err(Error::Internal(anyhow::anyhow!("opening the log panicked"))))
}

/// The log of an SQLite installation is a file of its own: it is written all
/// the time and synced rarely, the metadata the other way round.
pub fn log_place(metadata: DbOptions) -> DbOptions {
    let url = match metadata.url {
        DatabaseUrl::Sqlite { path } => DatabaseUrl::Sqlite {
            path: path.with_file_name("log.db"),
        },
        postgres @ DatabaseUrl::Postgres { .. } => postgres,
    };
    DbOptions { url, ..metadata }
}
