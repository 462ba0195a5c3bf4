//! The record of predictions: written before the answer, read by its owner.

use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, TestServer, backends, fixture};
use serde_json::{Value, json};

const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";

async fn model(client: &Client, name: &str) {
    client.upload(name, fixture(MODEL)).await.status(201);
}

async fn predict(client: &Client, body: Value) -> Value {
    let request = client.post("/api/v1/models/iris/predict").json(&body);
    request.await.status(200).json()
}

async fn listed(client: &Client, query: &str) -> Value {
    let path = format!("/api/v1/predictions{query}");
    client.get(&path).await.status(200).json()
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

backends! {
    /// F111, F112, F239
    async fn a_prediction_is_found_again_with_its_input_and_output(s: TestServer) {
        let ann = s.user("ann").await;
        model(&ann, "iris").await;
        let body = json!({"inputs": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], "request_id": "mine"});
        let answer = predict(&ann, body).await;
        s.recorded().await;
        let id = answer["prediction_id"].as_str().unwrap();
        let found = ann.get(&format!("/api/v1/predictions/{id}")).await.status(200).json();
        assert_eq!(found["model"], "iris");
        assert_eq!((&found["model_version"], &found["rows"]), (&json!(1), &json!(2)));
        assert_eq!((&found["status"], &found["request_id"]), (&json!("success"), &json!("mine")));
        assert_eq!(found["output"]["predictions"], answer["predictions"]);
        assert_eq!(found["output"]["probabilities"], answer["probabilities"]);
        let first = found["input"][0].as_object().unwrap();
        let values: Vec<f64> = first.values().map(|value| value.as_f64().unwrap()).collect();
        assert_eq!(values, [5.1, 3.5, 1.4, 0.2]);
        let confidence: f64 = answer["confidence"].as_array().unwrap().iter().map(|c| c.as_f64().unwrap()).sum();
        assert!((found["confidence"].as_f64().unwrap() - confidence / 2.0).abs() < 1e-12);
        assert_eq!(found["created_at"], answer["timestamp"]);
    }

    /// F112
    async fn predictions_are_seen_by_their_owner_alone(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        model(&ann, "iris").await;
        let answer = predict(&ann, json!({"inputs": [[5.1, 3.5, 1.4, 0.2]]})).await;
        s.recorded().await;
        let path = format!("/api/v1/predictions/{}", answer["prediction_id"].as_str().unwrap());
        bob.get(&path).await.status(404).problem("not-found");
        s.admin().await.get(&path).await.status(404).problem("not-found");
        assert_eq!(listed(&bob, "").await["items"], json!([]));
        ann.get("/api/v1/predictions/prd_0").await.status(404).problem("not-found");
    }

    /// F111
    async fn the_list_is_filtered_and_goes_on_where_a_page_ended(s: TestServer) {
        let ann = s.user("ann").await;
        model(&ann, "iris").await;
        model(&ann, "other").await;
        let key = ann.key(&[Scope::Predict]).await;
        let mut all = Vec::new();
        for number in 0..5 {
            s.advance(Duration::from_secs(1));
            let answer = predict(&ann, json!({"inputs": [[5.1, 3.5, 1.4, 0.2]], "request_id": format!("run-{number}")})).await;
            all.push(answer["prediction_id"].as_str().unwrap().to_owned());
        }
        let by_key = predict(&key, json!({"inputs": [[5.1, 3.5, 1.4, 0.2]]})).await;
        s.recorded().await;
        all.push(by_key["prediction_id"].as_str().unwrap().to_owned());
        all.reverse();
        let mut seen = Vec::new();
        let mut page = listed(&ann, "?limit=2").await;
        loop {
            seen.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else { break };
            page = listed(&ann, &format!("?limit=2&cursor={next}")).await;
        }
        assert_eq!(seen, all);
        assert_eq!(ids(&listed(&ann, "?search=run-3").await), [all[2].as_str()]);
        assert_eq!(ids(&listed(&ann, "?model=other").await), Vec::<&str>::new());
        assert_eq!(ids(&listed(&ann, "?model=iris&version=1&status=success").await).len(), 6);
        assert_eq!(ids(&listed(&ann, "?status=failed").await).len(), 0);
        let me = key.get("/api/v1/auth/me").await.status(200).json();
        let query = format!("?key={}", me["api_key_id"].as_str().unwrap());
        assert_eq!(ids(&listed(&ann, &query).await), [all[0].as_str()]);
    }

    /// F111
    async fn what_a_list_cannot_be_is_named(s: TestServer) {
        let ann = s.user("ann").await;
        for (query, pointer) in [
            ("limit=0", "/limit"),
            ("limit=201", "/limit"),
            ("status=maybe", "/status"),
            ("from=yesterday", "/from"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "/from"),
            ("version=1", "/version"),
            ("page=1", "/page"),
        ] {
            let refused = ann.get(&format!("/api/v1/predictions?{query}")).await.status(422);
            assert_eq!(refused.problem("invalid-request")["errors"][0]["pointer"], pointer, "{query}");
        }
        ann.get("/api/v1/predictions?cursor=x").await.status(400).problem("malformed-request");
        ann.get("/api/v1/predictions?model=none").await.status(404).problem("not-found");
    }

    /// F110: a killed process loses nothing that was answered, and nothing comes twice.
    async fn a_killed_server_finds_every_answer_again_once(mut s: TestServer) {
        let mut ann = s.user("ann").await;
        model(&ann, "iris").await;
        let mut answered = Vec::new();
        for round in 0..3 {
            for number in 0..20 {
                let answer = predict(&ann, json!({"inputs": [[5.1, 3.5, 1.4, f64::from(number)]]})).await;
                answered.push(answer["prediction_id"].as_str().unwrap().to_owned());
            }
            if round % 2 == 0 {
                s.kill_and_restart().await;
            } else {
                s.restart().await;
            }
            ann = s.sign_in_again(&ann).await;
        }
        s.recorded().await;
        let page = listed(&ann, "?limit=200").await;
        let mut found: Vec<String> = ids(&page).into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        answered.sort_unstable();
        assert_eq!(found, answered);
    }

    /// F104: what the client got wrong is no prediction.
    async fn a_refused_request_leaves_no_prediction(s: TestServer) {
        let ann = s.user("ann").await;
        model(&ann, "iris").await;
        let wrong = ann.post("/api/v1/models/iris/predict").json(&json!({"inputs": [[1]]}));
        wrong.await.status(422);
        s.recorded().await;
        assert_eq!(listed(&ann, "").await["items"], json!([]));
    }
}
