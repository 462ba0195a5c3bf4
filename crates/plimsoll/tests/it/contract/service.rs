//! The part of the walk that goes through endpoints.

use plimsoll_testkit::{Client, fixture};
use serde_json::json;

use super::tour::{NOTHING, Tour};

impl Tour {
    pub(super) async fn endpoints(&mut self, ann: &Client) {
        let (all, one) = ("/api/v1/endpoints", "/api/v1/endpoints/{endpoint}");
        let guardrails = json!({
            "rate_limit": {"requests": 9, "window_seconds": 1}, "max_rows": 9,
            "bounds": [{"input": "sepal length (cm)", "max": 9}],
        });
        let deploy = json!({
            "model": "iris", "version": "1", "name": "e", "environment": {"A": "b"},
            "guardrails": guardrails, "reason": "first",
        });
        let deploying = format!("post {all}");
        self.call(ann, &deploying, &[], (deploy.clone(), 201)).await;
        self.call(ann, &deploying, &[], (deploy, 200)).await;
        let more = fixture("sklearn/1.5.2/iris_forest_p4.pkl");
        let more = ann.upload("iris", more).await.status(201).json();
        let second = more["version"]["version"].clone();
        let shares = json!([
            {"version": 1, "weight": 100},
            {"version": second, "weight": 5, "role": "shadow"},
        ]);
        let split = json!({"served": shares, "sticky": "header:x"});
        for (operation, body, status) in [
            (format!("get {all}"), NOTHING, 200),
            (format!("get {one}"), NOTHING, 200),
            (format!("patch {one}"), json!({"version": second}), 200),
            (format!("put {one}/traffic"), split, 200),
            (format!("post {one}/rollback"), NOTHING, 200),
            (format!("post {one}/validate"), NOTHING, 200),
            (
                format!("post {one}/predict"),
                json!({"inputs": [[1, 2, 3, 4]]}),
                200,
            ),
            (format!("get {one}/history"), NOTHING, 200),
            ("get /api/v1/deployments".to_owned(), NOTHING, 200),
            (format!("delete {one}"), NOTHING, 204),
            (format!("patch {one}"), json!({}), 409),
            (
                format!("post {one}/predict"),
                json!({"inputs": [[1, 2, 3, 4]]}),
                404,
            ),
        ] {
            let names: &[&str] = if operation.contains('{') { &["e"] } else { &[] };
            self.call(ann, &operation, names, (body, status)).await;
        }
        let of_model = "get /api/v1/models/{model}/deployments";
        self.call(ann, of_model, &["iris"], (NOTHING, 200)).await;
    }
}
