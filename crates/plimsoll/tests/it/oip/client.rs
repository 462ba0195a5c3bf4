//! The official client of Triton, unmodified.
//!
//! It needs the environment that `scripts/setup.sh test` makes, with tritonclient.

use std::path::PathBuf;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Backend, TestServer, fixture, fixture_path};
use tokio::process::Command;

use super::{IRIS, TEXT};

const SCRIPT: &str = include_str!("triton.py");

#[expect(
    clippy::disallowed_methods,
    reason = "where tools are is a matter of the machine, not of a test"
)]
fn python() -> PathBuf {
    let usual = || fixture_path("../target/clients-venv/bin/python");
    let python = std::env::var("PLIMSOLL_TEST_CLIENTS").map_or_else(|_| usual(), PathBuf::from);
    assert!(
        python.exists(),
        "this test needs a Python with tritonclient: run scripts/setup.sh test, or name one in \
         PLIMSOLL_TEST_CLIENTS"
    );
    python
}

/// F116
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_of_triton_works_unmodified() {
    let s = TestServer::start(Backend::Sqlite).await;
    let ann = s.user("ann").await;
    ann.upload("iris", fixture(IRIS)).await.status(201);
    ann.upload("text", fixture(TEXT)).await.status(201);
    let key = ann.key(&[Scope::Admin]).await;
    let mut script = Command::new(python());
    let address = s.address().to_string();
    script.args(["-c", SCRIPT, &address, key.credential().unwrap()]);
    let output = script.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "all held");
}
