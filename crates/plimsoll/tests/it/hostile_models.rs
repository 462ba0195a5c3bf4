//! Files that attack whoever reads them, sent to the real server: refused by
//! name, nothing stored, nothing run, the server as lively as before. On SQLite
//! alone: a refused file never reaches the database.

use std::path::Path;
use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Backend, TestServer, fixture, fixture_path};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::golden::{serves_onnx, with_onnxruntime};
use crate::process::{Installation, Serving};

/// Longer than any of these files may keep the server busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// More memory than the server may ever take for one of them, in KiB.
const MEMORY: u64 = 512 * 1024;
/// What the payloads would leave in the working directory.
const CANARY: &str = "plimsoll-was-run";

struct Target {
    server: Serving,
    client: reqwest::Client,
    key: String,
}

impl Target {
    fn new(installation: &Installation) -> Self {
        let create = [
            "key",
            "create",
            "--name",
            "k",
            "--scope",
            "write",
            "--rate-limit",
            "0",
            "--json",
        ];
        let key = installation.run(&create).code(0).json()["api_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            server: installation.serve(&[]),
            client,
            key,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    async fn upload(&self, name: &str, content: Vec<u8>) -> (u16, Value) {
        let file = reqwest::multipart::Part::bytes(content).file_name(name.to_owned());
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let form = reqwest::multipart::Form::new()
            .text("name", name)
            .part("file", file);
        let request = self
            .client
            .post(self.url("/api/v1/models"))
            .bearer_auth(&self.key)
            .multipart(form);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn models(&self) -> u64 {
        let request = self
            .client
            .get(self.url("/api/v1/models"))
            .bearer_auth(&self.key);
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        list["total"].as_u64().unwrap()
    }

    /// The server answers, has started no process, and holds little memory.
    async fn assert_well(&self, about: &str) {
        let live = self
            .client
            .get(self.url("/health/live"))
            .send()
            .await
            .unwrap();
        assert_eq!(live.status(), 200, "{about}");
        let process = format!("/proc/{}", self.server.id());
        for task in std::fs::read_dir(format!("{process}/task")).unwrap() {
            // A thread may have ended between the two looks.
            let children =
                std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
            assert_eq!(children, "", "{about} started a process");
        }
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < MEMORY, "{about}: {peak} KiB");
    }
}

/// Stored files below a folder that are no flat forms made of others.
fn originals(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            if path.is_dir() {
                return originals(&path);
            }
            u64::from(!std::fs::read(path).unwrap().starts_with(b"PLIMFLAT"))
        })
        .sum()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            names.extend(self::names(&entry.path()));
        }
    }
    names
}

/// The problem of each kind of refusal that `make.py` wrote down.
fn expected(refusal: &str) -> &'static str {
    match refusal {
        "unsafe" => "unsafe-model",
        "malformed" | "too-large" => "damaged-model",
        "unsupported" => "unsupported-model",
        "unrecognised" => "unrecognised-model",
        other => unreachable!("{other} is no refusal"),
    }
}

fn cases() -> Vec<(String, String, String)> {
    let cases: Vec<Value> = serde_json::from_slice(&fixture("malicious/cases.json")).unwrap();
    let text = |case: &Value, member: &str| case[member].as_str().unwrap().to_owned();
    let all = cases.iter().map(|case| {
        (
            text(case, "file"),
            text(case, "refusal"),
            text(case, "names"),
        )
    });
    all.collect()
}

/// F062, P27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malicious_files_are_refused_by_name_and_leave_no_trace() {
    let installation = Installation::new();
    let target = Target::new(&installation);
    let (mut refused, mut sound) = (0, 0);
    for (file, refusal, named) in cases() {
        let (status, answer) = target
            .upload(&file, fixture(&format!("malicious/{file}")))
            .await;
        let about = format!("{file}: {status} {answer}");
        // Files that only look dangerous are read as the data they are.
        if refusal == "none" {
            assert_eq!(status, 201, "{about}");
            sound += 1;
        } else {
            assert_eq!(
                (status, answer["code"].as_str()),
                (422, Some(expected(&refusal))),
                "{about}"
            );
            assert!(
                answer["detail"].as_str().unwrap().contains(&named),
                "{named:?} is not in {about}"
            );
            refused += 1;
        }
        target.assert_well(&about).await;
    }
    assert!(refused >= 120, "{refused} files");
    assert_eq!(target.models().await, sound);
    let left = names(&installation.path(""));
    assert!(!left.iter().any(|name| name.contains(CANARY)), "{left:?}");
    assert_eq!(
        originals(&installation.path("data/blobs")),
        sound,
        "{left:?}"
    );
    assert_eq!(names(&installation.path("data/tmp")), Vec::<String>::new());
    target.server.stop();
}

