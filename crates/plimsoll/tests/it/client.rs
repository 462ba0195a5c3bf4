//! The command line as a client of a running server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use plimsoll_testkit::{fixture, fixture_path};
use serde_json::{Value, json};

use crate::process::{Installation, Ran, Serving};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const ROW: &str = "[[5.1, 3.5, 1.4, 0.2]]";

/// A server, and a desk elsewhere that knows its address and a key.
struct Desk {
    at: Installation,
    server: Serving,
    _home: Installation,
}

impl Desk {
    fn new() -> Self {
        let home = Installation::new();
        let create = ["key", "create", "--name", "cli", "--scope", "admin"];
        let key = home.run(&create).code(0).stdout;
        let server = home.serve(&[]);
        let at = Installation::new()
            .with("PLIMSOLL_URL", server.url())
            .with("PLIMSOLL_API_KEY", key.trim());
        Self {
            at,
            server,
            _home: home,
        }
    }

    /// With the iris model as `iris`, version 1.
    fn with_iris() -> Self {
        let desk = Self::new();
        desk.json(&["model", "push", iris(), "--name", "iris"]);
        desk
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.at.run(arguments)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.at.run(&all).code(0).json()
    }

    /// A path at the desk, as text.
    fn path(&self, name: &str) -> String {
        self.at.path(name).to_str().unwrap().to_owned()
    }
}

/// Where the file of the iris model lies.
fn iris() -> &'static str {
    static PATH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PATH.get_or_init(|| fixture_path(IRIS).to_str().unwrap().to_owned())
}

/// A server that gives these answers, one a connection, and tells what it was sent.
fn answering(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = std::thread::spawn(move || {
        let answer = |answer: &&str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        };
        answers.iter().map(answer).collect()
    });
    (url, requests)
}

#[test]
fn a_model_is_pushed_listed_shown_promoted_and_pulled() {
    let desk = Desk::new();
    let pushed = desk.run(&["model", "push", iris()]).code(0);
    assert_eq!(pushed.stdout, "iris_logistic@1\n");
    assert_eq!(pushed.stderr, "", "no bar without a terminal");
    let listed = desk.json(&["model", "list"]);
    assert_eq!(listed[0]["name"], "iris_logistic");
    assert!(desk.run(&["model", "list"]).stdout.starts_with("NAME"));
    let shown = desk.json(&["model", "show", "iris_logistic"]);
    assert_eq!(shown["versions"][0]["version"], 1);
    desk.run(&["model", "promote", "iris_logistic"]).code(64);
    let promoted = desk.json(&["model", "promote", "iris_logistic@1"]);
    assert_eq!(promoted["stage"], "production");
    let shown = desk.run(&["model", "show", "iris_logistic@production"]);
    assert!(shown.code(0).stdout.contains("sha256"));

    let pulled = desk.run(&["model", "pull", "iris_logistic"]).code(0);
    assert_eq!(pulled.stdout, "iris_logistic.joblib\n");
    let file = desk.at.path("iris_logistic.joblib");
    assert_eq!(fs::read(&file).unwrap(), fixture(IRIS));
    fs::write(&file, "mine").unwrap();
    let again = desk.run(&["model", "pull", "iris_logistic"]).code(65);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    desk.run(&["model", "pull", "iris_logistic@1", "--force"])
        .code(0);
    assert_eq!(fs::read(&file).unwrap(), fixture(IRIS));
}

