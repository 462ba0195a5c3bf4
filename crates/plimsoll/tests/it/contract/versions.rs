//! The part of the tour that looks at versions.

use plimsoll_testkit::Client;
use serde_json::json;

use super::tour::{NOTHING, Tour};

impl Tour {
    /// What is done with versions.
    pub(super) async fn versions(&mut self, ann: &Client) {
        let (version, names) = ("/api/v1/models/{model}/versions/{version}", ["iris", "1"]);
        self.call(ann, &format!("get {version}"), &names, (NOTHING, 200))
            .await;
        self.call(
            ann,
            &format!("post {version}/promote"),
            &names,
            (NOTHING, 200),
        )
        .await;
        self.call(
            ann,
            &format!("post {version}/verify"),
            &names,
            (NOTHING, 200),
        )
        .await;
        let change = json!({"tags": ["b"], "metrics": {"f1": 0.9}, "status": "deprecated"});
        let changes = [("patch", "1", change, 200), ("delete", "1", NOTHING, 409)];
        for (method, number, body, status) in changes {
            let (one, names) = (format!("{method} {version}"), ["iris", number]);
            self.call(ann, &one, &names, (body, status)).await;
        }
        let other = ann.delete("/api/v1/models/iris/versions/2").await;
        self.saw(&format!("delete {version}"), &other.status(204));
        self.about(ann).await;
        let load = format!("{version}/load");
        self.call(ann, &format!("post {load}"), &names, (NOTHING, 200))
            .await;
        self.call(ann, &format!("delete {load}"), &names, (NOTHING, 204))
            .await;
        let body = json!({"inputs": [[1, 2, 3, 4]], "include_metadata": true, "request_id": "r"});
        self.call(ann, &format!("post {version}/predict"), &names, (body, 200))
            .await;
    }

    /// What is known about the model and its first version.
    async fn about(&mut self, ann: &Client) {
        let one = "/api/v1/models/{model}";
        for what in ["info", "snippets", "analytics", "promotions"] {
            self.call(ann, &format!("get {one}/{what}"), &["iris"], (NOTHING, 200))
                .await;
        }
        for (query, status) in [("from=1&to=1", 200), ("from=1", 422)] {
            let compared = ann.get(&format!("/api/v1/models/iris/compare?{query}"));
            self.saw(
                &format!("get {one}/compare"),
                &compared.await.status(status),
            );
        }
        let path = "/api/v1/models/iris/versions/1/artifact";
        let artifact = "get /api/v1/models/{model}/versions/{version}/artifact";
        let whole = ann.get(path).await.status(200);
        self.saw(artifact, &whole);
        let known = ann.get(path).header("if-none-match", whole.header("etag"));
        self.saw(artifact, &known.await.status(304));
    }
}
