//! `ETag` and `If-Match`: no change undoes one that its author has not seen.

use plimsoll_testkit::{Client, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const FILES: [&str; 2] = [
    "sklearn/1.5.2/iris_logistic.joblib",
    "sklearn/1.5.2/iris_forest_p4.pkl",
];
const MODEL: &str = "/api/v1/models/iris";
const VERSION: &str = "/api/v1/models/iris/versions/2";
const LIVE: &str = "/api/v1/endpoints/live";

/// Somebody with two versions of a model and an endpoint that serves the first.
async fn ann(s: &TestServer) -> Client {
    let ann = s.user("ann").await;
    for file in FILES {
        ann.upload("iris", fixture(file)).await.status(201);
    }
    let body = json!({"model": "iris", "version": 1, "name": "live"});
    ann.post("/api/v1/endpoints").json(&body).await.status(201);
    ann
}

async fn tag(client: &Client, path: &str) -> String {
    let reply = client.get(path).await.status(200);
    reply.header("etag").to_owned()
}

async fn change(client: &Client, (method, path): (&str, &str), body: &Value, tag: &str) -> Reply {
    let request = client.request(method.parse().unwrap(), path);
    let request = if body.is_null() {
        request
    } else {
        request.json(body)
    };
    request.header("if-match", tag).await
}

backends! {
    async fn every_kind_of_change_is_refused_to_who_saw_an_older_state(s: TestServer) {
        let ann = ann(&s).await;
        let to = |version: i64| json!({"served": [{"version": version, "weight": 100, "role": "primary"}]});
        let (traffic, rollback) = (format!("{LIVE}/traffic"), format!("{LIVE}/rollback"));
        let promote = format!("{VERSION}/promote");
        let changes = [
            (LIVE, ("PATCH", LIVE), json!({"version": 2}), 200),
            (LIVE, ("PUT", &traffic), to(1), 200),
            (LIVE, ("POST", &rollback), Value::Null, 200),
            (LIVE, ("DELETE", LIVE), Value::Null, 204),
            (MODEL, ("PATCH", MODEL), json!({"description": "one"}), 200),
            (VERSION, ("PATCH", VERSION), json!({"description": "two"}), 200),
            (MODEL, ("POST", &promote), Value::Null, 200),
            (MODEL, ("DELETE", MODEL), Value::Null, 204),
        ];
        for (thing, route, body, status) in changes {
            let seen = tag(&ann, thing).await;
            assert!(seen.len() > 2 && seen.starts_with('"') && seen.ends_with('"'), "{seen}");
            for other in ["\"other\"", &format!("W/{seen}")] {
                change(&ann, route, &body, other).await.status(412).problem("precondition-failed");
            }
            change(&ann, route, &body, "seven").await.status(400).problem("malformed-request");
            assert_eq!(tag(&ann, thing).await, seen, "a refused {route:?} left something");
            let done = change(&ann, route, &body, &format!("\"other\", {seen}")).await.status(status);
            let now = tag(&ann, thing).await;
            assert_ne!(now, seen, "{route:?}");
            if ["PATCH", "PUT"].contains(&route.0) {
                assert_eq!(done.header("etag"), now);
            }
            change(&ann, route, &body, &seen).await.status(412);
        }
    }

    async fn a_version_is_deleted_only_as_it_was_seen(s: TestServer) {
        let ann = ann(&s).await;
        let seen = tag(&ann, VERSION).await;
        ann.patch(VERSION).json(&json!({"tags": ["kept"]})).await.status(200);
        change(&ann, ("DELETE", VERSION), &Value::Null, &seen).await.status(412);
        let seen = tag(&ann, VERSION).await;
        change(&ann, ("DELETE", VERSION), &Value::Null, &seen).await.status(204);
        change(&ann, ("DELETE", VERSION), &Value::Null, &seen).await.status(404);
        change(&ann, ("PATCH", "/api/v1/endpoints/none"), &json!({"version": 1}), "*").await.status(404);
    }

    /// Deploying a version touches the row of its model; predictions are counted there.
    async fn what_others_do_with_a_model_leaves_its_state_as_it_is(s: TestServer) {
        let ann = ann(&s).await;
        let seen = (tag(&ann, MODEL).await, tag(&ann, VERSION).await);
        ann.patch(LIVE).json(&json!({"version": 2})).await.status(200);
        ann.predict("iris", json!([[5.1, 3.5, 1.4, 0.2]])).await.status(200);
        assert_eq!((tag(&ann, MODEL).await, tag(&ann, VERSION).await), seen);
        ann.upload("iris", fixture(FILES[0])).await.status(201);
        assert_ne!(tag(&ann, MODEL).await, seen.0, "another version is the latest one");
    }

    async fn of_two_who_saw_the_same_one_changes_it(s: TestServer) {
        let ann = ann(&s).await;
        for (thing, [one, two]) in [
            (LIVE, [json!({"version": 2}), json!({"workload_size": "medium"})]),
            (MODEL, [json!({"description": "a"}), json!({"tags": ["b"]})]),
            (VERSION, [json!({"description": "a"}), json!({"tags": ["b"]})]),
        ] {
            let seen = tag(&ann, thing).await;
            let (one, two) = tokio::join!(
                change(&ann, ("PATCH", thing), &one, &seen),
                change(&ann, ("PATCH", thing), &two, &seen),
            );
            let mut codes = [one.code(), two.code()];
            codes.sort_unstable();
            assert_eq!(codes, [200, 412], "{thing}");
        }
    }

    async fn the_document_names_the_headers_of_what_takes_them(s: TestServer) {
        let document = s.anonymous().get("/openapi.json").await.status(200).json();
        let takes = |path: &str, method: &str, header: &str| {
            let parameters = document["paths"][path][method]["parameters"].as_array();
            parameters.is_some_and(|all| all.iter().any(|one| one["name"] == header && one["in"] == "header"))
        };
        let (endpoint, model) = ("/api/v1/endpoints/{endpoint}", "/api/v1/models/{model}");
        for (path, method) in [
            (endpoint, "patch"), (endpoint, "delete"), (model, "patch"), (model, "delete"),
            ("/api/v1/endpoints/{endpoint}/traffic", "put"),
            ("/api/v1/endpoints/{endpoint}/rollback", "post"),
            ("/api/v1/models/{model}/versions/{version}", "patch"),
            ("/api/v1/models/{model}/versions/{version}", "delete"),
            ("/api/v1/models/{model}/versions/{version}/promote", "post"),
            ("/api/v1/api-keys/{key}", "patch"), ("/api/v1/mode", "put"),
        ] {
            assert!(takes(path, method, "If-Match"), "{method} {path}");
            assert!(document["paths"][path][method]["responses"]["412"].is_object(), "{method} {path}");
        }
        assert!(!takes(endpoint, "get", "If-Match"));
        assert!(document["paths"][endpoint]["get"]["responses"]["200"]["headers"]["ETag"].is_object());
        let uploads = &document["paths"]["/api/v1/models"]["post"]["responses"];
        assert!(takes("/api/v1/models", "post", "Idempotency-Key"));
        assert!(uploads["409"]["description"].as_str().unwrap().contains("idempotency-in-progress"));
        assert!(uploads["422"]["description"].as_str().unwrap().contains("idempotency-key-reused"));
        assert!(!takes("/api/v1/auth/login", "post", "Idempotency-Key"));
        assert!(!takes("/api/v1/models/{model}/predict", "post", "Idempotency-Key"));
    }
}
