//! The counters: their text, their names, what moves them, what they never contain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

use plimsoll_testkit::{Part, TestServer, backends, fixture};
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::Installation;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

/// Families that dashboards and alerts are built on, with their types.
const PROMISED: [(&str, &str); 18] = [
    ("plimsoll_predictions", "counter"),
    ("plimsoll_prediction_rows", "counter"),
    ("plimsoll_prediction_failures", "counter"),
    ("plimsoll_inference_seconds", "histogram"),
    ("plimsoll_model_cache_hits", "counter"),
    ("plimsoll_model_cache_misses", "counter"),
    ("plimsoll_model_cache_evictions", "counter"),
    ("plimsoll_model_loads", "counter"),
    ("plimsoll_loaded_models", "gauge"),
    ("plimsoll_loaded_models_size_bytes", "gauge"),
    ("plimsoll_overloads", "counter"),
    ("plimsoll_engine_queue_depth", "gauge"),
    ("plimsoll_authentication_failures", "counter"),
    ("plimsoll_integrity_failures", "counter"),
    ("plimsoll_http_requests", "counter"),
    ("plimsoll_http_request_duration_seconds", "histogram"),
    ("plimsoll_http_connections", "gauge"),
    ("plimsoll_http_requests_in_flight", "gauge"),
];

/// The text as families with their types, and samples with their values.
#[derive(Debug, Default)]
struct Exposition {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

/// Reads OpenMetrics text and fails on everything that a scraper would not take.
fn parse(text: &str) -> Exposition {
    let mut read = Exposition::default();
    let mut lines = text.lines();
    assert_eq!(lines.next_back(), Some("# EOF"));
    for line in lines {
        if let Some(meta) = line.strip_prefix("# ") {
            let (word, rest) = meta.split_once(' ').unwrap();
            let (family, value) = rest.split_once(' ').unwrap();
            assert!(["HELP", "TYPE", "UNIT"].contains(&word), "{line}");
            if word == "TYPE" {
                let before = read.types.insert(family.to_owned(), value.to_owned());
                assert_eq!(before, None, "{family} is declared twice");
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite() && value >= 0.0, "{line}");
        check_labels(sample);
        check_family(&read.types, sample);
        assert_eq!(
            read.samples.insert(sample.to_owned(), value),
            None,
            "{sample} appears twice"
        );
    }
    read
}

/// `name{label="value",…}` with names as Prometheus wants them.
fn check_labels(sample: &str) {
    let is_name = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
    assert!(name.starts_with("plimsoll_") && is_name(name), "{sample}");
    let labels = labels.strip_suffix('}').unwrap();
    for label in labels.split("\",").filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once("=\"").unwrap();
        assert!(
            is_name(name) && !value.trim_end_matches('"').contains('"'),
            "{sample}"
        );
    }
}

/// The sample's name is its family's with the ending of its type.
fn check_family(types: &BTreeMap<String, String>, sample: &str) {
    let name = sample.split('{').next().unwrap();
    let endings: [(&str, &[&str]); 3] = [
        ("counter", &["_total"]),
        ("gauge", &[""]),
        ("histogram", &["_bucket", "_sum", "_count"]),
    ];
    let fits = |(kind, endings): &(&str, &[&str])| {
        endings.iter().any(|ending| {
            name.strip_suffix(ending)
                .is_some_and(|family| types.get(family).is_some_and(|found| found == kind))
        })
    };
    assert!(
        endings.iter().any(fits),
        "{sample} belongs to no declared family"
    );
}

impl Exposition {
    /// The sum of a sample over all of its labels that contain `labels`.
    fn sum(&self, name: &str, labels: &str) -> f64 {
        let of_name =
            |sample: &str| sample.split('{').next() == Some(name) && sample.contains(labels);
        self.samples
            .iter()
            .filter(|(sample, _)| of_name(sample))
            .map(|(_, value)| value)
            .sum()
    }

