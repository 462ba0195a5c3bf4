//! What can go wrong with the database, in words both back ends share.
//!
//! SQLite reports a broken unique index by its columns, PostgreSQL by its
//! name. Unique indexes are therefore called `<table>_<last column>_key` in
//! both schemas, and both reports become `<table>.<last column>`.

use std::path::PathBuf;

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::migrate::MigrateError;

/// What can go wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A value that must be unique is taken.
    #[error("{column} is already taken")]
    Unique {
        /// The table and the last column of the index, e.g. `users.email`.
        column: String,
    },
    /// The request was taken over by another attempt; this one must do nothing.
    #[error("another attempt carries the request out")]
    ClaimLost,
    /// The row points to one that is not there, or others still point to it.
    #[error("a row it refers to is missing, or it is still referred to")]
    Reference(#[source] sqlx::Error),
    /// No connection, no lock, or no answer in time; trying again may help.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// No space left where the database lies.
    #[error("the database has no space left")]
    Full(#[source] sqlx::Error),
    /// A write or a sync failed below the database: what was acknowledged may
    /// be gone, so the process must stop and not retry (Rebello et al., "Can
    /// Applications Recover from fsync Failures?", USENIX ATC 2020).
    #[error("the database could not write to its disk")]
    Disk(#[source] sqlx::Error),
    /// The schema was made by a newer program.
    #[error("the database has schema {found}, newer than this program's {known}")]
    SchemaTooNew {
        /// The newest migration the database has seen.
        found: i64,
        /// The newest migration this program knows.
        known: i64,
    },
    /// A migration failed, or was once applied with another text.
    #[error("the database schema could not be brought up to date")]
    Migrate(#[source] MigrateError),
    /// The SQLite file could not be created.
    #[error("failed to create {path}")]
    Open {
        /// Where it should lie.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The database refused the statement, or a stored value makes no sense.
    #[error("a database statement failed")]
    Query(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(reported) => match classify(reported.as_ref()) {
                Class::Unique(column) => Self::Unique { column },
                Class::Reference => Self::Reference(error),
                Class::Unavailable => Self::Unavailable(error),
                Class::Full => Self::Full(error),
                Class::Disk => Self::Disk(error),
                Class::Other => Self::Query(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Query(error),
        }
    }
}

/// Turns "already taken" into what the caller calls it.
pub trait OnUnique<T> {
    /// Replaces a broken unique index on `column` (`users.email`) by `taken`;
    /// every other error passes through.
    fn on_unique<E: From<StoreError>>(
        self,
        column: &str,
        taken: impl FnOnce() -> E,
    ) -> Result<T, E>;
}

impl<T> OnUnique<T> for Result<T, StoreError> {
    fn on_unique<E: From<StoreError>>(
        self,
        column: &str,
        taken: impl FnOnce() -> E,
    ) -> Result<T, E> {
        self.map_err(|error| match error {
            StoreError::Unique { column: broken } if broken == column => taken(),
            other => other.into(),
        })
    }
}

enum Class {
    Unique(String),
    Reference,
    Unavailable,
    Full,
    Disk,
    Other,
}

fn classify(error: &dyn DatabaseError) -> Class {
    match error.kind() {
        ErrorKind::UniqueViolation => Class::Unique(unique_column(error)),
        ErrorKind::ForeignKeyViolation => Class::Reference,
        _ => {
            let code = error.code().unwrap_or_default();
            // PostgreSQL's codes have five characters; SQLite's are numbers below 10,000.
            if code.len() == 5 {
                classify_postgres(&code)
            } else {
                classify_sqlite(code.parse().unwrap_or(0))
            }
        }
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn classify_postgres(code: &str) -> Class {
    match code {
        "53100" => Class::Full,
        // Serialization failure, deadlock, lock not available, cancelled by the timeout.
        "40001" | "40P01" | "55P03" | "57014" => Class::Unavailable,
        // Too many connections or no memory; shutting down or starting; connection lost.
        _ if ["53", "57", "08"].contains(&&code[..2]) => Class::Unavailable,
        _ => Class::Other,
    }
}

/// <https://www.sqlite.org/rescode.html>
fn classify_sqlite(code: i32) -> Class {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const IO_ERROR: i32 = 10;
    const FULL: i32 = 13;
    match code & 0xff {
        BUSY | LOCKED => Class::Unavailable,
        FULL => Class::Full,
        IO_ERROR => Class::Disk,
        _ => Class::Other,
    }
}

fn unique_column(error: &dyn DatabaseError) -> String {
    if let (Some(table), Some(index)) = (error.table(), error.constraint()) {
        let column = index
            .strip_prefix(table)
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(|rest| rest.strip_suffix("_key"));
        return column.map_or_else(|| index.to_owned(), |column| format!("{table}.{column}"));
    }
    // `UNIQUE constraint failed: versions.model_id, versions.label`
    let message = error.message();
    let columns = message.rsplit(": ").next().unwrap_or(message);
    columns.rsplit(", ").next().unwrap_or(columns).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_column_is_translated() {
        #[derive(Debug)]
        enum Refusal {
            Taken,
            Other,
        }
        impl From<StoreError> for Refusal {
            fn from(_: StoreError) -> Self {
                Self::Other
            }
        }
        let taken = |column: &str| -> Result<(), StoreError> {
            Err(StoreError::Unique {
                column: column.to_owned(),
            })
        };
        let translated = |column: &str| taken(column).on_unique("users.email", || Refusal::Taken);
        assert!(matches!(translated("users.email"), Err(Refusal::Taken)));
        assert!(matches!(translated("users.id"), Err(Refusal::Other)));
    }

    #[test]
    fn codes_of_both_databases_mean_the_same() {
        for code in ["53300", "57P01", "08006", "40001", "57014"] {
            assert!(
                matches!(classify_postgres(code), Class::Unavailable),
                "{code}"
            );
        }
        assert!(matches!(classify_postgres("53100"), Class::Full));
        assert!(matches!(classify_postgres("42P01"), Class::Other));
        // SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT; SQLITE_IOERR_FSYNC.
        assert!(matches!(classify_sqlite(5), Class::Unavailable));
        assert!(matches!(classify_sqlite(517), Class::Unavailable));
        assert!(matches!(classify_sqlite(1034), Class::Disk));
        assert!(matches!(classify_sqlite(13), Class::Full));
        assert!(matches!(classify_sqlite(1), Class::Other));
    }
}
