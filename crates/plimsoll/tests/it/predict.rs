//! Predictions: forms of requests, members of answers, versions, refusals.

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, Options, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const NAMED: &str = "sklearn/1.5.2/iris_names.joblib";
const NAMES: [&str; 4] = [
    "sepal length (cm)",
    "sepal width (cm)",
    "petal length (cm)",
    "petal width (cm)",
];
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

async fn add(client: &Client, name: &str, file: &str) {
    client.upload(name, fixture(file)).await.status(201);
}

/// Sends a body to a model's predict route.
async fn ask(client: &Client, model: &str, body: &Value) -> Reply {
    let path = format!("/api/v1/models/{model}/predict");
    client.post(&path).json(body).await
}

async fn answer(client: &Client, model: &str, body: &Value) -> Value {
    ask(client, model, body).await.status(200).json()
}

/// One flower by the names of the columns.
fn named(values: [f64; 4]) -> Value {
    NAMES
        .iter()
        .zip(values)
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect()
}

/// `pointer code` of each error.
fn errors(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap();
    let word = |error: &Value, member: &str| error[member].as_str().unwrap().to_owned();
    errors
        .iter()
        .map(|e| format!("{} {}", word(e, "pointer"), word(e, "code")))
        .collect()
}

fn few_rows() -> Options {
    Options::new().settings(|settings| settings.predict.max_rows = 3)
}

