//! Somebody else who holds an SQLite database.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, SqliteConnection};

/// The write lock of a database, held by another process than the server's.
#[derive(Debug)]
pub struct SqliteLock(SqliteConnection);

impl SqliteLock {
    /// Takes the lock of a database that exists.
    pub async fn hold(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(std::time::Duration::from_secs(10));
        let connection = SqliteConnection::connect_with(&options).await;
        let mut connection = connection.expect("the database opens");
        let locked = connection.execute("begin immediate").await;
        locked.expect("the lock is free in the end");
        Self(connection)
    }

    /// Gives it back.
    pub async fn release(mut self) {
        let released = self.0.execute("rollback").await;
        released.expect("the lock is held");
        self.0.close().await.expect("the connection closes");
    }
}
