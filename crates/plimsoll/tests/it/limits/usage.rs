//! What keys are used for.

use std::time::Duration;

use plimsoll_testkit::{Options, TestServer, backends, fixture};
use serde_json::{Value, json};

use super::{MODELS, passed};

const USAGE: &str = "/api/v1/monitoring/api-keys/usage";

fn of<'a>(page: &'a Value, name: &str) -> &'a Value {
    let mut items = page["items"].as_array().unwrap().iter();
    items.find(|item| item["name"] == name).unwrap()
}

backends! {
    /// F038
    #[options(Options::new().limits())]
    async fn each_key_says_what_it_is_used_for(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        for name in ["iris", "other"] {
            let file = fixture("sklearn/1.5.2/iris_logistic.joblib");
            ann.upload(name, file).await.status(201);
        }
        let row = || json!([[5.1, 3.5, 1.4, 0.2]]);
        let old = ann.key_with(&json!({"name": "app", "rate_limit": 8})).await;
        let free = ann.key_with(&json!({"name": "free", "rate_limit": null})).await;
        free.predict("other", row()).await.status(200);
        s.recorded().await;
        s.advance(Duration::from_hours(25));
        let ann = s.sign_in_again(&ann).await;
        for model in ["iris", "other", "iris"] {
            old.predict(model, row()).await.status(200);
        }
        assert_eq!(passed(&old, MODELS, 2).await, 2);
        s.recorded().await;
        let page = ann.get(USAGE).await.status(200).json();
        assert_eq!((&page["total"], &page["page"]), (&json!(2), &json!(1)));
        let app = of(&page, "app");
        assert_eq!(app["total_requests"], 5);
        assert_eq!(app["requests_last_24h"], 3);
        assert_eq!((&app["rate_limit"], &app["usage_percentage"]), (&json!(8), &json!(62.5)));
        let mut models: Vec<_> = app["models_accessed"].as_array().unwrap().clone();
        models.sort_by_key(Value::to_string);
        assert_eq!(models, ["iris", "other"]);
        assert!(app["last_used_at"].is_string(), "{app}");
        let free = of(&page, "free");
        assert_eq!((&free["total_requests"], &free["requests_last_24h"]), (&json!(1), &json!(0)));
        assert_eq!((&free["usage_percentage"], &free["models_accessed"]), (&Value::Null, &json!([])));
        let of_bob = s.sign_in_again(&bob).await.get(USAGE).await.status(200).json();
        assert_eq!(of_bob["items"], json!([]));
        ann.get(&format!("{USAGE}?page=0")).await.status(422).problem("invalid-request");
        s.anonymous().get(USAGE).await.status(401);
    }
}