backends! {
    /// F091
    async fn rows_come_in_any_form_and_under_any_alias(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "iris", IRIS).await;
        add(&ann, "named", NAMED).await;
        let [a, b, c, d] = FLOWER;
        let expected = answer(&ann, "iris", &json!({"inputs": [FLOWER]})).await["probabilities"].clone();
        for inputs in [
            json!(FLOWER),
            json!({"x0": a, "x1": b, "x2": c, "x3": d}),
            json!([{"x3": d, "x2": c, "x1": b, "x0": a}]),
            json!({"feature1": a, "feature2": b, "feature3": c, "feature4": d}),
            json!({"columns": ["x1", "x0", "x2", "x3"], "data": [[b, a, c, d]]}),
        ] {
            for alias in ["inputs", "data", "input", "instances"] {
                let got = answer(&ann, "iris", &json!({alias: inputs})).await;
                assert_eq!(got["probabilities"], expected, "{alias} {inputs}");
            }
        }
        for inputs in [json!([FLOWER]), named(FLOWER), json!([named(FLOWER)])] {
            let got = answer(&ann, "named", &json!({"inputs": inputs})).await;
            assert_eq!(got["probabilities"], expected, "{inputs}");
        }
        for (body, error) in [
            (json!({}), "/inputs missing-field"),
            (json!({"inputs": []}), "/inputs wrong-length"),
            (json!({"inputs": null}), "/inputs wrong-type"),
            (json!({"inputs": [FLOWER], "data": [FLOWER]}), "/inputs duplicate-field"),
            (json!({"inputs": [FLOWER], "colour": 1}), "/colour unknown-field"),
            (json!({"inputs": [FLOWER], "include_metadata": "yes"}), "/include_metadata wrong-type"),
            (json!([FLOWER]), " wrong-type"),
        ] {
            let refused = ask(&ann, "iris", &body).await.status(422).problem("invalid-request");
            assert_eq!(errors(&refused)[0], error, "{body}");
        }
    }

    /// F092, F093, F096
    async fn an_answer_has_what_was_asked_for_and_nothing_else(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "iris", IRIS).await;
        let rows = [FLOWER, [6.3, 2.5, 4.9, 1.5]];
        let always = ["cached", "latency_ms", "model", "model_version", "prediction_id", "predictions", "timestamp"];
        for (options, more) in [
            (json!({}), &["classes", "confidence", "probabilities"][..]),
            (json!({"include_probabilities": false}), &["confidence"]),
            (json!({"include_metadata": true, "include_probabilities": false}), &["confidence", "metadata"]),
            (json!({"request_id": "row 7", "include_probabilities": false}), &["confidence", "request_id"]),
        ] {
            let mut body = options.clone();
            body["inputs"] = json!(rows);
            let got = answer(&ann, "iris", &body).await;
            let mut names: Vec<_> = got.as_object().unwrap().keys().map(String::as_str).collect();
            let mut expected = [&always[..], more].concat();
            names.sort_unstable();
            expected.sort_unstable();
            assert_eq!(names, expected, "{options}");
        }
        let body = json!({"inputs": rows, "include_metadata": true, "request_id": "row 7"});
        let got = answer(&ann, "iris", &body).await;
        assert_eq!((&got["model"], &got["model_version"]), (&json!("iris"), &json!(1)));
        assert!(got["prediction_id"].as_str().unwrap().starts_with("prd_"));
        assert_eq!((&got["request_id"], &got["classes"]), (&json!("row 7"), &json!([0, 1, 2])));
        assert_eq!(got["timestamp"], "2026-01-01T00:00:00.000000Z");
        let metadata = json!({
            "model_name": "iris", "algorithm": "LogisticRegression", "problem_type": "classification",
            "feature_count": 4, "training_date": "2026-01-01T00:00:00.000000Z", "version_label": "1.0.0",
        });
        assert_eq!(got["metadata"], metadata);
        for (row, confidence) in got["probabilities"].as_array().unwrap().iter().zip(got["confidence"].as_array().unwrap()) {
            let row: Vec<f64> = serde_json::from_value(row.clone()).unwrap();
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let largest = row.iter().copied().fold(0.0, f64::max);
            assert_eq!(confidence, &json!(largest));
        }
        let other = answer(&ann, "iris", &json!({"inputs": rows})).await;
        assert_ne!(other["prediction_id"], got["prediction_id"]);
        for id in ["", "a\u{7}b", &"x".repeat(129)] {
            let refused = ask(&ann, "iris", &json!({"inputs": rows, "request_id": id})).await.status(422);
            assert_eq!(errors(&refused.problem("invalid-request")), ["/request_id invalid-value"]);
        }
    }

    /// F094
    async fn features_are_matched_by_name_and_each_mistake_is_named_by_row(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "named", NAMED).await;
        let [length, width, ..] = NAMES;
        let good = named(FLOWER);
        let changed = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut row = good.clone();
            change(row.as_object_mut().unwrap());
            row
        };
        let missing = changed(&|row| { row.remove(width); });
        let extra = changed(&|row| { row.insert("colour".into(), json!("red")); });
        let mistyped = changed(&|row| { row.insert(length.into(), json!("5.1")); });
        let unknown = changed(&|row| { row.insert(length.into(), Value::Null); });
        for (inputs, expected) in [
            (json!([good, missing]), vec![format!("/data/1/{width} missing-field")]),
            (json!([extra, good]), vec!["/data/0/colour unknown-field".into()]),
            (json!([good, good, mistyped]), vec![format!("/data/2/{length} wrong-type")]),
            (json!([unknown]), vec![format!("/data/0/{length} null-not-allowed")]),
            (json!(missing), vec![format!("/data/{width} missing-field")]),
            (json!([[1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5]]), vec!["/data/0 wrong-length".into(), "/data/2 wrong-length".into()]),
            (json!([[1, 2, 3, true]]), vec!["/data/0/3 wrong-type".into()]),
            (json!([[1, 2, 3, 9_007_199_254_740_993_i64]]), vec!["/data/0/3 not-exact".into()]),
            (json!([1, 2, 3, 4]), vec!["/data/0 wrong-type".into()]),
        ] {
            let refused = ask(&ann, "named", &json!({"data": inputs})).await.status(422).problem("invalid-request");
            let found = errors(&refused);
            assert_eq!(found[..expected.len().min(found.len())], expected, "{inputs}");
            assert!(!refused.to_string().contains("red") && !refused.to_string().contains("5.1"), "{refused}");
        }
        let refused = ask(&ann, "named", &json!({"data": [mistyped]})).await.json();
        let error = &refused["errors"][0];
        assert_eq!((&error["expected"], &error["got"]), (&json!("number"), &json!("string")));
    }

    /// F095
    async fn numbers_are_not_cut_and_classes_keep_their_type(s: TestServer) {
        let ann = s.user("ann").await;
        let zeros = |width: usize| json!({"inputs": [vec![0.0; width]]});
        for (file, width, classes) in [
            ("iris_logistic.joblib", 4, json!([0, 1, 2])),
            ("iris_float.pkl", 4, json!([0.0, 2.0, 4.0])),
            ("iris_text.pkl", 4, json!(["setosa", "versicolor", "virginica"])),
            ("cancer_bool.pkl", 30, json!([false, true])),
            ("wine_extra.joblib.z", 13, json!([-1, 0, 1])),
        ] {
            let name = file.split_once('.').unwrap().0;
            add(&ann, name, &format!("sklearn/1.5.2/{file}")).await;
            let reply = ask(&ann, name, &zeros(width)).await.status(200);
            let got = reply.json();
            assert_eq!(got["classes"], classes, "{file}");
            assert!(classes.as_array().unwrap().contains(&got["predictions"][0]), "{file}: {got}");
            if file == "iris_float.pkl" {
                assert!(reply.text().contains("\"classes\":[0.0,2.0,4.0]"), "{}", reply.text());
            }
        }
        add(&ann, "diabetes", "sklearn/1.5.2/diabetes_linear.pkl").await;
        let got = answer(&ann, "diabetes", &zeros(10)).await;
        assert!(got["predictions"][0].as_f64().unwrap().fract().abs() > 1e-3, "{got}");
        for member in ["probabilities", "classes", "confidence"] {
            assert!(got.get(member).is_none(), "{member}: {got}");
        }
    }

    /// F097
    async fn a_version_is_chosen_by_path_or_body_else_production_else_latest(s: TestServer) {
        let ann = s.user("ann").await;
        for _ in 0..3 {
            add(&ann, "iris", IRIS).await;
        }
        let version_of = async |path: &str, version: Value| {
            let body = json!({"inputs": [FLOWER], "version": version});
            let reply = ann.post(&format!("/api/v1/models/iris/{path}")).json(&body).await;
            if reply.code() == 200 { reply.json()["model_version"].as_i64().unwrap() } else { -i64::from(reply.code()) }
        };
        assert_eq!(version_of("predict", Value::Null).await, 3);
        assert_eq!(version_of("predict", json!("production")).await, -404);
        ann.post("/api/v1/models/iris/versions/2/promote").await.status(200);
        for (path, version, expected) in [
            ("predict", Value::Null, 2),
            ("predict", json!(1), 1),
            ("predict", json!("3"), 3),
            ("predict", json!("3.0.0"), 3),
            ("predict", json!("latest"), 3),
            ("predict", json!("production"), 2),
            ("predict", json!(4), -404),
            ("predict", json!("9.9.9"), -404),
            ("predict", json!([1]), -422),
            ("versions/1/predict", Value::Null, 1),
            ("versions/latest/predict", Value::Null, 3),
            ("versions/3.0.0/predict", Value::Null, 3),
            ("versions/1/predict", json!(1), 1),
            ("versions/1/predict", json!(2), -422),
            ("versions/4/predict", Value::Null, -404),
            ("versions/nothing/predict", Value::Null, -404),
        ] {
            assert_eq!(version_of(path, version.clone()).await, expected, "{path} {version}");
        }
    }

    /// F067
    async fn a_deprecated_model_answers_with_a_header_and_an_archived_one_does_not_answer(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "iris", IRIS).await;
        let rows = json!({"inputs": [FLOWER]});
        for (status, code, header) in [("deprecated", 200, "@1767225600"), ("archived", 404, ""), ("active", 200, "")] {
            ann.patch("/api/v1/models/iris").json(&json!({"status": status})).await.status(200);
            for path in ["/api/v1/models/iris/predict", "/api/v1/models/iris/versions/1/predict"] {
                let reply = ann.post(path).json(&rows).await.status(code);
                assert_eq!(reply.header("deprecation"), header, "{status} {path}");
            }
        }
    }

    /// F098
    async fn a_thousand_rows_are_answered_and_one_more_is_sent_to_a_batch(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "iris", IRIS).await;
        let got = answer(&ann, "iris", &json!({"inputs": vec![FLOWER; 1000]})).await;
        assert_eq!(got["predictions"].as_array().unwrap().len(), 1000);
        let refused = ask(&ann, "iris", &json!({"inputs": vec![FLOWER; 1001]})).await.status(413).problem("too-large");
        assert_eq!(refused["limit"], 1000);
        assert!(refused["detail"].as_str().unwrap().contains("batch"), "{refused}");
    }

    /// F098
    #[options(few_rows())]
    async fn the_limit_of_rows_is_configured(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "iris", IRIS).await;
        answer(&ann, "iris", &json!({"inputs": vec![FLOWER; 3]})).await;
        assert_eq!(ask(&ann, "iris", &json!({"inputs": vec![FLOWER; 4]})).await.status(413).json()["limit"], 3);
    }

    async fn bodies_that_are_no_json_are_refused_and_say_where(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "iris", IRIS).await;
        let key = ann.key(&[Scope::Predict]).await;
        let deep = format!(r#"{{"inputs": {}1{}}}"#, "[".repeat(40), "]".repeat(40));
        let bodies: [&[u8]; 12] = [
            b"", b" ", br#"{"inputs": [[1, 2, 3, 4]"#, br#"{"inputs": [[1, 2, 3, 4]]} x"#, br#"{"inputs": [[NaN, 1, 1, 1]]}"#,
            br#"{"inputs": [[1e400, 1, 1, 1]]}"#, b"\xef\xbb\xbf{}", b"{\"inputs\": [[1, 2, 3, \"\xff\"]]}",
            br#"{"inputs": [["\u0000", 1, 1, 1]]}"#, br#"{"inputs": [["\ud800", 1, 1, 1]]}"#,
            br#"{"inputs": [[1, 2, 3, 4]], "inputs": [[1, 2, 3, 4]]}"#, deep.as_bytes(),
        ];
        for body in bodies {
            let text = String::from_utf8_lossy(body).into_owned();
            let reply = key.post("/api/v1/models/iris/predict").body(body, "application/json").await;
            assert_eq!(reply.code(), 400, "{text}: {}", reply.text());
            reply.problem("malformed-json");
        }
        for media_type in ["text/plain", "application/json; charset=latin1", "application/x-www-form-urlencoded"] {
            let request = key.post("/api/v1/models/iris/predict").body("{}", media_type);
            request.await.status(415).problem("unsupported-media-type");
        }
        let large = vec![b' '; (16 << 20) + 1];
        let request = key.post("/api/v1/models/iris/predict").body(large, "application/json");
        request.await.status(413).problem("too-large");
        ask(&key, "iris", &json!({"inputs": [FLOWER]})).await.status(200);
    }

    /// F105
    async fn a_client_may_give_less_time_but_only_in_milliseconds(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "iris", IRIS).await;
        for (time, code, slug) in [("0", 504, "timeout"), ("abc", 400, "malformed-request"), ("-1", 400, "malformed-request")] {
            let request = ann.post("/api/v1/models/iris/predict").header("x-request-timeout-ms", time);
            request.json(&json!({"inputs": [FLOWER]})).await.status(code).problem(slug);
        }
        let request = ann.post("/api/v1/models/iris/predict").header("x-request-timeout-ms", "10000");
        request.json(&json!({"inputs": [FLOWER]})).await.status(200);
    }

    /// F104
    async fn values_a_model_cannot_use_are_the_callers_mistake_and_are_not_counted_as_failures(s: TestServer) {
        let ann = s.user("ann").await;
        add(&ann, "forest", "sklearn/1.5.2/iris_forest_p5.pkl").await;
        let refused = ask(&ann, "forest", &json!({"inputs": [[1e300, 1, 1, 1]]})).await.status(422);
        let refused = refused.problem("invalid-request");
        assert_eq!(errors(&refused), ["/inputs unpredictable"]);
        assert!(!refused.to_string().contains("e300"), "{refused}");
        let text = s.anonymous().get("/metrics").await.text();
        let counted = text.lines().filter(|line| line.starts_with("plimsoll_prediction_failures_total{"));
        assert!(counted.map(|line| line.rsplit_once(' ').unwrap().1).all(|count| count == "0"), "{text}");
    }
}
