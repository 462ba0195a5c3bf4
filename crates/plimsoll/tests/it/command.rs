//! Commands of the real binary: exit codes, standard output, no server needed.

use std::time::Duration;

use plimsoll_store::DatabaseUrl;
use plimsoll_testkit::postgres::empty_database;
use serde_json::json;

use crate::process::{Installation, Serving};

const PASSWORD: &str = "correct horse battery staple\n";

async fn status_with_key(server: &Serving, key: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let models = format!("{}/api/v1/models", server.url());
    let answer = client.get(models).bearer_auth(key).send().await.unwrap();
    answer.status().as_u16()
}

#[test]
fn the_version_is_data_on_standard_output() {
    let answer = Installation::new().run(&["version", "--json"]).code(0);
    assert_eq!(answer.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.stderr, "");
}

#[test]
fn a_wrong_command_line_ends_with_64_and_help_with_0() {
    let installation = Installation::new();
    installation.run(&["frobnicate"]).code(64);
    installation.run(&["key", "create"]).code(64);
    let help = installation.run(&["--help"]).code(0);
    for command in [
        "serve",
        "user",
        "key",
        "migrate",
        "doctor",
        "secret",
        "openapi",
        "config",
        "health",
        "completions",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {command}")),
            "{command}: {}",
            help.stdout
        );
    }
}

#[test]
fn two_generated_secrets_differ_and_are_accepted() {
    let installation = Installation::new();
    let secret = |()| {
        installation
            .run(&["secret", "generate"])
            .code(0)
            .stdout
            .trim()
            .to_owned()
    };
    let secrets = [(); 2].map(secret);
    assert_ne!(secrets[0], secrets[1]);
    let accepted = Installation::new().with("PLIMSOLL_AUTH__SECRET", &secrets[0]);
    accepted.run(&["config", "check"]).code(0);
}

#[test]
fn completions_are_scripts_of_their_shell() {
    for (shell, expected) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef plimsoll"),
        ("fish", "complete -c plimsoll"),
    ] {
        let script = Installation::new()
            .run(&["completions", shell])
            .code(0)
            .stdout;
        assert!(script.contains(expected), "{shell}");
    }
}

#[test]
fn the_openapi_document_is_printed_without_a_server() {
    let document = Installation::new().run(&["openapi"]).code(0).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/models/{model}/predict"].is_object());
}

#[test]
fn migrating_a_new_sqlite_file_and_again_changes_it_once() {
    let installation = Installation::new();
    let first = installation.run(&["migrate", "--json"]).code(0).json();
    assert_eq!(
        (&first["database"], &first["from"]),
        (&json!("sqlite"), &json!(0))
    );
    let second = installation.run(&["migrate", "--json"]).code(0).json();
    assert_eq!(second["from"], first["to"]);
    assert_eq!(second["to"], first["to"]);
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_empty_database_is_migrated_and_then_served() {
        let Some(database) = empty_database().await else {
            return;
        };
        let DatabaseUrl::Postgres { url } = database.url() else {
            unreachable!("this is PostgreSQL")
        };
        let secret = Installation::new()
            .run(&["secret", "generate"])
            .code(0)
            .stdout;
        let installation = Installation::new()
            .with("DATABASE_URL", url.expose())
            .with("PLIMSOLL_AUTH__SECRET", secret.trim());
        let first = installation.run(&["migrate", "--json"]).code(0).json();
        assert_eq!(
            (&first["database"], &first["from"]),
            (&json!("postgresql"), &json!(0))
        );
        let key = installation
            .run(&["key", "create", "--name", "ci", "--json"])
            .code(0)
            .json();
        let server = installation.serve(&[]);
        assert_eq!(
            status_with_key(&server, key["api_key"].as_str().unwrap()).await,
            200
        );
        server.stop();
    }
}

