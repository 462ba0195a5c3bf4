//! What an endpoint refuses before its model runs.

use std::time::Duration;

use plimsoll_testkit::{TestServer, backends};
use serde_json::json;

use super::{FLOWER, ann_with, ask, deploy_live};

backends! {
    /// F136
    async fn requests_beyond_the_guardrails_are_refused(s: TestServer) {
        let ann = ann_with(&s, 1).await;
        deploy_live(&ann, 1).await;
        let schema = ann.get("/api/v1/models/iris/versions/1").await.status(200).json();
        let name = schema["input_schema"][2]["name"].as_str().unwrap().to_owned();
        let guardrails = json!({
            "rate_limit": {"requests": 3, "window_seconds": 60}, "max_rows": 2,
            "bounds": [{"input": name, "min": 0, "max": 10.5}],
        });
        let set = ann.patch("/api/v1/endpoints/live").json(&json!({"guardrails": guardrails})).await.status(200).json();
        assert_eq!(set["guardrails"]["max_rows"], 2);
        let path = "/api/v1/endpoints/live/predict";
        ann.post(path).json(&json!({"inputs": [FLOWER, FLOWER, FLOWER]})).await.status(413).problem("too-large");
        let outside = json!({"inputs": [FLOWER, [5.0, 3.0, 11.0, 1.0]]});
        let problem = ann.post(path).json(&outside).await.status(422).problem("invalid-request");
        let error = &problem["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!(format!("/inputs/1/{name}")), &json!("out-of-bounds")), "{problem}");
        ask(&ann, "live").await.status(200);
        let refused = ask(&ann, "live").await.status(429).problem("rate-limited");
        assert_eq!(refused["limit"], 3, "{refused}");
        // The model itself has no such limits, and the next window is another one.
        ann.predict("iris", json!([FLOWER, FLOWER, FLOWER])).await.status(200);
        s.advance(Duration::from_mins(1));
        ask(&ann, "live").await.status(200);
        let cleared = ann.patch("/api/v1/endpoints/live").json(&json!({"guardrails": {}})).await.status(200).json();
        assert_eq!(cleared["guardrails"], json!({}));
        for (body, pointer) in [
            (json!({"rate_limit": {"requests": 0, "window_seconds": 1}}), "/guardrails/rate_limit/requests"),
            (json!({"bounds": [{"input": "a", "min": 2, "max": 1}]}), "/guardrails/bounds/0"),
            (json!({"bounds": [{"input": "a"}]}), "/guardrails/bounds/0"),
            (json!({"max_row": 1}), "/guardrails/max_row"),
        ] {
            let problem = ann.patch("/api/v1/endpoints/live").json(&json!({"guardrails": body})).await.status(422).problem("invalid-request");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    }
}
