//! Requests that wait for the same model of ONNX Runtime may run together.

use std::time::Duration;

use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::golden::{serves_onnx, with_onnxruntime};

/// Ten milliseconds or more for each row.
const SLOW: &str = "onnx/slow.onnx";
/// Metadata behind a file that leaves it to ONNX Runtime, which a perceptron does not need.
const FOR_RUNTIME: &[u8] = b"\x72\x1e\x0a\x0fplimsoll_engine\x12\x0bonnxruntime";
const FLOWERS: [[f64; 4]; 6] = [
    [5.1, 3.5, 1.4, 0.2],
    [6.2, 2.9, 4.3, 1.3],
    [7.7, 3.0, 6.1, 2.3],
    [4.9, 2.5, 4.5, 1.7],
    [5.9, 3.0, 5.1, 1.8],
    [5.0, 3.4, 1.5, 0.2],
];

/// One thread that takes along up to so many rows.
fn joining(rows: usize) -> Options {
    with_onnxruntime().settings(|settings| {
        settings.predict.pool_threads = 1;
        settings.predict.queue_max_age = Duration::from_mins(1);
        settings.predict.inline_limit = Duration::ZERO;
        settings.predict.batch_rows = rows;
        settings.predict.batch_delay = Duration::from_mins(1);
    })
}

async fn wait_for_depth(s: &TestServer, depth: u64) {
    for _ in 0..20_000 {
        if s.metric("plimsoll_engine_queue_depth").await == depth {
            return;
        }
    }
    unreachable!("the queue of the engine never had {depth} requests");
}

/// Sends a request for each of `rows` to `model` while the only thread is busy,
/// so that they wait together in this order; the replies in this order.
async fn together(s: &TestServer, ann: &Client, model: &'static str, rows: &[Value]) -> Vec<Reply> {
    let mut asked = JoinSet::new();
    let busy = ann.clone();
    asked.spawn(async move {
        (
            usize::MAX,
            busy.predict("slow", json!(vec![[1.0]; 150])).await,
        )
    });
    wait_for_depth(s, 1).await;
    for (index, row) in rows.iter().enumerate() {
        let (client, row) = (ann.clone(), row.clone());
        asked.spawn(async move { (index, client.predict(model, json!([row])).await) });
        wait_for_depth(s, index as u64 + 2).await;
    }
    let mut replies = asked.join_all().await;
    replies.sort_by_key(|(index, _)| *index);
    let (_, busy) = replies.pop().unwrap();
    busy.status(200);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

/// Somebody with a slow model and this one, or nobody without ONNX Runtime.
async fn owner(s: &TestServer, model: &str) -> Option<Client> {
    if !serves_onnx(s).await {
        return None;
    }
    let ann = s.user("ann").await;
    for (name, file) in [("slow", SLOW), ("m", model)] {
        let content = [&fixture(file)[..], FOR_RUNTIME].concat();
        ann.upload(name, content).await.status(201);
    }
    Some(ann)
}

/// Asserts that flowers sent together are answered as each is alone; how often models ran for several.
async fn assert_joined_is_alone(s: &TestServer, expected: u64) {
    let Some(ann) = owner(s, "onnx/iris_mlp.onnx").await else {
        return;
    };
    let rows = FLOWERS.map(|flower| json!(flower));
    let mut alone = Vec::new();
    for row in &rows {
        alone.push(ann.predict("m", json!([row])).await.status(200).json());
    }
    let before = s.metric("plimsoll_joint_runs_total").await;
    assert_eq!(before, 0);
    for (alone, joined) in alone.iter().zip(together(s, &ann, "m", &rows).await) {
        let joined = joined.status(200).json();
        assert_eq!(alone["predictions"], joined["predictions"]);
        let shares = |answer: &Value| -> Vec<f64> {
            let row = answer["probabilities"][0].as_array().unwrap();
            row.iter().map(|share| share.as_f64().unwrap()).collect()
        };
        for (a, b) in shares(alone).into_iter().zip(shares(&joined)) {
            assert!((a - b).abs() < 1e-6, "{alone} {joined}");
        }
    }
    assert_eq!(s.metric("plimsoll_joint_runs_total").await, expected);
    wait_for_depth(s, 0).await;
}

backends! {
    /// F108
    #[options(joining(0))]
    async fn requests_run_alone_unless_the_configuration_says_otherwise(s: TestServer) {
        assert_joined_is_alone(&s, 0).await;
    }

    /// F108
    #[options(joining(64))]
    async fn requests_that_wait_together_are_answered_together_as_each_is_alone(s: TestServer) {
        assert_joined_is_alone(&s, 1).await;
    }

    /// F108
    #[options(joining(3))]
    async fn no_more_rows_run_together_than_may(s: TestServer) {
        assert_joined_is_alone(&s, 2).await;
    }

    /// F108
    #[options(joining(64))]
    async fn a_row_that_fails_among_others_fails_alone(s: TestServer) {
        let Some(ann) = owner(&s, "onnx/tokens.onnx").await else {
            return;
        };
        // The graph looks tokens up in a table that has no thousandth row.
        let rows = [[1, 2, 3], [4, 5, 1000], [9, 0, 9]].map(|tokens| json!({"tokens": tokens}));
        let mut alone = Vec::new();
        s.expect_errors();
        for row in &rows {
            alone.push(ann.predict("m", json!([row])).await);
        }
        assert_eq!([200, 422, 200], [alone[0].code(), alone[1].code(), alone[2].code()]);
        for (alone, joined) in alone.iter().zip(together(&s, &ann, "m", &rows).await) {
            assert_eq!(alone.code(), joined.code(), "{}", joined.text());
            assert_eq!(alone.json()["predictions"], joined.json()["predictions"]);
        }
        assert_eq!(s.metric("plimsoll_joint_runs_total").await, 1);
    }
}
