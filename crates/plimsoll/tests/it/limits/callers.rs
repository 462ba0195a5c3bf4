//! Limits of people and addresses, and what is never limited.

use std::time::Duration;

use plimsoll_testkit::{Options, TestServer, backends, fixture};
use serde_json::json;

use super::{LIMITS, MODELS, passed};

const LOGOUT: &str = "/api/v1/auth/logout";

fn ten_a_minute() -> Options {
    Options::new()
        .limits()
        .settings(|settings| settings.limits.requests = 10)
}

backends! {
    /// F042
    #[options(ten_a_minute())]
    async fn people_and_addresses_have_the_default_each_for_themselves(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        s.advance(Duration::from_mins(1));
        assert_eq!(passed(&ann, MODELS, 15).await, 10);
        assert_eq!(passed(&bob, MODELS, 15).await, 10);
        s.advance(Duration::from_secs(12));
        assert_eq!(passed(&ann, MODELS, 15).await, 2, "a tenth of a minute for each request");
        assert_eq!(passed(&s.anonymous(), MODELS, 15).await, 10, "refusals of no credential too");
        let problem = s.anonymous().post(LOGOUT).json(&json!({"refresh_token": "x"})).await;
        let problem = problem.status(429).problem("rate-limited");
        assert_eq!(problem["violated-policies"], json!(["default"]));
        assert_eq!(problem["limit"], 10);
    }

    /// F042: a key's own limit replaces the default.
    #[options(ten_a_minute())]
    async fn a_key_has_its_own_limit_instead_of_the_default(s: TestServer) {
        let ann = s.user("ann").await;
        let (own, none) = (json!({"name": "a", "rate_limit": 15}), json!({"name": "b", "rate_limit": null}));
        let (own, none) = (ann.key_with(&own).await, ann.key_with(&none).await);
        assert_eq!(passed(&own, MODELS, 20).await, 15);
        assert_eq!(passed(&none, MODELS, 20).await, 20);
        let answer = none.get(MODELS).await.status(200);
        for field in ["x-ratelimit-limit", "ratelimit", "ratelimit-policy"] {
            assert!(!answer.headers().contains_key(field), "{field}");
        }
    }

    /// F048
    #[options(ten_a_minute())]
    async fn health_metrics_and_pages_are_never_limited(s: TestServer) {
        let anyone = s.anonymous();
        for path in ["/health", "/health/ready", "/api/v1/health", "/metrics", "/docs", "/openapi.json"] {
            assert_eq!(passed(&anyone, path, 15).await, 15, "{path}");
        }
        assert_eq!(passed(&anyone, MODELS, 15).await, 10);
    }

    /// F047
    async fn nobody_is_limited_when_limits_are_off(s: TestServer) {
        let ann = s.user("ann").await;
        assert_eq!(passed(&ann, MODELS, 110).await, 110);
        assert_eq!(passed(&s.anonymous().bearer("wrong"), MODELS, 110).await, 110);
        assert_eq!(ann.get(LIMITS).await.status(200).json(), json!({"limits": []}));
    }

    /// F051
    #[options(Options::new().limits().settings(|settings| settings.limits.uploads_per_hour = 2))]
    async fn uploads_are_limited_per_person_where_that_is_configured(s: TestServer) {
        let iris = || fixture("sklearn/1.5.2/iris_logistic.joblib");
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        let key = ann.key_with(&json!({"name": "ci", "scopes": ["write"]})).await;
        ann.upload("a", iris()).await.status(201);
        key.upload("b", iris()).await.status(201);
        let refused = ann.upload("c", iris()).await.status(429);
        assert_eq!(refused.problem("rate-limited")["violated-policies"], json!(["uploads"]));
        bob.upload("a", iris()).await.status(201);
        s.advance(Duration::from_mins(30));
        let ann = s.sign_in_again(&ann).await;
        ann.upload("c", iris()).await.status(201);
    }

    /// F051
    #[options(Options::new().limits().settings(|settings| settings.limits.batches_per_hour = 1))]
    async fn batches_are_limited_per_person_where_that_is_configured(s: TestServer) {
        let ann = s.user("ann").await;
        let file = fixture("sklearn/1.5.2/iris_logistic.joblib");
        ann.upload("iris", file).await.status(201);
        let start = async |model: &str| {
            let path = format!("{MODELS}/{model}/batch");
            ann.post(&path).body("[5.1, 3.5, 1.4, 0.2]\n", "application/x-ndjson").await
        };
        start("nothing").await.status(404);
        start("iris").await.status(202);
        let refused = start("iris").await.status(429).problem("rate-limited");
        assert_eq!(refused["violated-policies"], json!(["batches"]));
    }

    /// F040: guessing is slowed down, and nobody else is.
    #[options(Options::new().limits())]
    async fn an_address_that_sends_wrong_keys_has_to_wait_but_right_ones_pass(s: TestServer) {
        let ann = s.user("ann").await;
        let key = ann.key_with(&json!({"name": "app", "rate_limit": null})).await;
        let text = key.credential().unwrap();
        let mut wrong = text.to_owned();
        wrong.replace_range(25..30, "AAAAA");
        for guess in [wrong.as_str(), "plim_live_x", "no.such.token"] {
            let guesser = s.anonymous().bearer(guess);
            assert_eq!(passed(&guesser, MODELS, 70).await, 60, "{guess}");
            let refused = guesser.get(MODELS).await.status(429).problem("rate-limited");
            assert_eq!(refused["violated-policies"], json!(["failures"]));
            key.get(MODELS).await.status(200);
            ann.get(MODELS).await.status(200);
            s.advance(Duration::from_mins(1));
        }
        let counted = s.anonymous().get("/metrics").await.status(200).text();
        assert!(counted.contains(r#"plimsoll_rate_limited_total{policy="failures"} 33"#), "{counted}");
        assert!(counted.contains(r#"plimsoll_authentication_failures_total{reason="invalid"} 213"#));
    }
}
