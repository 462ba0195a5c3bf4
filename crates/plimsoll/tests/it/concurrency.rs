//! Many requests at once: one load, the same answers, an early 503, freed slots.

use std::time::Duration;

use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::golden::{serves_onnx, with_onnxruntime};

const FOREST: &str = "sklearn/1.5.2/cancer_scaled_forest.joblib.gz";
/// Ten milliseconds or more for each row, one after the other.
const SLOW: &str = "onnx/slow.onnx";
/// Room for two of the three small forests below.
const CACHE_BYTES: u64 = 7_500;
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

/// Asks for the depth of the engine's queue until it is this.
async fn wait_for_depth(s: &TestServer, depth: u64) {
    for _ in 0..20_000 {
        if s.metric("plimsoll_engine_queue_depth").await == depth {
            return;
        }
    }
    unreachable!("the queue of the engine never had {depth} requests");
}

/// Starts a prediction of `rows` rows that takes ten milliseconds for each.
fn start(asked: &mut JoinSet<Reply>, client: &Client, rows: usize) {
    let client = client.clone();
    asked.spawn(async move { client.predict("slow", json!(vec![[1.0]; rows])).await });
}

fn one_thread() -> Options {
    with_onnxruntime().settings(|settings| {
        settings.predict.pool_threads = 1;
        settings.predict.queue = 1;
        settings.predict.inline_limit = Duration::ZERO;
    })
}

fn no_inline() -> Options {
    Options::new().settings(|settings| settings.predict.inline_limit = Duration::ZERO)
}

fn small_cache() -> Options {
    Options::new().settings(|settings| settings.cache.max_bytes = CACHE_BYTES)
}

fn two_models() -> Options {
    Options::new().settings(|settings| settings.cache.max_models = 2)
}

/// Uploads the small forests `a`, `b` and `c`, of which two fit into [`small_cache`].
async fn three_forests(client: &Client) {
    for (name, file) in [
        ("a", "iris_forest_p4.pkl"),
        ("b", "iris_forest_p5.pkl"),
        ("c", "iris_forest_p3.pkl"),
    ] {
        let content = fixture(&format!("sklearn/1.5.2/{file}"));
        client.upload(name, content).await.status(201);
        if name == "a" {
            let promote = client.post("/api/v1/models/a/versions/1/promote");
            promote.await.status(200);
        }
    }
}

/// Asks a model and asserts whether it was in memory.
async fn assert_cached(client: &Client, name: &str, cached: bool) {
    let answer = client.predict(name, json!([FLOWER])).await;
    assert_eq!(answer.status(200).json()["cached"], cached, "{name}");
}

/// 64 clients at once get what one client gets alone.
async fn assert_parallel_is_serial(s: &TestServer) {
    let ann = s.user("ann").await;
    ann.upload("forest", fixture(FOREST)).await.status(201);
    let row = |at: usize| {
        (0..30)
            .map(|column| f64::from(u32::try_from(at * 7 + column * 13).unwrap() % 97))
            .collect::<Vec<f64>>()
    };
    let mut serial = Vec::new();
    for at in 0..64 {
        let got = ann
            .predict("forest", json!([row(at), row(at + 1)]))
            .await
            .status(200)
            .json();
        serial.push((got["predictions"].clone(), got["probabilities"].clone()));
    }
    let mut clients = JoinSet::new();
    for client in 0..64 {
        let ann = ann.clone();
        clients.spawn(async move {
            let mut answers = Vec::new();
            for at in (client..64).chain(0..client).step_by(4) {
                let got = ann
                    .predict("forest", json!([row(at), row(at + 1)]))
                    .await
                    .status(200)
                    .json();
                answers.push((at, got["predictions"].clone(), got["probabilities"].clone()));
            }
            answers
        });
    }
    for (at, predictions, probabilities) in clients.join_all().await.concat() {
        assert_eq!(
            (&predictions, &probabilities),
            (&serial[at].0, &serial[at].1),
            "{at}"
        );
    }
}

