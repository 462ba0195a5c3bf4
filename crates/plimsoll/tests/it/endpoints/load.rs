//! Switches while requests come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plimsoll_testkit::{Client, TestServer, backends};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{FLOWER, VERSIONS, ann_with, answering, ask, deploy, deploy_live, facts, history};

const SWITCHES: i64 = 100;
const ROLLBACKS: i64 = 20;
const CALLERS: usize = 4;

/// Damages the stored file of a version of `iris`.
pub(super) async fn damage(s: &TestServer, client: &Client, version: i64) {
    let path = format!("/api/v1/models/iris/versions/{version}");
    let version = client.get(&path).await.status(200).json();
    let digest = version["sha256"].as_str().unwrap();
    let file = s.directory().join("blobs").join(&digest[..2]).join(digest);
    let mut content = std::fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(file, content).unwrap();
}

fn rows() -> Value {
    json!({"inputs": [FLOWER, [5.0, 3.4, 1.5, 0.2], [6.7, 3.1, 5.6, 2.4]]})
}

/// What each version answers alone.
async fn answers_alone(client: &Client) -> HashMap<i64, (Value, Value)> {
    let mut alone = HashMap::new();
    for version in 1..=i64::try_from(VERSIONS.len()).unwrap() {
        let path = format!("/api/v1/models/iris/versions/{version}/predict");
        let answer = client.post(&path).json(&rows()).await.status(200).json();
        alone.insert(
            version,
            (
                answer["predictions"].clone(),
                answer["probabilities"].clone(),
            ),
        );
    }
    alone
}

/// Asks until told to stop; every answer is wholly that of the version it names.
async fn keep_asking(
    client: Client,
    alone: Arc<HashMap<i64, (Value, Value)>>,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
) {
    while !stop.load(Ordering::Relaxed) {
        let reply = client
            .post("/api/v1/endpoints/live/predict")
            .json(&rows())
            .await;
        let answer = reply.status(200).json();
        let version = answer["model_version"].as_i64().unwrap();
        let got = (
            answer["predictions"].clone(),
            answer["probabilities"].clone(),
        );
        assert_eq!(got, alone[&version], "version {version}");
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

backends! {
    /// F131
    async fn no_request_fails_or_mixes_versions_while_they_are_switched(s: TestServer) {
        let ann = ann_with(&s, 3).await;
        deploy_live(&ann, 1).await;
        let alone = Arc::new(answers_alone(&ann).await);
        assert_ne!(alone[&1], alone[&2]);
        assert_ne!(alone[&2], alone[&3]);
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(keep_asking(ann.clone(), alone.clone(), stop.clone(), asked.clone()));
        }
        for switch in 0..SWITCHES {
            let version = switch % 3 + 1;
            deploy_live(&ann, version).await;
            // Whoever switched sees it with the next request.
            assert_eq!(answering(&ann, "live").await, version);
        }
        for rollback in 0..ROLLBACKS {
            // Goes back to any version that is not the one served.
            let target = (SWITCHES - 1 + rollback + 1) % 3 + 1;
            let back = ann.post("/api/v1/endpoints/live/rollback").json(&json!({"target_version": target})).await;
            assert_eq!(back.status(200).json()["target_version"], target);
        }
        stop.store(true, Ordering::Relaxed);
        callers.join_all().await;
        assert!(asked.load(Ordering::Relaxed) > 100);
        assert_linear(&ann, 1 + SWITCHES + ROLLBACKS).await;
    }

    async fn changes_at_the_same_time_follow_each_other(s: TestServer) {
        let ann = ann_with(&s, 3).await;
        deploy_live(&ann, 1).await;
        let mut changes = JoinSet::new();
        for change in 0..24_i64 {
            let ann = ann.clone();
            changes.spawn(async move { deploy_live(&ann, change % 3 + 1).await });
        }
        changes.join_all().await;
        assert_linear(&ann, 25).await;
    }

    /// F107
    async fn a_version_that_cannot_be_loaded_changes_nothing_and_is_written_down(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        damage(&s, &ann, 2).await;
        s.expect_errors();
        let body = json!({"model": "iris", "version": 2, "name": "live"});
        deploy(&ann, body).await.status(503).problem("model-broken");
        assert_eq!(answering(&ann, "live").await, 1);
        deploy(&ann, json!({"model": "iris", "version": 2, "name": "new"})).await.status(503).problem("model-broken");
        let failed = ann.get("/api/v1/endpoints/new").await.status(200).json();
        assert_eq!((&failed["state"], &failed["served"]), (&json!("failed"), &json!([])));
        ask(&ann, "new").await.status(404).problem("not-found");
        let entries = history(&ann, "live").await;
        assert_eq!(facts(&entries, &["number", "action", "version", "status", "error"]), [
            json!([1, "create", 1, "active", null]),
            json!([2, "update", 2, "failed", "model-broken"]),
        ]);
        deploy(&ann, json!({"model": "iris", "version": 1, "name": "new"})).await.status(201);
        assert_eq!(answering(&ann, "new").await, 1);
        ann.delete("/api/v1/endpoints/new").await.status(204);
    }
}

/// Every change is an entry, each begins where the one before ended, and one is active.
async fn assert_linear(client: &Client, changes: i64) {
    let mut entries = Vec::new();
    for page in 1..=2 {
        let list = client
            .get(&format!("/api/v1/deployments?page={page}&page_size=100"))
            .await
            .status(200)
            .json();
        assert_eq!(list["total"], changes);
        entries.extend(list["items"].as_array().unwrap().clone());
    }
    entries.reverse();
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry["number"], index + 1, "{entry}");
        let before = index
            .checked_sub(1)
            .map(|before| entries[before]["version"].clone());
        assert_eq!(
            entry["previous_version"],
            before.unwrap_or(Value::Null),
            "{entry}"
        );
        let status = if index + 1 == entries.len() {
            "active"
        } else {
            "superseded"
        };
        assert_eq!(entry["status"], status, "{entry}");
    }
}
