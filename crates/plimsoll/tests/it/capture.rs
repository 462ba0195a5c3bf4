//! What is kept of a model's requests, as its owner decides.

use plimsoll_core::id::PredictionId;
use plimsoll_core::record::{Capture, Kept};
use plimsoll_testkit::{Client, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const NAMES: &str = "sklearn/1.5.2/iris_names.joblib";
const SEPAL: &str = "sepal length (cm)";

async fn iris(s: &TestServer) -> Client {
    let ann = s.user("ann").await;
    ann.upload("iris", fixture(IRIS)).await.status(201);
    ann
}

async fn change(client: &Client, capture: Value) -> Reply {
    let request = client.patch("/api/v1/models/iris");
    request.json(&json!({"capture": capture})).await
}

/// Changes what is captured; answers what it is now.
async fn capture(client: &Client, capture: Value) -> Value {
    change(client, capture).await.status(200).json()["capture"].clone()
}

async fn predict(client: &Client, inputs: &Value) -> String {
    let request = client.post("/api/v1/models/iris/predict");
    let answer = request
        .json(&json!({"inputs": inputs}))
        .await
        .status(200)
        .json();
    answer["prediction_id"].as_str().unwrap().to_owned()
}

async fn found(client: &Client, id: &str) -> Reply {
    client.get(&format!("/api/v1/predictions/{id}")).await
}

async fn row(s: &TestServer, client: &Client, id: &str) -> Value {
    s.recorded().await;
    found(client, id).await.status(200).json()
}

async fn prediction_count(s: &TestServer, client: &Client) -> Value {
    s.recorded().await;
    client.get("/api/v1/models/iris").await.status(200).json()["prediction_count"].clone()
}

/// A number whose bytes, wherever they are stored as they are, read as `mark`.
fn marked(mark: [u8; 8]) -> f64 {
    f64::from_le_bytes(mark)
}

/// Whether a number or its digits are stored anywhere. Its lowest byte and its
/// last digits may be lost to rounding.
async fn is_stored(s: &TestServer, number: f64) -> bool {
    let bytes = number.to_le_bytes();
    let mark = std::str::from_utf8(&bytes[1..]).unwrap();
    let digits = number.to_string();
    let said = s.log_text();
    assert!(!said.contains(mark) && !said.contains(&digits[..12]));
    s.stores(mark).await || s.stores(&digits[..12]).await
}

backends! {
    /// F113
    async fn a_redacted_value_is_nowhere_and_the_others_are_where_they_were(s: TestServer) {
        let ann = iris(&s).await;
        let [age, income, name, plain] = [*b"SECRETA@", *b"HIDDENB@", *b"PERSONC@", *b"COMMOND@"].map(marked);
        let inputs = json!([[age, income, name, plain], [age, income, name, 1.5]]);
        let redact = json!({"x0": "drop", "x1": {"mask": {"keep_last": 2}}, "x2": "pseudonym", "x3": "keep"});
        let now = capture(&ann, json!({"redact": redact})).await;
        let kept = json!({"x0": "drop", "x1": {"mask": {"keep_last": 2}}, "x2": "pseudonym"});
        assert_eq!(now, json!({"mode": "full", "sample_rate": null, "redact": kept}));
        let seen = row(&s, &ann, &predict(&ann, &inputs).await).await;
        let first = seen["input"][0].as_object().unwrap();
        let names: Vec<_> = first.keys().map(String::as_str).collect();
        assert_eq!(names, ["x1", "x2", "x3"]);
        let masked = first["x1"].as_str().unwrap();
        assert!(masked.starts_with("***") && masked.len() == 5 && income.to_string().ends_with(&masked[3..]), "{masked}");
        let pseudonym = first["x2"].as_str().unwrap();
        assert!(pseudonym.len() == 32 && pseudonym.bytes().all(|b| b.is_ascii_hexdigit()), "{pseudonym}");
        assert_eq!(seen["input"][1]["x2"], pseudonym, "equal values have equal pseudonyms");
        assert_eq!((&first["x3"], &seen["input"][1]["x3"]), (&json!(plain), &json!(1.5)));
        for secret in [age, income, name] {
            assert!(!is_stored(&s, secret).await, "{secret} is stored");
        }
        assert!(is_stored(&s, plain).await, "this search finds what is stored");
        // A missing or other value has another stand-in.
        let other = row(&s, &ann, &predict(&ann, &json!([[1.0, 1.0, 1.0, 1.0]])).await).await;
        assert_ne!(other["input"]["x2"], pseudonym);
    }

    /// F113
    async fn a_redaction_by_name_holds_for_every_version_that_has_the_feature(s: TestServer) {
        let ann = iris(&s).await;
        ann.upload("iris", fixture(NAMES)).await.status(201);
        capture(&ann, json!({"redact": {"x0": "drop", SEPAL: "drop"}})).await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        for (version, hidden) in [(1, "x0"), (2, SEPAL), (3, "x0")] {
            let path = format!("/api/v1/models/iris/versions/{version}/predict");
            let request = ann.post(&path).json(&json!({"inputs": [[5.1, 3.5, 1.4, 0.2]]}));
            let answer = request.await.status(200).json();
            let seen = row(&s, &ann, answer["prediction_id"].as_str().unwrap()).await;
            let input = seen["input"].as_object().unwrap();
            assert!(input.len() == 3 && !input.contains_key(hidden), "version {version}: {input:?}");
        }
    }

    /// F113
    async fn a_model_whose_capture_is_off_leaves_rows_without_values(s: TestServer) {
        let ann = iris(&s).await;
        capture(&ann, json!({"mode": "off"})).await;
        let seen = row(&s, &ann, &predict(&ann, &json!([[5.1, 3.5, 1.4, 0.2]])).await).await;
        assert_eq!((&seen["input"], &seen["output"], &seen["confidence"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!((&seen["payload"], &seen["status"], &seen["rows"]), (&json!("none"), &json!("success"), &json!(1)));
        assert_eq!(prediction_count(&s, &ann).await, 1);
    }

    /// F113
    async fn hashed_inputs_are_equal_for_equal_inputs_and_cannot_be_guessed(mut s: TestServer) {
        let ann = iris(&s).await;
        capture(&ann, json!({"mode": "hashed"})).await;
        let flower = json!([[5.1, 3.5, 1.4, 0.2]]);
        let seen = row(&s, &ann, &predict(&ann, &flower).await).await;
        assert_eq!((&seen["payload"], &seen["confidence"]), (&json!("hashed"), &Value::Null));
        let digest = seen["input"]["hmac_sha256"].as_str().unwrap();
        assert_eq!(digest.len(), 64);
        assert!(seen["output"]["hmac_sha256"].is_string());
        let plain = r#"{"x0":5.1,"x1":3.5,"x2":1.4,"x3":0.2}"#;
        assert_ne!(digest, plimsoll_core::digest::Digest::of(plain.as_bytes()).to_string());
        s.restart().await;
        let ann = s.sign_in_again(&ann).await;
        let named = json!({"x3": 0.2, "x0": 5.1, "x1": 3.5, "x2": 1.4});
        assert_eq!(row(&s, &ann, &predict(&ann, &named).await).await["input"], seen["input"]);
        let other = json!([[5.1, 3.5, 1.4, 0.3]]);
        assert_ne!(row(&s, &ann, &predict(&ann, &other).await).await["input"], seen["input"]);
    }

    /// F113
    async fn a_sample_is_decided_by_the_id_alone_and_the_counts_stay_exact(s: TestServer) {
        const RATE: f64 = 0.5;
        let ann = iris(&s).await;
        let now = capture(&ann, json!({"mode": "sampled", "sample_rate": RATE})).await;
        assert_eq!(now, json!({"mode": "sampled", "sample_rate": RATE, "redact": {}}));
        let mut ids = Vec::new();
        for _ in 0..40 {
            ids.push(predict(&ann, &json!([[5.1, 3.5, 1.4, 0.2]])).await);
        }
        s.recorded().await;
        let mut kept = 0;
        for id in &ids {
            let rule = Capture::Sampled { rate: RATE }.keeps(id.parse::<PredictionId>().unwrap(), false);
            let expected = if rule == Kept::Values { 200 } else { 404 };
            assert_eq!(found(&ann, id).await.code(), expected, "{id}");
            kept += u32::from(expected == 200);
        }
        assert!((5..=35).contains(&kept), "{kept} of 40");
        assert_eq!(prediction_count(&s, &ann).await, 40);
    }

    /// F113
    async fn a_change_holds_from_the_next_request_on_and_what_is_left_out_stays(s: TestServer) {
        let ann = iris(&s).await;
        let flower = json!([[5.1, 3.5, 1.4, 0.2]]);
        let mut ids = Vec::new();
        capture(&ann, json!({"redact": {"x0": "drop"}})).await;
        for mode in ["full", "off", "full", "hashed"] {
            let now = capture(&ann, json!({"mode": mode})).await;
            assert_eq!((&now["mode"], &now["redact"]), (&json!(mode), &json!({"x0": "drop"})));
            ids.push(predict(&ann, &flower).await);
        }
        assert_eq!(capture(&ann, json!({"redact": {}})).await, json!({"mode": "hashed", "sample_rate": null, "redact": {}}));
        let shown = ann.get("/api/v1/models/iris").await.status(200).json();
        assert_eq!(shown["capture"]["mode"], "hashed");
        let mut payloads = Vec::new();
        for id in &ids {
            payloads.push(row(&s, &ann, id).await["payload"].clone());
        }
        assert_eq!(payloads, ["full", "none", "full", "hashed"]);
    }

    /// F113
    async fn what_cannot_be_captured_is_named(s: TestServer) {
        let ann = iris(&s).await;
        for (wrong, pointer) in [
            (json!("off"), "/capture"),
            (json!({"mode": "some"}), "/capture/mode"),
            (json!({"mode": 1}), "/capture/mode"),
            (json!({"mode": "sampled"}), "/capture/sample_rate"),
            (json!({"mode": "sampled", "sample_rate": 1.5}), "/capture/sample_rate"),
            (json!({"mode": "sampled", "sample_rate": -0.1}), "/capture/sample_rate"),
            (json!({"mode": "sampled", "sample_rate": "a"}), "/capture/sample_rate"),
            (json!({"mode": "full", "sample_rate": 0.5}), "/capture/sample_rate"),
            (json!({"sample_rate": 0.5}), "/capture/sample_rate"),
            (json!({"redact": {"x9": "drop"}}), "/capture/redact/x9"),
            (json!({"redact": {"a/b": "keep"}}), "/capture/redact/a~1b"),
            (json!({"redact": {"x0": "hide"}}), "/capture/redact/x0"),
            (json!({"redact": {"x0": 1}}), "/capture/redact/x0"),
            (json!({"redact": {"x0": {"mask": {"keep_last": 256}}}}), "/capture/redact/x0/mask/keep_last"),
            (json!({"redact": {"x0": {"mask": {}}}}), "/capture/redact/x0/mask/keep_last"),
            (json!({"redact": ["x0"]}), "/capture/redact"),
            (json!({"keep": true}), "/capture/keep"),
        ] {
            let refused = change(&ann, wrong.clone()).await.status(422).problem("invalid-request");
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{wrong}");
        }
        let both = json!({"mode": "sampled", "redact": {"x8": "drop", "x9": "drop"}});
        let refused = change(&ann, both).await.status(422).problem("invalid-request");
        assert_eq!(refused["errors"].as_array().unwrap().len(), 3);
        let twice = r#"{"capture": {"redact": {"x0": "drop", "x0": "keep"}}}"#;
        let twice = ann.patch("/api/v1/models/iris").body(twice, "application/json");
        twice.await.status(400).problem("malformed-json");
        let now = ann.get("/api/v1/models/iris").await.status(200).json();
        assert_eq!(now["capture"], json!({"mode": "full", "sample_rate": null, "redact": {}}));
    }
}
