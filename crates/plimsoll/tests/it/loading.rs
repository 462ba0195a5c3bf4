//! Versions in memory on request, warm before they answer, and never in the way of those that do.

use std::path::PathBuf;

use plimsoll_testkit::{Client, Part, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const TREE: &str = "sklearn/1.5.2/iris_forest_p4.pkl";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

async fn load(client: &Client, version: &str) -> Reply {
    let path = format!("/api/v1/models/iris/versions/{version}/load");
    client.post(&path).await
}

async fn unload(client: &Client, version: &str) -> Reply {
    let path = format!("/api/v1/models/iris/versions/{version}/load");
    client.delete(&path).await
}

async fn promote(client: &Client, version: i64) -> Reply {
    let path = format!("/api/v1/models/iris/versions/{version}/promote");
    client.post(&path).await
}

/// What the model `iris` answers one flower.
async fn answer(client: &Client) -> Value {
    let reply = client.predict("iris", json!([FLOWER])).await;
    reply.status(200).json()
}

/// Adds a version to the model `iris`; answers where its file is stored.
async fn add(s: &TestServer, client: &Client, file: &str) -> PathBuf {
    let added = client
        .upload("iris", fixture(file))
        .await
        .status(201)
        .json();
    let digest = added["version"]["sha256"].as_str().unwrap();
    s.directory().join("blobs").join(&digest[..2]).join(digest)
}

fn flip_a_byte(file: &PathBuf) {
    let mut content = std::fs::read(file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(file, content).unwrap();
}

backends! {
    /// F102
    async fn a_version_is_loaded_ahead_of_its_first_caller_and_let_go_of_again(mut s: TestServer) {
        let ann = s.user("ann").await;
        add(&s, &ann, IRIS).await;
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        for cached in [false, true] {
            let loaded = load(&ann, "latest").await.status(200).json();
            assert_eq!((&loaded["model"], &loaded["version"], &loaded["cached"]), (&json!("iris"), &json!(1), &json!(cached)));
            assert!(loaded["resident_bytes"].as_u64().unwrap() > 0 && loaded["load_ms"].as_f64().unwrap() >= 0.0, "{loaded}");
        }
        assert_eq!(s.metric("plimsoll_model_loads_total").await, 1);
        assert_eq!(answer(&ann).await["cached"], true);
        for _ in 0..2 {
            unload(&ann, "1").await.status(204);
            assert_eq!(s.metric("plimsoll_loaded_models").await, 0);
            assert_eq!(s.metric("plimsoll_loaded_models_size_bytes").await, 0);
        }
        // Nobody is refused for it: the next caller loads it again.
        assert_eq!(answer(&ann).await["cached"], false);
        load(&ann, "2").await.status(404).problem("not-found");
        unload(&ann, "2").await.status(404).problem("not-found");
        ann.delete("/api/v1/models/iris").await.status(204);
        load(&ann, "1").await.status(409).problem("archived");
    }

    /// F102
    async fn a_version_is_warm_before_it_answers(mut s: TestServer) {
        let ann = s.user("ann").await;
        add(&s, &ann, IRIS).await;
        let rows = Part::Text("sample_inputs", json!([FLOWER, FLOWER, FLOWER]).to_string());
        let parts = [Part::Text("name", "iris".into()), rows, Part::File("file", "x".into(), fixture(TREE))];
        ann.post("/api/v1/models").multipart(parts).await.status(201);
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        for (version, rows, from) in [("1", 1, "example_row"), ("2", 3, "sample_rows")] {
            let loaded = load(&ann, version).await.status(200).json();
            assert_eq!((&loaded["warmed_with"], &loaded["warm_rows"]), (&json!(from), &json!(rows)), "{loaded}");
        }
    }

    /// F107
    async fn a_version_that_cannot_be_loaded_is_refused_and_the_one_before_it_goes_on(mut s: TestServer) {
        let ann = s.admin().await;
        add(&s, &ann, IRIS).await;
        promote(&ann, 1).await.status(200);
        let file = add(&s, &ann, TREE).await;
        flip_a_byte(&file);
        s.expect_errors();
        // The damaged version is still in memory, from its upload; after the restart it is not.
        for start in [1, 2] {
            let ann = s.admin().await;
            let refused = promote(&ann, 2).await.status(503).problem("model-broken");
            assert!(refused["detail"].as_str().unwrap().contains("damaged"), "{refused}");
            assert_eq!(answer(&ann).await["model_version"], 1);
            let stages = ann.get("/api/v1/models/iris/versions").await.status(200).json();
            let stages: Vec<_> = stages["items"].as_array().unwrap().iter().map(|v| v["stage"].clone()).collect();
            assert_eq!(stages, ["none", "production"], "newest first");
            assert_eq!(s.metric("plimsoll_integrity_failures_total").await, 1, "start {start}");
            s.restart().await;
        }
        std::fs::remove_file(&file).unwrap();
        let ann = s.admin().await;
        promote(&ann, 2).await.status(503).problem("model-broken");
        assert_eq!(answer(&ann).await["model_version"], 1);
    }
}