#[test]
fn a_pull_that_fails_leaves_no_file() {
    let desk = Desk::with_iris();
    let missing = ["model", "pull", "iris@7", "--output", "there.joblib"];
    desk.run(&missing).code(65);
    let nowhere = ["model", "pull", "iris", "--output", "no/such/folder/x"];
    desk.run(&nowhere).code(77);
    let left = fs::read_dir(desk.at.path(".")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn what_was_pushed_makes_one_version_until_it_is_wanted_again() {
    let desk = Desk::with_iris();
    let again = desk.run(&["model", "push", iris(), "--name", "iris"]);
    assert!(again.stderr.contains("--again"), "{again:?}");
    assert_eq!(again.code(0).stdout, "iris@1\n");
    let wanted = ["model", "push", iris(), "--name", "iris", "--again"];
    assert_eq!(desk.json(&wanted)["version"]["version"], 2);
    let labelled = [
        "model",
        "push",
        iris(),
        "--name",
        "iris",
        "--label",
        "9.0.0",
    ];
    let labelled = desk.json(&[&labelled[..], &["--promote"]].concat());
    assert_eq!(labelled["version"]["version"], 3);
    assert_eq!(labelled["version"]["stage"], "production");
}

#[test]
fn a_refused_file_says_why_and_under_which_request() {
    let desk = Desk::new();
    let path = desk.path("notes.joblib");
    fs::write(&path, "no model at all").unwrap();
    let refused = desk.run(&["model", "push", &path]).code(65);
    assert!(refused.stderr.contains("request req_"), "{refused:?}");
    assert_eq!(refused.stdout, "");
    let refused = desk.run(&["model", "push", &path, "--json"]).code(65);
    let error: Value = serde_json::from_str(&refused.stderr).unwrap();
    assert_eq!(error["exit"], 65);
    assert!(error["problem"]["code"].is_string(), "{error}");
    desk.run(&["model", "push", "no/such/file"]).code(65);
}

#[test]
fn rows_are_predicted_from_an_argument_a_file_and_standard_input() {
    let desk = Desk::with_iris();
    let file = desk.path("rows.json");
    fs::write(&file, format!("{{\"inputs\": {ROW}}}")).unwrap();
    let typed = desk.run(&["predict", "iris", ROW]).code(0);
    assert_eq!(typed.stdout, "0\n");
    assert!(typed.stderr.contains("prd_"), "{}", typed.stderr);
    let read = desk.json(&["predict", "iris@1", "--file", &file]);
    assert_eq!(read["predictions"], json!([0]));
    let piped = desk
        .at
        .run_with_input(&["predict", "iris@latest", "-"], ROW);
    assert_eq!(piped.code(0).stdout, "0\n");

    desk.run(&["predict", "iris", "[[1,"]).code(65);
    desk.run(&["predict", "iris"]).code(64);
    let wrong = desk
        .run(&["predict", "iris", "[[1, 2, 3, \"x\"]]"])
        .code(65);
    assert!(wrong.stderr.contains("/inputs/0/3"), "{}", wrong.stderr);
    desk.run(&["predict", "nothing", ROW]).code(65);
}

#[test]
fn an_endpoint_is_deployed_shared_rolled_back_and_stopped() {
    let desk = Desk::with_iris();
    desk.json(&["model", "push", iris(), "--name", "iris", "--again"]);
    let deploy = ["endpoint", "deploy", "iris@1", "--name", "live"];
    let options = ["--size", "medium", "--keep-loaded", "--reason", "first"];
    let live = desk.json(&[&deploy[..], &options].concat());
    assert_eq!(live["workload_size"], "medium");
    assert_eq!(live["scale_to_zero"], false);
    let traffic = ["endpoint", "traffic", "live", "1=90", "2=10:canary"];
    let shared = desk.json(&[&traffic[..], &["--sticky", "key"]].concat());
    assert_eq!(shared["sticky"], "key");
    assert_eq!(shared["served"][1]["role"], "canary");
    let status = desk.run(&["endpoint", "status", "live"]).code(0).stdout;
    assert!(status.contains("iris@2  10 %"), "{status}");
    desk.run(&["predict", "--endpoint", "live", ROW]).code(0);
    desk.run(&["predict", "--endpoint", "live@1", ROW]).code(64);
    desk.run(&["endpoint", "traffic", "live", "1=60"]).code(65);
    desk.run(&["endpoint", "traffic", "live", "1=ninety"])
        .code(64);
    desk.run(&["endpoint", "validate", "live"]).code(0);
    let back = desk.json(&["endpoint", "rollback", "live"]);
    assert_eq!(back["served"].as_array().unwrap().len(), 1);
    let history = desk.json(&["endpoint", "history", "live"]);
    assert_eq!(history[0]["action"], "rollback");
    assert_eq!(desk.json(&["endpoint", "list"])[0]["name"], "live");
    desk.run(&["endpoint", "rm", "live"]).code(0);
    desk.run(&["predict", "--endpoint", "live", ROW]).code(65);
    desk.run(&["endpoint", "status", "nothing"]).code(65);
}

#[test]
fn a_file_of_rows_becomes_a_job_that_is_watched_and_fetched() {
    let desk = Desk::with_iris();
    let rows = desk.path("rows.jsonl");
    fs::write(&rows, "[5.1, 3.5, 1.4, 0.2]\n[1, 2, 3, \"x\"]\n").unwrap();
    let started = desk.run(&["predict", "iris", "--batch", &rows]).code(0);
    let id = started.stdout.trim();
    let watched = desk.run(&["job", "watch", id]).code(0);
    assert!(watched.stdout.contains("2 rows, 1 answered, 1 refused"));
    let printed = desk.run(&["job", "result", id]).code(0).stdout;
    assert_eq!(printed.lines().count(), 2, "{printed}");
    let csv = desk.path("answers.csv");
    let keep = ["job", "result", id, "--format", "csv", "--output", &csv];
    desk.run(&keep).code(0);
    assert!(fs::read_to_string(&csv).unwrap().starts_with("row,"));
    desk.run(&keep).code(65);
    assert_eq!(desk.json(&["job", "list"])[0]["id"], id);
    // What has ended cannot be ended.
    desk.run(&["job", "cancel", id]).code(65);
    desk.run(&["predict", "iris", "--batch", "rows.txt"])
        .code(64);
    let missing = desk.path("missing.csv");
    desk.run(&["predict", "iris", "--batch", &missing]).code(65);
}

#[test]
fn the_newest_predictions_are_listed() {
    let desk = Desk::with_iris();
    desk.run(&["predict", "iris", ROW]).code(0);
    let found = (0..200).any(|_| {
        let logs = desk.json(&["logs", "--model", "iris", "-n", "5"]);
        logs[0]["model"] == "iris"
    });
    assert!(found, "the prediction never came into the log");
    let failed = desk.json(&["logs", "--failed"]);
    assert_eq!(failed, json!([]));
    desk.run(&["logs", "--model", "nothing"]).code(65);
}

#[test]
fn keys_of_a_server_are_made_rotated_and_revoked_over_http() {
    let desk = Desk::new();
    let url = desk.server.url();
    let create = ["key", "create", "--url", url, "--name", "ci"];
    let limits = ["--scope", "read", "--burst", "20/10s", "--rate-limit", "0"];
    let made = desk.json(&[&create[..], &limits].concat());
    assert_eq!(made["rate_limit"], Value::Null);
    assert_eq!(made["burst"]["requests"], 20);
    let prefix = made["prefix"].as_str().unwrap();
    let new = desk.json(&["key", "rotate", prefix, "--url", url]);
    assert_ne!(new["api_key"], made["api_key"]);
    let id = new["id"].as_str().unwrap();
    desk.run(&["key", "revoke", id, "--url", url]).code(0);
    desk.run(&["key", "revoke", id, "--url", url]).code(65);
    let listed = desk.json(&["key", "list", "--url", url]);
    assert!(listed.as_array().unwrap().iter().all(|key| key["id"] != id));
    desk.run(&["key", "list", "--url", url, "--user", "a@b.org"])
        .code(64);
    assert!(!desk.at.path("data").exists(), "nothing is made here");
}

#[test]
fn without_a_server_or_a_right_the_exit_code_says_so() {
    let desk = Desk::with_iris();
    let nobody = Installation::new().with("PLIMSOLL_URL", desk.server.url());
    let refused = nobody.run(&["model", "list"]).code(77);
    assert!(refused.stderr.contains("PLIMSOLL_API_KEY"), "{refused:?}");
    let create = ["key", "create", "--name", "r", "--scope", "read"];
    let url = ["--url", desk.server.url()];
    let key = desk.run(&[&create[..], &url].concat()).code(0).stdout;
    let reader = Installation::new().with("PLIMSOLL_API_KEY", key.trim());
    let promote = ["model", "promote", "iris@1"];
    reader.run(&[&promote[..], &url].concat()).code(77);

    let absent = ["model", "list", "--url", "http://127.0.0.1:1"];
    let absent = desk.run(&absent).code(69);
    assert!(absent.stderr.contains("does not answer"), "{absent:?}");
    desk.run(&["model", "list", "--url", "ftp://there"])
        .code(64);
    desk.run(&["model", "show", ".."]).code(64);
    desk.run(&["model"]).code(64);
}

#[test]
fn a_busy_server_is_asked_again_and_a_stranger_is_told_apart() {
    const BUSY: &str =
        "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const EMPTY: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"items\":[]}";
    let (url, requests) = answering(&[BUSY, BUSY, EMPTY]);
    let ran = Installation::new().run(&["model", "list", "--url", &url]);
    assert_eq!(ran.stderr.matches("trying again").count(), 2, "{ran:?}");
    ran.code(0);
    requests.join().unwrap();
    let (url, requests) = answering(&[BUSY, BUSY, BUSY, BUSY]);
    Installation::new()
        .run(&["model", "list", "--url", &url])
        .code(69);
    requests.join().unwrap();
    let (url, requests) = answering(&["HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n"]);
    let moved = Installation::new().run(&["model", "list", "--url", &url]);
    assert!(moved.code(69).stderr.contains("no answer of Plimsoll"));
    requests.join().unwrap();
}

#[test]
fn a_change_whose_answer_was_lost_is_sent_again_under_the_same_key() {
    const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let (url, requests) = answering(&["", DONE]);
    let rollback = ["endpoint", "rollback", "live", "--url", &url];
    Installation::new().run(&rollback).code(0);
    let requests = requests.join().unwrap();
    let key = |request: &String| {
        let line = request
            .lines()
            .find(|line| line.starts_with("idempotency-key"));
        line.unwrap().to_owned()
    };
    assert_eq!(key(&requests[0]), key(&requests[1]));
}
