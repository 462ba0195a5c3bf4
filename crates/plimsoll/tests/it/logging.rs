//! What the log says about requests, and what it never says.

use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Options, PASSWORD, TestServer, backends, fixture};
use serde_json::{Value, json};

use crate::process::Installation;

const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";
const ROW: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

/// The lines that requests left.
fn requests(s: &TestServer) -> Vec<Value> {
    let lines = s.log_lines().into_iter();
    lines
        .filter(|line| line["target"] == "plimsoll::request")
        .collect()
}

/// The only request line with this id.
fn line(s: &TestServer, id: &str) -> Value {
    let all: Vec<_> = requests(s)
        .into_iter()
        .filter(|line| line["request_id"] == id)
        .collect();
    assert_eq!(all.len(), 1, "{id}: {all:?}");
    all[0].clone()
}

backends! {
    /// F238
    async fn each_request_leaves_one_line(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        let key = ann.key(&[Scope::Read]).await;
        let me = key.get("/api/v1/auth/me").await.json();
        let before = requests(&s).len();
        ann.get("/api/v1/models/iris?x=hunter2").await.status(200);
        key.predict("iris", json!([ROW])).await.status(200);
        key.delete("/api/v1/models/iris").await.status(403);
        s.anonymous().get("/api/v1/models").await.status(401);
        s.anonymous().get("/no/such/path").await.status(404);
        s.anonymous().post("/health").await.status(405);
        let lines = requests(&s).split_off(before);
        let expected = [
            ("GET", "/api/v1/models/{model}", 200, true, false),
            ("POST", "/api/v1/models/{model}/predict", 200, true, true),
            ("DELETE", "/api/v1/models/{model}", 403, true, true),
            ("GET", "/api/v1/models", 401, false, false),
            ("GET", "unmatched", 404, false, false),
            ("POST", "/health", 405, false, false),
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, (method, path, status, user, with_key)) in lines.iter().zip(expected) {
            // The time of the day, not of the test's clock.
            let timestamp = line["timestamp"].as_str().unwrap();
            assert!(timestamp.len() == 27 && timestamp.ends_with('Z'), "{line}");
            assert_eq!(line["level"], "INFO");
            assert!(line["request_id"].as_str().unwrap().starts_with("req_"), "{line}");
            assert_eq!((&line["method"], &line["path"]), (&json!(method), &json!(path)));
            assert_eq!(line["status"], status);
            assert!(line["duration_ms"].is_number(), "{line}");
            assert_eq!(line["client"], "127.0.0.1");
            let user_id = if user { me["id"].clone() } else { Value::Null };
            assert_eq!(line["user_id"], user_id, "{line}");
            let key_id = if with_key { me["api_key_id"].clone() } else { Value::Null };
            assert_eq!(line["key_id"], key_id, "{line}");
            assert!(line.get("slow_request").is_none(), "{line}");
        }
        assert!(!s.log_text().contains("hunter2"));
    }

    /// F238
    #[options(Options::new().http(|http| http.access_log = false))]
    async fn the_lines_can_be_switched_off(s: TestServer) {
        s.anonymous().get("/health").await.status(200);
        assert_eq!(requests(&s), Vec::<Value>::new());
    }

    /// F239
    async fn a_request_id_is_taken_or_made_and_found_everywhere(s: TestServer) {
        let longest = "x".repeat(128);
        for given in ["mine-1", "0", "550e8400-e29b-41d4-a716-446655440000", "a/b?c=d&e", &longest] {
            let reply = s.anonymous().get("/api/v1/models").header("x-request-id", given).await.status(401);
            assert_eq!(reply.header("x-request-id"), given);
            assert_eq!(reply.problem("unauthenticated")["request_id"], given);
            assert_eq!(line(&s, given)["status"], 401);
        }
        for refused in ["", " ", "a b", "tab\tbed", &"x".repeat(129), "{\"a\": 1} x"] {
            let reply = s.anonymous().get("/version").header("x-request-id", refused).await.status(200);
            let made = reply.header("x-request-id");
            assert!(made.starts_with("req_"), "{refused}: {made}");
            line(&s, made);
        }
        let (one, two) = (s.anonymous().get("/version").await, s.anonymous().get("/version").await);
        assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
        for reply in [one, s.anonymous().get("/nowhere").await, s.anonymous().get("/docs").await] {
            let time = reply.header("x-response-time");
            assert!(time.parse::<f64>().is_ok_and(|time| time >= 0.0), "{time}");
        }
    }

    /// F240
    async fn a_slow_request_says_so(s: TestServer) {
        let login = json!({"email": "nobody@example.org", "password": PASSWORD}).to_string();
        for (id, pause, slow) in [("quick", 999, Value::Null), ("slow", 1000, json!(true))] {
            let mut raw = s.raw().await;
            raw.send(format!(
                "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nX-Request-ID: {id}\r\nConnection: close\r\n\
                 Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                login.len(),
            )).await;
            // The server asks for the body, so the request has begun.
            raw.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
            s.advance(Duration::from_millis(pause));
            raw.send(&login).await;
            let answer = raw.read_to_end().await;
            assert!(answer.contains(&format!("x-response-time: {pause}.000\r\n")), "{answer}");
            let line = line(&s, id);
            assert_eq!(line["slow_request"], slow, "{line}");
            assert_eq!(line["duration_ms"].as_f64(), Some(f64::from(u32::try_from(pause).unwrap())));
        }
    }

    /// F241
    async fn an_internal_error_is_told_to_the_log_alone(s: TestServer) {
        s.expect_errors();
        let ann = s.user("ann").await;
        s.damage("alter table users rename to lost").await;
        let reply = ann.get("/api/v1/users/me").header("x-request-id", "broken").await.status(500);
        let problem = reply.problem("internal");
        assert_eq!(problem["request_id"], "broken");
        for inside in ["users", "sql", "table", "relation", "crates/", ".rs", "panicked"] {
            assert!(!reply.text().to_lowercase().contains(inside), "{inside}: {problem}");
        }
        let lines = s.log_lines();
        let cause = lines.iter().find(|line| line["level"] == "ERROR" && line["request_id"] == "broken").unwrap();
        let story = cause["error"].as_str().unwrap();
        assert!(story.contains("users"), "{cause}");
        assert_eq!(line(&s, "broken")["status"], 500);
        // The rest goes on, and so does this once the damage is repaired.
        ann.get("/api/v1/models").await.status(200);
        s.damage("alter table lost rename to users").await;
        ann.get("/api/v1/users/me").await.status(200);
    }

    /// F241
    async fn a_damaged_model_is_told_to_the_log_alone(mut s: TestServer) {
        s.expect_errors();
        let ann = s.user("ann").await;
        let key = ann.key(&[Scope::Predict]).await;
        let added = ann.upload("iris", fixture(MODEL)).await.status(201).json();
        let hash = added["version"]["sha256"].as_str().unwrap();
        let blob = find(&s.directory().join("blobs"), hash).unwrap();
        s.restart().await;
        std::fs::write(&blob, b"not what was uploaded").unwrap();
        let key = s.anonymous().bearer(key.credential().unwrap());
        let path = "/api/v1/models/iris/predict";
        let request = key.post(path).json(&json!({"inputs": [ROW]})).header("x-request-id", "rotten");
        let reply = request.await.status(503);
        reply.problem("model-broken");
        for inside in [hash, "blobs", "/tmp", "sha"] {
            assert!(!reply.text().to_lowercase().contains(inside), "{inside}: {}", reply.text());
        }
        let lines = s.log_lines();
        let cause = lines.iter().find(|line| line["level"] == "ERROR" && line["request_id"] == "rotten").unwrap();
        assert!(!cause["error"].as_str().unwrap().is_empty(), "{cause}");
    }

    /// F242
    async fn no_secret_is_ever_logged(s: TestServer) {
        const NEW: &str = "canary-new-password";
        const WRONG: &str = "canary-wrong-password";
        let anyone = s.anonymous();
        let post = async |path: &str, body: Value| anyone.post(path).json(&body).await;
        let setup = s.app().new_setup_token().await.unwrap().unwrap();
        let admin = json!({"token": setup.expose(), "email": "root@example.org", "password": PASSWORD});
        post("/api/v1/auth/setup", admin.clone()).await.status(201);
        post("/api/v1/auth/setup", admin).await.status(401);
        let account = |password: &str| json!({"email": "ann@example.org", "password": password});
        post("/api/v1/auth/register", account(PASSWORD)).await.status(201);
        post("/api/v1/auth/register", account(PASSWORD)).await.status(409);
        post("/api/v1/auth/login", account(WRONG)).await.status(401);
        let first = post("/api/v1/auth/login", account(PASSWORD)).await.status(200).json();
        let refresh = json!({"refresh_token": first["refresh_token"]});
        let second = post("/api/v1/auth/refresh", refresh.clone()).await.status(200).json();
        s.advance(Duration::from_secs(11));
        post("/api/v1/auth/refresh", refresh.clone()).await.status(401);
        post("/api/v1/auth/logout", refresh).await.status(204);
        let secret = |object: &Value, name: &str| object[name].as_str().unwrap().to_owned();
        let ann = anyone.bearer(secret(&second, "access_token"));
        let key = ann.post("/api/v1/api-keys").json(&json!({"name": "app", "scopes": ["write"]})).await.json();
        let rotate = format!("/api/v1/api-keys/{}/rotate", secret(&key, "key_id"));
        let rotated = ann.post(&rotate).await.status(201).json();
        let shown = secret(&key, "api_key");
        // Credentials where they do not belong, and bodies that are refused.
        for path in [format!("/health?api_key={shown}"), format!("/{shown}"), format!("/api/v1/models/{shown}")] {
            let _ = anyone.get(&path).await;
        }
        let _ = anyone.bearer(&*shown).get("/api/v1/models").header("x-request-id", "with key").await.status(200);
        let _ = anyone.get("/api/v1/models").header("x-api-key", &format!("{shown}x")).await.status(401);
        let _ = anyone.get("/api/v1/models").header("authorization", &format!("Basic {shown}")).await;
        let form = format!("--b\r\ncontent-disposition: form-data; name=\"{shown}\"\r\n\r\n{WRONG}\r\n--b--\r\n");
        let upload = anyone.bearer(&*shown).post("/api/v1/models").body(form, "multipart/form-data; boundary=b");
        upload.await.status(422);
        for body in [format!("{{\"password\": \"{WRONG}\""), format!("{{\"{WRONG}\": 1}}"), format!("\"{WRONG}\"")] {
            let _ = anyone.post("/api/v1/auth/login").body(body, "application/json").await;
        }
        let change = json!({"current_password": PASSWORD, "new_password": NEW});
        ann.post("/api/v1/users/me/password").json(&change).await.status(204);
        let session = post("/api/v1/auth/login", account(NEW)).await.status(200).json();
        let log = s.log_text();
        for (name, text) in [
            ("setup token", setup.expose().clone()),
            ("password", PASSWORD.to_owned()), ("new password", NEW.to_owned()), ("wrong password", WRONG.to_owned()),
            ("access token", secret(&first, "access_token")), ("access token", secret(&second, "access_token")),
            ("refresh token", secret(&first, "refresh_token")), ("refresh token", secret(&session, "refresh_token")),
            ("signature", secret(&second, "access_token").rsplit_once('.').unwrap().1.to_owned()),
            ("key", shown[20..63].to_owned()), ("rotated key", secret(&rotated, "api_key")[20..63].to_owned()),
            ("hash", "$argon2id$".to_owned()),
        ] {
            assert!(!log.contains(&text), "the {name} was logged");
        }
        assert!(requests(&s).len() > 20, "nothing was logged at all");
    }
}

