//! Answers that are given again.

use std::time::Duration;

use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

fn remembering() -> Options {
    Options::new().settings(|settings| settings.predict.result_cache_bytes = 1 << 20)
}

async fn ask(client: &Client, body: Value, cache_control: Option<&str>) -> Reply {
    let request = client.post("/api/v1/models/iris/predict").json(&body);
    match cache_control {
        Some(value) => request.header("cache-control", value).await,
        None => request.await,
    }
}

/// Whether the answer was given before.
async fn repeated(client: &Client, body: Value, cache_control: Option<&str>) -> bool {
    let mut body = body;
    body["include_metadata"] = json!(true);
    let answer = ask(client, body, cache_control).await.status(200).json();
    answer["metadata"]["result_cached"] == true
}

backends! {
    /// F103
    #[options(remembering())]
    async fn the_same_rows_of_the_same_version_are_answered_again(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let body = json!({"inputs": [FLOWER]});
        let first = ask(&ann, body.clone(), None).await.status(200).json();
        assert!(repeated(&ann, body.clone(), None).await);
        // However the rows are written, and by whoever they are asked.
        let named = json!({"data": {"columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"], "data": [FLOWER]}});
        let schema = ann.get("/api/v1/models/iris/versions/1").await.status(200).json();
        if schema["input_schema"][0]["name"] == "sepal length (cm)" {
            assert!(repeated(&ann, named, None).await);
        }
        let again = ask(&ann, body.clone(), None).await.status(200).json();
        assert_eq!((&again["predictions"], &again["probabilities"]), (&first["predictions"], &first["probabilities"]));
        assert_ne!(again["prediction_id"], first["prediction_id"]);
        assert!(!repeated(&ann, json!({"inputs": [[5.1, 3.5, 1.4, 0.3]]}), None).await);
        assert!(!repeated(&ann, json!({"inputs": [FLOWER, FLOWER]}), None).await);
        // Each is recorded and counted like any other.
        s.recorded().await;
        let model = ann.get("/api/v1/models/iris").await.status(200).json();
        let asked = model["prediction_count"].as_u64().unwrap();
        assert_eq!(asked, s.metric("plimsoll_result_cache_hits_total").await + s.metric("plimsoll_result_cache_misses_total").await);
        // Another version answers for itself.
        ann.upload("iris", fixture("sklearn/1.5.2/iris_forest_p4.pkl")).await.status(201);
        assert!(!repeated(&ann, body.clone(), None).await);
        s.advance(Duration::from_mins(5));
        assert!(!repeated(&ann, body, None).await);
    }

    #[options(remembering())]
    async fn a_caller_may_ask_for_a_new_answer(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let body = || json!({"inputs": [FLOWER]});
        assert!(!repeated(&ann, body(), Some("no-store")).await);
        assert!(!repeated(&ann, body(), None).await, "what was not stored was given again");
        assert!(repeated(&ann, body(), Some("max-age=0")).await);
        assert!(!repeated(&ann, body(), Some("max-age=0, No-Cache")).await);
        assert!(repeated(&ann, body(), None).await);
    }

    async fn nothing_is_remembered_unless_it_is_switched_on(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        for _ in 0..2 {
            assert!(!repeated(&ann, json!({"inputs": [FLOWER]}), None).await);
        }
        assert_eq!(s.metric("plimsoll_result_cache_misses_total").await, 0);
    }
}
