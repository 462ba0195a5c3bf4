//! `serve FILE`: from a file to an answer, and what a restart changes.

use plimsoll_testkit::{fixture, fixture_path};
use serde_json::{Value, json};

use crate::process::{Installation, Serving};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";

/// Sends the announced example as the announced curl line would.
async fn send_example(server: &Serving, key: &str) -> Value {
    let model = &server.announced["models"][0];
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(model["predict_url"].as_str().unwrap());
    let answer = request
        .bearer_auth(key)
        .json(&model["example"])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_announced_request_is_answered() {
    let installation = Installation::new();
    let model = fixture_path(IRIS);
    let server = installation.serve(&[model.to_str().unwrap()]);
    let key = server.announced["api_key"].as_str().unwrap().to_owned();
    let answer = send_example(&server, &key).await;
    assert_eq!(answer["predictions"].as_array().unwrap().len(), 1);
    assert_eq!(answer["model_version"], 1);
    let curl = server.announced["models"][0]["curl"].as_str().unwrap();
    let example = server.announced["models"][0]["example"].to_string();
    for part in [&example, &key, "/api/v1/models/iris_logistic/predict"] {
        assert!(curl.contains(part), "{part} is not in {curl}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_input_example_of_an_mlflow_folder_is_the_announced_request() {
    let installation = Installation::new();
    let model = fixture_path("parity/mlflow/3.17.2/000_xgboost.zip");
    let server = installation.serve(&[model.to_str().unwrap()]);
    let columns = ["alcohol", "malic_acid", "ash", "alkalinity"];
    let expected = json!({"inputs": {"columns": columns, "data": [[14.23, 1.71, 2.43, 15.6]]}});
    assert_eq!(server.announced["models"][0]["example"], expected);
    let key = server.announced["api_key"].as_str().unwrap().to_owned();
    assert_eq!(send_example(&server, &key).await["model_version"], 1);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_changes_nothing_and_other_content_is_the_next_version() {
    let installation = Installation::new();
    let path = installation.path("churn.joblib");
    let file = path.to_str().unwrap();
    std::fs::write(&path, fixture(IRIS)).unwrap();
    let first = installation.serve(&[file]);
    let key = first.announced["api_key"].as_str().unwrap().to_owned();
    first.stop();

    let second = installation.serve(&[file]);
    assert_eq!(second.announced["models"][0]["version"], 1);
    assert_eq!(second.announced["api_key"], Value::Null);
    assert!(key.starts_with(second.announced["api_key_prefix"].as_str().unwrap()));
    send_example(&second, &key).await;
    second.stop();

    std::fs::write(&path, fixture("sklearn/1.5.2/cancer_forest.joblib")).unwrap();
    let third = installation.serve(&[file]);
    assert_eq!(third.announced["models"][0]["version"], 2);
    assert_eq!(send_example(&third, &key).await["model_version"], 2);
    third.stop();

    // Back to the first file: its version goes into production again.
    std::fs::write(&path, fixture(IRIS)).unwrap();
    let fourth = installation.serve(&[file]);
    assert_eq!(fourth.announced["models"][0]["version"], 1);
    assert_eq!(send_example(&fourth, &key).await["model_version"], 1);
    fourth.stop();
}

#[test]
fn a_file_that_is_no_model_is_named_and_refused() {
    let installation = Installation::new();
    std::fs::write(installation.path("notes.txt"), "not a model").unwrap();
    let answer = installation
        .run(&["serve", "--listen", "127.0.0.1:0", "notes.txt"])
        .code(65);
    assert!(answer.stderr.contains("notes.txt"), "{answer:#?}");
    let answer = installation
        .run(&["serve", "--listen", "127.0.0.1:0", "absent.joblib"])
        .code(65);
    assert!(answer.stderr.contains("absent.joblib"), "{answer:#?}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let installation = Installation::new();
    let server = installation.serve(&[]);
    let second = installation
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .code(75);
    assert!(
        second.stderr.contains("another server (process"),
        "{second:#?}"
    );
    server.stop();
    installation.serve(&[]).stop();
}

#[test]
fn both_stop_signals_end_with_0() {
    let installation = Installation::new();
    for name in ["TERM", "INT"] {
        let mut server = installation.serve(&[]);
        server.signal(name);
        assert_eq!(server.wait().code(), Some(0), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_fails_before_the_listener_closes() {
    let installation = Installation::new().with("PLIMSOLL_SERVER__DRAIN_DELAY", "2s");
    let mut server = installation.serve(&[]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = format!("{}/health/ready", server.url());
    assert_eq!(client.get(&ready).send().await.unwrap().status(), 200);
    server.signal("TERM");
    let mut seen = 200;
    while seen == 200 {
        seen = match client.get(&ready).send().await {
            Ok(answer) => answer.status().as_u16(),
            Err(_) => 0,
        };
    }
    assert_eq!(seen, 503);
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_being_sent_is_answered_after_the_signal() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let installation = Installation::new();
    let mut server = installation.serve(&[]);
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    let body = r#"{"email":"ann@example.org","password":"correct horse battery"}"#;
    let head = format!(
        "POST /api/v1/auth/register HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (first, rest) = body.split_at(10);
    stream.write_all(first.as_bytes()).await.unwrap();
    // The head has arrived once another connection, made later, was answered.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client
        .get(format!("{}/health", server.url()))
        .send()
        .await
        .unwrap();
    server.signal("TERM");
    while tokio::net::TcpStream::connect(&address).await.is_ok() {}
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_reaches_the_log() {
    let installation = Installation::new().with("PLIMSOLL_LOG__LEVEL", "trace");
    let model = fixture_path(IRIS);
    let server = installation.serve(&[model.to_str().unwrap()]);
    let key = server.announced["api_key"].as_str().unwrap().to_owned();
    let link = server.announced["setup_url"].as_str().unwrap().to_owned();
    let token = link.split_once("token=").unwrap().1.to_owned();
    let password = "correct horse battery";
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({"token": token, "email": "ann@example.org", "password": password});
    let setup = format!("{}/api/v1/auth/setup", server.url());
    let answer = client.post(&setup).json(&body).send().await.unwrap();
    let signed_in: Value = answer.json().await.unwrap();
    send_example(&server, &key).await;
    let signing = std::fs::read_to_string(installation.path("data/secret")).unwrap();
    let log = server.stop();
    assert!(log.contains("/api/v1/auth/setup"), "{log}");
    let access = signed_in["access_token"].as_str().unwrap();
    let refresh = signed_in["refresh_token"].as_str().unwrap();
    // A key's own prefix may be logged, its secret part may not.
    let secrets = [
        &key[20..],
        &token,
        password,
        access,
        refresh,
        signing.trim(),
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} was logged");
    }
}

#[test]
fn health_follows_the_server() {
    let installation = Installation::new();
    let server = installation.serve(&[]);
    let url = server.url().to_owned();
    installation.run(&["health", "--url", &url]).code(0);
    server.stop();
    installation.run(&["health", "--url", &url]).code(69);
    installation
        .run(&["health", "--url", "https://example.org"])
        .code(64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_link_sets_the_administrator_up_once() {
    let installation = Installation::new();
    let server = installation.serve(&[]);
    let link = server.announced["setup_url"].as_str().unwrap().to_owned();
    let (_, token) = link.split_once("/ui/setup#token=").unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body =
        json!({"token": token, "email": "ann@example.org", "password": "correct horse battery"});
    let setup = format!("{}/api/v1/auth/setup", server.url());
    let answer = client.post(&setup).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let again = client.post(&setup).json(&body).send().await.unwrap();
    assert_eq!(again.status(), 401);
    server.stop();
    let second = installation.serve(&[]);
    assert_eq!(second.announced["setup_url"], Value::Null);
    second.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_mode_answers_without_a_credential() {
    let installation = Installation::new();
    let model = fixture_path(IRIS);
    let server = installation.serve(&["--dev", model.to_str().unwrap()]);
    assert_eq!(server.announced["dev"], true);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let models = format!("{}/api/v1/models", server.url());
    assert_eq!(client.get(models).send().await.unwrap().status(), 200);
    server.stop();
}