    /// Buckets grow, and the last one holds every observation.
    fn check_histograms(&self) {
        let mut last: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (sample, value) in &self.samples {
            let Some((name, labels)) = sample.split_once("_bucket{") else {
                continue;
            };
            let (_, bound) = labels.split_once("le=\"").unwrap();
            let bound: f64 = bound.split('"').next().unwrap().parse().unwrap();
            let others: BTreeSet<&str> = labels
                .trim_end_matches('}')
                .split(',')
                .filter(|l| !l.starts_with("le=") && !l.is_empty())
                .collect();
            let key = format!("{name}{others:?}");
            let count = self.sum(
                &format!("{name}_count"),
                others.first().copied().unwrap_or_default(),
            );
            assert!(*value <= count, "{sample} {value} of {count}");
            if bound.is_infinite() {
                last.insert(key, (*value, count));
            }
        }
        assert!(!last.is_empty());
    }
}

async fn scrape(s: &TestServer) -> Exposition {
    let reply = s.anonymous().get("/metrics").await.status(200);
    assert!(
        reply
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    parse(&reply.text())
}

backends! {
    async fn the_text_is_what_a_scraper_reads_and_has_every_promised_family(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        ann.predict("iris", json!([FLOWER])).await.status(200);
        // A family with labels appears with its first count.
        s.anonymous().get("/api/v1/models").await.status(401);
        let read = scrape(&s).await;
        read.check_histograms();
        for (family, kind) in PROMISED {
            assert_eq!(read.types.get(family).map(String::as_str), Some(kind), "{family}");
        }
    }

    async fn what_is_counted_about_the_journal_and_the_log_is_what_the_manual_lists(s: TestServer) {
        const MANUAL: &str = include_str!("../../../../docs/OPERATIONS.md");
        let is_ours = |family: &str| {
            family.starts_with("plimsoll_journal_") || family.starts_with("plimsoll_log_")
        };
        let rows = MANUAL.lines().filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let family = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((family.trim_end_matches("_total").to_owned(), cells.next()?.to_owned()))
        });
        let listed: BTreeMap<String, String> = rows.filter(|(family, _)| is_ours(family)).collect();
        let mut counted = scrape(&s).await.types;
        counted.retain(|family, _| is_ours(family));
        assert!(counted.len() >= 16, "{counted:?}");
        assert_eq!(counted, listed);
    }

    /// F110: the journal's way is visible from the answer to the log.
    async fn a_prediction_is_counted_on_its_way_into_the_log(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        for _ in 0..3 {
            ann.predict("iris", json!([FLOWER])).await.status(200);
        }
        s.recorded().await;
        let read = scrape(&s).await;
        let value = |name: &str| read.sum(name, "");
        for (name, expected) in [
            ("plimsoll_journal_appended_total", 3.0),
            ("plimsoll_log_rows_total", 3.0),
            ("plimsoll_log_dropped_total", 0.0),
            ("plimsoll_log_rejected_total", 0.0),
            ("plimsoll_log_refused_batches_total", 0.0),
            ("plimsoll_journal_damage_total", 0.0),
            ("plimsoll_journal_missing_total", 0.0),
            ("plimsoll_journal_dropping", 0.0),
            ("plimsoll_journal_segments", 1.0),
            ("plimsoll_journal_leftovers", 0.0),
            ("plimsoll_log_spool_bytes", 0.0),
            ("plimsoll_log_lag_seconds", 0.0),
            ("plimsoll_log_spool_limit_bytes", f64::from(1 << 30)),
        ] {
            let got = value(name);
            assert!((got - expected).abs() < 0.5, "{name} is {got}");
        }
        assert!(value("plimsoll_journal_written_bytes_total") > 300.0);
        let batches = value("plimsoll_log_batches_total");
        assert!((1.0..=4.0).contains(&batches), "{batches} batches");
    }

