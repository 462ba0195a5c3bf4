//! The log database: what the ingester makes of the journal, and its readers.
//!
//! On SQLite a file of its own beside the metadata, synced at checkpoints only,
//! because the journal still holds what a power cut takes from it; on
//! PostgreSQL more tables in the same database. Rows, usage and the cursor of
//! one batch are one transaction, so that a journal is counted exactly once.

mod chunk;
mod cursors;
mod filter;
mod history;
mod insert;
mod performance;
mod retention;
mod row;
mod usage;

use sqlx::sqlite::SqliteSynchronous;
use sqlx::{PgConnection, PgPool, SqliteConnection, SqlitePool};

pub use self::cursors::JournalCursor;
pub use self::filter::{InvalidCursor, Position, PredictionFilter};
pub use self::history::PredictionPage;
pub use self::performance::{DayOfPredictions, FailedPrediction, Latencies};
pub use self::retention::{MIN_KEPT_ROWS, StoredPredictions};
pub use self::row::{Payload, PredictionRow, PredictionStatus};
pub use self::usage::{KeyModel, ModelCounts};
use crate::migrate::LOG;
use crate::pools::{OpenTx, Pools, Side, SqliteTuning};
use crate::{DbOptions, Result};

/// How the log database is opened.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Which database, and the limits of its connections.
    pub database: DbOptions,
    /// Page cache of SQLite's writing connection, in KiB.
    pub cache_kib: u32,
    /// Pages in SQLite's write-ahead log that start a checkpoint.
    pub checkpoint_pages: u32,
    /// About how many rows are looked through for one page of a filtered list.
    pub page_scan: u32,
}

impl LogOptions {
    /// Options with the usual limits.
    pub const fn new(database: DbOptions) -> Self {
        Self {
            database,
            // Holds the right edges of all indexes and the pages between two checkpoints.
            cache_kib: 32 * 1024,
            // 16 MiB: every checkpoint syncs two files and rewrites the index
            // pages touched since the last, so fewer are cheaper.
            checkpoint_pages: 4096,
            page_scan: 100_000,
        }
    }
}

/// The open log database; clones share its connections.
#[derive(Clone, Debug)]
pub struct LogDb {
    pools: Pools,
    /// Rows of a filtered list looked through with its first statement.
    first_window: i64,
}

/// A transaction of the log database. Dropping it without [`LogTx::commit`] undoes it.
#[derive(Debug)]
pub struct LogTx {
    open: OpenTx,
}

impl LogDb {
    /// Opens the database and checks that it answers. The schema is left alone.
    pub async fn open(options: &LogOptions) -> Result<Self> {
        let tuning = SqliteTuning {
            synchronous: SqliteSynchronous::Normal,
            cache_kib: Some(options.cache_kib),
            checkpoint_pages: Some(options.checkpoint_pages),
        };
        let pools = Pools::open(&options.database, &tuning).await?;
        Ok(Self {
            pools,
            first_window: history::first_window(options.page_scan),
        })
    }

    /// Brings the schema up to date. Does nothing if it is; refuses with
    /// [`StoreError::SchemaTooNew`](crate::StoreError::SchemaTooNew) if a newer
    /// program made it.
    pub async fn migrate(&self) -> Result<()> {
        LOG.apply(&self.pools).await
    }

    /// The newest migration the database has seen; 0 before the first.
    pub async fn schema_version(&self) -> Result<i64> {
        LOG.version(&self.pools).await
    }

    /// Starts a transaction. On SQLite it holds the write lock from here on.
    pub async fn begin(&self) -> Result<LogTx> {
        let open = self.pools.begin().await?;
        Ok(LogTx { open })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.pools.ping().await
    }

    /// Makes every commit so far survive a power cut; answers whether it did.
    ///
    /// To be called before a segment of the journal is deleted, and the segment
    /// kept if the answer is no: SQLite's commits are synced only by a
    /// checkpoint, and a checkpoint stops at what a reader still looks at.
    /// PostgreSQL syncs each commit.
    pub async fn sync(&self) -> Result<bool> {
        let Side::Sqlite(pools) = &self.pools else {
            return Ok(true);
        };
        // Frames in the write-ahead log, and how many of them are in the file now.
        let (_, frames, moved): (i64, i64, i64) = sqlx::query_as("pragma wal_checkpoint(passive)")
            .fetch_one(&pools.write)
            .await?;
        Ok(frames == moved)
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    const fn side(&self) -> Side<&SqlitePool, &PgPool> {
        self.pools.side()
    }
}

impl LogTx {
    /// Makes everything done in the transaction visible.
    pub async fn commit(self) -> Result<()> {
        self.open.commit().await
    }

    fn side(&mut self) -> Side<&mut SqliteConnection, &mut PgConnection> {
        self.open.side()
    }
}
