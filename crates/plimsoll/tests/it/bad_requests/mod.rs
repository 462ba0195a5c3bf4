//! Requests that no client should send: each is a problem, and none does harm.

mod bodies;
mod heads;
mod mutations;
mod queries;

use plimsoll_testkit::{Client, Reply, TestServer, fixture};
use serde_json::Value;

const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";

/// Somebody with a model called `iris`.
async fn ann(s: &TestServer) -> Client {
    let ann = s.user("ann").await;
    ann.upload("iris", fixture(MODEL)).await.status(201);
    ann
}

/// Asserts status and word of a refusal, and gives its body.
#[track_caller]
fn refused(reply: &Reply, status: u16, slug: &str, what: &str) -> Value {
    let text = reply.text();
    assert_eq!(reply.code(), status, "{what:.200}: {text:.500}");
    reply.problem(slug)
}

/// Asserts that the server is still in good health.
async fn still_serves(s: &TestServer) {
    s.anonymous().get("/health/ready").await.status(200);
    assert!(!s.log_text().contains("panicked"));
}
