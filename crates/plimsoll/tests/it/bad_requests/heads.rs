//! Methods, paths, header fields and message framing, over bare sockets.

use plimsoll_testkit::{TestServer, backends};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ann, refused, still_serves};

/// Everything the server answers to these bytes until it closes.
async fn answer(s: &TestServer, bytes: impl AsRef<[u8]>) -> String {
    let mut raw = s.raw().await;
    raw.send(bytes).await;
    raw.read_to_end().await
}

/// Asserts one answer with this status and a whole problem, and nothing after it.
#[track_caller]
fn is_problem(answer: &str, status: u16, slug: &str, what: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    assert!(
        head.starts_with(&format!("HTTP/1.1 {status} ")),
        "{what}: {answer:.600}"
    );
    let head = head.to_lowercase();
    assert!(
        head.contains("\r\ncontent-type: application/problem+json"),
        "{what}: {answer:.600}"
    );
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    assert_eq!(problem["code"], slug, "{what}: {answer:.600}");
    assert_eq!(problem["status"], status, "{what}");
    assert_eq!(problem["type"], format!("/problems/{slug}"), "{what}");
    for member in ["title", "detail", "instance", "request_id"] {
        assert!(
            problem[member]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}: {answer:.600}"
        );
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

backends! {
    /// Bad inputs 1, 3
    async fn an_unknown_path_is_not_found(s: TestServer) {
        for path in [
            "/nowhere", "/api", "/api/v1", "/api/v1/", "/api/v2/models", "/api/v1/models/", "/api/v1//models", "//",
            "/api/v1/models/iris/", "/api/v1/MODELS", "/api/v1/models;x=1", "/%2e%2e/", "/../etc/passwd",
            "/assets/../assets/pages.css", "/assets/%2e%2e/x", "/health/", "/api/v1/models%2Firis%2Fpredict%2Fx/y",
        ] {
            is_problem(&answer(&s, get(path)).await, 404, "not-found", path);
        }
        for path in ["/%00", "/api/v1/models/a%00b", "/%ff", "/%c0%af", "/%e2%82", "/problems/%80"] {
            is_problem(&answer(&s, get(path)).await, 400, "malformed-request", path);
        }
        still_serves(&s).await;
    }

    /// Bad inputs 2, 7
    async fn a_wrong_method_is_told_the_right_ones(s: TestServer) {
        let document = s.anonymous().get("/openapi.json").await.json();
        for (template, item) in document["paths"].as_object().unwrap() {
            let path = template.replace(['{', '}'], "");
            for method in [
                Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE, Method::OPTIONS,
            ] {
                if item.get(method.as_str().to_lowercase()).is_some() {
                    continue;
                }
                let reply = s.anonymous().request(method.clone(), &path).await;
                if path.starts_with("/v2") {
                    // Errors of that protocol have its own shape.
                    let reply = reply.clone().status(405).json();
                    assert!(reply["error"].is_string(), "{method} {path}: {reply}");
                } else {
                    refused(&reply, 405, "method-not-allowed", &format!("{method} {path}"));
                }
                let allowed: Vec<_> = reply.header("allow").split(',').map(str::trim).collect();
                for method in item.as_object().unwrap().keys() {
                    assert!(allowed.contains(&&*method.to_uppercase()), "{path}: {allowed:?}");
                }
            }
        }
        for (line, status, slug) in [
            ("TRACE /health HTTP/1.1", 405, "method-not-allowed"),
            ("BREW /health HTTP/1.1", 405, "method-not-allowed"),
            ("CONNECT example.org:443 HTTP/1.1", 405, "method-not-allowed"),
        ] {
            let request = format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n");
            is_problem(&answer(&s, request).await, status, slug, line);
        }
        still_serves(&s).await;
    }

    /// Bad inputs 7
    async fn older_and_longer_forms_of_a_request_are_served(s: TestServer) {
        for request in [
            "GET /health HTTP/1.0\r\n\r\n",
            "GET http://example.org/health HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n",
            "\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ] {
            let answer = answer(&s, request).await;
            assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 OK"), "{request:?}: {answer:.300}");
        }
        let head = s.anonymous().request(Method::HEAD, "/health").await.status(200);
        assert!(head.text().is_empty());
    }

    /// Bad inputs 4
    async fn a_long_uri_is_refused(s: TestServer) {
        for path in [
            format!("/{}", "a".repeat(9 * 1024)),
            format!("/api/v1/models?search={}", "a".repeat(9 * 1024)),
            format!("/{}", "a".repeat(60_000)),
        ] {
            is_problem(&answer(&s, get(&path)).await, 414, "uri-too-long", &path[..30]);
        }
        is_problem(&answer(&s, get(&format!("/{}", "a".repeat(8 * 1024 - 1)))).await, 404, "not-found", "8 KiB");
        still_serves(&s).await;
    }

    /// Bad inputs 5
    async fn too_many_or_too_large_headers_are_refused(s: TestServer) {
        let with = |fields: &str| format!("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        let many = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
        let large = |size: usize| format!("x: {}\r\n", "y".repeat(size));
        for (what, fields) in [
            ("65 fields", many(63)), ("99 fields", many(97)), ("200 fields", many(198)), ("17 KiB", large(17 * 1024)), ("60 KiB", large(60_000)),
            ("200 KiB", large(200_000)),
        ] {
            is_problem(&answer(&s, with(&fields)).await, 431, "headers-too-large", what);
        }
        for (what, fields) in [("64 fields", many(62)), ("15 KiB", large(15 * 1024))] {
            let answer = answer(&s, with(&fields)).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{what}: {answer:.300}");
        }
        still_serves(&s).await;
    }

    /// Bad inputs 6, attack 20
    async fn ambiguous_framing_is_refused_and_the_connection_closed(s: TestServer) {
        // What a smuggler hides behind the first request must never be answered.
        let hidden = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
        for (what, head) in [
            ("two Hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n"),
            ("the same Host twice", "GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n"),
            ("no Host", "GET /health HTTP/1.1\r\n"),
            ("negative length", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n"),
            ("signed length", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n"),
            ("length in words", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n"),
            ("huge length", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n"),
            ("two lengths", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n"),
            ("a list of lengths", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 3\r\n"),
            ("unknown coding", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n"),
            ("chunked is not last", "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n"),
            ("folded line", "GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n"),
            ("space before the colon", "GET /health HTTP/1.1\r\nHost: x\r\nX-A : b\r\n"),
            ("NUL in a field", "GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\n"),
            ("bare CR in a field", "GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\rc: d\r\n"),
            ("no colon", "GET /health HTTP/1.1\r\nHost: x\r\nX-A\r\n"),
            ("no version", "GET /health\r\nHost: x\r\n"),
            ("HTTP/3 in words", "GET /health HTTP/3.0\r\nHost: x\r\n"),
            ("space in the path", "GET /he alth HTTP/1.1\r\nHost: x\r\n"),
            ("bytes in the path", "GET /hé\u{1} HTTP/1.1\r\nHost: x\r\n"),
        ] {
            is_problem(&answer(&s, format!("{head}\r\n{hidden}")).await, 400, "malformed-request", what);
        }
        still_serves(&s).await;
    }

    /// Attack 20
    async fn nothing_is_smuggled_past_two_framings(s: TestServer) {
        let hidden = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
        let login = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        for (what, request) in [
            ("length and chunks", format!("{login}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}")),
            ("chunks and length", format!("{login}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n{hidden}")),
            ("two codings", format!("{login}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}")),
            ("broken chunk", format!("{login}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n{hidden}")),
            ("huge chunk", format!("{login}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{}}\r\n0\r\n\r\n{hidden}")),
        ] {
            let answer = answer(&s, request).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{what}: {answer:.300}");
            assert!(!answer.contains("plimsoll\","), "the hidden request was answered, {what}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
        }
        still_serves(&s).await;
    }

    /// Bad inputs 27
    async fn an_unreadable_timeout_is_refused(s: TestServer) {
        let ann = ann(&s).await;
        let rows = json!({"inputs": [[5.1, 3.5, 1.4, 0.2]]});
        let ask = async |path: &str, value: &str| {
            ann.post(path).json(&rows).header("x-request-timeout-ms", value).await
        };
        let path = "/api/v1/models/iris/predict";
        for value in ["abc", "-1", "1.5", "", "1s", "99999999999999999999", "0x10"] {
            refused(&ask(path, value).await, 400, "malformed-request", value);
        }
        refused(&ask(path, "0").await, 504, "timeout", "0");
        ask(path, "30000").await.status(200);
        ask(path, "18446744073709551615").await.status(200);
    }

    /// Attack 13
    async fn what_a_client_sends_cannot_break_the_log_or_the_answer(s: TestServer) {
        let evil = "\u{1b}[31mred\u{202e}";
        let reply = s.anonymous().get("/health").header("x-request-id", "a b\tc").await.status(200);
        assert!(reply.header("x-request-id").starts_with("req_"));
        let mut raw = s.raw().await;
        raw.send(format!("GET /{} HTTP/1.1\r\nHost: {evil}\r\nX-Request-ID: {evil}\r\nUser-Agent: {evil}\r\nConnection: close\r\n\r\n", "%1b%5b31m")).await;
        let answer = raw.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains('\u{1b}'), "{answer}");
        let name = json!({"name": "a\u{1b}[31m\r\nINFO forged"});
        refused(&ann(&s).await.post("/api/v1/api-keys").json(&name).await, 422, "invalid-request", "name");
        // Each line of the log is one JSON object without raw control characters.
        assert!(!s.log_lines().is_empty());
        assert!(!s.log_text().contains(|character: char| character.is_control() && character != '\n'));
    }
}
