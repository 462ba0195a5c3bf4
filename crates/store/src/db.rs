//! The open metadata database and its transactions.

use std::time::Duration;

use sqlx::sqlite::SqliteSynchronous;
use sqlx::{PgConnection, PgPool, SqliteConnection, SqlitePool};

use crate::pools::{OpenTx, Pools, Side, SqliteTuning};
use crate::{DatabaseUrl, Result};

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
    open: OpenTx,
}

const TUNING: SqliteTuning = SqliteTuning {
    synchronous: SqliteSynchronous::Full,
    cache_kib: None,
    checkpoint_pages: None,
};

impl Db {
    /// Opens the database and checks that it answers. The schema is left alone.
    pub async fn open(options: &DbOptions) -> Result<Self> {
        let pools = Pools::open(options, &TUNING).await?;
        Ok(Self { pools })
    }

    /// Starts a transaction. On SQLite it holds the write lock from here on.
    pub async fn begin(&self) -> Result<Tx> {
        let open = self.pools.begin().await?;
        Ok(Tx { open })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.pools.ping().await
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
        self.pools.close().await;
    }

    pub(crate) const fn pools(&self) -> &Pools {
        &self.pools
    }

    pub(crate) const fn side(&self) -> Side<&SqlitePool, &PgPool> {
        self.pools.side()
    }
}

impl Tx {
    /// Makes everything done in the transaction visible and durable.
    pub async fn commit(self) -> Result<()> {
        self.open.commit().await
    }

    pub(crate) fn side(&mut self) -> Side<&mut SqliteConnection, &mut PgConnection> {
        self.open.side()
    }
}
