//! Versions after their upload: changed, deprecated, archived, deleted.

use std::time::Duration;

use plimsoll_testkit::{Client, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const TREE: &str = "sklearn/1.5.2/iris_tree.pkl";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];
const PATH: &str = "/api/v1/models/iris/versions";

/// Somebody whose model has these versions.
async fn with_versions(s: &TestServer, files: &[&str]) -> Client {
    let ann = s.user("ann").await;
    for file in files {
        ann.upload("iris", fixture(file)).await.status(201);
    }
    ann
}

async fn numbers(client: &Client, query: &str) -> Vec<Value> {
    let list = client
        .get(&format!("{PATH}?{query}"))
        .await
        .status(200)
        .json();
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["version"].clone()).collect()
}

async fn predict(client: &Client, path: &str) -> plimsoll_testkit::Reply {
    client.post(path).json(&json!({"inputs": [FLOWER]})).await
}

backends! {
    /// F069, F070
    async fn what_is_said_about_a_version_can_be_changed_and_what_it_is_cannot(s: TestServer) {
        let ann = with_versions(&s, &[IRIS]).await;
        let one = format!("{PATH}/1");
        let before = ann.get(&one).await.status(200).json();
        for (change, description, tags, metrics) in [
            (json!({"description": "best", "tags": ["a", "b"]}), "best", json!(["a", "b"]), json!({})),
            (json!({"metrics": {"accuracy": 0.97}}), "best", json!(["a", "b"]), json!({"accuracy": 0.97})),
            (json!({"description": null, "tags": []}), "", json!([]), json!({"accuracy": 0.97})),
            (json!({}), "", json!([]), json!({"accuracy": 0.97})),
        ] {
            let changed = ann.patch(&one).json(&change).await.status(200).json();
            assert_eq!(ann.get(&one).await.json(), changed);
            assert_eq!((&changed["description"], &changed["tags"]), (&json!(description), &tags), "{change}");
            assert_eq!(changed["metrics"], metrics, "{change}");
            for member in ["id", "sha256", "label", "config", "training_info", "input_schema", "created_at", "lineage"] {
                assert_eq!(changed[member], before[member], "{member}");
            }
        }
        for (change, pointer) in [
            (json!({"status": "gone"}), "/status"), (json!({"tags": [""]}), "/tags"),
            (json!({"description": "a\u{0}b"}), "/description"), (json!({"metrics": [1]}), "/metrics"),
            (json!({"metrics": null, "label": "x"}), "/label"), (json!({"config": {}}), "/config"),
            (json!({"training_info": {}}), "/training_info"), (json!({"stage": "production"}), "/stage"),
            (json!({"sha256": "x"}), "/sha256"),
        ] {
            let refused = ann.patch(&one).json(&change).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{change}");
        }
        ann.patch(&format!("{PATH}/7")).json(&json!({})).await.problem("not-found");
    }

    /// F067, F069
    async fn a_deprecated_version_says_since_when_and_an_archived_one_does_not_answer(s: TestServer) {
        let ann = with_versions(&s, &[IRIS, TREE]).await;
        let (one, predict_one) = (format!("{PATH}/1"), format!("{PATH}/1/predict"));
        s.advance(Duration::from_mins(10));
        ann.patch(&one).json(&json!({"status": "deprecated"})).await.status(200);
        s.advance(Duration::from_mins(10));
        // 2026-01-01T00:10:00Z, when it was deprecated; saying it again changes nothing.
        ann.patch(&one).json(&json!({"status": "deprecated", "tags": ["old"]})).await.status(200);
        for reply in [ann.get(&one).await, predict(&ann, &predict_one).await] {
            assert_eq!(reply.status(200).header("deprecation"), "@1767226200");
        }
        assert_eq!(predict(&ann, &format!("{PATH}/2/predict")).await.status(200).header("deprecation"), "");
        assert_eq!(ann.get("/api/v1/models/iris").await.header("deprecation"), "");

        ann.patch("/api/v1/models/iris").json(&json!({"status": "deprecated"})).await.status(200);
        assert_eq!(predict(&ann, &predict_one).await.header("deprecation"), "@1767226200");
        for path in ["/api/v1/models/iris".to_owned(), format!("{PATH}/2")] {
            assert_eq!(ann.get(&path).await.header("deprecation"), "@1767226800", "{path}");
        }
        for (status, listed) in [("archived", vec![1]), ("active", vec![2]), ("deprecated", vec![])] {
            ann.patch(&one).json(&json!({"status": "archived"})).await.status(200);
            assert_eq!(numbers(&ann, &format!("status={status}")).await, listed);
        }
        assert_eq!(numbers(&ann, "status=archived&tag=old").await, [1]);
        assert_eq!(numbers(&ann, "status=archived&tag=new").await, [0; 0]);
        predict(&ann, &predict_one).await.status(404).problem("not-found");
        ann.post(&format!("{one}/promote")).await.status(409).problem("archived");
        ann.patch(&one).json(&json!({"status": "active"})).await.status(200);
        predict(&ann, &predict_one).await.status(200);
        let refused = ann.get(&format!("{PATH}?status=gone")).await.status(422).problem("invalid-request");
        assert_eq!(refused["errors"][0]["pointer"], "/status");
    }

    /// F071, F075
    async fn the_latest_version_gives_way_when_it_is_set_aside_or_deleted(s: TestServer) {
        let ann = with_versions(&s, &[IRIS, TREE, IRIS]).await;
        let latest = async || {
            let answer = ann.predict("iris", json!([FLOWER])).await.status(200).json();
            let model = ann.get("/api/v1/models/iris").await.json();
            assert_eq!(model["latest_version"], answer["model_version"]);
            answer["model_version"].as_i64().unwrap()
        };
        assert_eq!(latest().await, 3);
        ann.delete(&format!("{PATH}/3")).await.status(204);
        assert_eq!(latest().await, 2);
        ann.patch(&format!("{PATH}/2")).json(&json!({"status": "archived"})).await.status(200);
        assert_eq!(latest().await, 1);
        ann.patch(&format!("{PATH}/2")).json(&json!({"status": "active"})).await.status(200);
        assert_eq!(latest().await, 2);
        // A number is not given twice.
        ann.upload("iris", fixture(TREE)).await.status(201);
        assert_eq!(latest().await, 4);
    }

    /// F075
    async fn a_deleted_version_is_gone_with_its_file_unless_another_has_the_same(s: TestServer) {
        let ann = with_versions(&s, &[IRIS, TREE, IRIS]).await;
        let digest = ann.get(&format!("{PATH}/1")).await.json()["sha256"].as_str().unwrap().to_owned();
        let tree = ann.get(&format!("{PATH}/2")).await.json()["sha256"].as_str().unwrap().to_owned();
        let has = async |digest: &str| s.app().blobs().contains(&digest.parse().unwrap()).await.unwrap();
        ann.delete(&format!("{PATH}/1")).await.status(204);
        for reply in [ann.get(&format!("{PATH}/1")).await, ann.delete(&format!("{PATH}/1")).await] {
            reply.status(404).problem("not-found");
        }
        assert!(has(&digest).await);
        predict(&ann, &format!("{PATH}/3/predict")).await.status(200);
        ann.delete(&format!("{PATH}/2?keep_artifact=true")).await.status(204);
        assert!(has(&tree).await);
        ann.delete(&format!("{PATH}/3")).await.status(204);
        assert!(!has(&digest).await);
        // The model stays, empty, and takes versions again.
        let model = ann.get("/api/v1/models/iris").await.status(200).json();
        assert_eq!(model["latest_version"], Value::Null);
        ann.predict("iris", json!([FLOWER])).await.status(404).problem("not-found");
        let added = ann.upload("iris", fixture(IRIS)).await.status(201).json();
        assert_eq!(added["version"]["version"], 4);
        ann.predict("iris", json!([FLOWER])).await.status(200);
        let refused = ann.delete(&format!("{PATH}/4?keep_artifact=maybe")).await.status(422);
        assert_eq!(refused.problem("invalid-request")["errors"][0]["pointer"], "/keep_artifact");
    }

    /// F075
    async fn what_is_in_production_is_neither_deleted_nor_archived(s: TestServer) {
        let ann = with_versions(&s, &[IRIS, TREE]).await;
        ann.post(&format!("{PATH}/1/promote")).await.status(200);
        let archive = json!({"status": "archived"});
        for one in [format!("{PATH}/1"), format!("{PATH}/production")] {
            ann.delete(&one).await.status(409).problem("version-in-use");
            ann.patch(&one).json(&archive).await.status(409).problem("version-in-use");
            ann.patch(&one).json(&json!({"status": "deprecated"})).await.status(200);
        }
        assert_eq!(ann.predict("iris", json!([FLOWER])).await.status(200).json()["model_version"], 1);
        ann.post(&format!("{PATH}/2/promote")).await.status(200);
        ann.patch(&format!("{PATH}/1")).json(&archive).await.status(200);
        ann.delete(&format!("{PATH}/1")).await.status(204);
        assert_eq!(numbers(&ann, "").await, [2]);
    }

    /// F063
    async fn models_are_narrowed_down_to_a_catalog(s: TestServer) {
        let ann = s.user("ann").await;
        for name in ["sales.shops.demand", "sales.web", "salesman", "x.sales"] {
            ann.upload(name, fixture(IRIS)).await.status(201);
        }
        let list = ann.get("/api/v1/models?catalog=sales&sort_by=name&sort_order=asc").await.status(200).json();
        let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
        assert_eq!((names, &list["total"]), (vec![json!("sales.shops.demand"), json!("sales.web")], &json!(2)));
    }
}
