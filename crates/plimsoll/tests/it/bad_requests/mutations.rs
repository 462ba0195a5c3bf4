//! Valid requests, changed at random: the server always answers, never with a
//! failure of its own, and always in the form it promises.

use plimsoll_core::entropy::{Entropy, SeededEntropy};
use plimsoll_testkit::{Client, TestServer, backends, fixture};

use super::{MODEL, still_serves};

const COUNT: usize = 300;
const FORM: &str = "--b\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nother\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"metrics\"\r\n\r\n{\"accuracy\": 0.9}\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.onnx\"\r\n\r\nabc\r\n--b--\r\n";
/// Every kind of route: what it is sent, before it is changed.
const TARGETS: [(&str, &str, &str); 36] = [
    (
        "POST",
        "/api/v1/models/iris/predict",
        r#"{"inputs": [{"x0": 5.1, "x1": 3.5, "x2": 1.4, "x3": 0.2}], "include_metadata": true}"#,
    ),
    (
        "POST",
        "/api/v1/models/iris/versions/1/predict",
        r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]], "request_id": "r"}"#,
    ),
    (
        "GET",
        "/api/v1/models?page=1&page_size=20&search=iris&sort_by=name&status=active",
        "",
    ),
    ("GET", "/api/v1/models/iris/versions?page=1&tag=x", ""),
    (
        "PATCH",
        "/api/v1/models/iris",
        r#"{"description": "flowers", "tags": ["a", "b"], "status": "active", "capture": {"mode": "sampled", "sample_rate": 0.5, "redact": {"x0": {"mask": {"keep_last": 2}}}}}"#,
    ),
    (
        "PATCH",
        "/api/v1/models/iris/versions/1",
        r#"{"description": "x", "tags": ["a"], "metrics": {"f1": 0.9}, "status": "active"}"#,
    ),
    (
        "DELETE",
        "/api/v1/models/iris/versions/7?keep_artifact=true",
        "",
    ),
    ("POST", "/api/v1/models/iris/versions/latest/verify", ""),
    ("POST", "/api/v1/models/iris/versions/1/promote", ""),
    (
        "POST",
        "/api/v1/api-keys",
        r#"{"name": "app", "rate_limit": 5, "scopes": ["read"], "expires_in_days": 3, "burst": {"requests": 1, "window_seconds": 2}}"#,
    ),
    ("GET", "/api/v1/api-keys?include_revoked=true&page=1", ""),
    ("PATCH", "/api/v1/users/me", r#"{"full_name": "Ann"}"#),
    (
        "POST",
        "/api/v1/auth/refresh",
        r#"{"refresh_token": "plim_refresh_x"}"#,
    ),
    (
        "POST",
        "/api/v1/auth/logout",
        r#"{"refresh_token": "plim_refresh_x"}"#,
    ),
    (
        "POST",
        "/api/v1/auth/setup",
        r#"{"token": "plim_setup_x", "email": "a@example.org", "password": "x"}"#,
    ),
    ("GET", "/problems/not-found", ""),
    ("POST", "/api/v1/models", FORM),
    ("POST", "/api/v1/models/iris/versions", FORM),
    (
        "POST",
        "/api/v1/models/iris/batch?format=jsonl&version=1",
        FORM,
    ),
    ("GET", "/api/v1/jobs?kind=batch&status=queued&page=1", ""),
    (
        "POST",
        "/api/v1/jobs/job_01JD3T9Q2G0000000000000000/cancel",
        "",
    ),
    (
        "GET",
        "/api/v1/jobs/job_01JD3T9Q2G0000000000000000/result?format=csv",
        "",
    ),
    ("GET", "/api/v1/models/iris", ""),
    ("GET", "/api/v1/models/iris/versions/1", ""),
    ("GET", "/api/v1/api-keys/key_01JD3T9Q2G0000000000000000", ""),
    (
        "PATCH",
        "/api/v1/api-keys/key_01JD3T9Q2G0000000000000000",
        r#"{"is_active": true, "model_ids": ["iris"], "rate_limit": null}"#,
    ),
    (
        "POST",
        "/api/v1/api-keys/key_01JD3T9Q2G0000000000000000/rotate",
        r#"{"overlap_seconds": 5}"#,
    ),
    (
        "POST",
        "/api/v1/auth/register",
        r#"{"email": "a@example.org", "password": "x", "full_name": "Ann"}"#,
    ),
    (
        "POST",
        "/api/v1/auth/login",
        r#"{"email": "a@example.org", "password": "not the password"}"#,
    ),
    (
        "POST",
        "/api/v1/users/me/password",
        r#"{"current_password": "x", "new_password": "a new password"}"#,
    ),
    (
        "DELETE",
        "/api/v1/users/me",
        r#"{"password": "not the password"}"#,
    ),
    ("GET", "/api/v1/users?page=1&page_size=5", ""),
    (
        "POST",
        "/api/v1/users",
        r#"{"email": "b@example.org", "password": "x", "is_admin": false}"#,
    ),
    (
        "PATCH",
        "/api/v1/users/usr_01JD3T9Q2G0000000000000000",
        r#"{"is_active": true}"#,
    ),
    ("GET", "/api/v1/auth/me", ""),
    ("GET", "/health/ready", ""),
];
/// What is put where it does not belong.
const PIECES: [&str; 26] = [
    "",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "1e-999",
    "99999999999999999999",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "ü",
    "🚢",
    "\u{7f}",
    "\0",
    "%00",
    "%ff",
    "../",
    "' or 1=1 --",
];

