//! The connections of one open database and the macro that hides which it is.
//!
//! SQLite has one connection that writes and several that read, so that a
//! transaction never fails half-way for want of the write lock. PostgreSQL
//! has one pool.

use std::path::Path;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    ConnectOptions, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool,
    Transaction,
};

use crate::{DatabaseUrl, DbOptions, Result, StoreError};

/// One of two things, by database.
#[derive(Clone, Debug)]
pub(crate) enum Side<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// The connections of an open database; clones share them.
pub(crate) type Pools = Side<SqlitePools, PgPool>;

/// A transaction. Dropping it without a commit undoes it.
pub(crate) type OpenTx = Side<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>;

#[derive(Clone, Debug)]
pub(crate) struct SqlitePools {
    pub(crate) read: SqlitePool,
    pub(crate) write: SqlitePool,
}

/// What the writing connection of a SQLite file does differently from another file's.
#[derive(Clone, Debug)]
pub(crate) struct SqliteTuning {
    /// When the write-ahead log is synced: at each commit or at each checkpoint.
    pub(crate) synchronous: SqliteSynchronous,
    /// Page cache in KiB; `None` leaves SQLite's 2 MB.
    pub(crate) cache_kib: Option<u32>,
    /// Pages in the write-ahead log that start a checkpoint; `None` leaves SQLite's 1000.
    pub(crate) checkpoint_pages: Option<u32>,
}

/// Runs one body against whichever database `$target`, which has a `side()`, is.
macro_rules! on {
    ($target:expr, |$connection:ident| $body:expr) => {
        match $target.side() {
            $crate::pools::Side::Sqlite($connection) => $body,
            $crate::pools::Side::Postgres($connection) => $body,
        }
    };
}
pub(crate) use on;

impl Pools {
    pub(crate) async fn open(options: &DbOptions, tuning: &SqliteTuning) -> Result<Self> {
        Ok(match &options.url {
            DatabaseUrl::Sqlite { path } => Self::Sqlite(open_sqlite(path, options, tuning).await?),
            DatabaseUrl::Postgres { url } => {
                Self::Postgres(open_postgres(url.expose(), options).await?)
            }
        })
    }

    /// Starts a transaction. On SQLite it holds the write lock from here on.
    pub(crate) async fn begin(&self) -> Result<OpenTx> {
        Ok(match self {
            Self::Sqlite(pools) => Side::Sqlite(pools.write.begin_with("begin immediate").await?),
            Self::Postgres(pool) => Side::Postgres(pool.begin().await?),
        })
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        on!(self, |c| sqlx::query("select 1")
            .execute(c)
            .await?
            .rows_affected());
        Ok(())
    }

    /// Waits for running statements and closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pools) => {
                pools.read.close().await;
                // Last, so that its closing connection moves the write-ahead log into the file.
                pools.write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    pub(crate) const fn side(&self) -> Side<&SqlitePool, &PgPool> {
        match self {
            Self::Sqlite(pools) => Side::Sqlite(&pools.read),
            Self::Postgres(pool) => Side::Postgres(pool),
        }
    }
}

impl OpenTx {
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await?,
            Self::Postgres(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    pub(crate) fn side(&mut self) -> Side<&mut SqliteConnection, &mut PgConnection> {
        match self {
            Self::Sqlite(transaction) => Side::Sqlite(transaction),
            Self::Postgres(transaction) => Side::Postgres(transaction),
        }
    }
}

async fn open_sqlite(
    path: &Path,
    options: &DbOptions,
    tuning: &SqliteTuning,
) -> Result<SqlitePools> {
    create_private(path).await?;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(options.acquire_timeout)
        .log_slow_statements(log::LevelFilter::Warn, options.slow_query);
    // The connections stay for good: opening one costs more than keeping it.
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let mut writer = connect
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(tuning.synchronous)
        // Gives the space of a once long write-ahead log back.
        .pragma("journal_size_limit", "67108864");
    if let Some(kib) = tuning.cache_kib {
        // Negative: KiB instead of pages, <https://www.sqlite.org/pragma.html#pragma_cache_size>.
        writer = writer.pragma("cache_size", format!("-{kib}"));
    }
    if let Some(pages) = tuning.checkpoint_pages {
        writer = writer.pragma("wal_autocheckpoint", pages.to_string());
    }
    let write = pool.clone().max_connections(1).connect_with(writer).await?;
    let read = pool
        .max_connections(options.pool_size.max(1))
        .connect_with(connect.pragma("query_only", "on"))
        .await?;
    Ok(SqlitePools { read, write })
}

/// Makes the file before SQLite does, readable by its owner alone; SQLite gives
/// the write-ahead log the same mode.
async fn create_private(path: &Path) -> Result<()> {
    let mut file = tokio::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    file.mode(0o600);
    match file.open(path).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StoreError::Open {
            path: path.to_path_buf(),
            source,
        }),
    }
}

async fn open_postgres(url: &str, options: &DbOptions) -> Result<PgPool> {
    let connect = url
        .parse::<PgConnectOptions>()?
        .application_name("plimsoll")
        .options([(
            "statement_timeout",
            options.statement_timeout.as_millis().to_string(),
        )])
        .log_slow_statements(log::LevelFilter::Warn, options.slow_query);
    let pool = PgPoolOptions::new()
        .max_connections(options.pool_size.max(1))
        .acquire_timeout(options.acquire_timeout)
        .connect_with(connect)
        .await?;
    Ok(pool)
}
