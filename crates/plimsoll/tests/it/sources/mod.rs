//! Older paths: each does what its canonical route does, and says where to go.

mod replay;

use std::collections::BTreeSet;

use plimsoll_core::key::Scope;
use plimsoll_http::{ALIASES, Alias};
use plimsoll_testkit::{Client, Options, Part, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const FOREST: &str = "sklearn/1.5.2/iris_forest_p4.pkl";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

/// Rows whose canonical route is there and does less than what they stand for.
const SERVED_AND_WAITING: [&str; 2] = ["POST /api/model/load/{version}", "POST /api/model/save"];

/// A path with each placeholder filled in by `nobody`.
fn filled(template: &str) -> String {
    let segments = template.split('/').map(|segment| {
        if segment.starts_with('{') {
            "nobody"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

async fn send(client: &Client, method: &str, path: &str) -> Reply {
    let request = client.request(method.parse().unwrap(), path);
    match method {
        "GET" | "DELETE" => request.await,
        _ if path.ends_with("/upload") || path.ends_with("/models") => {
            request.multipart([Part::Text("x", "y".to_owned())]).await
        }
        _ => request.json(&json!({"unknown": 1})).await,
    }
}

/// `METHOD /path` of every operation of the document, whatever its placeholders are called.
async fn served(s: &TestServer) -> BTreeSet<String> {
    let document = s.anonymous().get("/openapi.json").await.status(200).json();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys();
        let operations =
            methods.map(|method| format!("{} {}", method.to_uppercase(), filled(path)));
        operations.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

fn asked(alias: &Alias) -> String {
    let (method, path) = alias.asked();
    format!("{method} {path}")
}

backends! {
    /// F289: each row is served, or says what it waits for.
    async fn a_row_waits_only_for_what_is_not_there(s: TestServer) {
        let served = served(&s).await;
        let mut rows = BTreeSet::new();
        for alias in ALIASES {
            let (method, path) = alias.target();
            let there = served.contains(&format!("{method} {}", filled(path)));
            let expected = !there || SERVED_AND_WAITING.contains(&&*asked(alias));
            assert_eq!(alias.waits_for.is_some(), expected, "{}", asked(alias));
            assert!(rows.insert(asked(alias)), "{} has two rows", asked(alias));
        }
    }

    /// F289: status, credential and headers are those of the canonical route.
    async fn an_older_path_asks_for_the_credential_of_its_route_and_names_it(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        let reader = ann.key(&[Scope::Read]).await;
        let predictor = ann.key(&[Scope::Predict]).await;
        // Two have tests of their own: their route is not told by their path alone.
        let other = ["POST /api/mode/{mode}", "GET /api/model/versions"];
        for alias in ALIASES.iter().filter(|alias| !other.contains(&&*asked(alias))) {
            let ((method, path), (to_method, to_path)) = (alias.asked(), alias.target());
            let to_path = filled(&to_path.replace("{default}", "default"));
            for client in [&s.anonymous(), &predictor, &reader, &ann, &admin] {
                let reply = send(client, method, &filled(path)).await;
                let canonical = send(client, to_method, &to_path).await;
                assert_eq!(reply.code(), canonical.code(), "{}: {}", asked(alias), reply.text());
                if reply.code() >= 400 {
                    let code = canonical.json()["code"].as_str().unwrap().to_owned();
                    reply.problem(&code);
                }
                assert_eq!(reply.header("deprecation"), "@1795219200", "{}", asked(alias));
                assert!(canonical.header("deprecation").is_empty());
                assert_eq!(reply.header("link"), format!("<{to_path}>; rel=\"successor-version\""), "{}", asked(alias));
            }
        }
    }

    /// F289
    #[options(Options::new().http(|http| http.aliases = false))]
    async fn older_paths_can_be_switched_off(s: TestServer) {
        let admin = s.admin().await;
        for alias in ALIASES {
            let (method, path) = alias.asked();
            let reply = send(&admin, method, &filled(path)).await;
            assert!([404, 405].contains(&reply.code()), "{} answered {}", asked(alias), reply.code());
            assert!(reply.header("deprecation").is_empty());
        }
    }

    async fn what_is_not_a_row_is_no_older_path(s: TestServer) {
        let ann = s.user("ann").await;
        for path in ["/train", "/api/model", "/api/model/versions/", "/api/v1/deployment", "/api/mode/training/x"] {
            ann.get(path).await.status(404).problem("not-found");
        }
        // The name of a model, not the older word for an upload.
        ann.upload("upload", fixture(IRIS)).await.status(201);
        let model = ann.get("/api/v1/models/upload").await.status(200);
        assert_eq!((&model.json()["name"], model.header("deprecation")), (&json!("upload"), ""));
    }

    async fn the_default_model_is_the_newest_that_the_caller_may_see(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        let versions = async |client: &Client| {
            let list = client.get("/api/model/versions").await.status(200).json();
            list["items"].as_array().unwrap().iter().map(|item| item["model"].clone()).collect::<Vec<_>>()
        };
        assert!(versions(&ann).await.is_empty());
        ann.upload("first", fixture(IRIS)).await.status(201);
        assert_eq!(versions(&ann).await, ["first"]);
        let key = ann.key_with(&json!({"name": "k", "scopes": ["read"], "model_ids": ["first"]})).await;
        ann.upload("second", fixture(IRIS)).await.status(201);
        assert_eq!(versions(&ann).await, ["second"]);
        assert_eq!(versions(&key).await, ["first"]);
        assert!(versions(&bob).await.is_empty());
        ann.patch("/api/v1/models/second").json(&json!({"status": "archived"})).await.status(200);
        assert_eq!(versions(&ann).await, ["first"]);
        s.anonymous().get("/api/model/versions").await.status(401);
    }

    #[options(Options::new().http(|http| http.default_model = Some("one".to_owned())))]
    async fn the_default_model_can_be_configured(s: TestServer) {
        let ann = s.user("ann").await;
        ann.get("/api/model/versions").await.status(404).problem("not-found");
        for name in ["one", "two"] {
            ann.upload(name, fixture(IRIS)).await.status(201);
        }
        let list = ann.get("/api/model/versions").await.status(200);
        assert_eq!(list.json()["items"][0]["model"], "one");
        assert_eq!(list.header("link"), "</api/v1/models/one/versions>; rel=\"successor-version\"");
    }

    async fn a_wrong_mode_is_forbidden_there_as_it_was(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        ann.upload("iris", fixture(IRIS)).await.status(201);
        admin.post("/api/mode/maintenance").await.status(200);
        let refused = ann.post("/api/model/promote/1").await.status(403).problem("wrong-mode");
        assert_eq!((&refused["current_mode"], &refused["status"]), (&json!("maintenance"), &json!(403)));
        ann.post("/api/v1/models/iris/versions/1/promote").await.status(409).problem("wrong-mode");
        admin.post("/api/mode/party").await.status(422).problem("invalid-request");
        ann.post("/api/mode/inference").await.status(403).problem("insufficient-scope");
        assert_eq!(ann.get("/api/mode").await.status(200).json()["mode"], "maintenance");
        admin.post("/api/mode/inference").await.status(200);
        ann.post("/api/model/promote/1").await.status(200);
    }

    async fn the_query_of_a_change_becomes_its_body(s: TestServer) {
        let ann = s.user("ann").await;
        for file in [IRIS, FOREST] {
            ann.upload("iris", fixture(file)).await.status(201);
        }
        let place = "/api/v1/deployment/endpoints/live";
        let deploy = json!({"model_name": "iris", "model_version": "1", "endpoint_name": "live", "workload_size": "Small"});
        ann.post("/api/v1/deployment/deploy").json(&deploy).await.status(201);
        let changed = ann.put(&format!("{place}?model_version=2&scale_to_zero=false&workload_size=Medium")).await.status(200).json();
        assert_eq!((&changed["served"][0]["version"], &changed["scale_to_zero"], &changed["workload_size"]), (&json!(2), &json!(false), &json!("medium")));
        // A body does as well.
        ann.put(place).json(&json!({"scale_to_zero": true})).await.status(200);
        let bad = ann.put(&format!("{place}?workload_size=huge")).await.status(422);
        assert_eq!(bad.problem("invalid-request")["errors"][0]["pointer"], "/workload_size");
        ann.put(&format!("{place}?scale_to_zero=perhaps")).await.status(422).problem("invalid-request");
        ann.put(&format!("{place}?model_version=2&api_key=x")).await.status(400).problem("credential-in-url");
        let back = ann.post(&format!("{place}/rollback?target_version=1")).await.status(200).json();
        assert_eq!(back["target_version"], 1);
        let stopped = ann.delete(place).await.status(200);
        assert_eq!(stopped.json(), json!({"endpoint_name": "live", "status": "deleted"}));
        ann.delete("/api/v1/deployment/endpoints/nobody").await.status(404).problem("not-found");
    }

    async fn idempotency_and_the_log_line_hold_on_older_paths(s: TestServer) {
        let ann = s.user("ann").await;
        let make = async |path: &str| {
            ann.post(path).json(&json!({"name": "app"})).header("idempotency-key", "once").await.status(201)
        };
        let made = make("/api/v1/production/api-keys").await;
        let again = make("/api/v1/api-keys").await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(made.json()["key_id"], again.json()["key_id"]);
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let answer = ann.post("/api/v1/predict/iris").json(&json!({"input": [FLOWER]})).await.status(200);
        let lines = s.log_lines();
        let line = lines.iter().find(|line| line["request_id"] == answer.header("x-request-id")).unwrap();
        assert_eq!((&line["method"], &line["path"]), (&json!("POST"), &json!("/api/v1/predict/{model}")));
    }
}
