//! The open database, its transactions, and the one macro that hides which it is.
//!
//! SQLite has one connection that writes and several that read, so that a
//! transaction never fails half-way for want of the write lock. PostgreSQL
//! has one pool.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    ConnectOptions, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool,
    Transaction,
};

use crate::{DatabaseUrl, Result, StoreError};

/// How the database is opened.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// Which database.
    pub url: DatabaseUrl,
    /// Most connections held open at once (SQLite: connections that read).
    pub pool_size: u32,
    /// Longest wait for a connection, and for SQLite's lock held by another process.
    pub acquire_timeout: Duration,
    /// Longest run of one statement on PostgreSQL; SQLite has no such limit.
    pub statement_timeout: Duration,
    /// Statements that take longer are logged at warn level, without their values.
    pub slow_query: Duration,
}

impl DbOptions {
    /// Options with the usual limits.
    pub const fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            pool_size: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            slow_query: Duration::from_millis(500),
        }
    }
}

/// The open metadata database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Db {
    pools: Pools,
}

/// A transaction. Dropping it without [`Tx::commit`] undoes it.
#[derive(Debug)]
pub struct Tx {
    open: Side<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>,
}

/// One of two things, by database.
#[derive(Clone, Debug)]
pub(crate) enum Side<S, P> {
    Sqlite(S),
    Postgres(P),
}

type Pools = Side<SqlitePools, PgPool>;

#[derive(Clone, Debug)]
pub(crate) struct SqlitePools {
    read: SqlitePool,
    write: SqlitePool,
}

/// Runs one body against whichever database `$target` (a [`Db`] or a [`Tx`]) is.
macro_rules! on {
    ($target:expr, |$connection:ident| $body:expr) => {
        match $target.side() {
            $crate::db::Side::Sqlite($connection) => $body,
            $crate::db::Side::Postgres($connection) => $body,
        }
    };
}
pub(crate) use on;

impl Db {
    /// Opens the database and checks that it answers. The schema is left alone.
    pub async fn open(options: &DbOptions) -> Result<Self> {
        let pools = match &options.url {
            DatabaseUrl::Sqlite { path } => Side::Sqlite(open_sqlite(path, options).await?),
            DatabaseUrl::Postgres { url } => {
                Side::Postgres(open_postgres(url.expose(), options).await?)
            }
        };
        Ok(Self { pools })
    }

    /// Starts a transaction. On SQLite it holds the write lock from here on.
    pub async fn begin(&self) -> Result<Tx> {
        let open = match &self.pools {
            Side::Sqlite(pools) => Side::Sqlite(pools.write.begin_with("begin immediate").await?),
            Side::Postgres(pool) => Side::Postgres(pool.begin().await?),
        };
        Ok(Tx { open })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        on!(self, |c| sqlx::query("select 1")
            .execute(c)
            .await?
            .rows_affected());
        Ok(())
    }

    /// `sqlite` or `postgresql`.
    pub const fn kind(&self) -> &'static str {
        match self.pools {
            Side::Sqlite(_) => "sqlite",
            Side::Postgres(_) => "postgresql",
        }
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) {
        match &self.pools {
            Side::Sqlite(pools) => {
                pools.read.close().await;
                // Last, so that its closing connection moves the write-ahead log into the file.
                pools.write.close().await;
            }
            Side::Postgres(pool) => pool.close().await,
        }
    }

    pub(crate) const fn side(&self) -> Side<&SqlitePool, &PgPool> {
        match &self.pools {
            Side::Sqlite(pools) => Side::Sqlite(&pools.read),
            Side::Postgres(pool) => Side::Postgres(pool),
        }
    }
}

impl Tx {
    /// Makes everything done in the transaction visible and durable.
    pub async fn commit(self) -> Result<()> {
        match self.open {
            Side::Sqlite(transaction) => transaction.commit().await?,
            Side::Postgres(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    pub(crate) fn side(&mut self) -> Side<&mut SqliteConnection, &mut PgConnection> {
        match &mut self.open {
            Side::Sqlite(transaction) => Side::Sqlite(transaction),
            Side::Postgres(transaction) => Side::Postgres(transaction),
        }
    }
}

async fn open_sqlite(path: &Path, options: &DbOptions) -> Result<SqlitePools> {
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
    let writer = connect
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Gives the space of a once long write-ahead log back.
        .pragma("journal_size_limit", "67108864");
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
