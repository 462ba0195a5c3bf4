//! Limits of keys: an hour, a burst, both.

use std::time::Duration;

use plimsoll_testkit::{Options, TestServer, backends};
use serde_json::{Value, json};

use super::{KEYS, LIMITS, MODELS, passed};
use crate::process::Installation;

backends! {
    /// F041
    #[options(Options::new().limits())]
    async fn a_key_has_its_burst_at_once_and_its_rate_afterwards(s: TestServer) {
        let burst = json!({"requests": 5, "window_seconds": 10});
        let ann = s.user("ann").await;
        let key = ann.key_with(&json!({"name": "app", "rate_limit": null, "burst": burst})).await;
        assert_eq!(passed(&key, MODELS, 12).await, 5);
        s.advance(Duration::from_secs(6));
        assert_eq!(passed(&key, MODELS, 12).await, 3);
        s.advance(Duration::from_hours(1));
        assert_eq!(passed(&key, MODELS, 12).await, 5);
    }

    /// F041
    #[options(Options::new().limits())]
    async fn both_limits_of_a_key_hold_and_the_refusal_names_which(s: TestServer) {
        let burst = json!({"requests": 2, "window_seconds": 2});
        let ann = s.user("ann").await;
        let key = ann.key_with(&json!({"name": "app", "rate_limit": 3, "burst": burst})).await;
        assert_eq!(passed(&key, MODELS, 2).await, 2);
        let hasty = key.get(MODELS).await.status(429).problem("rate-limited");
        assert_eq!(hasty["violated-policies"], json!(["burst"]));
        assert_eq!((&hasty["limit"], &hasty["retry_after"]), (&json!(2), &json!(1)));
        s.advance(Duration::from_secs(2));
        assert_eq!(passed(&key, MODELS, 1).await, 1);
        let used_up = key.get(MODELS).await.status(429).problem("rate-limited");
        assert_eq!(used_up["violated-policies"], json!(["hour"]));
        assert_eq!(used_up["limit"], 3);
    }

    /// F030: a burst can be set, changed and taken away, each for the next request.
    #[options(Options::new().limits())]
    async fn a_changed_burst_holds_for_the_next_request(s: TestServer) {
        let ann = s.user("ann").await;
        let made = ann.post(KEYS).json(&json!({"name": "app"})).await.status(201).json();
        let key = s.anonymous().bearer(made["api_key"].as_str().unwrap());
        let path = format!("{KEYS}/{}", made["key_id"].as_str().unwrap());
        let change = async |burst: Value| {
            ann.patch(&path).json(&json!({"burst": burst})).await.status(200).json()
        };
        assert_eq!(passed(&key, MODELS, 4).await, 4);
        let changed = change(json!({"requests": 2, "window_seconds": 60})).await;
        assert_eq!(changed["burst"], json!({"requests": 2, "window_seconds": 60}));
        assert_eq!(passed(&key, MODELS, 4).await, 2);
        change(json!({"requests": 3, "window_seconds": 60})).await;
        assert_eq!(passed(&key, MODELS, 4).await, 3);
        ann.patch(&path).json(&json!({"name": "other"})).await.status(200);
        assert_eq!(passed(&key, MODELS, 1).await, 0, "what is not changed goes on");
        assert!(change(Value::Null).await.get("burst").is_none());
        assert_eq!(passed(&key, MODELS, 4).await, 4);
    }

    async fn a_burst_out_of_range_is_named(s: TestServer) {
        let ann = s.user("ann").await;
        let path = format!("{KEYS}/{}", made_by(&ann).await);
        for (burst, pointer) in [
            (json!({"requests": 0, "window_seconds": 1}), "/burst/requests"),
            (json!({"requests": 1_000_001, "window_seconds": 1}), "/burst/requests"),
            (json!({"requests": 1, "window_seconds": 0}), "/burst/window_seconds"),
            (json!({"requests": 1, "window_seconds": 3601}), "/burst/window_seconds"),
            (json!({"requests": 1}), "/burst"),
        ] {
            let new = json!({"name": "app", "burst": burst});
            let change = json!({"burst": burst});
            for reply in [ann.post(KEYS).json(&new).await, ann.patch(&path).json(&change).await] {
                let problem = reply.status(422).problem("invalid-request");
                let named = problem["errors"][0]["pointer"].as_str().unwrap();
                assert!(named.starts_with(pointer), "{problem}");
            }
        }
    }

    /// F053
    #[options(Options::new().limits())]
    async fn looking_at_ones_limits_takes_nothing_of_them(s: TestServer) {
        let burst = json!({"requests": 5, "window_seconds": 10});
        let ann = s.user("ann").await;
        let key = ann.key_with(&json!({"name": "app", "rate_limit": 3, "burst": burst})).await;
        let look = async || key.get(LIMITS).await.status(200).json()["limits"].clone();
        assert_eq!(passed(&key, MODELS, 2).await, 2);
        let seen = look().await;
        assert_eq!((&seen[0]["policy"], &seen[1]["policy"]), (&json!("hour"), &json!("burst")));
        assert_eq!((&seen[0]["limit"], &seen[0]["remaining"]), (&json!(3), &json!(1)));
        assert_eq!((&seen[0]["window_seconds"], &seen[1]["remaining"]), (&json!(3600), &json!(3)));
        assert!(seen[0]["reset"].is_string() && seen[1]["reset_seconds"] == 4, "{seen}");
        assert_eq!(look().await, seen);
        assert_eq!(passed(&key, MODELS, 2).await, 1);
        assert_eq!(look().await[0]["remaining"], 0, "it also answers when nothing is left");
        let unlimited = ann.key_with(&json!({"name": "app", "rate_limit": null})).await;
        assert_eq!(unlimited.get(LIMITS).await.status(200).json(), json!({"limits": []}));
        s.anonymous().get(LIMITS).await.status(401);
    }
}

async fn made_by(client: &plimsoll_testkit::Client) -> String {
    let made = client.post(KEYS).json(&json!({"name": "app"})).await;
    made.status(201).json()["key_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_command_line_makes_keys_with_a_burst() {
    let installation = Installation::new();
    let create = ["key", "create", "--name", "ci", "--json", "--burst"];
    let made = installation.run(&[&create[..], &["20/10s"]].concat());
    let burst = json!({"requests": 20, "window_seconds": 10});
    assert_eq!(made.code(0).json()["burst"], burst);
    for (wrong, code) in [
        ("20", 64),
        ("20/0.5s", 64),
        ("x/10s", 64),
        ("0/10s", 65),
        ("20/2h", 65),
    ] {
        let refused = installation.run(&[&create[..], &[wrong]].concat());
        refused.code(code);
    }
}
