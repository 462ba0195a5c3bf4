//! The platform's mode: who changes it, what it refuses, and that it stays.

use plimsoll_core::mode::TrainingPolicy;
use plimsoll_core::page::PageRequest;
use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const MODE: &str = "/api/v1/mode";
const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

async fn set(admin: &Client, change: Value) -> Reply {
    admin.put(MODE).json(&change).await
}

/// A refusal that names the mode and those that would do.
#[track_caller]
fn wrong(reply: &Reply, current: &str, required: &Value) {
    let problem = reply.problem("wrong-mode");
    assert_eq!(
        (&problem["current_mode"], &problem["required_modes"]),
        (&json!(current), required)
    );
}

backends! {
    /// F137, F138, F143
    async fn it_is_inference_at_first_changed_by_administrators_and_survives_a_restart(mut s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        let first = ann.get(MODE).await.status(200).json();
        assert_eq!(first, json!({"mode": "inference", "serve": true, "reason": null, "changed_by": null, "changed_at": null}));
        ann.put(MODE).json(&json!({"mode": "training"})).await.status(403);
        for bad in [json!({"mode": "party"}), json!({"mode": "inference", "serve": false}), json!({"mode": 1}), json!({}), json!({"mode": "training", "x": 1})] {
            set(&admin, bad).await.status(422).problem("invalid-request");
        }
        let changed = set(&admin, json!({"mode": "maintenance", "reason": "new disks"})).await.status(200).json();
        assert_eq!((&changed["mode"], &changed["serve"], &changed["reason"]), (&json!("maintenance"), &json!(true), &json!("new disks")));
        assert_eq!(ann.get(MODE).await.json(), changed);
        assert_eq!(s.anonymous().get("/health").await.status(200).json()["mode"], "maintenance");
        // The same again changes nothing.
        set(&admin, json!({"mode": "maintenance"})).await.status(200);
        s.restart().await;
        let (admin, ann) = (s.admin().await, s.sign_in_again(&ann).await);
        assert_eq!(ann.get(MODE).await.json(), changed);
        set(&admin, json!({"mode": "inference"})).await.status(200);
        let history = ann.get("/api/v1/mode/history").await.status(200).json();
        let modes: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|item| &item["mode"]).collect();
        assert_eq!(modes, ["inference", "maintenance"]);
        let audit = admin.get("/api/v1/audit?action=mode.changed").await.status(200).json();
        assert_eq!(audit["items"].as_array().unwrap().len(), 2);
        assert_eq!(audit["items"][1]["details"]["after"]["mode"], "maintenance");
        assert!(s.log_text().contains("mode changed"));
        assert_eq!(s.app().db().modes_page(PageRequest::default()).await.unwrap().total, 2);
    }

    /// F138: a change by another process is seen here.
    async fn another_process_that_changes_the_mode_is_noticed(s: TestServer) {
        let ann = s.user("ann").await;
        s.damage("insert into mode_changes (seq, mode, serve, reason, by_user_id, at) values (1, 'training', true, null, null, 0)").await;
        s.damage("update changes set counter = counter + 1").await;
        s.app().refresh_live().await.unwrap();
        assert_eq!(ann.get(MODE).await.json()["mode"], "training");
    }

    /// F140, F141
    async fn maintenance_takes_nothing_in_and_serves_predictions_unless_told_otherwise(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        ann.upload("iris", fixture(IRIS)).await.status(201);
        set(&admin, json!({"mode": "maintenance"})).await.status(200);
        let either = json!(["inference", "training"]);
        wrong(&ann.upload("iris", fixture(IRIS)).await.status(409), "maintenance", &either);
        wrong(&ann.post("/api/v1/models/iris/versions/1/promote").await.status(409), "maintenance", &either);
        ann.predict("iris", json!([FLOWER])).await.status(200);
        set(&admin, json!({"mode": "maintenance", "serve": false})).await.status(200);
        for path in ["/api/v1/models/iris/predict", "/api/v1/models/iris/versions/1/predict"] {
            let refused = ann.post(path).json(&json!({"inputs": [FLOWER]})).await.status(503);
            refused.problem("maintenance");
            assert_eq!(refused.header("retry-after"), "30");
        }
        for path in ["/api/v1/models", "/api/v1/models/iris", "/api/v1/mode", "/health", "/health/ready", "/api/v1/predictions"] {
            ann.get(path).await.status(200);
        }
        for mode in ["training", "inference"] {
            set(&admin, json!({"mode": mode})).await.status(200);
            ann.predict("iris", json!([FLOWER])).await.status(200);
            ann.upload("iris", fixture(IRIS)).await.status(201);
            ann.post("/api/v1/models/iris/versions/1/promote").await.status(200);
        }
    }

    /// F139
    #[options(Options::new().settings(|settings| settings.training_policy = TrainingPolicy::Strict))]
    async fn under_the_strict_policy_models_are_saved_in_training_mode_only(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        wrong(&ann.upload("iris", fixture(IRIS)).await.status(409), "inference", &json!(["training"]));
        set(&admin, json!({"mode": "training"})).await.status(200);
        ann.upload("iris", fixture(IRIS)).await.status(201);
        set(&admin, json!({"mode": "inference"})).await.status(200);
        wrong(&ann.upload("iris", fixture(IRIS)).await.status(409), "inference", &json!(["training"]));
        ann.post("/api/v1/models/iris/versions/1/promote").await.status(200);
        ann.predict("iris", json!([FLOWER])).await.status(200);
    }

    async fn who_looked_at_an_older_state_changes_nothing_if_they_say_so(s: TestServer) {
        let admin = s.admin().await;
        let made = admin.post("/api/v1/api-keys").json(&json!({"name": "app"})).await.status(201).json();
        let key = format!("/api/v1/api-keys/{}", made["key_id"].as_str().unwrap());
        for (path, method, changes) in [
            (MODE, "PUT", [json!({"mode": "training"}), json!({"mode": "inference"})]),
            (&key, "PATCH", [json!({"name": "one"}), json!({"name": "two"})]),
        ] {
            let seen = admin.get(path).await.status(200).header("etag").to_owned();
            assert!(seen.starts_with('"') && seen.ends_with('"'), "{seen}");
            let change = async |body: &Value, tag: &str| {
                admin.request(method.parse().unwrap(), path).json(body).header("if-match", tag).await
            };
            let changed = change(&changes[0], &seen).await.status(200);
            assert_ne!(changed.header("etag"), seen);
            change(&changes[1], &seen).await.status(412).problem("precondition-failed");
            assert_eq!(admin.get(path).await.header("etag"), changed.header("etag"), "{path}");
            change(&changes[1], &format!("W/{}", changed.header("etag"))).await.status(412);
            change(&changes[1], "seven").await.status(400).problem("malformed-request");
            change(&changes[1], &format!("\"x\", {}", changed.header("etag"))).await.status(200);
            change(&changes[0], "*").await.status(200);
            admin.request(method.parse().unwrap(), path).json(&changes[1]).await.status(200);
        }
    }
}