/// Numbers that repeat with their seed.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % bound.max(1)
    }

    /// A place between two characters.
    fn place(&self, text: &str) -> usize {
        let places: Vec<usize> = text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .collect();
        places[self.below(places.len())]
    }

    /// The text with one to three small changes.
    fn mutated(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..=self.below(3) {
            let (one, two) = (self.place(&text), self.place(&text));
            let (from, to) = (one.min(two), one.max(two));
            let near = text[from..]
                .char_indices()
                .nth(3)
                .map_or(text.len(), |(at, _)| from + at);
            match self.below(5) {
                0 => text.insert_str(from, PIECES[self.below(PIECES.len())]),
                1 => text.replace_range(from..near, PIECES[self.below(PIECES.len())]),
                2 => text.replace_range(from..to, ""),
                3 => {
                    let copy = text[from..to].to_owned();
                    text.insert_str(to, &copy);
                }
                _ => text.truncate(from),
            }
        }
        text
    }
}

/// Bytes that cannot stand in a request line, percent-encoded.
fn sendable(path: &str) -> String {
    let encoded = path.bytes().map(|byte| match byte {
        0..=32 | 127.. | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' => {
            format!("%{byte:02X}")
        }
        _ => char::from(byte).to_string(),
    });
    let path: String = encoded.collect();
    // Without a slash it would become part of the port.
    format!("/{}", path.trim_start_matches('/'))
}

async fn send(client: &Client, dice: &Dice, index: usize) -> u16 {
    const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];
    let (method, path, body) = TARGETS[dice.below(TARGETS.len())];
    let (mut method, mut path, mut body) = (method, path.to_owned(), body.to_owned());
    let usual = if body == FORM {
        "multipart/form-data; boundary=b"
    } else {
        "application/json"
    };
    let mut media_type = usual;
    match dice.below(10) {
        0 => method = METHODS[dice.below(METHODS.len())],
        1 => {
            media_type = [
                "text/plain",
                "",
                "multipart/form-data; boundary=x",
                "application/json; x",
            ][dice.below(4)];
        }
        2..=4 => path = sendable(&dice.mutated(&path)),
        _ => body = dice.mutated(&body),
    }
    let what = format!("{index}: {method} {path} {media_type} {body:?}");
    let request = client.request(method.parse().unwrap(), &path);
    let request = if body.is_empty() && media_type == usual {
        request
    } else {
        request.body(body, media_type)
    };
    let reply = request.await;
    if !(200..400).contains(&reply.code()) {
        assert!(
            reply.code() < 500,
            "{what}: {} {}",
            reply.code(),
            reply.text()
        );
        assert!(
            !reply.bytes().is_empty(),
            "{what}: {} without a body",
            reply.code()
        );
        let slug = reply.json()["code"].as_str().unwrap_or_default().to_owned();
        reply.problem(&slug);
    }
    reply.code()
}

backends! {
    /// P22, P23
    async fn three_hundred_mutated_requests_never_fail_the_server(s: TestServer) {
        // Somebody whom no route turns away for who they are.
        let admin = s.admin().await;
        admin.upload("iris", fixture(MODEL)).await.status(201);
        let (dice, mut refused) = (Dice(SeededEntropy::new(2026)), 0);
        for index in 0..COUNT {
            refused += usize::from(send(&admin, &dice, index).await >= 400);
        }
        assert!((COUNT / 3..COUNT).contains(&refused), "{refused} of {COUNT} were refused: what is this testing?");
        admin.patch("/api/v1/models/iris").body(r#"{"status": "active"}"#, "application/json").await.status(200);
        admin.upload("iris", fixture(MODEL)).await.status(201);
        still_serves(&s).await;
    }
}
