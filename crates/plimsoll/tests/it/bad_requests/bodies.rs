//! JSON bodies: what cannot be parsed, what is too much, what is not JSON.

use plimsoll_testkit::{Client, Options, Reply, TestServer, backends};
use serde_json::json;

use super::{ann, refused, still_serves};

const JSON: &str = "application/json";
const PREDICT: &str = "/api/v1/models/iris/predict";

/// Every route that takes a JSON body, with one that it would accept.
const ROUTES: [(&str, &str, &str); 12] = [
    (
        "POST",
        "/api/v1/auth/register",
        r#"{"email": "new@example.org", "password": "a good password"}"#,
    ),
    (
        "POST",
        "/api/v1/auth/login",
        r#"{"email": "ann@example.org", "password": "a good password"}"#,
    ),
    ("POST", "/api/v1/auth/refresh", r#"{"refresh_token": "x"}"#),
    ("POST", "/api/v1/auth/logout", r#"{"refresh_token": "x"}"#),
    (
        "POST",
        "/api/v1/auth/setup",
        r#"{"token": "x", "email": "a@example.org", "password": "a good password"}"#,
    ),
    ("PATCH", "/api/v1/users/me", r#"{"full_name": "Ann"}"#),
    (
        "POST",
        "/api/v1/users/me/password",
        r#"{"current_password": "x", "new_password": "a good password"}"#,
    ),
    ("DELETE", "/api/v1/users/me", r#"{"password": "x"}"#),
    ("POST", "/api/v1/api-keys", r#"{"name": "app"}"#),
    ("PATCH", "/api/v1/models/iris", r#"{"description": "x"}"#),
    (
        "PATCH",
        "/api/v1/models/iris/versions/1",
        r#"{"tags": ["x"]}"#,
    ),
    ("POST", PREDICT, r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#),
];

async fn send(
    client: &Client,
    (method, path): (&str, &str),
    body: impl Into<Vec<u8>>,
    media_type: &str,
) -> Reply {
    client
        .request(method.parse().unwrap(), path)
        .body(body, media_type)
        .await
}

/// UTF-16 with a byte order mark.
fn utf16(text: &str, big: bool) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    let bytes = |unit: u16| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    units.flat_map(bytes).collect()
}

/// The body with these bytes after its opening brace.
fn inserted(body: &str, what: &[u8]) -> Vec<u8> {
    [b"{", what, b", ", &body.as_bytes()[1..]].concat()
}

/// The body with these bytes instead of the value of its last member.
fn with_last(body: &str, value: &[u8]) -> Vec<u8> {
    let (before, _) = body.rsplit_once(": ").unwrap();
    [before.as_bytes(), b": ", value, b"}"].concat()
}

backends! {
    /// P22, bad inputs 13, 14, 16, 17
    async fn what_is_not_json_is_refused_by_every_route(s: TestServer) {
        let ann = ann(&s).await;
        for (method, path, good) in ROUTES {
            let depth = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let bodies = [
                ("empty", Vec::new()),
                ("blank", b" \n ".to_vec()),
                ("truncated", good.as_bytes()[..good.len() - 3].to_vec()),
                ("one brace", b"{".to_vec()),
                ("trailing garbage", format!("{good} x").into_bytes()),
                ("two values", format!("{good}{good}").into_bytes()),
                ("byte order mark", format!("\u{feff}{good}").into_bytes()),
                ("UTF-16 LE", utf16(good, false)),
                ("UTF-16 BE", utf16(good, true)),
                ("not UTF-8", with_last(good, b"\"\xff\xfe\"")),
                ("overlong", with_last(good, b"\"\xc0\xaf\"")),
                ("lone surrogate", with_last(good, br#""\ud800""#)),
                ("NUL in a string", with_last(good, b"\"\0\"")),
                ("single quotes", good.replace('"', "'").into_bytes()),
                ("trailing comma", good.replace('}', ",}").into_bytes()),
                ("comment", format!("/* x */ {good}").into_bytes()),
                ("1e400", with_last(good, b"1e400")),
                ("NaN", with_last(good, b"NaN")),
                ("Infinity", with_last(good, b"-Infinity")),
                ("leading zero", with_last(good, b"01")),
                ("40 levels", with_last(good, depth(40).as_bytes())),
                ("60000 levels", "[".repeat(60_000).into_bytes()),
                ("duplicate key", [&good.as_bytes()[..good.len() - 1], b", ", &good.as_bytes()[1..]].concat()),
            ];
            for (name, body) in bodies {
                let what = format!("{method} {path}: {name}");
                let reply = send(&ann, (method, path), body, JSON).await;
                // The fast path reads bodies with another parser than the rest.
                let slug = reply.json()["code"].as_str().unwrap_or_default().to_owned();
                assert!(["malformed-json", "malformed-request"].contains(&&*slug), "{what}: {}", reply.text());
                refused(&reply, 400, &slug, &what);
            }
        }
        still_serves(&s).await;
    }

    /// Bad inputs 13
    async fn what_is_json_but_no_object_is_refused_by_every_route(s: TestServer) {
        let ann = ann(&s).await;
        for (method, path, _) in ROUTES {
            for body in ["null", "[]", "7", "true", "\"text\"", "[[1, 2]]", "{}{"] {
                let reply = send(&ann, (method, path), body, JSON).await;
                let what = format!("{method} {path}: {body}");
                assert!([400, 422].contains(&reply.code()), "{what}: {}", reply.text());
                let slug = reply.json()["code"].as_str().unwrap().to_owned();
                refused(&reply, if slug == "invalid-request" { 422 } else { 400 }, &slug, &what);
            }
        }
        still_serves(&s).await;
    }

    /// Bad inputs 14
    async fn a_nul_in_a_text_is_refused_before_it_is_stored(s: TestServer) {
        let ann = ann(&s).await;
        let key = ann.post("/api/v1/api-keys").json(&json!({"name": "app"})).await.json();
        let key = format!("/api/v1/api-keys/{}", key["key_id"].as_str().unwrap());
        for (method, path, field) in [
            ("POST", "/api/v1/auth/register", "email"),
            ("PATCH", "/api/v1/users/me", "email"),
            ("PATCH", "/api/v1/users/me", "full_name"),
            ("PATCH", "/api/v1/models/iris", "description"),
            ("PATCH", &key, "name"),
            ("PATCH", &key, "description"),
        ] {
            let mut body = json!({field: "a\u{0}b@example.org"});
            if method == "POST" {
                body["password"] = json!("a good password");
            }
            let reply = send(&ann, (method, path), body.to_string(), JSON).await;
            let problem = refused(&reply, 422, "invalid-request", &format!("{method} {path} {field}"));
            assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{method} {path}");
        }
        let body = json!({"tags": ["a", "a\u{0}b"]}).to_string();
        refused(&send(&ann, ("PATCH", "/api/v1/models/iris"), body, JSON).await, 422, "invalid-request", "tags");
        let body = json!({"email": "a\u{0}@example.org", "password": "a\u{0}"}).to_string();
        refused(&send(&ann, ("POST", "/api/v1/auth/login"), body, JSON).await, 401, "unauthenticated", "login");
        for path in ["/api/v1/auth/refresh", "/api/v1/auth/setup"] {
            let body = json!({"refresh_token": "a\u{0}"}).to_string();
            let reply = send(&ann, ("POST", path), body, JSON).await;
            assert!([401, 422].contains(&reply.code()), "{path}: {}", reply.text());
        }
    }

    /// Bad inputs 17
    async fn an_unknown_field_is_named_by_every_route(s: TestServer) {
        let ann = ann(&s).await;
        for (method, path, good) in ROUTES {
            let body = inserted(good, br#""sur~pri/se": 1"#);
            let reply = send(&ann, (method, path), body, JSON).await;
            let problem = refused(&reply, 422, "invalid-request", path);
            assert_eq!(problem["errors"][0]["pointer"], "/sur~0pri~1se", "{method} {path}");
        }
    }

    /// Bad inputs 18
    async fn numbers_are_taken_exactly_or_refused(s: TestServer) {
        let ann = ann(&s).await;
        for (number, status) in [
            ("1", 201), ("1e3", 422), ("1.0", 422), ("-0", 422), ("9007199254740993", 422),
            ("18446744073709551616", 422), ("99999999999999999999999999", 422), ("1e400", 400),
            ("1000000000", 201), ("1000000001", 422),
        ] {
            let body = format!(r#"{{"name": "app", "rate_limit": {number}}}"#);
            let reply = send(&ann, ("POST", "/api/v1/api-keys"), body, JSON).await;
            assert_eq!(reply.code(), status, "{number}: {}", reply.text());
            if status == 201 {
                assert_eq!(reply.json()["rate_limit"].to_string(), number);
            } else {
                refused(&reply, status, if status == 422 { "invalid-request" } else { "malformed-json" }, number);
            }
        }
    }

    /// Bad inputs 15
    async fn a_body_of_another_type_is_refused_by_every_route(s: TestServer) {
        let ann = ann(&s).await;
        for (method, path, good) in ROUTES {
            for media_type in [
                "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
                "application/json; charset=latin1", "application/json; charset=utf-16", "application/jsonp",
                "application/xml", "json", "*/*",
            ] {
                let reply = send(&ann, (method, path), good, media_type).await;
                refused(&reply, 415, "unsupported-media-type", &format!("{method} {path}: {media_type}"));
            }
        }
        let key = |media_type| send(&ann, ("POST", "/api/v1/api-keys"), r#"{"name": "app"}"#, media_type);
        for accepted in [JSON, "APPLICATION/JSON", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\""] {
            key(accepted).await.status(201);
        }
    }

    /// Bad inputs 19
    async fn a_compressed_body_is_refused_without_unpacking_it(s: TestServer) {
        let ann = ann(&s).await;
        // gzip of a megabyte of zeros, and what is no gzip at all.
        let bombs: [&[u8]; 2] = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d", b"no gzip"];
        for (method, path, good) in ROUTES {
            for (encoding, body) in [
                ("gzip", bombs[0]), ("gzip", bombs[1]), ("br", good.as_bytes()), ("deflate", good.as_bytes()),
                ("gzip, gzip", bombs[0]), ("zstd", good.as_bytes()), ("identity, gzip", bombs[0]),
            ] {
                let request = ann.request(method.parse().unwrap(), path);
                let reply = request.body(body, JSON).header("content-encoding", encoding).await;
                refused(&reply, 415, "unsupported-media-type", &format!("{method} {path}: {encoding}"));
            }
        }
        still_serves(&s).await;
    }

    /// Bad inputs 16
    #[options(Options::new().http(|http| http.limits.predict_body = 256 * 1024))]
    async fn a_body_over_the_limit_is_refused_announced_or_not(s: TestServer) {
        let ann = ann(&s).await;
        for (method, path, good) in ROUTES {
            let limit = if path == PREDICT { 256 * 1024 } else { 64 * 1024 };
            let body = format!("{good}{}", " ".repeat(limit + 1 - good.len()));
            let reply = send(&ann, (method, path), body.clone(), JSON).await;
            let problem = refused(&reply, 413, "too-large", path);
            assert_eq!(problem["limit"], limit);
            // The largest that is allowed is read to its end.
            let reply = send(&ann, (method, path), &body.as_bytes()[..limit], JSON).await;
            assert_ne!(reply.code(), 413, "{method} {path}");
            let mut raw = s.raw().await;
            let token = ann.credential().unwrap();
            raw.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            )).await;
            for chunk in body.as_bytes().chunks(16 * 1024) {
                raw.send(format!("{:x}\r\n", chunk.len())).await;
                raw.send(chunk).await;
                raw.send("\r\n").await;
            }
            raw.send("0\r\n\r\n").await;
            let answer = raw.read_to_end().await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{method} {path}: {answer:.300}");
            assert!(answer.contains("\"code\":\"too-large\""), "{method} {path}: {answer:.900}");
            // Announced alone, without ever sending it.
            let mut raw = s.raw().await;
            raw.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n",
            )).await;
            assert!(raw.read_to_end().await.starts_with("HTTP/1.1 413 "), "{method} {path}");
        }
        still_serves(&s).await;
    }

    /// Bad inputs 13
    async fn a_body_may_be_left_out_only_where_it_is_optional(s: TestServer) {
        let ann = ann(&s).await;
        let key = ann.post("/api/v1/api-keys").json(&json!({"name": "app"})).await.json();
        let rotate = format!("/api/v1/api-keys/{}/rotate", key["key_id"].as_str().unwrap());
        ann.post(&rotate).await.status(201);
        ann.post(&rotate).body("", JSON).await.status(201);
        ann.post(&rotate).body("{}", JSON).await.status(201);
        ann.post(&rotate).body("{}", "text/plain").await.status(415);
        ann.post(&rotate).body("[", JSON).await.status(400);
        for (method, path, _) in ROUTES {
            let reply = ann.request(method.parse().unwrap(), path).await;
            refused(&reply, 415, "unsupported-media-type", path);
        }
    }
}
