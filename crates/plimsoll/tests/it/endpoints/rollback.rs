//! Going back.

use plimsoll_testkit::{Client, TestServer, backends};
use serde_json::{Value, json};

use super::{ann_with, answering, deploy_live, facts, history};

async fn roll_back(client: &Client, body: Option<Value>) -> plimsoll_testkit::Reply {
    let request = client.post("/api/v1/endpoints/live/rollback");
    match body {
        Some(body) => request.json(&body).await,
        None => request.await,
    }
}

backends! {
    /// F127
    async fn a_rollback_goes_to_what_was_served_before_and_again_one_further(s: TestServer) {
        let ann = ann_with(&s, 3).await;
        for version in 1..=3 {
            deploy_live(&ann, version).await;
        }
        let back = roll_back(&ann, None).await.status(200).json();
        assert_eq!((&back["previous_version"], &back["target_version"], &back["deployment"]["action"]), (&json!(3), &json!(2), &json!("rollback")));
        assert_eq!(answering(&ann, "live").await, 2);
        // Not back to the version that was left a moment ago.
        let back = roll_back(&ann, Some(json!({"reason": "still wrong"}))).await.status(200).json();
        assert_eq!((&back["previous_version"], &back["target_version"]), (&json!(2), &json!(1)));
        roll_back(&ann, None).await.status(409).problem("nothing-to-restore");
        let back = roll_back(&ann, Some(json!({"target_version": 3}))).await.status(200).json();
        assert_eq!((&back["previous_version"], &back["target_version"]), (&json!(1), &json!(3)));
        roll_back(&ann, Some(json!({"target_version": "9"}))).await.status(404).problem("not-found");
        let entries = history(&ann, "live").await;
        assert_eq!(facts(&entries, &["number", "action", "version", "previous_version", "restores", "reason"]), [
            json!([1, "create", 1, null, null, null]),
            json!([2, "update", 2, 1, null, null]),
            json!([3, "update", 3, 2, null, null]),
            json!([4, "rollback", 2, 3, 2, null]),
            json!([5, "rollback", 1, 2, 1, "still wrong"]),
            json!([6, "rollback", 3, 1, null, null]),
        ]);
    }

    async fn a_rollback_of_a_canary_gives_everything_back(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        let split = json!({"served": [{"version": 1, "weight": 50}, {"version": 2, "weight": 50, "role": "canary"}]});
        ann.put("/api/v1/endpoints/live/traffic").json(&split).await.status(200);
        let back = roll_back(&ann, None).await.status(200).json();
        assert_eq!(back["served"].as_array().unwrap().len(), 1, "{back}");
        for _ in 0..20 {
            assert_eq!(answering(&ann, "live").await, 1);
        }
    }
}
