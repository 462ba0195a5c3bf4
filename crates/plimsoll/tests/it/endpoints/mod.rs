//! Endpoints: deployed, changed, rolled back and stopped without losing a request.

mod guard;
mod life;
mod load;
mod rollback;
mod room;
mod traffic;

use plimsoll_testkit::{Client, Reply, TestServer, fixture};
use serde_json::{Value, json};

/// Three versions of one model that answer [`FLOWER`] with different probabilities.
const VERSIONS: [&str; 3] = [
    "sklearn/1.5.2/iris_logistic.joblib",
    "sklearn/1.5.2/iris_forest_p4.pkl",
    "sklearn/1.5.2/iris_forest_p5.pkl",
];
const FLOWER: [f64; 4] = [5.9, 3.0, 4.2, 1.5];

/// Somebody with so many versions of the model `iris`.
async fn ann_with(s: &TestServer, versions: usize) -> Client {
    let ann = s.user("ann").await;
    for file in &VERSIONS[..versions] {
        ann.upload("iris", fixture(file)).await.status(201);
    }
    ann
}

async fn deploy(client: &Client, body: Value) -> Reply {
    client.post("/api/v1/endpoints").json(&body).await
}

/// The endpoint `live` with this version.
async fn deploy_live(client: &Client, version: i64) -> Value {
    let body = json!({"model": "iris", "version": version, "name": "live"});
    let reply = deploy(client, body).await;
    assert!([200, 201].contains(&reply.code()), "{}", reply.text());
    reply.json()
}

async fn ask(client: &Client, endpoint: &str) -> Reply {
    let path = format!("/api/v1/endpoints/{endpoint}/predict");
    client.post(&path).json(&json!({"inputs": [FLOWER]})).await
}

/// The number of the version that answers.
async fn answering(client: &Client, endpoint: &str) -> i64 {
    let answer = ask(client, endpoint).await.status(200).json();
    answer["model_version"].as_i64().unwrap()
}

async fn history(client: &Client, endpoint: &str) -> Vec<Value> {
    let path = format!("/api/v1/endpoints/{endpoint}/history?limit=100");
    let history = client.get(&path).await.status(200).json();
    history["items"].as_array().unwrap().clone()
}

/// Some members of each entry, oldest first.
fn facts(entries: &[Value], names: &[&str]) -> Vec<Value> {
    let fact = |entry: &Value| names.iter().map(|name| entry[*name].clone()).collect();
    entries.iter().rev().map(fact).collect()
}
