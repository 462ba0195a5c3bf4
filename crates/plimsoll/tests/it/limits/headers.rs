//! What limited callers are told of their limits.

use std::time::Duration;

use plimsoll_core::time::Clock;
use plimsoll_testkit::{Options, TestServer, backends, fixture};
use serde_json::json;

use super::{MODELS, number, passed};

backends! {
    /// F043
    #[options(Options::new().limits())]
    async fn every_answer_to_a_limited_key_says_how_it_stands(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture("sklearn/1.5.2/iris_logistic.joblib")).await.status(201);
        let burst = json!({"requests": 50, "window_seconds": 10});
        let key = ann.key_with(&json!({"name": "app", "rate_limit": 9, "burst": burst})).await;
        let row = json!([[5.1, 3.5, 1.4, 0.2]]);
        let answers = [
            (key.predict("iris", row).await, 200),
            (key.predict("iris", json!("no rows")).await, 422),
            (key.predict("nothing", json!([])).await, 404),
            (key.get(MODELS).await, 200),
            (key.post("/api/v1/models/iris/predict").body("{", "application/json").await, 400),
            (key.post(MODELS).json(&json!({})).await, 403),
        ];
        let now = u64::try_from(s.clock().now().as_seconds()).unwrap();
        let left = 3600 - now % 3600;
        for (count, (answer, status)) in answers.into_iter().enumerate() {
            let answer = answer.status(status);
            let remaining = 8 - count as u64;
            assert_eq!(number(&answer, "x-ratelimit-limit"), 9);
            assert_eq!(number(&answer, "x-ratelimit-remaining"), remaining);
            assert_eq!(number(&answer, "x-ratelimit-reset"), now + left);
            assert_eq!(
                answer.header("ratelimit-policy"),
                r#""hour";q=9;w=3600, "burst";q=50;w=10"#
            );
            let expected = format!(r#""hour";r={remaining};t={left}"#);
            assert_eq!(answer.header("ratelimit"), expected);
        }
        assert_eq!(passed(&key, MODELS, 5).await, 3);
    }

    /// F044
    #[options(Options::new().limits())]
    async fn a_refusal_says_when_to_come_back_in_every_way(s: TestServer) {
        let ann = s.user("ann").await;
        let burst = json!({"requests": 3, "window_seconds": 10});
        let key = ann.key_with(&json!({"name": "app", "rate_limit": 1000, "burst": burst})).await;
        assert_eq!(passed(&key, MODELS, 3).await, 3);
        let refused = key.get(MODELS).await.status(429);
        assert_eq!(number(&refused, "retry-after"), 4, "a third of ten seconds, rounded up");
        assert_eq!(number(&refused, "x-ratelimit-limit"), 3);
        assert_eq!(number(&refused, "x-ratelimit-remaining"), 0);
        assert_eq!(refused.header("ratelimit"), r#""burst";r=0;t=10"#);
        let problem = refused.problem("rate-limited");
        assert_eq!(problem["retry_after"], 4);
        assert_eq!(problem["limit"], 3);
        assert!(problem["reset"].is_string(), "{problem}");
        s.advance(Duration::from_secs(4));
        key.get(MODELS).await.status(200);
    }

    /// F043: people and addresses are told as well.
    #[options(Options::new().limits())]
    async fn people_and_visitors_are_told_their_default(s: TestServer) {
        let ann = s.user("ann").await;
        s.advance(Duration::from_mins(1));
        let answer = ann.get(MODELS).await.status(200);
        assert_eq!(answer.header("ratelimit-policy"), r#""default";q=100;w=60"#);
        assert_eq!(number(&answer, "x-ratelimit-remaining"), 99);
        let login = json!({"email": "ann@example.org", "password": plimsoll_testkit::PASSWORD});
        let answer = s.anonymous().post("/api/v1/auth/login").json(&login).await.status(200);
        assert_eq!(answer.header("ratelimit"), r#""default";r=99;t=1"#);
    }

    /// `compat.x_ratelimit = false`
    #[options(Options::new().limits().http(|http| http.x_ratelimit = false))]
    async fn the_older_fields_can_be_left_out(s: TestServer) {
        let ann = s.user("ann").await;
        let answer = ann.get(MODELS).await.status(200);
        let fields = answer.headers();
        assert!(fields.contains_key("ratelimit") && !fields.contains_key("x-ratelimit-limit"));
    }
}
