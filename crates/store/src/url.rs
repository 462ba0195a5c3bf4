//! Which database: a file of our own or a PostgreSQL server.

use std::path::PathBuf;
use std::str::FromStr;

use plimsoll_core::secret::Secret;

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite {
        /// Where the file lies.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// `postgresql://user:password@host/database`; it may hold a password.
        url: Secret<String>,
    },
}

/// The text names no database this program can open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected sqlite:PATH or postgresql://user:password@host/database")]
pub struct InvalidDatabaseUrl;

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if text.starts_with("postgresql://") || text.starts_with("postgres://") {
            let url = Secret::new(text.to_owned());
            return Ok(Self::Postgres { url });
        }
        let path = text.strip_prefix("sqlite:").ok_or(InvalidDatabaseUrl)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        // A database that lives in memory would vanish with its connection.
        if path.is_empty() || path.starts_with(':') || path.contains('?') {
            return Err(InvalidDatabaseUrl);
        }
        Ok(Self::Sqlite { path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_database_can_be_named() {
        let sqlite = |path: &str| DatabaseUrl::Sqlite { path: path.into() };
        for (text, expected) in [
            ("sqlite:plimsoll.db", sqlite("plimsoll.db")),
            ("sqlite://plimsoll.db", sqlite("plimsoll.db")),
            ("sqlite:///var/p.db", sqlite("/var/p.db")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["postgres://a@b/c", "postgresql:///c?host=/run"] {
            let url = Secret::new(text.to_owned());
            assert_eq!(text.parse(), Ok(DatabaseUrl::Postgres { url }));
        }
    }

    #[test]
    fn what_cannot_be_opened_is_refused_and_no_password_is_printed() {
        for bad in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a?mode=ro",
            "mysql://x",
            "a.db",
        ] {
            assert_eq!(bad.parse::<DatabaseUrl>(), Err(InvalidDatabaseUrl), "{bad}");
        }
        let url: DatabaseUrl = "postgres://ann:hunter2@host/db".parse().unwrap();
        assert!(!format!("{url:?}").contains("hunter2"));
    }
}
