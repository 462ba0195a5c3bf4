//! A whole server for one test, and the people who use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_app::auth::{NewAccount, Origin, SignedIn};
use plimsoll_app::{App, Error};
use plimsoll_core::entropy::SeededEntropy;
use plimsoll_core::key::Scope;
use plimsoll_core::secret::Secret;
use plimsoll_core::time::{Clock, ManualClock, Timestamp};
use plimsoll_core::user::Role;
use plimsoll_store::DatabaseUrl;
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use crate::log::LogBuffer;
use crate::postgres::{self, TestDatabase};
use crate::running::{Place, Running};
use crate::{Client, Options, RawSocket};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";
/// 2026-01-01T00:00:00Z, when every test begins.
const START: i64 = 1_767_225_600_000_000;

/// Which database a server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file in the server's own directory.
    Sqlite,
    /// A database of its own on a real server.
    Postgres,
}

/// The production server with a temporary directory, a clock that stands
/// still, and randomness that repeats.
///
/// Dropping it stops the server in order and asserts that no task was left
/// behind and that nothing was logged at error level.
#[derive(Debug)]
pub struct TestServer {
    running: Option<Running>,
    options: Options,
    database: Option<TestDatabase>,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    log: LogBuffer,
    errors_expected: AtomicBool,
    http: reqwest::Client,
    admin: tokio::sync::Mutex<Option<(Timestamp, Client)>>,
    // Last, so that it is removed after everything that uses it.
    directory: TempDir,
}

impl TestServer {
    /// Starts a server with the usual options; panics if the tests were told
    /// to skip this database.
    pub async fn start(backend: Backend) -> Self {
        let server = Self::with_options(backend, Options::new()).await;
        server.expect("this database is not skipped")
    }

    pub(crate) async fn with_options(backend: Backend, options: Options) -> Option<Self> {
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(postgres::database().await?),
        };
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client can be built");
        let mut server = Self {
            running: None,
            options,
            database,
            clock: Arc::new(ManualClock::new(Timestamp::from_micros(START))),
            entropy: Arc::new(SeededEntropy::new(1)),
            log: LogBuffer::default(),
            errors_expected: AtomicBool::new(false),
            http,
            admin: tokio::sync::Mutex::new(None),
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
        };
        server.run().await;
        Some(server)
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Client {
        Client {
            http: self.http.clone(),
            base: self.url(),
            bearer: None,
            email: None,
        }
    }

    /// The administrator, set up at the first call and signed in.
    pub async fn admin(&self) -> Client {
        const EMAIL: &str = "admin@example.org";
        let mut known = self.admin.lock().await;
        let now = self.clock.now();
        let fresh = |since: Timestamp| now.since(since) < self.options.settings.auth.access_ttl;
        if let Some((since, client)) = &*known
            && fresh(*since)
            && client.base == self.url()
        {
            return client.clone();
        }
        let signed_in = if known.is_some() {
            self.sign_in(EMAIL).await
        } else {
            self.on_server(async |app| {
                let token = app.new_setup_token().await?;
                let token = token.expect("nobody else has set the administrator up");
                app.setup(&token, account(EMAIL), &here()).await
            })
            .await
        };
        let client = self.client_of(&signed_in);
        *known = Some((now, client.clone()));
        client
    }

    /// A new person with this name, signed in.
    pub async fn user(&self, name: &str) -> Client {
        let email = format!("{name}@example.org");
        self.on_server(async |app| app.create_user(None, account(&email), Role::User).await)
            .await;
        self.client_of(&self.sign_in(&email).await)
    }

    /// A key of the administrator with these scopes.
    pub async fn key(&self, scopes: &[Scope]) -> Client {
        self.admin().await.key(scopes).await
    }

    /// Signs a known person in again, after their token ran out for instance.
    pub async fn sign_in_again(&self, client: &Client) -> Client {
        let email = client.email.clone();
        let email = email.expect("only people sign in, keys do not");
        self.client_of(&self.sign_in(&email).await)
    }

