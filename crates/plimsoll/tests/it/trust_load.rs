//! Load on a real server, what it acknowledged, and how long the tests of trust run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll_core::entropy::{Entropy, SeededEntropy};
use plimsoll_store::DatabaseUrl;
use plimsoll_testkit::fixture;
use plimsoll_testkit::postgres::TestDatabase;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::process::{Installation, Serving};

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_mins(1);
const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";

/// A number that whoever runs the tests may set, else `usual`.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests chooses their length"
)]
pub(crate) fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Whether the long forms were asked for: `PLIMSOLL_TRUST_FULL=1`.
pub(crate) fn is_full() -> bool {
    number("PLIMSOLL_TRUST_FULL", 0) == 1
}

/// The program under test: `PLIMSOLL_TRUST_BINARY`, else the one built for the tests.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests chooses the build"
)]
pub(crate) fn installation() -> Installation {
    let usual = Installation::new();
    match std::env::var("PLIMSOLL_TRUST_BINARY") {
        Ok(program) => usual.run_by(program),
        Err(_) => usual,
    }
}

/// One line of the table that `make trust-full` prints.
#[expect(clippy::print_stdout, reason = "the figures are what is asked for")]
pub(crate) fn figure(promise: &str, text: &str) {
    println!("trust | {promise} | {text}");
}

/// Chance that repeats. Its seed is printed if the test fails.
pub(crate) struct Dice {
    seed: u64,
    entropy: SeededEntropy,
}

impl Dice {
    /// Seeded by `PLIMSOLL_TRUST_SEED`, else always alike.
    pub(crate) fn new() -> Self {
        let seed = number("PLIMSOLL_TRUST_SEED", 1);
        Self {
            seed,
            entropy: SeededEntropy::new(seed),
        }
    }

    /// A number in `from..to`.
    pub(crate) fn between(&self, from: usize, to: usize) -> usize {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        from + usize::try_from(u32::from_le_bytes(bytes)).unwrap() % (to - from)
    }
}

impl Drop for Dice {
    #[expect(clippy::print_stderr, reason = "a failure must be repeatable")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was PLIMSOLL_TRUST_SEED={}", self.seed);
        }
    }
}

/// Somebody with a model and two keys: one that only predicts, so that its
/// count is the load's alone, and one for everything else.
pub(crate) struct Owner {
    http: reqwest::Client,
    pub(crate) admin: String,
    pub(crate) predictor: String,
    predictor_id: String,
}

