//! API keys over HTTP.

mod life;
mod limits;
mod making;
mod reach;

use plimsoll_testkit::{Client, Reply, TestServer};
use serde_json::Value;
use serde_json::value::Index;

pub(super) const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";
pub(super) const ROW: [f64; 4] = [5.1, 3.5, 1.4, 0.2];
pub(super) const KEYS: &str = "/api/v1/api-keys";

pub(super) async fn create(client: &Client, body: &Value) -> Value {
    client.post(KEYS).json(body).await.status(201).json()
}

pub(super) fn text(object: &Value, member: impl Index) -> &str {
    object[member].as_str().unwrap()
}

/// The client's own path of a key.
pub(super) fn path(key: &Value) -> String {
    format!("{KEYS}/{}", text(key, "key_id"))
}

pub(super) async fn try_key(s: &TestServer, key: &str) -> Reply {
    s.anonymous().bearer(key).get("/api/v1/models").await
}
