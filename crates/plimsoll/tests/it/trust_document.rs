//! The OpenAPI document against the server, by requests that schemathesis makes of
//! the document: no 5xx, no status and no body that the document does not name.

use std::path::{Path, PathBuf};
use std::process::Output;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Backend, Options, TestServer, fixture, fixture_path};
use serde_json::json;
use tokio::process::Command;

use crate::trust_load::figure;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";
/// The same requests each time, unless a run at full length asks for others.
const SEED: &str = "20261121";

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment how far to go"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The program, or nothing if it is to be skipped.
fn program() -> Option<PathBuf> {
    if variable("PLIMSOLL_SKIP_SCHEMATHESIS").as_deref() == Some("1") {
        return None;
    }
    let usual = || fixture_path("../target/schemathesis-venv/bin/st");
    let path = variable("PLIMSOLL_TEST_SCHEMATHESIS").map_or_else(usual, PathBuf::from);
    assert!(
        path.exists(),
        "this test needs schemathesis (scripts/setup.sh test installs it): name its program st in \
         PLIMSOLL_TEST_SCHEMATHESIS, or set PLIMSOLL_SKIP_SCHEMATHESIS=1"
    );
    Some(path)
}

/// Runs the program against a server; `key` is sent with every request.
async fn run(program: &Path, s: &TestServer, key: Option<&str>) -> Output {
    let examples = variable("PLIMSOLL_TEST_EXAMPLES").unwrap_or_else(|| "3".to_owned());
    let seed = variable("PLIMSOLL_TRUST_SEED").unwrap_or_else(|| SEED.to_owned());
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .arg("run")
        .arg(format!("{}/openapi.json", s.url()))
        .args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS])
        .args(["--max-examples", &examples, "--seed", &seed])
        .args(["--workers", "1", "--no-color"]);
    if let Some(key) = key {
        // Twice the same: what it makes up for the other one would be a second credential.
        command.args(["--header", &format!("X-API-Key: {key}")]);
        command.args(["--header", &format!("Authorization: Bearer {key}")]);
    }
    command.output().await.unwrap()
}

/// Asserts that nothing was found, and that it was not because nothing was tried.
fn assert_clean(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{problems}");
    let counted = text.lines().find(|line| line.contains(" generated, "));
    let counted = counted.unwrap_or_else(|| unreachable!("{text}\n{problems}"));
    let generated: u32 = counted.split_whitespace().next().unwrap().parse().unwrap();
    assert!(generated > 500, "{counted}");
    figure("P22 requests made of the document", counted.trim());
}

/// Something for the requests to find.
async fn furnished() -> Option<TestServer> {
    let s = Options::new().start(Backend::Sqlite).await?;
    let ann = s.user("ann").await;
    ann.upload("iris", fixture(IRIS)).await.status(201);
    let deploy = ann.post("/api/v1/endpoints");
    deploy
        .json(&json!({"model": "iris", "name": "live"}))
        .await
        .status(201);
    Some(s)
}

/// P22
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_true_for_administrators() {
    let (Some(program), Some(s)) = (program(), furnished().await) else {
        return;
    };
    let key = s.admin().await.key(&[Scope::Admin]).await;
    assert_clean(&run(&program, &s, key.credential()).await);
}

/// P22
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_true_for_strangers() {
    let (Some(program), Some(s)) = (program(), furnished().await) else {
        return;
    };
    assert_clean(&run(&program, &s, None).await);
}
