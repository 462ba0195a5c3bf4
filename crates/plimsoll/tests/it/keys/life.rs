//! A key from its first change to its end, and what is counted meanwhile.

use std::time::Duration;

use plimsoll_core::key::KEY_LEN;
use plimsoll_testkit::{RawSocket, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{KEYS, MODEL, ROW, create, path, text, try_key};

/// A problem without what differs from request to request.
fn without_request(reply: &Reply, slug: &str) -> Value {
    let mut problem = reply.problem(slug);
    let members = problem.as_object_mut().unwrap();
    members.remove("instance");
    members.remove("request_id");
    problem
}

/// A key's text with the checksum that belongs to it: CRC-32 in six digits.
fn sealed(body: &str) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = !0_u32;
    for byte in body.bytes() {
        rest ^= u32::from(byte);
        for _ in 0..8 {
            rest = (rest >> 1) ^ (0xedb8_8320 & (rest & 1).wrapping_neg());
        }
    }
    rest = !rest;
    let mut check = Vec::new();
    for _ in 0..6 {
        check.insert(0, DIGITS[(rest % 62) as usize]);
        rest /= 62;
    }
    format!("{body}{}", String::from_utf8(check).unwrap())
}

/// Sends the same request `count` times on one connection without waiting for
/// the answers in between; says how many were 200.
async fn send_many(socket: RawSocket, request: String, count: usize) -> usize {
    let (mut reader, mut writer) = socket.into_stream().into_split();
    let sending = async move {
        writer
            .write_all(request.repeat(count).as_bytes())
            .await
            .unwrap();
        writer
    };
    let receiving = async {
        const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
        let (mut answers, mut good, mut rest) = (0, 0, Vec::new());
        while answers < count {
            let mut chunk = [0; 16 * 1024];
            let read = reader.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the server closed after {answers} answers");
            rest.extend_from_slice(&chunk[..read]);
            let last = rest.len().saturating_sub(OK.len() - 1);
            answers += starts(&rest, &OK[..9], last);
            good += starts(&rest, OK, last);
            rest.drain(..last);
        }
        good
    };
    let (_writer, good) = tokio::join!(sending, receiving);
    good
}

/// How often `needle` begins in the first `until` bytes.
fn starts(bytes: &[u8], needle: &[u8], until: usize) -> usize {
    (0..until)
        .filter(|at| bytes[*at..].starts_with(needle))
        .count()
}

