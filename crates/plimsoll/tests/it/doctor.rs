//! `doctor` on healthy and on broken installations.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use plimsoll_testkit::fixture_path;
use serde_json::Value;

use crate::process::Installation;

fn check(report: &Value, name: &str) -> (String, String) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap();
    let text = |member: &str| check[member].as_str().unwrap().to_owned();
    (text("status"), text("detail"))
}

fn with_a_model() -> Installation {
    let installation = Installation::new();
    let model = fixture_path("sklearn/1.5.2/iris_logistic.joblib");
    installation.serve(&[model.to_str().unwrap()]).stop();
    installation
}

fn largest_file(folder: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
        .into_iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

#[test]
fn looking_at_nothing_makes_nothing() {
    let installation = Installation::new();
    let report = installation.run(&["doctor", "--json"]).code(0).json();
    assert_eq!(check(&report, "database").0, "warn");
    assert!(!installation.path("data").exists());
}

#[test]
fn a_healthy_installation_has_no_failure() {
    let installation = with_a_model();
    let report = installation
        .run(&["doctor", "--deep", "--json"])
        .code(0)
        .json();
    assert_eq!(report["ok"], true);
    for name in [
        "data directory",
        "secret",
        "database",
        "schema",
        "keys",
        "artifacts",
    ] {
        assert_eq!(check(&report, name).0, "ok", "{name}");
    }
    assert_eq!(check(&report, "administrator").0, "warn");
    assert_eq!(check(&report, "registration").0, "warn");
}

#[test]
fn a_damaged_artifact_is_found_by_its_hash_and_a_missing_one_at_once() {
    let installation = with_a_model();
    let artifact = largest_file(&installation.path("data/blobs"));
    let mut content = fs::read(&artifact).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&artifact, content).unwrap();
    installation.run(&["doctor", "--json"]).code(0);
    let report = installation
        .run(&["doctor", "--deep", "--json"])
        .code(1)
        .json();
    let (status, detail) = check(&report, "artifacts");
    assert_eq!(status, "fail");
    assert!(
        detail.contains("damaged: iris_logistic version 1"),
        "{detail}"
    );
    fs::remove_file(&artifact).unwrap();
    let report = installation.run(&["doctor", "--json"]).code(1).json();
    assert!(
        check(&report, "artifacts")
            .1
            .contains("missing: iris_logistic version 1")
    );
}

#[test]
fn a_secret_that_others_can_read_is_a_failure_with_its_fix() {
    let installation = with_a_model();
    let secret = installation.path("data/secret");
    assert_eq!(
        fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let answer = installation.run(&["doctor"]).code(1);
    assert!(answer.stdout.contains("chmod 600"), "{}", answer.stdout);
}

#[test]
fn an_open_address_without_tls_is_a_warning() {
    let installation = Installation::new();
    let arguments = ["doctor", "--json", "--set", "server.listen=0.0.0.0:8080"];
    let report = installation.run(&arguments).code(0).json();
    assert_eq!(check(&report, "listen address").0, "warn");
}
