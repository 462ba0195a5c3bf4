//! The schema: embedded migrations, applied forward only, all or nothing.
//!
//! All pending migrations run in one transaction under a lock, so a crash
//! leaves the old schema or the new one, and two programs that start at once
//! do not meet.

use plimsoll_core::digest::Digest;
use sqlx::migrate::{Migrate, MigrateError, Migrator};

use crate::db::{Side, on};
use crate::{Db, Result, StoreError};

static SQLITE: Migrator = locked_by_us(sqlx::migrate!("migrations/sqlite"));
static POSTGRES: Migrator = locked_by_us(sqlx::migrate!("migrations/postgres"));

/// Any number, as long as every program that migrates this schema uses it.
const POSTGRES_LOCK: i64 = 0x706c_696d_736f_6c6c;

impl Db {
    /// Brings the schema up to date. Does nothing if it is; refuses with
    /// [`StoreError::SchemaTooNew`] if a newer program made it.
    pub async fn migrate(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        match tx.side() {
            Side::Sqlite(connection) => run(&SQLITE, connection).await?,
            Side::Postgres(connection) => {
                sqlx::query("select pg_advisory_xact_lock($1)")
                    .bind(POSTGRES_LOCK)
                    .execute(&mut *connection)
                    .await?;
                run(&POSTGRES, connection).await?;
            }
        }
        tx.commit().await
    }

    /// The newest migration the database has seen; 0 before the first.
    pub async fn schema_version(&self) -> Result<i64> {
        let exists: i64 = match self.side() {
            Side::Sqlite(pool) => {
                sqlx::query_scalar("select count(*) from sqlite_master where name = '_sqlx_migrations'")
                    .fetch_one(pool)
                    .await?
            }
            Side::Postgres(pool) => {
                sqlx::query_scalar(
                    "select count(*) from pg_catalog.pg_class where oid = to_regclass('_sqlx_migrations')",
                )
                .fetch_one(pool)
                .await?
            }
        };
        if exists == 0 {
            return Ok(0);
        }
        let version: Option<i64> = on!(self, |c| {
            sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
                .fetch_one(c)
                .await?
        });
        Ok(version.unwrap_or(0))
    }
}

/// The migrations of each back end by name, in order: SQLite's, then PostgreSQL's.
pub fn migration_names() -> (Vec<String>, Vec<String>) {
    let names = |migrator: &Migrator| {
        let name = |m: &sqlx::migrate::Migration| format!("{:04} {}", m.version, m.description);
        migrator.iter().map(name).collect()
    };
    (names(&SQLITE), names(&POSTGRES))
}

/// A digest of all migrations' texts: a database made under the same
/// fingerprint has the same schema.
pub fn schema_fingerprint() -> Digest {
    let texts: Vec<&[u8]> = SQLITE
        .iter()
        .chain(POSTGRES.iter())
        .map(|migration| &*migration.checksum)
        .collect();
    Digest::of(&texts.concat())
}

const fn locked_by_us(mut migrator: Migrator) -> Migrator {
    migrator.locking = false;
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