    async fn a_prediction_moves_the_counters_of_its_version_and_route(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("other", fixture(IRIS)).await.status(201);
        let added = ann.upload("iris", fixture(IRIS)).await.status(201).json();
        let of_model = format!("model={}", added["model"]["id"]);
        let route = r#"method="POST",route="/api/v1/models/{model}/predict",status="2xx""#;
        let before = scrape(&s).await;
        for rows in [1, 5] {
            ann.predict("iris", json!(vec![FLOWER; rows])).await.status(200);
        }
        ann.predict("iris", json!([["wrong"]])).await.status(422);
        s.anonymous().get("/api/v1/models").await.status(401);
        let after = scrape(&s).await;
        let moved = |name: &str, labels: &str| after.sum(name, labels) - before.sum(name, labels);
        for (name, labels, by) in [
            ("plimsoll_predictions_total", of_model.as_str(), 2.0),
            ("plimsoll_predictions_total", "", 2.0),
            ("plimsoll_prediction_rows_total", &of_model, 6.0),
            ("plimsoll_prediction_failures_total", "", 0.0),
            ("plimsoll_inference_seconds_count", &of_model, 2.0),
            ("plimsoll_model_cache_hits_total", "", 3.0),
            ("plimsoll_model_cache_misses_total", "", 0.0),
            ("plimsoll_http_requests_total", route, 2.0),
            ("plimsoll_authentication_failures_total", "", 1.0),
        ] {
            let got = moved(name, labels);
            assert!((got - by).abs() < 0.5, "{name}{{{labels}}} moved by {got}");
        }
    }

    async fn no_label_holds_what_a_user_wrote(s: TestServer) {
        const WORD: &str = "s3cret";
        let ann = s.user(WORD).await;
        let parts = [
            Part::Text("name", format!("{WORD}-model")),
            Part::Text("label", format!("{WORD}-label")),
            Part::Text("tags", WORD.to_owned()),
            Part::Text("description", WORD.to_owned()),
            Part::File("file", format!("{WORD}.joblib"), fixture(IRIS)),
        ];
        ann.post("/api/v1/models").multipart(parts).await.status(201);
        let key = ann.key_with(&json!({"name": WORD, "description": WORD})).await;
        let path = format!("/api/v1/models/{WORD}-model/versions/{WORD}-label/predict");
        key.post(&path).json(&json!({"inputs": [FLOWER], "request_id": WORD})).await.status(200);
        key.get(&format!("/api/v1/models/{WORD}-absent")).await.status(404);
        key.get(&format!("/{WORD}?{WORD}={WORD}")).header("x-request-id", WORD).await.status(404);
        key.request(Method::from_bytes(b"S3CRET").unwrap(), "/health").await.status(405);
        s.anonymous().bearer(WORD).get("/api/v1/models").await.status(401);
        let text = s.anonymous().get("/metrics").await.status(200).text();
        assert!(!text.to_lowercase().contains(WORD), "{text}");
        parse(&text);
    }
}

/// This machine's address on a network, without sending anything.
fn outer_address() -> std::net::IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let routed = socket.connect("198.51.100.1:9");
    let address = socket.local_addr().unwrap().ip();
    assert!(
        routed.is_ok() && !address.is_loopback() && !address.is_unspecified(),
        "this test needs a network interface beside the loopback one"
    );
    address
}

/// Beside SQLite nothing here depends on the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_another_address_the_counters_take_an_administrators_credential() {
    let installation = Installation::new();
    let key = |scope: &str| {
        let made = installation
            .run(&["key", "create", "--name", "k", "--scope", scope, "--json"])
            .code(0)
            .json();
        made["api_key"].as_str().unwrap().to_owned()
    };
    let (reader, predictor) = (key("read"), key("predict"));
    let server = installation.serve(&["--listen", "0.0.0.0:0"]);
    let port = server.url().rsplit_once(':').unwrap().1;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |host: &str, credential: Option<&str>| {
        let mut request = client.get(format!("http://{host}:{port}/metrics"));
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let outer = outer_address().to_string();
    assert_eq!(get("127.0.0.1", None).await.0, 200);
    for (credential, expected) in [
        (None, 401),
        (Some("wrong"), 401),
        (Some(&*predictor), 403),
        (Some(&*reader), 200),
    ] {
        let (status, text) = get(&outer, credential).await;
        assert_eq!(status, expected, "{text}");
        if status != 200 {
            let problem: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(problem["status"], status);
        }
    }
    server.stop();
}
