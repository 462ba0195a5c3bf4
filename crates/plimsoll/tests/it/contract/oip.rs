//! The part of the walk that goes through the Open Inference Protocol.

use plimsoll_testkit::{Client, fixture};
use serde_json::json;

use super::tour::{NOTHING, Tour};

impl Tour {
    pub(super) async fn open_inference(&mut self, ann: &Client) {
        let content = fixture("sklearn/1.5.2/iris_logistic.joblib");
        ann.upload("tensors", content).await.status(201);
        let (one, version) = (
            "/v2/models/{model}",
            "/v2/models/{model}/versions/{version}",
        );
        let input = json!({"name": "a", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]});
        let body = json!({"inputs": [input], "id": "1"});
        let bad = json!({"inputs": []});
        let repository = "/v2/repository/models/{model}";
        for (operation, body, status) in [
            ("get /v2".to_owned(), NOTHING, 200),
            ("get /v2/health/live".to_owned(), NOTHING, 200),
            ("get /v2/health/ready".to_owned(), NOTHING, 200),
            ("get /v2/models".to_owned(), NOTHING, 200),
            (format!("get {one}"), NOTHING, 200),
            (format!("get {one}/ready"), NOTHING, 200),
            (format!("get {version}"), NOTHING, 200),
            (format!("get {version}/ready"), NOTHING, 200),
            (format!("post {one}/infer"), body.clone(), 200),
            (format!("post {one}/infer"), bad, 400),
            (format!("post {version}/infer"), body, 200),
            (
                "post /v2/repository/index".to_owned(),
                json!({"ready": true}),
                200,
            ),
            (format!("post {repository}/load"), NOTHING, 200),
            (format!("post {repository}/unload"), NOTHING, 200),
        ] {
            let names: &[&str] = match operation.matches('{').count() {
                0 => &[],
                1 => &["tensors"],
                _ => &["tensors", "1"],
            };
            self.call(ann, &operation, names, (body, status)).await;
        }
    }
}