/// The real binary: what is logged through its own writer. Nothing here depends
/// on the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_has_written_every_line_whole_and_in_order() {
    const REQUESTS: usize = 500;
    let installation = Installation::new();
    let server = installation.serve(&[]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = format!("{}/health", server.url());
    for index in 0..REQUESTS {
        let request = client
            .get(&health)
            .header("x-request-id", format!("r{index}"));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    // The last lines are still waiting for company when the signal comes.
    let log = server.stop();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<&str> = lines
        .iter()
        .filter(|line| line["target"] == "plimsoll::request")
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (0..REQUESTS).map(|index| format!("r{index}")).collect();
    assert_eq!(ids, expected);
    assert_eq!(lines.last().unwrap()["message"], "stopped");
    let members = lines[lines.len() / 2].as_object().unwrap();
    for name in [
        "timestamp",
        "level",
        "message",
        "method",
        "path",
        "status",
        "duration_ms",
        "client",
    ] {
        assert!(members.contains_key(name), "{name}: {members:?}");
    }
}

/// The file whose path ends with this hash, however it is spread over folders.
fn find(folder: &std::path::Path, hash: &str) -> Option<std::path::PathBuf> {
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths.into_iter().find_map(|path| {
        if path.is_dir() {
            return find(&path, hash);
        }
        let name = path.file_name()?.to_str()?;
        hash.ends_with(name).then(|| path.clone())
    })
}
