//! Requests spread over versions.

use std::collections::BTreeMap;

use plimsoll_testkit::{Client, TestServer, backends};
use serde_json::{Value, json};

use super::{FLOWER, ann_with, answering, ask, deploy_live};

async fn split(client: &Client, body: Value) -> plimsoll_testkit::Reply {
    client
        .put("/api/v1/endpoints/live/traffic")
        .json(&body)
        .await
}

/// How often each version answered.
async fn count(client: &Client, requests: u32) -> BTreeMap<i64, u32> {
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        *counts.entry(answering(client, "live").await).or_default() += 1;
    }
    counts
}

async fn answered_for(client: &Client, customer: &str) -> i64 {
    let request = client
        .post("/api/v1/endpoints/live/predict")
        .header("x-customer", customer);
    let answer = request
        .json(&json!({"inputs": [FLOWER]}))
        .await
        .status(200)
        .json();
    answer["model_version"].as_i64().unwrap()
}

backends! {
    /// F134
    async fn requests_are_spread_by_weight(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        let set = split(&ann, json!({"served": [{"version": 1, "weight": 75}, {"version": "2.0.0", "weight": 25, "role": "canary"}]})).await.status(200).json();
        assert_eq!((&set["deployment"]["action"], &set["served"][1]["role"], &set["served"][1]["version"]), (&json!("traffic"), &json!("canary"), &json!(2)));
        let counts = count(&ann, 800).await;
        // Five standard deviations of a binomial of 800 draws: 5 × sqrt(800 × 0.75 × 0.25).
        assert!(counts[&1].abs_diff(600) < 61 && counts[&1] + counts[&2] == 800, "{counts:?}");
    }

    async fn weights_that_make_no_sense_are_refused_by_name(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        for (body, pointer, code) in [
            (json!({"served": []}), "/served", "wrong-count"),
            (json!({"served": [{"version": 1, "weight": 60}, {"version": 2, "weight": 60}]}), "/served", "weights-not-100"),
            (json!({"served": [{"version": 1, "weight": 50}, {"version": "1.0.0", "weight": 50}]}), "/served/1/version", "duplicate"),
            (json!({"served": [{"version": 1, "weight": 100}, {"version": 3, "weight": 0}]}), "/served/1/version", "unknown-version"),
            (json!({"served": [{"version": 1, "weight": 100, "role": "canary"}]}), "/served", "no-primary"),
        ] {
            let problem = split(&ann, body).await.status(422).problem("invalid-request");
            let error = &problem["errors"][0];
            assert_eq!((&error["pointer"], &error["code"]), (&json!(pointer), &json!(code)), "{problem}");
        }
        for body in [json!({"served": [{"version": 1, "weight": 256}]}), json!({"served": [{"version": 1, "weight": 100, "role": "boss"}]}),
            json!({"served": [{"version": 1, "weight": 100}], "sticky": "header:a b"})] {
            split(&ann, body).await.status(422).problem("invalid-request");
        }
        assert_eq!(answering(&ann, "live").await, 1);
    }

    async fn a_caller_stays_with_a_version_over_restarts(mut s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        let half = json!([{"version": 1, "weight": 50}, {"version": 2, "weight": 50}]);
        split(&ann, json!({"served": half, "sticky": "header:X-Customer"})).await.status(200);
        let mut first = BTreeMap::new();
        for customer in 0..40 {
            let version = answered_for(&ann, &format!("c{customer}")).await;
            first.insert(customer, version);
        }
        let on_two = first.values().filter(|version| **version == 2).count();
        assert!((5..=35).contains(&on_two), "{on_two} of 40 customers");
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        for (customer, version) in &first {
            assert_eq!(answered_for(&ann, &format!("c{customer}")).await, *version);
        }
        // A canary that grows keeps the callers it had.
        let grown = json!([{"version": 1, "weight": 20}, {"version": 2, "weight": 80}]);
        split(&ann, json!({"served": grown})).await.status(200);
        for (customer, version) in first.iter().filter(|(_, version)| **version == 2) {
            assert_eq!(answered_for(&ann, &format!("c{customer}")).await, *version);
        }
        split(&ann, json!({"served": half, "sticky": "key"})).await.status(200);
        assert_eq!(count(&ann, 20).await.len(), 1);
    }

    async fn a_shadow_is_asked_and_recorded_and_nobody_gets_its_answer(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        let served = json!([{"version": 1, "weight": 100}, {"version": 2, "weight": 100, "role": "shadow"}]);
        split(&ann, json!({"served": served})).await.status(200);
        for _ in 0..10 {
            let answer = ask(&ann, "live").await.status(200).json();
            assert_eq!(answer["model_version"], 1);
        }
        while s.metric("plimsoll_shadow_predictions_total").await < 10 {
            tokio::task::yield_now().await;
        }
        s.recorded().await;
        let rows = ann.get("/api/v1/predictions?endpoint=live&limit=100").await.status(200).json();
        let rows = rows["items"].as_array().unwrap();
        let shadows: Vec<_> = rows.iter().filter(|row| row["shadow"] == true).collect();
        assert_eq!((rows.len(), shadows.len()), (20, 10));
        assert!(shadows.iter().all(|row| row["model_version"] == 2 && row["output"].is_object()), "{shadows:?}");
        assert!(rows.iter().filter(|row| row["shadow"] == false).all(|row| row["model_version"] == 1));
        // What nobody got is not counted as use.
        let model = ann.get("/api/v1/models/iris").await.status(200).json();
        assert_eq!(model["prediction_count"], 10, "{model}");
        let days = ann.get("/api/v1/models/iris/analytics").await.status(200).json();
        assert_eq!(days["total"], 10, "{days}");
    }
}
