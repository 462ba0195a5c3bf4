//! How far a key reaches: models and scopes.

use plimsoll_core::key::Scope;
use plimsoll_testkit::{TestServer, backends, fixture};
use serde_json::json;

use super::{KEYS, MODEL, ROW, create, path, text};

backends! {
    /// F035
    async fn a_key_limited_to_models_reaches_no_other(s: TestServer) {
        let ann = s.user("ann").await;
        for name in ["a", "b"] {
            ann.upload(name, fixture(MODEL)).await.status(201);
        }
        let b = ann.get("/api/v1/models/b").await.json();
        let versions = ann.get("/api/v1/models/b/versions").await.json();
        let (model, version) = (text(&b, "id"), text(&versions["items"][0], "id"));
        let key = ann.key_with(&json!({"name": "a", "model_ids": ["a"], "scopes": ["admin"]})).await;
        key.predict("a", json!([ROW])).await.status(200);
        // By name, by id, by the id of a version: the model that is meant counts.
        for wanted in ["b", model, version] {
            key.predict(wanted, json!([ROW])).await.status(403).problem("insufficient-scope");
            key.get(&format!("/api/v1/models/{wanted}")).await.status(403);
            key.get(&format!("/api/v1/models/{wanted}/versions")).await.status(403);
            let path = format!("/api/v1/models/{wanted}/versions/1/predict");
            key.post(&path).json(&json!({"inputs": [ROW]})).await.status(403);
        }
        let list = key.get("/api/v1/models").await.status(200).json();
        assert_eq!((&list["total"], &list["items"][0]["name"]), (&json!(1), &json!("a")));
        key.upload("c", fixture(MODEL)).await.status(403);
        let open = ann.key(&[Scope::Predict]).await;
        for name in ["a", "b"] {
            open.predict(name, json!([ROW])).await.status(200);
        }
    }

    /// F035, F036
    async fn a_key_never_makes_a_wider_key(s: TestServer) {
        let ann = s.user("ann").await;
        for name in ["a", "b"] {
            ann.upload(name, fixture(MODEL)).await.status(201);
        }
        let wide = create(&ann, &json!({"name": "wide", "scopes": ["admin"]})).await;
        let limited = ann.key_with(&json!({"name": "limited", "model_ids": ["a"], "scopes": ["admin"]})).await;
        let child = limited.key_with(&json!({"name": "child", "scopes": ["read"]})).await;
        child.predict("a", json!([ROW])).await.status(200);
        child.predict("b", json!([ROW])).await.status(403);
        let body = json!({"name": "child", "model_ids": ["b"]});
        limited.post(KEYS).json(&body).await.status(403);
        limited.post(&format!("{}/rotate", path(&wide))).await.status(403).problem("insufficient-scope");
        let me = limited.get("/api/v1/auth/me").await.json();
        let own = format!("{KEYS}/{}", text(&me, "api_key_id"));
        limited.patch(&own).json(&json!({"model_ids": []})).await.status(200);
        limited.predict("b", json!([ROW])).await.status(403);
        limited.patch(&own).json(&json!({"model_ids": ["a", "b"]})).await.status(403);
        limited.post(&format!("{own}/rotate")).await.status(201);
        for scope in [Scope::Predict, Scope::Read, Scope::Write] {
            let key = ann.key(&[scope]).await;
            key.post(KEYS).json(&json!({"name": "child", "scopes": ["predict"]})).await.status(403);
        }
    }

    /// F036
    async fn each_scope_allows_what_it_includes_and_nothing_more(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        for (scopes, allowed) in [
            (vec![Scope::Predict], 1),
            (vec![Scope::Read], 2),
            (vec![Scope::Write], 4),
            (vec![Scope::Admin], 6),
            (vec![Scope::Feedback], 0),
            (vec![Scope::Feedback, Scope::Predict], 1),
        ] {
            let key = ann.key(&scopes).await;
            let replies = [
                key.predict("iris", json!([ROW])).await,
                key.get("/api/v1/models/iris").await,
                key.patch("/api/v1/models/iris").json(&json!({"description": "x"})).await,
                key.upload("iris", fixture(MODEL)).await,
                key.post("/api/v1/models/iris/versions/1/promote").await,
                key.post(KEYS).json(&json!({"name": "child"})).await,
            ];
            for (index, reply) in replies.iter().enumerate() {
                let expected = index < allowed;
                assert_eq!(reply.code() < 300, expected, "{scopes:?} {index} {}", reply.text());
                if !expected {
                    assert_eq!(reply.code(), 403);
                    reply.problem("insufficient-scope");
                }
            }
        }
    }
}
