//! What an endpoint takes of the machine: slots, memory, and nothing when it is idle.

use std::time::Duration;

use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::json;
use tokio::task::JoinSet;

use super::{ann_with, answering, ask, deploy, deploy_live};
use crate::golden::{serves_onnx, with_onnxruntime};

/// Ten milliseconds or more for each row.
const SLOW: &str = "onnx/slow.onnx";

fn impatient() -> Options {
    with_onnxruntime().settings(|settings| {
        settings.predict.pool_threads = 4;
        settings.predict.queue_max_age = Duration::ZERO;
        settings.predict.inline_limit = Duration::ZERO;
    })
}

backends! {
    /// F132
    async fn a_model_that_nobody_asks_for_leaves_memory_and_comes_back(s: TestServer) {
        let ann = ann_with(&s, 1).await;
        deploy_live(&ann, 1).await;
        answering(&ann, "live").await;
        assert_eq!(s.metric("plimsoll_loaded_models").await, 1);
        s.advance(Duration::from_mins(14));
        s.app().unload_idle();
        assert_eq!(s.metric("plimsoll_loaded_models").await, 1);
        s.advance(Duration::from_mins(2));
        s.app().unload_idle();
        assert_eq!(s.metric("plimsoll_loaded_models_size_bytes").await, 0);
        // The request that comes next is held while the model is loaded again.
        let mut asked = JoinSet::new();
        for _ in 0..8 {
            let ann = ann.clone();
            asked.spawn(async move { ask(&ann, "live").await.code() });
        }
        assert_eq!(asked.join_all().await, [200; 8]);
        let endpoint = ann.get("/api/v1/endpoints/live").await.status(200).json();
        assert_eq!(endpoint["state"], "ready");
        ann.patch("/api/v1/endpoints/live").json(&json!({"scale_to_zero": false})).await.status(200);
        s.advance(Duration::from_hours(24));
        s.app().unload_idle();
        assert_eq!(s.metric("plimsoll_loaded_models").await, 1);
    }

    /// A switch leaves what was served before in memory for a while.
    async fn going_back_costs_no_load(s: TestServer) {
        let ann = ann_with(&s, 2).await;
        deploy_live(&ann, 1).await;
        deploy_live(&ann, 2).await;
        let loads = s.metric("plimsoll_model_loads_total").await;
        ann.post("/api/v1/endpoints/live/rollback").await.status(200);
        answering(&ann, "live").await;
        assert_eq!(s.metric("plimsoll_model_loads_total").await, loads);
    }

    /// F133
    #[options(impatient())]
    async fn an_endpoint_takes_as_many_slots_as_its_size_has(s: TestServer) {
        if !serves_onnx(&s).await {
            return;
        }
        let ann = s.user("ann").await;
        ann.upload("slow", fixture(SLOW)).await.status(201);
        for (size, slots) in [("small", 1), ("medium", 2)] {
            let body = json!({"model": "slow", "name": "slow", "workload_size": size});
            assert_eq!(deploy(&ann, body).await.status(if slots == 1 { 201 } else { 200 }).json()["workload_size"], size);
            let mut asked = JoinSet::new();
            for _ in 0..slots {
                let ann = ann.clone();
                asked.spawn(async move { ask_slow(&ann, 40).await });
            }
            wait_for_depth(&s, slots).await;
            let refused = ask_slow(&ann, 1).await.status(503).problem("overloaded");
            assert_eq!(refused["retry_after"], 1, "{refused}");
            // The model itself has no such limit.
            ann.predict("slow", json!([[1.0]])).await.status(200);
            assert!(asked.join_all().await.iter().all(|reply| reply.code() == 200), "{size}");
            ask_slow(&ann, 1).await.status(200);
        }
    }
}

/// Asks for the depth of the engine's queue until it is this.
async fn wait_for_depth(s: &TestServer, depth: u64) {
    for _ in 0..20_000 {
        if s.metric("plimsoll_engine_queue_depth").await == depth {
            return;
        }
    }
    unreachable!("the queue of the engine never had {depth} requests");
}

async fn ask_slow(client: &Client, rows: usize) -> Reply {
    let request = client.post("/api/v1/endpoints/slow/predict");
    request.json(&json!({"inputs": vec![[1.0]; rows]})).await
}