impl Owner {
    pub(crate) fn new(installation: &Installation) -> Self {
        let key = |scope: &str| {
            let arguments = [
                "key",
                "create",
                "--name",
                scope,
                "--scope",
                scope,
                "--rate-limit",
                "0",
                "--json",
            ];
            installation.run(&arguments).code(0).json()
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (admin, predictor) = (key("admin"), key("predict"));
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            admin: text(&admin["api_key"]),
            predictor: text(&predictor["api_key"]),
            predictor_id: text(&predictor["key_id"]),
        }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Status and body, read with the key for everything.
    pub(crate) async fn get(&self, server: &Serving, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", server.url()));
        let answer = request.bearer_auth(&self.admin).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    /// Adds a version to the model of this name, which may be new.
    pub(crate) async fn upload(&self, server: &Serving, name: &str) {
        self.upload_file(server, name, fixture(MODEL)).await;
    }

    /// The same with a file of its own.
    pub(crate) async fn upload_file(&self, server: &Serving, name: &str, content: Vec<u8>) {
        let content = reqwest::multipart::Part::bytes(content).file_name("model");
        let form = reqwest::multipart::Form::new()
            .text("name", name.to_owned())
            .part("file", content);
        let request = self.http.post(format!("{}/api/v1/models", server.url()));
        let answer = request.bearer_auth(&self.admin).multipart(form).send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }

    /// One sample of `/metrics`; 0 if it has not appeared yet.
    pub(crate) async fn metric(&self, server: &Serving, name: &str) -> u64 {
        let request = self.http.get(format!("{}/metrics", server.url()));
        let text = request.send().await.unwrap().text().await.unwrap();
        let sample = text.lines().find_map(|line| line.strip_prefix(name));
        sample.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Returns once everything in the journal is in the log.
    pub(crate) async fn recorded(&self, server: &Serving) {
        self.until(server, "plimsoll_log_spool_bytes", |waiting| waiting == 0)
            .await;
    }

    /// Returns once a sample of `/metrics` is as wanted.
    pub(crate) async fn until(&self, server: &Serving, name: &str, wanted: impl Fn(u64) -> bool) {
        let asking = async {
            while !wanted(self.metric(server, name).await) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, asking).await;
        assert!(in_time.is_ok(), "{name} is not as expected");
    }

    /// Ids of all predictions of the model `iris`, page by page.
    pub(crate) async fn listed(&self, server: &Serving) -> Vec<String> {
        let mut ids = Vec::new();
        let mut path = "/api/v1/predictions?limit=200".to_owned();
        loop {
            let (status, page) = self.get(server, &path).await;
            assert_eq!(status, 200, "{page}");
            let items = page["items"].as_array().unwrap().iter();
            ids.extend(items.map(|item| item["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else {
                return ids;
            };
            path = format!("/api/v1/predictions?limit=200&cursor={next}");
        }
    }

    /// What the key and the model say they were used for.
    pub(crate) async fn counted(&self, server: &Serving) -> (u64, u64) {
        let (_, key) = self
            .get(server, &format!("/api/v1/api-keys/{}", self.predictor_id))
            .await;
        let (_, model) = self.get(server, "/api/v1/models/iris").await;
        (
            key["total_requests"].as_u64().unwrap(),
            model["prediction_count"].as_u64().unwrap(),
        )
    }
}

/// What was asked for and what came of it, over all rounds.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: AtomicUsize,
    acknowledged: Mutex<Vec<String>>,
    refused: Mutex<Vec<(StatusCode, String)>>,
}

impl Ledger {
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// Ids of the predictions that were answered with 200.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Asserts that the log has everything that was acknowledged, once, and
    /// nothing that was not asked for.
    pub(crate) fn check(&self, mut listed: Vec<String>) {
        let (acknowledged, sent) = (self.acknowledged(), self.sent());
        let total = listed.len();
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(listed.len(), total, "a prediction is there twice");
        let lost = acknowledged
            .iter()
            .filter(|id| listed.binary_search(id).is_err());
        let lost: Vec<_> = lost.collect();
        assert!(
            lost.is_empty(),
            "{} of {} lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        );
        assert!(total <= sent, "{total} recorded, {sent} sent");
    }
}

/// Clients that ask for predictions until the server is gone or they are stopped.
pub(crate) struct Load {
    clients: JoinSet<()>,
    stop: Arc<AtomicBool>,
    answered: Arc<Semaphore>,
    ledger: Arc<Ledger>,
}

impl Load {
    /// Starts `clients` clients of `server`.
    pub(crate) fn start(
        owner: &Owner,
        server: &Serving,
        ledger: &Arc<Ledger>,
        clients: usize,
    ) -> Self {
        let mut load = Self {
            clients: JoinSet::new(),
            stop: Arc::default(),
            answered: Arc::new(Semaphore::new(0)),
            ledger: ledger.clone(),
        };
        for _ in 0..clients {
            let request = owner
                .http
                .post(format!("{}/api/v1/models/iris/predict", server.url()))
                .bearer_auth(&owner.predictor)
                .json(&json!({"inputs": [[5.1, 3.5, 1.4, 0.2]]}));
            let (stop, answered) = (load.stop.clone(), load.answered.clone());
            let ledger = ledger.clone();
            load.clients.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    ledger.sent.fetch_add(1, Ordering::SeqCst);
                    let request = request.try_clone().unwrap();
                    // Without a whole answer nothing was acknowledged.
                    let Ok(answer) = request.send().await else {
                        return;
                    };
                    let status = answer.status();
                    let Ok(body) = answer.text().await else {
                        return;
                    };
                    note(&ledger, status, body);
                    answered.add_permits(1);
                }
            });
        }
        load
    }

    /// Returns once `count` more requests were answered.
    pub(crate) async fn answered(&self, count: usize) {
        let count = u32::try_from(count).unwrap();
        let waiting = tokio::time::timeout(PATIENCE, self.answered.acquire_many(count));
        waiting.await.expect("the server answers").unwrap().forget();
    }

    /// Ends the clients, and asserts that every answer they got was a prediction.
    pub(crate) async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.join_all().await;
        let refused = self.ledger.refused.lock().unwrap();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

fn note(ledger: &Ledger, status: StatusCode, body: String) {
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    match answer["prediction_id"].as_str() {
        Some(id) if status == 200 => ledger.acknowledged.lock().unwrap().push(id.to_owned()),
        _ => ledger.refused.lock().unwrap().push((status, body)),
    }
}

/// An installation on a PostgreSQL database, its schema up to date.
pub(crate) fn on_postgres(database: &TestDatabase) -> Installation {
    let DatabaseUrl::Postgres { url } = database.url() else {
        unreachable!("this is PostgreSQL")
    };
    on_postgres_url(url.expose())
}

/// The same on any PostgreSQL database.
pub(crate) fn on_postgres_url(url: &str) -> Installation {
    let secret = Installation::new()
        .run(&["secret", "generate"])
        .code(0)
        .stdout;
    let installation = installation()
        .with("DATABASE_URL", url)
        .with("PLIMSOLL_AUTH__SECRET", secret.trim());
    installation.run(&["migrate"]).code(0);
    installation
}