    /// A bare TCP connection.
    pub async fn raw(&self) -> RawSocket {
        RawSocket::connect(self.address()).await
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// The server's clock.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The application, to look behind the wire. What is called here runs on
    /// the test's own threads.
    pub fn app(&self) -> &App {
        &self.running().app
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The server's own folder.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Which database it uses, for a second process beside it.
    pub fn database_url(&self) -> DatabaseUrl {
        match &self.database {
            Some(database) => database.url(),
            None => DatabaseUrl::Sqlite {
                path: self.directory().join("plimsoll.db"),
            },
        }
    }

    /// Returns once every prediction answered so far is in the log.
    pub async fn recorded(&self) {
        for _ in 0..2_000 {
            if self.app().unrecorded_bytes() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        unreachable!("the journal was not moved into the log within ten seconds");
    }

    /// The number that `/metrics` shows behind this name and its labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.anonymous().get("/metrics").await.status(200).text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap_or_else(|| unreachable!("{name} is not counted"));
        let value = value.trim().parse();
        value.unwrap_or_else(|error| unreachable!("{name}: {error}"))
    }

    /// Everything logged so far, one JSON object a line.
    pub fn log_lines(&self) -> Vec<Value> {
        self.log.lines()
    }

    /// Everything logged so far, to search it for what must not be there.
    pub fn log_text(&self) -> String {
        self.log.text()
    }

    /// Whether this text is stored anywhere: in a file of the server's folder
    /// or, as it is or in hexadecimal, in a row of its PostgreSQL database.
    pub async fn stores(&self, text: &str) -> bool {
        let in_files = files(self.directory()).iter().any(|path| {
            // A file that is gone again holds nothing.
            let content = std::fs::read(path).unwrap_or_default();
            content
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        });
        let Some(database) = &self.database else {
            return in_files;
        };
        let hexadecimal: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let rows = database.text().await;
        in_files || rows.contains(text) || rows.contains(&hexadecimal)
    }

    /// Runs a statement on the database behind the server's back.
    pub async fn damage(&self, sql: &'static str) {
        if let Some(database) = &self.database {
            return database.execute(sql).await;
        }
        let options = SqliteConnectOptions::new().filename(self.directory().join("plimsoll.db"));
        let connection = SqliteConnection::connect_with(&options).await;
        let outcome = connection.expect("the database opens").execute(sql).await;
        outcome.expect("the database obeys");
    }

    /// Lines at error level are part of this test.
    pub fn expect_errors(&self) {
        self.errors_expected.store(true, Ordering::Relaxed);
    }

    /// Stops in order and starts again on the same directory and database, at
    /// another port; clients made before keep asking the old one.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }

    /// Ends as a killed process does, and starts again.
    pub async fn kill_and_restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill().await;
        }
        self.run().await;
    }

    /// Stops in order, and asserts that nothing was left behind.
    pub async fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let ended = running.stop().await;
        assert!(ended.in_time, "background work did not end in time");
        assert_eq!(ended.leaked, 0, "tasks were left behind");
        assert_eq!(ended.cut, 0, "connections had to be cut");
    }

    async fn run(&mut self) {
        let place = Place {
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            database: self.database_url(),
            directory: self.directory().to_owned(),
        };
        self.running = Some(Running::start(&self.options, &self.log, place).await);
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server was not stopped")
    }

    fn client_of(&self, signed_in: &SignedIn) -> Client {
        Client {
            email: Some(signed_in.user.email.clone()),
            ..self.anonymous().bearer(signed_in.access_token.expose())
        }
    }

    async fn sign_in(&self, email: &str) -> SignedIn {
        let password = Secret::new(PASSWORD.to_owned());
        self.on_server(async |app| app.login(email, &password, &here()).await)
            .await
    }

    /// Does something behind the wire that must succeed.
    async fn on_server<T>(&self, work: impl AsyncFnOnce(&App) -> Result<T, Error>) -> T {
        let outcome = work(self.app()).await;
        outcome.unwrap_or_else(|error| unreachable!("preparing a test failed: {error:?}"))
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let handle = running.handle().clone();
        // On a thread of its own: the test's runtime must not be blocked on.
        let stopping = std::thread::spawn(move || handle.block_on(running.stop()));
        let ended = stopping.join();
        if std::thread::panicking() {
            return;
        }
        let ended = ended.expect("the server stops");
        assert!(ended.in_time, "background work did not end in time");
        assert_eq!(ended.leaked, 0, "tasks were left behind");
        if !self.errors_expected.load(Ordering::Relaxed) {
            let lines = self.log.lines();
            let errors: Vec<_> = lines
                .iter()
                .filter(|line| line["level"] == "ERROR")
                .collect();
            assert!(errors.is_empty(), "errors were logged: {errors:#?}");
        }
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the server's folder can be read");
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Where the people of a test sign in from.
fn here() -> Origin {
    Origin::request(Ipv4Addr::LOCALHOST.into(), "test")
}

fn account(email: &str) -> NewAccount {
    NewAccount {
        email: email.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        full_name: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn say_on_the_server(s: &TestServer, line: impl FnOnce() + Send + 'static) {
        let said = s.running().handle().spawn(async move { line() });
        said.await.expect("saying something does not panic");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[should_panic(expected = "errors were logged")]
    async fn an_error_in_the_log_fails_the_test() {
        let s = TestServer::start(Backend::Sqlite).await;
        say_on_the_server(&s, || tracing::error!("something broke")).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_expected_error_does_not() {
        let s = TestServer::start(Backend::Sqlite).await;
        s.expect_errors();
        say_on_the_server(&s, || tracing::error!("something broke")).await;
        assert!(s.log_text().contains("something broke"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[should_panic(expected = "tasks were left behind")]
    async fn a_task_that_is_left_behind_fails_the_test() {
        let s = TestServer::start(Backend::Sqlite).await;
        s.running().handle().spawn(std::future::pending::<()>());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_killed_server_starts_again_on_what_it_had() {
        let mut s = TestServer::start(Backend::Sqlite).await;
        let ann = s.user("ann").await;
        s.kill_and_restart().await;
        let me = s.sign_in_again(&ann).await.get("/api/v1/users/me").await;
        assert_eq!(me.status(200).json()["email"], "ann@example.org");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn tokens_follow_the_clock_of_the_test() {
        let s = TestServer::start(Backend::Sqlite).await;
        let admin = s.admin().await;
        admin.get("/api/v1/users/me").await.status(200);
        s.advance(Duration::from_mins(31));
        admin.get("/api/v1/users/me").await.status(401);
        s.admin().await.get("/api/v1/users/me").await.status(200);
    }
}
