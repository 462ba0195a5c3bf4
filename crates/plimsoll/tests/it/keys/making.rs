//! Making keys, showing them, and what is stored of them.

use std::collections::HashSet;
use std::time::Duration;

use plimsoll_core::key::KEY_LEN;
use plimsoll_testkit::{TestServer, backends, fixture};
use serde_json::{Value, json};

use super::{KEYS, MODEL, create, path, text, try_key};

backends! {
    /// F025, F026
    async fn a_new_key_is_shown_once(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        let key = create(&ann, &json!({"name": "app", "description": "the app", "expires_in_days": 30})).await;
        let shown = text(&key, "api_key");
        assert!(text(&key, "key_id").starts_with("key_"));
        assert_eq!(shown.len(), KEY_LEN);
        assert!(shown.starts_with("plim_live_"));
        assert_eq!((&key["rate_limit"], &key["scopes"], &key["model_ids"]), (&json!(1000), &json!(["read"]), &json!([])));
        assert_eq!(key["created_at"], "2026-01-01T00:00:00.000000Z");
        assert_eq!(key["expires_at"], "2026-01-31T00:00:00.000000Z");
        for later in [ann.get(&path(&key)).await, ann.get(KEYS).await, ann.patch(&path(&key)).json(&json!({})).await] {
            assert!(!later.status(200).text().contains(&shown[20..]));
        }
        let bare = create(&ann, &json!({"name": "bare", "rate_limit": null, "model_ids": ["iris"]})).await;
        assert_eq!((&bare["expires_at"], &bare["rate_limit"]), (&Value::Null, &Value::Null));
        assert!(text(&bare["model_ids"], 0).starts_with("mdl_"));
    }

    /// F026
    async fn keys_differ_in_every_part(s: TestServer) {
        let ann = s.user("ann").await;
        let mut parts = HashSet::new();
        for _ in 0..20 {
            let key = create(&ann, &json!({"name": "one of many"})).await;
            let shown = text(&key, "api_key").to_owned();
            parts.extend([shown[10..20].to_owned(), shown[20..63].to_owned()]);
        }
        assert_eq!(parts.len(), 40);
    }

    /// F025, F032
    async fn what_a_key_cannot_be_is_named(s: TestServer) {
        let ann = s.user("ann").await;
        s.user("bob").await.upload("bobs", fixture(MODEL)).await.status(201);
        for (member, value) in [
            ("name", json!("")), ("name", json!("  ")), ("name", json!("x".repeat(101))), ("name", json!("a\u{0}b")),
            ("name", json!(7)), ("name", Value::Null), ("description", json!("x".repeat(501))),
            ("expires_in_days", json!(0)), ("expires_in_days", json!(366)), ("expires_in_days", json!(-1)),
            ("expires_in_days", json!(1.5)), ("rate_limit", json!(0)), ("rate_limit", json!(-5)),
            ("rate_limit", json!("many")), ("scopes", json!([])), ("scopes", json!("read")),
            ("model_ids", json!("iris")), ("surprise", json!(1)), ("user_id", json!("usr_x")), ("hash", json!("x")),
        ] {
            let mut body = json!({"name": "app"});
            body[member] = value.clone();
            let problem = ann.post(KEYS).json(&body).await.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], format!("/{member}"), "{value}");
        }
        for (body, pointer) in [
            (json!({}), "/name"),
            (json!({"name": "app", "scopes": ["read", "all"]}), "/scopes/1"),
            (json!({"name": "app", "model_ids": ["none"]}), "/model_ids/0"),
            (json!({"name": "app", "model_ids": ["bobs"]}), "/model_ids/0"),
            (json!({"name": "app", "burst": {"requests": 0, "window_seconds": 1}}), "/burst/requests"),
        ] {
            let problem = ann.post(KEYS).json(&body).await.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
        }
        for days in [1, 365] {
            create(&ann, &json!({"name": "edge", "expires_in_days": days})).await;
        }
        assert_eq!(ann.get(KEYS).await.json()["total"], 2);
    }

    /// F027
    async fn only_a_hash_of_a_key_is_stored(s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "findable name"})).await;
        let shown = text(&key, "api_key");
        try_key(&s, shown).await.status(200);
        assert!(s.stores("findable name").await, "the search finds nothing at all");
        assert!(s.stores(&shown[10..20]).await, "the public part is how a key is found");
        assert!(!s.stores(&shown[20..63]).await);
        assert!(!s.stores(shown).await);
        assert!(!s.log_text().contains(&shown[20..63]));
    }

    /// F028
    async fn the_list_shows_everything_but_the_key(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        let key = create(&ann, &json!({"name": "app", "description": "the app"})).await;
        create(&bob, &json!({"name": "bobs"})).await;
        s.advance(Duration::from_secs(5));
        let shown = text(&key, "api_key");
        try_key(&s, shown).await.status(200);
        let list = ann.get(KEYS).await.status(200);
        assert!(!list.text().contains(&shown[20..63]));
        let list = list.json();
        assert_eq!((&list["total"], &list["page"], &list["page_size"]), (&json!(1), &json!(1), &json!(20)));
        let item = &list["items"][0];
        assert_eq!(item, &json!({
            "id": key["key_id"], "name": "app", "description": "the app", "prefix": &shown[..20],
            "scopes": ["read"], "model_ids": [], "rate_limit": 1000, "is_active": true,
            "created_at": "2026-01-01T00:00:00.000000Z", "expires_at": null, "revoked_at": null,
            "rotated_from": null, "last_used_at": "2026-01-01T00:00:05.000000Z", "total_requests": 1,
        }));
    }

    /// F029
    async fn a_key_of_somebody_else_does_not_exist(s: TestServer) {
        let (admin, ann, bob) = (s.admin().await, s.user("ann").await, s.user("bob").await);
        let key = create(&ann, &json!({"name": "app"})).await;
        let missing = json!({"key_id": "key_01JD3T9Q2G0000000000000000"});
        let no_id = json!({"key_id": "whatever"});
        for somebody in [&admin, &bob] {
            for key in [&key, &missing, &no_id] {
                let (path, change) = (path(key), json!({"name": "mine"}));
                for reply in [
                    somebody.get(&path).await,
                    somebody.patch(&path).json(&change).await,
                    somebody.delete(&path).await,
                    somebody.post(&format!("{path}/rotate")).await,
                ] {
                    assert_eq!(reply.code(), 404);
                    reply.problem("not-found");
                }
            }
        }
        try_key(&s, text(&key, "api_key")).await.status(200);
        assert_eq!(ann.get(&path(&key)).await.status(200).json()["name"], "app");
    }

    /// F033
    async fn both_headers_take_a_key_but_not_two_different_ones(s: TestServer) {
        let ann = s.user("ann").await;
        let (one, two) = (create(&ann, &json!({"name": "1"})).await, create(&ann, &json!({"name": "2"})).await);
        let (one, two) = (text(&one, "api_key"), text(&two, "api_key"));
        let ask = || s.anonymous().get("/api/v1/models");
        ask().header("x-api-key", one).await.status(200);
        ask().header("authorization", &format!("Bearer {one}")).await.status(200);
        ask().header("authorization", &format!("bearer  {one}")).await.status(200);
        ask().header("x-api-key", one).header("authorization", &format!("Bearer {one}")).await.status(200);
        for (first, second) in [(one, two), (one, ann.credential().unwrap()), (one, "")] {
            let both = ask().header("x-api-key", first).header("authorization", &format!("Bearer {second}"));
            both.await.status(400).problem("malformed-request");
        }
        ask().header("x-api-key", one).header("x-api-key", two).await.status(400).problem("malformed-request");
        for scheme in ["Basic", "Token", "plim"] {
            ask().header("authorization", &format!("{scheme} {one}")).await.status(401);
        }
        ask().header("authorization", one).await.status(401);
    }

    /// F033
    async fn a_key_in_the_url_is_refused_and_never_logged(s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "app"})).await;
        let shown = text(&key, "api_key");
        let escaped = shown.replace('_', "%5F");
        for query in ["api_key=", "key=", "token=", "access_token=", "API_KEY=", "search=", "page=1&x="] {
            for value in [shown, &escaped] {
                let reply = s.anonymous().get(&format!("/api/v1/models?{query}{value}")).await;
                reply.clone().status(400).problem("credential-in-url");
                assert!(!reply.text().contains(&shown[20..63]));
            }
        }
        let in_path = s.anonymous().bearer(shown).get(&format!("/api/v1/models/{shown}")).await;
        assert!(in_path.code() >= 400 && !in_path.text().contains(&shown[20..63]));
        assert!(!s.log_text().contains(&shown[20..63]));
    }
}
