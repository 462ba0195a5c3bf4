//! Sample rows of a version: what its library answered, compared before anybody depends on it.

use plimsoll_testkit::{Client, Part, Reply, TestServer, backends, fixture, fixture_path};
use serde_json::{Value, json};

use crate::golden::{npy, rows};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const TREE: &str = "sklearn/1.5.2/iris_tree.pkl";
const RIDGE: &str = "sklearn/1.5.2/diabetes_ridge.pkl";

/// The first rows of a stored data set.
fn inputs(name: &str, count: usize) -> Value {
    rows(name).as_array().unwrap()[..count].into()
}

/// What scikit-learn answered for the first rows: numbers, or probabilities.
fn answers(model: &str, count: usize) -> Value {
    let file = format!(
        "{}.npy",
        model.replace('.', "_").replacen("1_5_2", "1.5.2", 1)
    );
    let (columns, values) = npy(&fixture_path(&file));
    let rows = values.chunks(columns).take(count);
    match columns {
        1 => rows.map(|row| json!(row[0])).collect(),
        _ => rows.map(|row| json!(row)).collect(),
    }
}

/// The classes of these probabilities.
fn labels(probabilities: &Value, classes: &[Value]) -> Value {
    let row = |row: &Value| {
        let shares: Vec<_> = row
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p.as_f64().unwrap())
            .collect();
        let places = 0..shares.len();
        let largest = places.max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
        classes[largest.unwrap()].clone()
    };
    probabilities.as_array().unwrap().iter().map(row).collect()
}

