//! The schema: embedded migrations, applied forward only, all or nothing.
//!
//! All pending migrations run in one transaction under a lock, so a crash
//! leaves the old schema or the new one, and two programs that start at once
//! do not meet. Each [`Ledger`] has migrations of its own and a table that
//! says which of them were applied.

use std::sync::LazyLock;

use plimsoll_core::digest::Digest;
use sqlx::migrate::{Migrate, MigrateError, Migrator};

use crate::pools::{Pools, Side, on};
use crate::{Db, Result, StoreError};

/// A set of migrations for both back ends.
pub(crate) struct Ledger {
    sqlite: Migrator,
    postgres: Migrator,
    exists_sqlite: &'static str,
    exists_postgres: &'static str,
    newest: &'static str,
}

/// The migrations of two folders, whose table of applied ones is `$table`.
macro_rules! ledger {
    ($sqlite:literal, $postgres:literal, $table:literal) => {
        LazyLock::new(|| Ledger {
            sqlite: recorded_in($table, sqlx::migrate!($sqlite)),
            postgres: recorded_in($table, sqlx::migrate!($postgres)),
            exists_sqlite: concat!(
                "select count(*) from sqlite_master where name = '",
                $table,
                "'"
            ),
            exists_postgres: concat!(
                "select count(*) from pg_catalog.pg_class where oid = to_regclass('",
                $table,
                "')"
            ),
            newest: concat!("select max(version) from ", $table, " where success"),
        })
    };
}

static METADATA: LazyLock<Ledger> = ledger!(
    "migrations/sqlite",
    "migrations/postgres",
    "_sqlx_migrations"
);

/// The log database. On PostgreSQL its tables lie beside those of the metadata.
pub(crate) static LOG: LazyLock<Ledger> = ledger!(
    "migrations/log/sqlite",
    "migrations/log/postgres",
    "_sqlx_log_migrations"
);

/// Any number, as long as every program that migrates this schema uses it.
const POSTGRES_LOCK: i64 = 0x706c_696d_736f_6c6c;

impl Db {
    /// Brings the schema up to date. Does nothing if it is; refuses with
    /// [`StoreError::SchemaTooNew`] if a newer program made it.
    pub async fn migrate(&self) -> Result<()> {
        METADATA.apply(self.pools()).await
    }

    /// The newest migration the database has seen; 0 before the first.
    pub async fn schema_version(&self) -> Result<i64> {
        METADATA.version(self.pools()).await
    }
}

impl Ledger {
    pub(crate) async fn apply(&self, pools: &Pools) -> Result<()> {
        let mut tx = pools.begin().await?;
        match tx.side() {
            Side::Sqlite(connection) => run(&self.sqlite, connection).await?,
            Side::Postgres(connection) => {
                sqlx::query("select pg_advisory_xact_lock($1)")
                    .bind(POSTGRES_LOCK)
                    .execute(&mut *connection)
                    .await?;
                run(&self.postgres, connection).await?;
            }
        }
        tx.commit().await
    }

    pub(crate) async fn version(&self, pools: &Pools) -> Result<i64> {
        let exists: i64 = match pools.side() {
            Side::Sqlite(pool) => {
                sqlx::query_scalar(self.exists_sqlite)
                    .fetch_one(pool)
                    .await?
            }
            Side::Postgres(pool) => {
                sqlx::query_scalar(self.exists_postgres)
                    .fetch_one(pool)
                    .await?
            }
        };
        if exists == 0 {
            return Ok(0);
        }
        let version: Option<i64> = on!(pools, |c| {
            sqlx::query_scalar(self.newest).fetch_one(c).await?
        });
        Ok(version.unwrap_or(0))
    }

    fn names(&self) -> (Vec<String>, Vec<String>) {
        let names = |migrator: &Migrator| {
            let name = |m: &sqlx::migrate::Migration| format!("{:04} {}", m.version, m.description);
            migrator.iter().map(name).collect()
        };
        (names(&self.sqlite), names(&self.postgres))
    }
}

/// The migrations of each back end by name, in order: SQLite's, then PostgreSQL's;
/// of the metadata database.
pub fn migration_names() -> (Vec<String>, Vec<String>) {
    METADATA.names()
}

/// Number of the newest migration of the metadata database.
pub fn newest_migration() -> i64 {
    METADATA
        .sqlite
        .iter()
        .map(|one| one.version)
        .max()
        .unwrap_or(0)
}

/// [`migration_names`] of the log database.
pub fn log_migration_names() -> (Vec<String>, Vec<String>) {
    LOG.names()
}

/// A digest of all migrations' texts of the metadata database: a database made under the same
/// fingerprint has the same schema.
pub fn schema_fingerprint() -> Digest {
    let texts: Vec<&[u8]> = METADATA
        .sqlite
        .iter()
        .chain(METADATA.postgres.iter())
        .map(|migration| &*migration.checksum)
        .collect();
    Digest::of(&texts.concat())
}

fn recorded_in(table: &'static str, mut migrator: Migrator) -> Migrator {
    migrator.dangerous_set_table_name(table);
    migrator.set_locking(false);
    migrator
}

async fn run<C: Migrate>(migrator: &Migrator, connection: &mut C) -> Result<()> {
    let outcome = migrator.run_direct(None, connection, false).await;
    outcome.map_err(|error| refusal(migrator, error))
}

fn refusal(migrator: &Migrator, error: MigrateError) -> StoreError {
    let known = migrator.iter().map(|m| m.version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(found) if found > known => {
            StoreError::SchemaTooNew { found, known }
        }
        MigrateError::Execute(error) => error.into(),
        other => StoreError::Migrate(other),
    }
}