/// F062
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malicious_files_sent_all_at_once_do_not_stop_a_server() {
    let installation = Installation::new();
    let target = std::sync::Arc::new(Target::new(&installation));
    let mut uploads = JoinSet::new();
    for (file, refusal, _) in cases() {
        let target = target.clone();
        uploads.spawn(async move {
            let (status, answer) = target
                .upload(&file, fixture(&format!("malicious/{file}")))
                .await;
            assert_eq!(
                status,
                if refusal == "none" { 201 } else { 422 },
                "{file}: {answer}"
            );
        });
    }
    uploads.join_all().await;
    target.assert_well("all at once").await;
    assert!(
        !names(&installation.path(""))
            .iter()
            .any(|name| name.contains(CANARY))
    );
}

/// F058, F062
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_cannot_be_served_are_refused_with_what_they_lack() {
    let server = TestServer::start(Backend::Sqlite).await;
    let ann = server.user("ann").await.key(&[Scope::Write]).await;
    let mut count = 0;
    for entry in std::fs::read_dir(fixture_path("sklearn")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(manifest) = std::fs::read(folder.join("cases.json")) else {
            continue;
        };
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        for case in manifest["refused"].as_array().unwrap() {
            let file = case["file"].as_str().unwrap();
            let reply = ann
                .upload("refused", std::fs::read(folder.join(file)).unwrap())
                .await
                .status(422);
            let detail = reply.problem("unsupported-model")["detail"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(
                detail.contains(case["names"].as_str().unwrap()),
                "{file}: {detail}"
            );
            count += 1;
        }
    }
    assert!(count >= 16, "{count} files");
    ann.get("/api/v1/models/refused").await.status(404);
    assert_eq!(
        names(&server.directory().join("blobs")),
        Vec::<String>::new()
    );
}

/// F058, P27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onnx_files_that_reach_outside_or_lie_are_refused() {
    let server = with_onnxruntime().start(Backend::Sqlite).await.unwrap();
    if !serves_onnx(&server).await {
        return;
    }
    let ann = server.user("ann").await;
    let mut count = 0;
    for entry in std::fs::read_dir(fixture_path("onnx")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if !file.starts_with("refused_") {
            continue;
        }
        let reply = ann.upload("refused", std::fs::read(&path).unwrap()).await;
        assert_eq!(reply.code(), 422, "{file}: {}", reply.text());
        let external = file.contains("external") && !reply.text().contains("external data");
        assert!(
            !external && !reply.text().contains("root:"),
            "{file}: {}",
            reply.text()
        );
        count += 1;
    }
    assert!(count >= 10, "{count} files");
    assert_eq!(
        names(&server.directory().join("blobs")),
        Vec::<String>::new()
    );
}

/// P27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_copies_of_sound_models_never_cost_more_than_a_refusal() {
    let server = TestServer::start(Backend::Sqlite).await;
    let ann = server.user("ann").await;
    for file in ["iris_forest_p5.pkl", "cancer_pipeline.joblib.z"] {
        let whole = fixture(&format!("sklearn/1.5.2/{file}"));
        let step = whole.len() / 40;
        for at in (0..whole.len()).step_by(step) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x55;
            for (damage, content) in [("cut", whole[..at].to_vec()), ("flipped", flipped)] {
                let reply = ann.upload("damaged", content).await;
                // A changed number is another sound model.
                let fine = [422, if damage == "flipped" { 201 } else { 422 }];
                assert!(
                    fine.contains(&reply.code()),
                    "{file} {damage} at {at}: {} {}",
                    reply.code(),
                    reply.text()
                );
            }
        }
    }
    server.anonymous().get("/health/ready").await.status(200);
}