#[test]
fn a_database_that_does_not_answer_ends_with_69() {
    let secret = Installation::new()
        .run(&["secret", "generate"])
        .code(0)
        .stdout;
    let installation = Installation::new()
        .with("DATABASE_URL", "postgres://nobody:hunter2@127.0.0.1:1/none")
        .with("PLIMSOLL_DATABASE__ACQUIRE_TIMEOUT", "300ms")
        .with("PLIMSOLL_AUTH__SECRET", secret.trim());
    let answer = installation.run(&["migrate"]).code(69);
    assert!(!answer.stderr.contains("hunter2"), "{answer:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_keys_are_made_before_the_first_start() {
    let installation = Installation::new();
    let create = [
        "user",
        "create",
        "--email",
        "Ann@Example.org",
        "--admin",
        "--json",
    ];
    let user = installation
        .run_with_input(&create, PASSWORD)
        .code(0)
        .json();
    assert_eq!(
        (&user["email"], &user["role"]),
        (&json!("ann@example.org"), &json!("admin"))
    );
    let again = installation.run_with_input(&create, PASSWORD).code(65);
    assert!(again.stderr.contains("exists already"), "{again:#?}");

    let arguments = [
        "key",
        "create",
        "--name",
        "ci",
        "--scope",
        "predict",
        "--scope",
        "read",
        "--rate-limit",
        "0",
        "--json",
    ];
    let key = installation.run(&arguments).code(0).json();
    assert_eq!(key["rate_limit"], serde_json::Value::Null);
    let listed = installation.run(&["key", "list", "--json"]).code(0);
    assert!(!listed.stdout.contains(key["api_key"].as_str().unwrap()));
    assert_eq!(listed.json()[0]["prefix"], key["prefix"]);

    let server = installation.serve(&[]);
    assert_eq!(server.announced["setup_url"], serde_json::Value::Null);
    assert_eq!(
        status_with_key(&server, key["api_key"].as_str().unwrap()).await,
        200
    );
    server.stop();
}

#[test]
fn a_password_never_comes_from_an_argument_and_a_short_one_is_refused() {
    let installation = Installation::new();
    let create = ["user", "create", "--email", "ann@example.org"];
    installation
        .run(&["user", "create", "--email", "a@b.org", "--password", "x"])
        .code(64);
    installation.run_with_input(&create, "").code(64);
    installation.run_with_input(&create, "short\n").code(65);
    let by_variable = Installation::new().with("PLIMSOLL_PASSWORD", PASSWORD.trim());
    by_variable.run(&create).code(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_notices_what_the_command_line_changes() {
    let installation = Installation::new();
    let server = installation.serve(&[]);
    let created = installation
        .run(&["key", "create", "--name", "ci", "--json"])
        .code(0)
        .json();
    let key = created["api_key"].as_str().unwrap();
    assert!(
        becomes(&server, key, 200).await,
        "the key was never accepted"
    );
    installation
        .run(&["key", "revoke", created["prefix"].as_str().unwrap()])
        .code(0);
    assert!(
        becomes(&server, key, 401).await,
        "the key was never refused"
    );
    server.stop();
}

async fn becomes(server: &Serving, key: &str, status: u16) -> bool {
    for _ in 0..200 {
        if status_with_key(server, key).await == status {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}

#[test]
fn a_rotated_key_is_replaced_and_an_unknown_one_is_named() {
    let installation = Installation::new();
    let old = installation
        .run(&["key", "create", "--name", "ci", "--json"])
        .code(0)
        .json();
    let rotate = ["key", "rotate", old["key_id"].as_str().unwrap(), "--json"];
    let new = installation.run(&rotate).code(0).json();
    assert_ne!(new["api_key"], old["api_key"]);
    assert_eq!(new["name"], "ci");
    installation
        .run(&["key", "revoke", "plim_live_0000000000"])
        .code(65);
    installation
        .run(&["key", "rotate", "plim_live_0000000000", "--overlap", "soon"])
        .code(64);
}

#[test]
fn a_locked_out_person_is_listed_as_such() {
    let installation = Installation::new();
    installation
        .run_with_input(&["user", "create", "--email", "bob@example.org"], PASSWORD)
        .code(0);
    installation
        .run(&["user", "disable", "bob@example.org"])
        .code(0);
    let users = installation.run(&["user", "list", "--json"]).code(0).json();
    let bob = users
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["email"] == "bob@example.org")
        .unwrap();
    assert_eq!(bob["is_active"], false);
    installation
        .run(&["user", "enable", "bob@example.org"])
        .code(0);
    installation
        .run(&["user", "disable", "eve@example.org"])
        .code(65);
}

#[test]
fn keys_in_files_are_found_by_their_checksum() {
    let installation = Installation::new();
    let created = installation
        .run(&["key", "create", "--name", "ci", "--json"])
        .code(0)
        .json();
    let key = created["api_key"].as_str().unwrap();
    let folder = installation.path("repository");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::fs::write(
        folder.join("clean.txt"),
        "plim_live_ is what keys start with",
    )
    .unwrap();
    let path = folder.to_str().unwrap();
    installation.run(&["key", "scan", path]).code(0);
    std::fs::write(folder.join("deep/.env"), format!("A=1\nKEY={key}\n")).unwrap();
    let found = installation.run(&["key", "scan", path, "--json"]).code(1);
    assert_eq!(found.json()[0]["line"], 2);
    assert_eq!(found.json()[0]["prefix"], created["prefix"]);
    assert!(
        !found.stdout.contains(key),
        "the secret must not be repeated"
    );
    installation.run(&["key", "scan", "no/such/path"]).code(65);
}
