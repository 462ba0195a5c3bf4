//! A real PostgreSQL database of one's own for each test.
//!
//! One server serves all tests of all processes; `scripts/test-postgres.sh`
//! starts it when nextest has not, and it stops by itself when unused. The
//! schema is migrated once into a template, and each test gets a copy.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_core::secret::Secret;
use plimsoll_store::{DatabaseUrl, Db, DbOptions, schema_fingerprint};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Serialises the making of templates among processes; any number would do.
const TEMPLATE_LOCK: i64 = 0x7465_6d70;

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    socket: String,
}

/// A database with the current schema and no rows but those of the migrations.
///
/// `None` only if `PLIMSOLL_SKIP_POSTGRES=1`; panics if there is no PostgreSQL.
pub async fn database() -> Option<TestDatabase> {
    let socket = server()?;
    let template = format!("template_{:.12}", schema_fingerprint().to_string());
    let mut admin = connect(&socket).await;
    migrate_template(&mut admin, &socket, &template).await;
    Some(create(&mut admin, socket, &template).await)
}

/// A database without anything in it; otherwise as [`database`].
pub async fn empty_database() -> Option<TestDatabase> {
    let socket = server()?;
    let mut admin = connect(&socket).await;
    Some(create(&mut admin, socket, "template0").await)
}

impl TestDatabase {
    /// Where it is.
    pub fn url(&self) -> DatabaseUrl {
        url(&self.socket, &self.name)
    }

    /// Opens it with a small pool.
    pub async fn open(&self) -> Db {
        open(self.url()).await
    }

    /// Every row of every table as text, to search it for what must not be there.
    pub async fn text(&self) -> String {
        const TABLES: &str = "select tablename::text from pg_tables where schemaname = 'public'";
        let mut connection = self.connect().await;
        let tables: Vec<String> = sqlx::query_scalar(TABLES)
            .fetch_all(&mut connection)
            .await
            .expect("tables can be listed");
        let mut text = String::new();
        for table in tables {
            text.push_str(&rows(&mut connection, &table).await);
        }
        text
    }

    /// Runs one statement.
    pub async fn execute(&self, sql: &'static str) {
        let outcome = self.connect().await.execute(sql).await;
        outcome.expect("the test database obeys");
    }

    async fn connect(&self) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.socket)
            .username("plimsoll")
            .database(&self.name);
        let connection = PgConnection::connect_with(&options).await;
        connection.expect("the test database accepts connections")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (name, socket) = (self.name.clone(), self.socket.clone());
        // A runtime of its own: the test's may be gone or be busy with this drop.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async {
                let mut admin = connect(&socket).await;
                execute(&mut admin, format!("drop database {name} with (force)")).await;
            });
        });
        let dropped = dropping.join().is_ok();
        // While a failed test unwinds, a second panic would hide the first.
        assert!(
            dropped || std::thread::panicking(),
            "{self:?} could not be dropped"
        );
    }
}

/// The folder of the server's socket.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by their runner where the server is"
)]
fn server() -> Option<String> {
    if std::env::var("PLIMSOLL_SKIP_POSTGRES").is_ok_and(|value| value == "1") {
        return None;
    }
    if let Ok(socket) = std::env::var("PLIMSOLL_TEST_POSTGRES") {
        return Some(socket);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/test-postgres.sh");
    let output = Command::new(script).output().expect("bash can be started");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn connect(socket: &str) -> PgConnection {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .username("plimsoll")
        .database("postgres");
    let connection = PgConnection::connect_with(&options).await;
    connection.expect("the test server accepts connections")
}

async fn migrate_template(admin: &mut PgConnection, socket: &str, template: &str) {
    // Released with the connection, at the latest.
    let locked = sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK);
    locked
        .execute(&mut *admin)
        .await
        .expect("the lock is free in the end");
    let exists: bool =
        sqlx::query_scalar("select exists (select 1 from pg_database where datname = $1)")
            .bind(template)
            .fetch_one(&mut *admin)
            .await
            .expect("databases can be listed");
    if !exists {
        // Under another name until it is whole: a killed test leaves half a template.
        let half = format!("half_{template}");
        execute(admin, format!("drop database if exists {half}")).await;
        execute(admin, format!("create database {half} template template0")).await;
        let db = open(url(socket, &half)).await;
        db.migrate().await.expect("the migrations apply");
        db.close().await;
        execute(admin, format!("alter database {half} rename to {template}")).await;
    }
    let unlocked = sqlx::query("select pg_advisory_unlock($1)").bind(TEMPLATE_LOCK);
    unlocked.execute(admin).await.expect("the lock is held");
}

async fn create(admin: &mut PgConnection, socket: String, template: &str) -> TestDatabase {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{count}", std::process::id());
    // Left by a killed test whose process had the same number.
    execute(
        admin,
        format!("drop database if exists {name} with (force)"),
    )
    .await;
    execute(admin, format!("create database {name} template {template}")).await;
    TestDatabase { name, socket }
}

#[expect(
    clippy::disallowed_methods,
    reason = "names cannot be bound; all of them are made in this file"
)]
async fn execute(admin: &mut PgConnection, sql: String) {
    let outcome = admin.execute(AssertSqlSafe(sql)).await;
    outcome.expect("the test server obeys");
}

#[expect(
    clippy::disallowed_methods,
    reason = "names cannot be bound; this one comes from the catalogue"
)]
async fn rows(connection: &mut PgConnection, table: &str) -> String {
    let sql = format!("select coalesce(string_agg(t::text, E'\\n'), '') from \"{table}\" t");
    let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection);
    rows.await.expect("a table can be read")
}

fn url(socket: &str, name: &str) -> DatabaseUrl {
    let url = format!("postgresql://plimsoll@localhost/{name}?host={socket}");
    DatabaseUrl::Postgres {
        url: Secret::new(url),
    }
}

async fn open(url: DatabaseUrl) -> Db {
    let mut options = DbOptions::new(url);
    options.pool_size = 4;
    Db::open(&options).await.expect("the test database opens")
}