async fn send(client: &Client, path: &str, file: &str, parts: &[(&'static str, String)]) -> Reply {
    let texts = parts
        .iter()
        .map(|(name, text)| Part::Text(name, text.clone()));
    let file = Part::File("file", file.to_owned(), fixture(file));
    client.post(path).multipart(texts.chain([file])).await
}

/// Uploads a version of the model `m` with these parts.
async fn add(client: &Client, file: &str, parts: &[(&'static str, Value)]) -> Reply {
    let mut parts: Vec<_> = parts
        .iter()
        .map(|(name, value)| (*name, value.to_string()))
        .collect();
    parts.push(("name", "m".to_owned()));
    send(client, "/api/v1/models", file, &parts).await
}

async fn promote(client: &Client, version: i64) -> Reply {
    client
        .post(&format!("/api/v1/models/m/versions/{version}/promote"))
        .await
}

async fn verify(client: &Client, version: i64) -> Value {
    let request = client.post(&format!("/api/v1/models/m/versions/{version}/verify"));
    request.await.status(200).json()
}

backends! {
    /// F059, F072
    async fn a_version_that_answers_its_sample_rows_says_how_closely_and_is_promoted(s: TestServer) {
        let ann = s.admin().await;
        let probabilities = answers(IRIS, 20);
        let predictions = labels(&probabilities, &[json!(0), json!(1), json!(2)]);
        let both = json!({"predictions": predictions, "probabilities": probabilities});
        for (file, names, outputs, exact) in [
            (IRIS, "iris", predictions, true), (IRIS, "iris", both, false), (RIDGE, "diabetes", answers(RIDGE, 20), false),
        ] {
            let parts = [("sample_inputs", inputs(names, 20)), ("sample_outputs", outputs)];
            let version = add(&ann, file, &parts).await.status(201).json()["version"].clone();
            let found = &version["verification"];
            assert_eq!((&found["rows"], &found["passed"], &found["tolerance"]), (&json!(20), &json!(true), &json!(1e-6)));
            assert_eq!((&version["stage"], &found["worst"]), (&json!("none"), &Value::Null));
            if exact {
                assert_eq!(found["max_difference"], Value::Null, "labels have no distance");
            } else {
                assert!(found["max_difference"].as_f64().unwrap() < 1e-9, "{found}");
            }
            let number = version["version"].as_i64().unwrap();
            let seen = ann.get(&format!("/api/v1/models/m/versions/{number}")).await.status(200).json();
            // The last bit of a number may be lost on its way through JSON texts.
            for member in ["rows", "passed", "tolerance"] {
                assert_eq!(seen["verification"][member], found[member]);
            }
            promote(&ann, number).await.status(200);
        }
    }

    /// F059, F072
    async fn a_version_that_answers_otherwise_is_kept_but_not_promoted_nor_chosen_by_default(s: TestServer) {
        let ann = s.admin().await;
        add(&ann, RIDGE, &[]).await.status(201);
        let mut outputs = answers(RIDGE, 4);
        let expected = outputs[2].as_f64().unwrap() * 1.5;
        outputs[2] = json!(expected);
        let rows = inputs("diabetes", 4);
        let added = add(&ann, RIDGE, &[("sample_inputs", rows.clone()), ("sample_outputs", outputs)]).await.status(201).json();
        let (version, found) = (&added["version"], &added["version"]["verification"]);
        assert_eq!((&version["version"], &version["stage"], &found["passed"]), (&json!(2), &json!("candidate"), &json!(false)));
        assert_eq!((&found["worst"]["row"], &found["worst"]["field"]), (&json!(2), &json!("predictions")));
        assert_eq!(found["worst"]["expected"], expected);
        // |got − expected| / max(1, |expected|) with got = expected / 1.5.
        assert!((found["max_difference"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9, "{found}");
        let refused = promote(&ann, 2).await.status(409).problem("verification-failed");
        let detail = refused["detail"].as_str().unwrap();
        for part in ["row 2", "0.3333", "0.000001"] {
            assert!(detail.contains(part), "{part} is not in {detail}");
        }
        let one = json!([rows[0]]);
        assert_eq!(ann.predict("m", one.clone()).await.status(200).json()["model_version"], 1);
        for (path, number) in [("latest", 1), ("2", 2)] {
            let request = ann.post(&format!("/api/v1/models/m/versions/{path}/predict"));
            assert_eq!(request.json(&json!({"inputs": one})).await.status(200).json()["model_version"], number, "{path}");
        }
    }

    /// F059, F072
    async fn labels_are_compared_exactly_and_numbers_within_the_tolerance(s: TestServer) {
        let ann = s.admin().await;
        let ridge = |factor: f64| -> Value {
            let answers = answers(RIDGE, 3);
            answers.as_array().unwrap().iter().map(|y| json!(y.as_f64().unwrap() * factor)).collect()
        };
        let near = |shares: &Value, by: f64| {
            let mut shares = shares.clone();
            shares[1][2] = json!(shares[1][2].as_f64().unwrap() + by);
            json!({"predictions": labels(&shares, &[json!(0), json!(1), json!(2)]), "probabilities": shares})
        };
        let shares = answers(IRIS, 3);
        let wrong_label = { let mut labels = labels(&shares, &[json!(0), json!(1), json!(2)]); labels[1] = json!("setosa"); labels };
        for (file, names, outputs, tolerance, worst) in [
            (RIDGE, "diabetes", ridge(1.0 + 5e-7), 1e-6, None),
            (RIDGE, "diabetes", ridge(1.0 + 2e-6), 1e-6, Some("predictions")),
            (RIDGE, "diabetes", ridge(1.01), 0.05, None),
            (IRIS, "iris", near(&shares, 1e-7), 1e-6, None),
            (IRIS, "iris", near(&shares, 1e-5), 1e-6, Some("probabilities/2")),
            (IRIS, "iris", wrong_label, 1.0, Some("predictions")),
        ] {
            let parts = [("sample_inputs", inputs(names, 3)), ("sample_outputs", outputs.clone()), ("tolerance", json!(tolerance))];
            let added = add(&ann, file, &parts).await.status(201).json();
            let found = &added["version"]["verification"];
            assert_eq!(found["passed"], worst.is_none(), "{outputs}: {found}");
            assert_eq!(found["worst"]["field"], json!(worst), "{outputs}: {found}");
        }
    }

    /// F059, F072
    async fn sample_parts_that_cannot_be_compared_are_refused_by_their_place(s: TestServer) {
        let ann = s.admin().await;
        let (rows, many) = (inputs("iris", 2).to_string(), vec![[0.0; 4]; 1001]);
        let many = serde_json::to_string(&many).unwrap();
        let long = format!("[{}1]", "1,".repeat(600_000));
        for (inputs, outputs, tolerance, pointer) in [
            (Some("[[1, 2"), None, None, "/sample_inputs"),
            (Some("[]"), None, None, "/sample_inputs"),
            (Some("7"), None, None, "/sample_inputs"),
            (Some("[[1, 2, 3, 4]], \"version\": 1"), None, None, "/sample_inputs"),
            (Some("[[1, 2, 3]]"), None, None, "/sample_inputs/0"),
            (Some("[[1, 2, 3, 4], [1, 2, 3, \"x\"]]"), None, None, "/sample_inputs/1/3"),
            (Some("[{\"x0\": 1, \"x1\": 1, \"x2\": 1, \"x9\": 1}]"), None, None, "/sample_inputs/0/x9"),
            (Some(&*many), None, None, "/sample_inputs"),
            (None, Some("[0]"), None, "/sample_inputs"),
            (Some(&*rows), Some("[0"), None, "/sample_outputs"),
            (Some(&*rows), Some("7"), None, "/sample_outputs"),
            (Some(&*rows), Some("[0]"), None, "/sample_outputs"),
            (Some(&*rows), Some("[0, [1]]"), None, "/sample_outputs/1"),
            (Some(&*rows), Some("{\"prediction\": [0, 1]}"), None, "/sample_outputs/prediction"),
            (Some(&*rows), Some("{}"), None, "/sample_outputs/predictions"),
            (Some(&*rows), Some("{\"predictions\": [0]}"), None, "/sample_outputs/predictions"),
            (Some(&*rows), Some("{\"predictions\": [0, 1], \"probabilities\": [[1, 0, 0]]}"), None, "/sample_outputs/probabilities"),
            (Some(&*rows), Some("{\"predictions\": [0, 1], \"probabilities\": [[1, 0, 0], [1, 0]]}"), None, "/sample_outputs/probabilities/1"),
            (Some(&*rows), Some("[0, 1]"), Some("-1"), "/tolerance"),
            (Some(&*rows), Some("[0, 1]"), Some("NaN"), "/tolerance"),
            (Some(&*rows), Some("[0, 1]"), Some("tiny"), "/tolerance"),
            (Some(&*rows), None, Some("0.1"), "/tolerance"),
        ] {
            let parts = [("sample_inputs", inputs), ("sample_outputs", outputs), ("tolerance", tolerance)];
            let mut texts: Vec<_> = parts.into_iter().filter_map(|(name, text)| Some((name, text?.to_owned()))).collect();
            texts.push(("name", "m".to_owned()));
            let refused = send(&ann, "/api/v1/models", IRIS, &texts).await.status(422).problem("invalid-request");
            let pointers: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
            assert!(pointers.contains(&json!(pointer)), "{inputs:?} {outputs:?} {tolerance:?}: {refused}");
        }
        let refused = send(&ann, "/api/v1/models", IRIS, &[("name", "m".into()), ("sample_inputs", long)]).await;
        refused.status(413).problem("too-large");
        let texts = [("name", "m".into()), ("sample_inputs", inputs("diabetes", 2).to_string()),
            ("sample_outputs", json!({"predictions": [1, 2], "probabilities": [[1], [1]]}).to_string())];
        let refused = send(&ann, "/api/v1/models", RIDGE, &texts).await.status(422).problem("invalid-request");
        assert_eq!(refused["errors"][0]["pointer"], "/sample_outputs/probabilities");
        ann.get("/api/v1/models/m").await.problem("not-found");
        assert_eq!(std::fs::read_dir(s.directory().join("blobs")).unwrap().count(), 0);
    }

    /// F059, F072
    async fn a_stored_version_is_held_to_its_sample_rows_again(mut s: TestServer) {
        let ann = s.admin().await;
        let right = [("sample_inputs", inputs("iris", 5)), ("sample_outputs", labels(&answers(IRIS, 5), &[json!(0), json!(1), json!(2)]))];
        add(&ann, IRIS, &right).await.status(201);
        let texts: Vec<_> = right.iter().map(|(name, value)| (*name, value.to_string())).collect();
        // The tree answers names where these rows have numbers.
        let added = send(&ann, "/api/v1/models/m/versions", TREE, &texts).await.status(201).json();
        assert_eq!(added["version"]["verification"]["passed"], false);
        s.restart().await;
        let ann = s.admin().await;
        for (version, passed) in [(1, true), (2, false)] {
            let found = verify(&ann, version).await;
            assert_eq!((&found["matches"], &found["verification"]["passed"]), (&json!(true), &json!(passed)), "{version}");
            assert_eq!(found["verification"]["rows"], 5);
        }
        // A file without sample rows has nothing to compare.
        add(&ann, IRIS, &[]).await.status(201);
        assert_eq!(verify(&ann, 3).await.get("verification"), None);
        promote(&ann, 3).await.status(200);
    }

    /// F059, F072
    async fn sample_rows_without_answers_are_kept_as_examples(s: TestServer) {
        let ann = s.admin().await;
        let added = add(&ann, IRIS, &[("sample_inputs", inputs("iris", 3))]).await.status(201).json();
        assert_eq!(added["version"].get("verification"), None);
        assert_eq!(added["version"]["stage"], "none");
        assert_eq!(verify(&ann, 1).await.get("verification"), None);
        assert_eq!(ann.predict("m", inputs("iris", 3)).await.status(200).json()["cached"], true);
        promote(&ann, 1).await.status(200);
    }
}