backends! {
    /// F100
    async fn cached_tells_whether_the_model_was_in_memory_before(mut s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture("sklearn/1.5.2/iris_logistic.joblib")).await.status(201);
        let cached = async |client: &Client| client.predict("iris", json!([FLOWER])).await.status(200).json()["cached"].clone();
        // An upload opens the model, and leaves it in memory.
        assert_eq!(cached(&ann).await, true);
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        assert_eq!([cached(&ann).await, cached(&ann).await], [false, true]);
        assert_eq!(s.metric("plimsoll_model_cache_misses_total").await, 1);
        assert_eq!(s.metric("plimsoll_model_cache_hits_total").await, 1);
        assert_eq!(s.metric("plimsoll_loaded_models").await, 1);
    }

    /// F099
    #[options(small_cache())]
    async fn the_least_recently_used_model_leaves_a_full_cache_and_is_counted(s: TestServer) {
        let ann = s.user("ann").await;
        for (name, file) in [("a", "iris_forest_p4.pkl"), ("b", "iris_forest_p5.pkl"), ("c", "iris_forest_p3.pkl")] {
            ann.upload(name, fixture(&format!("sklearn/1.5.2/{file}"))).await.status(201);
        }
        // Two of the three fit; the first upload was pushed out by the last.
        assert_eq!(s.metric("plimsoll_model_cache_evictions_total").await, 1);
        for (name, cached, evictions) in [("b", true, 1), ("a", false, 2), ("b", true, 2), ("c", false, 3), ("b", true, 3)] {
            let answer = ann.predict(name, json!([FLOWER])).await.status(200).json();
            assert_eq!(answer["cached"], cached, "{name}");
            assert_eq!(s.metric("plimsoll_model_cache_evictions_total").await, evictions, "{name}");
            assert_eq!(s.metric("plimsoll_loaded_models").await, 2, "{name}");
            let held = s.metric("plimsoll_loaded_models_size_bytes").await;
            assert!((1..=CACHE_BYTES).contains(&held), "{held} bytes");
        }
    }

    /// F099
    #[options(small_cache())]
    async fn a_model_in_production_gives_way_only_after_nobody_asked_for_it_for_a_while(s: TestServer) {
        let ann = s.user("ann").await;
        three_forests(&ann).await;
        // The oldest of the three is in production, so the second had to go.
        for (name, cached) in [("a", true), ("c", true), ("b", false), ("a", true)] {
            assert_cached(&ann, name, cached).await;
        }
        s.advance(Duration::from_mins(15));
        for (name, cached) in [("b", true), ("c", false), ("b", true), ("a", false)] {
            assert_cached(&ann, name, cached).await;
        }
    }

    /// F099
    #[options(two_models())]
    async fn no_more_models_are_in_memory_than_may_be(s: TestServer) {
        let ann = s.user("ann").await;
        three_forests(&ann).await;
        for (name, cached) in [("c", true), ("a", true), ("b", false), ("c", false), ("a", true)] {
            assert_cached(&ann, name, cached).await;
            assert_eq!(s.metric("plimsoll_loaded_models").await, 2, "{name}");
        }
        assert_eq!(s.metric("plimsoll_model_cache_evictions_total").await, 3);
    }

    /// F101
    async fn a_hundred_parallel_first_requests_load_a_model_once(mut s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("forest", fixture(FOREST)).await.status(201);
        let key = ann.key(&[plimsoll_core::key::Scope::Predict]).await;
        s.restart().await;
        let key = s.anonymous().bearer(key.credential().unwrap());
        let mut first = JoinSet::new();
        for _ in 0..100 {
            let key = key.clone();
            first.spawn(async move { key.predict("forest", json!([vec![1.0; 30]])).await.status(200).json() });
        }
        let answers = first.join_all().await;
        assert_eq!(s.metric("plimsoll_model_loads_total").await, 1);
        let waited = answers.iter().filter(|answer| answer["cached"] == false).count();
        assert!(waited >= 1);
        assert_eq!(s.metric("plimsoll_model_cache_misses_total").await, waited as u64);
        assert!(answers.iter().all(|answer| answer["probabilities"] == answers[0]["probabilities"]));
    }

    async fn sixty_four_clients_at_once_get_the_answers_of_one(s: TestServer) {
        assert_parallel_is_serial(&s).await;
    }

    #[options(no_inline())]
    async fn sixty_four_clients_at_once_get_the_answers_of_one_from_the_engine_pool(s: TestServer) {
        assert_parallel_is_serial(&s).await;
    }

    #[options(one_thread())]
    async fn a_full_queue_refuses_at_once_and_says_when_to_come_back(s: TestServer) {
        if !serves_onnx(&s).await {
            return;
        }
        let ann = s.user("ann").await;
        ann.upload("slow", fixture(SLOW)).await.status(201);
        let mut asked = JoinSet::new();
        for depth in [1, 2] {
            start(&mut asked, &ann, 100);
            wait_for_depth(&s, depth).await;
        }
        let refused = ann.predict("slow", json!([[1.0]])).await.status(503);
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.problem("overloaded")["retry_after"], 1);
        assert_eq!(s.metric("plimsoll_overloads_total").await, 1);
        for reply in asked.join_all().await {
            assert_eq!(reply.status(200).json()["predictions"][99], 5001.0);
        }
        ann.predict("slow", json!([[1.0]])).await.status(200);
        wait_for_depth(&s, 0).await;
    }

    #[options(one_thread())]
    async fn a_request_that_waited_too_long_in_the_queue_is_refused_unrun(s: TestServer) {
        if !serves_onnx(&s).await {
            return;
        }
        let ann = s.user("ann").await;
        ann.upload("slow", fixture(SLOW)).await.status(201);
        let mut asked = JoinSet::new();
        for depth in [1, 2] {
            start(&mut asked, &ann, 60);
            wait_for_depth(&s, depth).await;
        }
        s.advance(Duration::from_secs(1));
        let mut codes: Vec<u16> = asked.join_all().await.iter().map(Reply::code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [200, 503]);
    }

    /// F105
    #[options(one_thread())]
    async fn a_request_that_takes_too_long_is_a_504_and_frees_its_slot(s: TestServer) {
        if !serves_onnx(&s).await {
            return;
        }
        let ann = s.user("ann").await;
        ann.upload("slow", fixture(SLOW)).await.status(201);
        let path = "/api/v1/models/slow/predict";
        let body = json!({"inputs": vec![[1.0]; 1000]});
        let late = ann.post(path).header("x-request-timeout-ms", "30").json(&body).await;
        late.status(504).problem("timeout");
        // Ten seconds of work were asked for; the slot is free as soon as its row is done.
        wait_for_depth(&s, 0).await;
        let quick = ann.predict("slow", json!([[1.0]])).await.status(200).json();
        assert_eq!(quick["predictions"], json!([5001.0]));
        let model = ann.get("/api/v1/models/slow").await.json()["id"].clone();
        let failures = format!("plimsoll_prediction_failures_total{{model={model},version=\"1\"}}");
        assert_eq!(s.metric(&failures).await, 1);
    }

    /// F105
    #[options(one_thread())]
    async fn a_client_that_leaves_frees_its_slot(s: TestServer) {
        if !serves_onnx(&s).await {
            return;
        }
        let ann = s.user("ann").await;
        ann.upload("slow", fixture(SLOW)).await.status(201);
        let body = json!({"inputs": vec![[1.0]; 1000]}).to_string();
        let head = format!(
            "POST /api/v1/models/slow/predict HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            ann.credential().unwrap(), body.len(),
        );
        let mut socket = s.raw().await;
        assert!(socket.send(&head).await);
        wait_for_depth(&s, 1).await;
        drop(socket);
        wait_for_depth(&s, 0).await;
        let got: Value = ann.predict("slow", json!([[2.0]])).await.status(200).json();
        assert_eq!(got["predictions"], json!([5002.0]));
    }
}
