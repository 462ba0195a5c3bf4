//! How often a key may be used.

use std::time::Duration;

use plimsoll_testkit::{Options, TestServer, backends};
use serde_json::json;

use super::{create, path, text, try_key};

backends! {
    /// F041, F044
    #[options(Options::new().limits())]
    async fn a_key_is_used_as_often_as_its_hour_allows(s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "app", "rate_limit": 3})).await;
        for _ in 0..3 {
            try_key(&s, text(&key, "api_key")).await.status(200);
        }
        let refused = try_key(&s, text(&key, "api_key")).await.status(429);
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=3600).contains(&wait), "{wait}");
        let problem = refused.problem("rate-limited");
        assert_eq!(problem["limit"], 3);
        assert!(problem["reset"].is_string() || problem["reset"].is_number(), "{problem}");
        s.advance(Duration::from_secs(wait));
        try_key(&s, text(&key, "api_key")).await.status(200);
    }

    /// F041
    #[options(Options::new().limits())]
    async fn two_hundred_calls_at_once_get_exactly_the_limit(s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "app", "rate_limit": 50})).await;
        let client = s.anonymous().bearer(text(&key, "api_key"));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let client = client.clone();
            calls.spawn(async move { client.get("/api/v1/models").await.code() });
        }
        let mut allowed = 0;
        while let Some(code) = calls.join_next().await {
            match code.unwrap() {
                200 => allowed += 1,
                other => assert_eq!(other, 429),
            }
        }
        assert_eq!(allowed, 50);
        let counted = ann.get(&path(&key)).await.status(200).json();
        assert_eq!(counted["total_requests"], 50, "refused calls are not counted");
    }

    /// F025: `null` means no limit; a new limit holds at once.
    #[options(Options::new().limits())]
    async fn a_limit_can_be_taken_away_and_given_back(s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "app", "rate_limit": 1})).await;
        try_key(&s, text(&key, "api_key")).await.status(200);
        try_key(&s, text(&key, "api_key")).await.status(429);
        ann.patch(&path(&key)).json(&json!({"rate_limit": null})).await.status(200);
        for _ in 0..5 {
            try_key(&s, text(&key, "api_key")).await.status(200);
        }
        ann.patch(&path(&key)).json(&json!({"rate_limit": 2})).await.status(200);
        try_key(&s, text(&key, "api_key")).await.status(200);
        try_key(&s, text(&key, "api_key")).await.status(429);
    }

    /// F047
    async fn limits_can_be_switched_off(s: TestServer) {
        let ann = s.user("ann").await;
        let key = create(&ann, &json!({"name": "app", "rate_limit": 1})).await;
        for _ in 0..3 {
            try_key(&s, text(&key, "api_key")).await.status(200);
        }
    }
}