backends! {
    /// F030
    async fn a_change_of_a_key_is_in_force_on_the_next_request(s: TestServer) {
        let ann = s.user("ann").await;
        for name in ["one", "two"] {
            ann.upload(name, fixture(MODEL)).await.status(201);
        }
        let key = create(&ann, &json!({"name": "app"})).await;
        let user = s.anonymous().bearer(text(&key, "api_key"));
        let change = async |body: Value| ann.patch(&path(&key)).json(&body).await.status(200).json();
        assert_eq!(change(json!({"name": "renamed", "description": "new"})).await["name"], "renamed");
        assert_eq!(change(json!({"description": null})).await["description"], "");
        assert_eq!(change(json!({"rate_limit": 5})).await["rate_limit"], 5);
        assert_eq!(change(json!({"rate_limit": null})).await["rate_limit"], Value::Null);
        for _ in 0..3 {
            user.get("/api/v1/models").await.status(200);
            assert_eq!(change(json!({"is_active": false})).await["is_active"], false);
            user.get("/api/v1/models").await.status(401).problem("unauthenticated");
            change(json!({"is_active": true})).await;
            user.get("/api/v1/models").await.status(200);
        }
        change(json!({"model_ids": ["one"]})).await;
        user.predict("two", json!([ROW])).await.status(403);
        change(json!({"model_ids": []})).await;
        user.predict("two", json!([ROW])).await.status(200);
        change(json!({"scopes": ["feedback"]})).await;
        user.predict("two", json!([ROW])).await.status(403).problem("insufficient-scope");
        for field in ["id", "user_id", "total_requests", "expires_at", "hash", "api_key"] {
            let reply = ann.patch(&path(&key)).json(&json!({field: 1})).await.status(422);
            assert_eq!(reply.problem("invalid-request")["errors"][0]["pointer"], format!("/{field}"));
        }
    }

    /// F031
    async fn a_revoked_key_is_refused_on_the_next_request_and_for_ever(s: TestServer) {
        let ann = s.user("ann").await;
        for _ in 0..5 {
            let key = create(&ann, &json!({"name": "short-lived"})).await;
            let user = s.anonymous().bearer(text(&key, "api_key"));
            user.get("/api/v1/models").await.status(200);
            ann.delete(&path(&key)).await.status(204);
            user.get("/api/v1/models").await.status(401).problem("unauthenticated");
            ann.delete(&path(&key)).await.status(204);
            ann.patch(&path(&key)).json(&json!({"is_active": true})).await;
            user.get("/api/v1/models").await.status(401);
            ann.post(&format!("{}/rotate", path(&key))).await.status(409).problem("key-revoked");
        }
        assert_eq!(ann.get(KEYS).await.status(200).json()["total"], 0);
        let all = ann.get(&format!("{KEYS}?include_revoked=true")).await.status(200).json();
        assert_eq!((&all["total"], &all["items"][0]["is_active"]), (&json!(5), &json!(false)));
    }

    /// F032, F034
    async fn a_refused_key_tells_nothing_but_that_it_ran_out(s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "app", "expires_in_days": 1})).await;
        let shown = text(&key, "api_key").to_owned();
        s.advance(Duration::from_millis(24 * 3_600_000 - 1));
        try_key(&s, &shown).await.status(200);
        s.advance(Duration::from_millis(1));
        let ann = s.sign_in_again(&ann).await;
        let expired = try_key(&s, &shown).await.status(401);
        expired.problem("expired-key");
        assert_eq!(expired.header("www-authenticate"), "Bearer");
        let revoked = create(&ann, &json!({"name": "revoked"})).await;
        ann.delete(&path(&revoked)).await.status(204);
        assert_eq!(sealed(&shown[..KEY_LEN - 6]), shown, "the test cannot forge, so it tests nothing");
        // Well-formed, but nobody knows it; and the public part of a known key with another secret.
        let unknown = sealed(&format!("plim_live_{}", "0".repeat(53)));
        let guessed = sealed(&format!("{}{}", &shown[..20], "0".repeat(43)));
        let expected = without_request(&s.anonymous().get("/api/v1/models").await.status(401), "unauthenticated");
        for refused in [
            text(&revoked, "api_key"), &unknown, &guessed, "plim_live_", "plim_", "x", "",
            &format!("{}0{}", &shown[..30], &shown[31..]),
            &shown[..KEY_LEN - 1], &format!("{shown}0"), &shown.to_uppercase(),
        ] {
            let reply = s.anonymous().get("/api/v1/models").header("x-api-key", refused).await;
            assert_eq!(reply.code(), 401, "{refused}");
            assert_eq!(without_request(&reply, "unauthenticated"), expected, "{refused}");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }

    /// F039
    async fn a_rotated_key_works_beside_its_successor_for_a_while(s: TestServer) {
        let ann = s.user("ann").await;
        let body = json!({"name": "app", "scopes": ["write"], "rate_limit": 50, "expires_in_days": 90});
        let old = create(&ann, &body).await;
        s.advance(Duration::from_mins(1));
        let rotate = format!("{}/rotate", path(&old));
        let new = ann.post(&rotate).json(&json!({"overlap_seconds": 600})).await.status(201).json();
        assert_ne!(new["api_key"], old["api_key"]);
        assert_eq!((&new["name"], &new["scopes"], &new["rate_limit"]), (&old["name"], &old["scopes"], &old["rate_limit"]));
        assert_eq!((&new["rotated_from"], &new["total_requests"]), (&old["key_id"], &json!(0)));
        assert_eq!(new["expires_at"], "2026-04-01T00:01:00.000000Z");
        for (after, old_status) in [(0, 200), (599, 200), (1, 401)] {
            s.advance(Duration::from_secs(after));
            try_key(&s, text(&old, "api_key")).await.status(old_status);
            try_key(&s, text(&new, "api_key")).await.status(200);
        }
        try_key(&s, text(&old, "api_key")).await.problem("expired-key");
        // Without a body, a day; never longer than a month.
        let rotate = format!("{}/rotate", path(&new));
        let newest = ann.post(&rotate).await.status(201).json();
        let ends = ann.get(&path(&new)).await.json();
        assert_eq!(ends["expires_at"], "2026-01-02T00:11:00.000000Z");
        let long = json!({"overlap_seconds": 31 * 86_400});
        ann.post(&format!("{}/rotate", path(&newest))).json(&long).await.status(422).problem("invalid-request");
        let at_once = ann.post(&format!("{}/rotate", path(&newest))).json(&json!({"overlap_seconds": 0})).await;
        at_once.status(201);
        try_key(&s, text(&newest, "api_key")).await.status(401).problem("expired-key");
    }

    /// F037: nothing that was answered is forgotten when the process is killed.
    async fn counts_of_predictions_survive_a_kill(mut s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        let key = create(&ann, &json!({"name": "app", "scopes": ["predict"]})).await;
        let client = s.anonymous().bearer(text(&key, "api_key"));
        s.advance(Duration::from_secs(7));
        for _ in 0..20 {
            client.predict("iris", json!([ROW])).await.status(200);
        }
        s.kill_and_restart().await;
        s.recorded().await;
        let ann = s.sign_in_again(&ann).await;
        let counted = ann.get(&path(&key)).await.status(200).json();
        assert_eq!(counted["total_requests"], 20);
        assert_eq!(counted["last_used_at"], "2026-01-01T00:00:07.000000Z");
        assert_eq!(ann.get("/api/v1/models/iris").await.json()["prediction_count"], 20);
        // A refused body is no prediction and still a use of the key.
        let client = s.anonymous().bearer(text(&key, "api_key"));
        client.predict("iris", json!([["wrong"]])).await.status(422);
        client.predict("iris", json!([ROW])).await.status(200);
        s.recorded().await;
        assert_eq!(ann.get(&path(&key)).await.json()["total_requests"], 22);
        assert_eq!(ann.get("/api/v1/models/iris").await.json()["prediction_count"], 21);
        let listed = ann.get(KEYS).await.json();
        assert_eq!(listed["items"][0]["total_requests"], 22);
    }

    /// F037
    async fn counts_survive_a_restart_and_refused_calls_are_not_counted(mut s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "app"})).await;
        for _ in 0..3 {
            try_key(&s, text(&key, "api_key")).await.status(200);
        }
        ann.patch(&path(&key)).json(&json!({"is_active": false})).await.status(200);
        try_key(&s, text(&key, "api_key")).await.status(401);
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        assert_eq!(ann.get(&path(&key)).await.json()["total_requests"], 3);
    }

    /// F037
    async fn ten_thousand_concurrent_calls_are_counted_exactly(s: TestServer) {
        const CONNECTIONS: usize = 32;
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        let key = create(&ann, &json!({"name": "app", "scopes": ["predict"], "rate_limit": null})).await;
        let body = json!({"inputs": [ROW]}).to_string();
        let request = format!(
            "POST /api/v1/models/iris/predict HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            text(&key, "api_key"), body.len(),
        );
        s.advance(Duration::from_secs(7));
        let mut calls = tokio::task::JoinSet::new();
        for connection in 0..CONNECTIONS {
            let count = 10_000 / CONNECTIONS + usize::from(connection < 10_000 % CONNECTIONS);
            calls.spawn(send_many(s.raw().await, request.clone(), count));
        }
        // Readers write the counters down while they grow.
        let mut good = 0;
        while let Some(done) = calls.join_next().await {
            good += done.unwrap();
            ann.get(&path(&key)).await.status(200);
        }
        assert_eq!(good, 10_000);
        s.recorded().await;
        let counted = ann.get(&path(&key)).await.status(200).json();
        assert_eq!(counted["total_requests"], 10_000);
        assert_eq!(counted["last_used_at"], "2026-01-01T00:00:07.000000Z");
        let model = ann.get("/api/v1/models/iris").await.status(200).json();
        assert_eq!(model["prediction_count"], 10_000);
    }
}
