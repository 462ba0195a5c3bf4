//! Making, looking at, changing and stopping endpoints.

use plimsoll_core::key::Scope;
use plimsoll_testkit::{TestServer, backends, fixture};
use serde_json::json;

use super::{VERSIONS, ann_with, answering, ask, deploy, deploy_live, facts, history};

backends! {
    /// F120, F123, F125
    async fn a_version_is_served_under_a_name_and_answers_there(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        let made = deploy(&ann, json!({
            "model": "iris", "version": 1, "name": "my-endpoint", "workload_size": "Small",
            "scale_to_zero": true, "environment": {},
        })).await.status(201).json();
        assert_eq!((&made["name"], &made["state"], &made["workload_size"]), (&json!("my-endpoint"), &json!("ready"), &json!("small")));
        assert_eq!(made["served"], json!([{"model": "iris", "version": 1, "label": "1.0.0", "weight": 100, "role": "primary"}]));
        assert_eq!((&made["deployment"]["action"], &made["deployment"]["status"], &made["deployment"]["previous_version"]),
            (&json!("create"), &json!("active"), &json!(null)));
        let answer = ask(&ann, "my-endpoint").await.status(200).json();
        assert_eq!((&answer["endpoint"], &answer["model_version"], &answer["cached"]), (&json!("my-endpoint"), &json!(1), &json!(true)));
        // The same name again: another version, and what is not named stays.
        ann.patch("/api/v1/endpoints/my-endpoint").json(&json!({"workload_size": "medium", "scale_to_zero": false})).await.status(200);
        let again = deploy(&ann, json!({"model": "iris", "version": "2", "name": "my-endpoint"})).await.status(200).json();
        assert_eq!((&again["id"], &again["workload_size"], &again["scale_to_zero"]), (&made["id"], &json!("medium"), &json!(false)));
        assert_eq!((&again["deployment"]["action"], &again["deployment"]["previous_version"]), (&json!("update"), &json!(1)));
        assert_eq!(answering(&ann, "my-endpoint").await, 2);
        let id = made["id"].as_str().unwrap();
        let by_id = ann.get(&format!("/api/v1/endpoints/{id}")).await.status(200).json();
        assert_eq!(by_id["created_by"], made["created_by"]);
        let list = ann.get("/api/v1/endpoints").await.status(200).json();
        assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &made["id"]));
        s.recorded().await;
        let logged = ann.get("/api/v1/predictions?endpoint=my-endpoint").await.status(200).json();
        assert_eq!(logged["items"].as_array().unwrap().len(), 2, "{logged}");
        assert_eq!(logged["items"][0]["endpoint"], "my-endpoint");
    }

    /// F121
    async fn a_name_is_made_of_model_and_version(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("catalog.schema.Model", fixture(VERSIONS[0])).await.status(201);
        let made = deploy(&ann, json!({"model": "catalog.schema.Model"})).await.status(201).json();
        assert_eq!(made["name"], "catalog-schema-model-v1");
    }

    /// F122
    async fn what_is_not_there_or_makes_no_sense_is_refused(s: TestServer) {
        let ann = ann_with(&s, 1).await;
        deploy(&ann, json!({"model": "nothing"})).await.status(404).problem("not-found");
        deploy(&ann, json!({"model": "iris", "version": 7})).await.status(404).problem("not-found");
        for (body, pointer) in [
            (json!({"model": "iris", "workload_size": "huge"}), "/workload_size"),
            (json!({"model": "iris", "name": "Not A Name"}), "/name"),
            (json!({"model": "iris", "version": 1.5}), "/version"),
            (json!({"model": "iris", "environment": {"A": 1}}), "/environment/A"),
            (json!({"model": "iris", "environment": {"1A": "x"}}), "/environment/1A"),
            (json!({"model": "iris", "guardrails": {"max_rows": 0}}), "/guardrails/max_rows"),
            (json!({"model": "iris", "reason": "a\nb"}), "/reason"),
            (json!({"model": "iris", "extra": 1}), "/extra"),
            (json!({"version": 1}), "/model"),
        ] {
            let problem = deploy(&ann, body).await.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
        let list = ann.get("/api/v1/endpoints").await.status(200).json();
        assert_eq!(list["total"], 0);
    }

    /// F126
    async fn what_a_change_does_not_name_stays_and_false_is_false(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        let path = "/api/v1/endpoints/live";
        let changed = ann.patch(path).json(&json!({"scale_to_zero": false})).await.status(200).json();
        assert_eq!((&changed["scale_to_zero"], &changed["workload_size"], &changed["served"][0]["version"]), (&json!(false), &json!("small"), &json!(1)));
        let changed = ann.patch(path).json(&json!({"version": 2, "workload_size": "LARGE"})).await.status(200).json();
        assert_eq!((&changed["scale_to_zero"], &changed["workload_size"], &changed["served"][0]["version"]), (&json!(false), &json!("large"), &json!(2)));
        ann.patch(path).json(&json!({"version": 9})).await.status(404).problem("not-found");
        ann.patch("/api/v1/endpoints/none").json(&json!({})).await.status(404).problem("not-found");
    }

    /// F124, F128
    async fn a_stopped_endpoint_answers_nobody_and_keeps_its_history(mut s: TestServer) {
        let ann = ann_with(&s, 2).await;
        let made = deploy_live(&ann, 1).await;
        ann.delete("/api/v1/endpoints/live").await.status(204);
        ann.delete("/api/v1/endpoints/live").await.status(204);
        ask(&ann, "live").await.status(404).problem("not-found");
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        let stopped = ann.get("/api/v1/endpoints/live").await.status(200).json();
        assert_eq!((&stopped["state"], &stopped["served"]), (&json!("stopped"), &json!([])));
        assert_eq!(ann.get("/api/v1/endpoints").await.status(200).json()["total"], 0);
        assert_eq!(ann.get("/api/v1/endpoints?state=stopped").await.status(200).json()["total"], 1);
        ann.patch("/api/v1/endpoints/live").json(&json!({"version": 2})).await.status(409).problem("endpoint-stopped");
        let again = deploy(&ann, json!({"model": "iris", "version": 2, "name": "live"})).await.status(201).json();
        assert_eq!(again["id"], made["id"]);
        assert_eq!(answering(&ann, "live").await, 2);
        let entries = history(&ann, "live").await;
        assert_eq!(facts(&entries, &["number", "action", "version", "status"]), [
            json!([1, "create", 1, "superseded"]),
            json!([2, "delete", 1, "superseded"]),
            json!([3, "create", 2, "active"]),
        ]);
    }

    /// F068, F035
    async fn endpoints_of_others_are_invisible_and_keys_reach_what_they_list(s: TestServer) {
        let ann = ann_with(&s, 1).await;
        ann.upload("other", fixture(VERSIONS[1])).await.status(201);
        let made = deploy_live(&ann, 1).await;
        let id = made["id"].as_str().unwrap();
        let bob = s.user("bob").await;
        for name in ["live", id] {
            ask(&bob, name).await.status(404).problem("not-found");
            bob.get(&format!("/api/v1/endpoints/{name}")).await.status(404).problem("not-found");
            bob.delete(&format!("/api/v1/endpoints/{name}")).await.status(404).problem("not-found");
        }
        // The same name of somebody else is another endpoint.
        bob.upload("iris", fixture(VERSIONS[1])).await.status(201);
        assert_ne!(deploy_live(&bob, 1).await["id"], made["id"]);
        let key = ann.key_with(&json!({"name": "k", "model_ids": ["other"], "scopes": ["write"], "rate_limit": null})).await;
        ask(&key, "live").await.status(403).problem("insufficient-scope");
        key.delete("/api/v1/endpoints/live").await.status(403).problem("insufficient-scope");
        assert_eq!(key.get("/api/v1/endpoints").await.status(200).json()["total"], 0);
        assert_eq!(key.get("/api/v1/deployments").await.status(200).json()["total"], 0);
        let predict_only = ann.key(&[Scope::Predict]).await;
        ask(&predict_only, "live").await.status(200);
        predict_only.get("/api/v1/endpoints/live").await.status(403).problem("insufficient-scope");
        let admin = s.admin().await;
        admin.get(&format!("/api/v1/endpoints/{id}")).await.status(200);
    }

    /// F129, F076
    async fn ledgers_are_listed_across_endpoints_and_by_model(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        ann.upload("other", fixture(VERSIONS[1])).await.status(201);
        deploy_live(&ann, 1).await;
        deploy_live(&ann, 2).await;
        deploy(&ann, json!({"model": "other", "name": "second"})).await.status(201);
        let all = ann.get("/api/v1/deployments?page=1&page_size=2").await.status(200).json();
        assert_eq!((&all["total"], all["items"].as_array().unwrap().len()), (&json!(3), 2));
        assert_eq!(all["items"][0]["endpoint"], "second");
        let active = ann.get("/api/v1/deployments?status=active").await.status(200).json();
        assert_eq!(active["total"], 2);
        let of_model = ann.get("/api/v1/models/iris/deployments").await.status(200).json();
        assert_eq!((&of_model["total"], &of_model["items"][0]["version"], &of_model["items"][0]["status"]), (&json!(2), &json!(2), &json!("active")));
        ann.get("/api/v1/deployments?status=running").await.status(422).problem("invalid-request");
        ann.get("/api/v1/endpoints/live/history?limit=101").await.status(422).problem("invalid-request");
    }

    /// F075
    async fn a_model_that_is_served_is_not_archived(s: TestServer) {
        let ann = ann_with(&s, 1).await;
        deploy_live(&ann, 1).await;
        let problem = ann.delete("/api/v1/models/iris").await.status(409).problem("deployed");
        assert!(problem["detail"].as_str().unwrap().contains("live"), "{problem}");
        answering(&ann, "live").await;
        ann.delete("/api/v1/endpoints/live").await.status(204);
        ann.delete("/api/v1/models/iris").await.status(204);
        deploy(&ann, json!({"model": "iris", "name": "live"})).await.status(409).problem("archived");
    }

    async fn an_account_takes_its_endpoints_along(s: TestServer) {
        let ann = ann_with(&s, 1).await;
        deploy_live(&ann, 1).await;
        let gone = ann.delete("/api/v1/users/me").json(&json!({"password": plimsoll_testkit::PASSWORD})).await;
        gone.status(204);
        assert!(!s.stores("\"live\"").await);
    }

    /// F130
    async fn a_validation_names_what_it_looked_at(s: TestServer) {
        let ann = ann_with(&s, 1).await;
        deploy_live(&ann, 1).await;
        let path = "/api/v1/endpoints/live/validate";
        let found = ann.post(path).await.status(200).json();
        let facts: Vec<_> = found["checks"].as_array().unwrap().iter().map(|c| (c["name"].clone(), c["status"].clone())).collect();
        assert_eq!(found["is_valid"], true, "{found}");
        assert_eq!(facts, [("ready", "pass"), ("artifact", "pass"), ("loads", "pass"), ("predicts", "pass")].map(|(n, s)| (json!(n), json!(s))));
        super::load::damage(&s, &ann, 1).await;
        s.expect_errors();
        let found = ann.post(path).await.status(200).json();
        assert_eq!((&found["is_valid"], &found["checks"][1]["name"], &found["checks"][1]["status"]), (&json!(false), &json!("artifact"), &json!("fail")));
    }
}
