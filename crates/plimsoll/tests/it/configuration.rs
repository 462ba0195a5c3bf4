//! Configuration as the binary reads it, and its documents.

use std::path::Path;

use crate::process::Installation;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_documents_are_what_the_program_prints() {
    let installation = Installation::new();
    for (format, name) in [("markdown", "docs/CONFIG.md"), ("env", ".env.example")] {
        let printed = installation
            .run(&["config", "reference", "--format", format])
            .code(0);
        assert_eq!(
            document(name),
            printed.stdout,
            "write it anew: plimsoll config reference --format {format} > {name}"
        );
    }
}

#[test]
fn a_right_configuration_is_said_to_be_right() {
    let answer = Installation::new()
        .run(&["config", "check", "--json"])
        .code(0);
    assert_eq!(answer.json()["ok"], true);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let installation = Installation::new()
        .with("PLIMSOLL_SERVER__LISTN", "127.0.0.1:1")
        .with("PLIMSOLL_PREDICT__TIMEOUT", "30")
        .with("PLIMSOLL_AUTH__SECRET", "changeme");
    for command in [
        &["config", "check"][..],
        &["serve"],
        &["migrate"],
        &["doctor"],
    ] {
        let answer = installation.run(command).code(78);
        assert_eq!(answer.stdout, "", "{command:?}");
        for expected in [
            "did you mean PLIMSOLL_SERVER__LISTEN?",
            "predict.timeout: expected a duration",
            "auth.secret: is shorter than 32 characters",
        ] {
            assert!(answer.stderr.contains(expected), "{expected}: {answer:#?}");
        }
    }
}

#[test]
fn a_mistake_is_readable_for_programs_too() {
    let answer = Installation::new()
        .run(&["config", "check", "--json", "--set", "log.level=loud"])
        .code(78);
    let error: serde_json::Value = serde_json::from_str(&answer.stderr).unwrap();
    assert_eq!(error["exit"], 78);
    assert_eq!(error["mistakes"][0]["key"], "log.level");
}

#[test]
fn what_is_shown_names_the_origin_of_every_value() {
    let installation = Installation::new().with("PLIMSOLL_LOG__LEVEL", "warn");
    let file = installation.path("plimsoll.toml");
    std::fs::write(&file, "[predict]\nmax_rows = 7\n").unwrap();
    let arguments = [
        "config",
        "show",
        "--json",
        "--config",
        file.to_str().unwrap(),
        "--set",
        "log.format=text",
    ];
    let shown = installation.run(&arguments).code(0).json();
    let origin = |key: &str| {
        let entry = shown
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["key"] == key)
            .unwrap();
        (
            entry["value"].as_str().unwrap().to_owned(),
            entry["origin"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(origin("predict.max_rows"), ("7".into(), "file".into()));
    assert_eq!(origin("log.level"), ("warn".into(), "env".into()));
    assert_eq!(origin("log.format"), ("text".into(), "flag".into()));
    assert_eq!(
        origin("server.listen"),
        ("127.0.0.1:8080".into(), "default".into())
    );
}

#[test]
fn a_replica_that_would_make_its_own_secret_does_not_start() {
    let installation =
        Installation::new().with("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    let answer = installation.run(&["serve"]).code(78);
    assert!(
        answer.stderr.contains("required with PostgreSQL"),
        "{answer:#?}"
    );
}

#[test]
fn dev_mode_is_refused_on_an_open_interface() {
    let answer = Installation::new()
        .run(&["serve", "--dev", "--listen", "0.0.0.0:0"])
        .code(78);
    assert!(answer.stderr.contains("not loopback"), "{answer:#?}");
}
