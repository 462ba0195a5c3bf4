//! Every committed model, uploaded and asked over HTTP, answers what its own
//! library answered. On SQLite alone: no answer passes through the database.
//!
//! ONNX models need `target/onnxruntime/libonnxruntime.so`, or the path in
//! `PLIMSOLL_TEST_ONNXRUNTIME`. `PLIMSOLL_SKIP_ONNX=1` skips them.

use std::path::{Path, PathBuf};

use plimsoll_testkit::{Backend, Client, Options, Part, TestServer, fixture, fixture_path};
use serde_json::{Value, json};

/// Accepted differences, relative to values above 1.
const NATIVE: f64 = 1e-9;
const ONNX: f64 = 1e-6;

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the library is"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The options of a server with ONNX Runtime.
pub(crate) fn with_onnxruntime() -> Options {
    let usual = || fixture_path("../target/onnxruntime/libonnxruntime.so");
    let library = variable("PLIMSOLL_TEST_ONNXRUNTIME").map_or_else(usual, PathBuf::from);
    Options::new().onnxruntime(Some(library))
}

/// Whether ONNX models can be served; fails if they cannot and nobody said so.
pub(crate) async fn serves_onnx(server: &TestServer) -> bool {
    if variable("PLIMSOLL_SKIP_ONNX").as_deref() == Some("1") {
        return false;
    }
    let health = server.anonymous().get("/health").await.status(200).json();
    let part = &health["components"]["onnxruntime"];
    assert_eq!(
        part["status"], "healthy",
        "this test needs ONNX Runtime ({part}): put libonnxruntime.so into target/onnxruntime/, \
         name it in PLIMSOLL_TEST_ONNXRUNTIME, or set PLIMSOLL_SKIP_ONNX=1"
    );
    true
}

/// All numbers of a value, in order; booleans count as 0 and 1.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Bool(value) => vec![f64::from(u8::from(*value))],
        number => vec![
            number
                .as_f64()
                .unwrap_or_else(|| unreachable!("{number} is no number")),
        ],
    }
}

fn assert_close(about: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{about}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let allowed = tolerance * expected.abs().max(1.0);
        assert!(
            (got - expected).abs() <= allowed,
            "{about}[{index}]: {got} and not {expected}"
        );
    }
}

/// Columns and values of a `.npy` file of little-endian f64 in C order.
pub(crate) fn npy(path: &Path) -> (usize, Vec<f64>) {
    let bytes = std::fs::read(path).unwrap();
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).unwrap();
    assert!(
        header.contains("'<f8'") && header.contains("'fortran_order': False"),
        "{header}"
    );
    let (_, shape) = header.split_once("'shape': (").unwrap();
    let shape = shape.split_once(')').unwrap().0;
    let columns = shape
        .split(',')
        .nth(1)
        .and_then(|count| count.trim().parse().ok());
    let values = bytes[end..].as_chunks::<8>().0;
    (
        columns.unwrap_or(1),
        values
            .iter()
            .map(|value| f64::from_le_bytes(*value))
            .collect(),
    )
}

/// Rows as JSON; a missing value is `null`.
pub(crate) fn rows(name: &str) -> Value {
    let (columns, values) = npy(&fixture_path(&format!("sklearn/inputs_{name}.npy")));
    // serde_json has no NaN: it becomes null, which is what the API takes.
    values.chunks(columns).map(|row| json!(row)).collect()
}

async fn answer(client: &Client, name: &str, content: Vec<u8>, inputs: &Value) -> Value {
    let reply = client.upload(name, content).await;
    assert_eq!(reply.code(), 201, "{name}: {}", reply.text());
    let reply = client.predict(name, inputs.clone()).await;
    assert_eq!(reply.code(), 200, "{name}: {}", reply.text());
    reply.json()
}

/// All models of one version of scikit-learn; answers how many there were.
async fn check_sklearn(client: &Client, folder: &Path) -> usize {
    let manifest = std::fs::read(folder.join("cases.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let cases = manifest["cases"].as_array().unwrap();
    for case in cases {
        let file = case["file"].as_str().unwrap();
        let about = format!("{} {file}", manifest["scikit-learn"]);
        let content = std::fs::read(folder.join(file)).unwrap();
        let got = answer(
            client,
            file,
            content,
            &rows(case["inputs"].as_str().unwrap()),
        )
        .await;
        let (_, expected) = npy(&folder.join(case["expected"].as_str().unwrap()));
        let Value::Array(labels) = &case["labels"] else {
            assert_close(&about, &flat(&got["predictions"]), &expected, NATIVE);
            continue;
        };
        assert_eq!(got["classes"], case["classes"], "{about}");
        let labels: Value = labels
            .iter()
            .map(|label| case["classes"][usize::try_from(label.as_u64().unwrap()).unwrap()].clone())
            .collect();
        assert_eq!(got["predictions"], labels, "{about}");
        assert_close(&about, &flat(&got["probabilities"]), &expected, NATIVE);
    }
    cases.len()
}

/// F059, F095
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scikit_learn_models_of_every_version_answer_what_scikit_learn_answered() {
    let server = TestServer::start(Backend::Sqlite).await;
    let ann = server.user("ann").await;
    let mut versions = 0;
    for entry in std::fs::read_dir(fixture_path("sklearn")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            assert!(
                check_sklearn(&ann, &folder).await >= 30,
                "{}",
                folder.display()
            );
            versions += 1;
        }
    }
    assert!(versions >= 2, "fixtures of two versions at least");
}

/// What ONNX Runtime answered, as predictions: the only output itself, or an
/// object of all outputs for each row.
fn outputs(predictions: &Value, name: &str, is_only: bool) -> Value {
    let rows = predictions.as_array().unwrap();
    let cell = |row: &Value| {
        if is_only {
            row.clone()
        } else {
            row[name].clone()
        }
    };
    rows.iter().map(cell).collect()
}

/// F059
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onnx_models_answer_what_their_libraries_answered() {
    let server = with_onnxruntime().start(Backend::Sqlite).await.unwrap();
    if !serves_onnx(&server).await {
        return;
    }
    let ann = server.user("ann").await;
    let mut count = 0;
    for entry in std::fs::read_dir(fixture_path("onnx")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Answers other shapes than it declares; see the test of failures.
        if path.extension().is_none_or(|end| end != "json") || name == "lying_width" {
            continue;
        }
        let record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let content = fixture(&format!("onnx/{name}.onnx"));
        let got = answer(&ann, &name, content, &record["inputs"]).await;
        count += 1;
        let library = &record["sklearn"];
        if library["labels"].is_array() {
            assert_eq!(got["predictions"], library["labels"], "{name}");
            assert_eq!(got["classes"], library["classes"], "{name}");
            assert_close(
                &name,
                &flat(&got["probabilities"]),
                &flat(&library["probabilities"]),
                ONNX,
            );
            continue;
        }
        let expected = record["onnxruntime"].as_object().unwrap();
        for (output, values) in expected {
            let found = outputs(&got["predictions"], output, expected.len() == 1);
            assert_close(
                &format!("{name} {output}"),
                &flat(&found),
                &flat(values),
                ONNX,
            );
        }
        if let Value::Array(values) = &library["values"]["variable"] {
            let values: Vec<f64> = values.iter().flat_map(flat).collect();
            assert_close(&name, &flat(&got["predictions"]), &values, ONNX);
        }
    }
    assert!(count >= 14, "{count} models");
}

/// F104
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_fails_on_an_input_is_a_500_without_a_trace_and_is_counted() {
    let server = with_onnxruntime().start(Backend::Sqlite).await.unwrap();
    if !serves_onnx(&server).await {
        return;
    }
    server.expect_errors();
    let ann = server.user("ann").await;
    let added = ann
        .upload("lying", fixture("onnx/lying_width.onnx"))
        .await
        .status(201)
        .json();
    let failed = ann
        .predict("lying", json!([[1.0], [2.0]]))
        .await
        .status(500)
        .problem("prediction-failed");
    for inside in ["shape", "onnx", ".rs", "/work", "\\n"] {
        assert!(!failed.to_string().contains(inside), "{inside} in {failed}");
    }
    let text = server.anonymous().get("/metrics").await.text();
    let model = added["model"]["id"].as_str().unwrap();
    let line = format!("plimsoll_prediction_failures_total{{model=\"{model}\",version=\"1\"}} 1");
    assert!(text.contains(&line), "{line} is not in {text}");
    let lines = server.log_lines();
    let logged =
        |line: &Value| line["request_id"] == failed["request_id"] && line["level"] == "ERROR";
    let line = lines.iter().find(|line| logged(line)).unwrap();
    assert!(
        line["error"].as_str().unwrap().contains("graph declares"),
        "{line}"
    );
    server.recorded().await;
    let listed = ann.get("/api/v1/predictions?status=failed").await;
    let listed = listed.status(200).json();
    let rows = listed["items"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{listed}");
    assert_eq!(rows[0]["status"], "failed");
    assert_eq!(rows[0]["request_id"], failed["request_id"]);
    assert_eq!(rows[0]["error_code"], "prediction-failed");
    assert_eq!(rows[0]["error_message"], "the model failed on this input");
    assert_eq!(
        (&rows[0]["rows"], &rows[0]["output"]),
        (&json!(2), &Value::Null)
    );
}

/// F059: networks exported from PyTorch and TensorFlow answer what those answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_from_pytorch_and_tensorflow_answer_what_their_libraries_answered() {
    let server = with_onnxruntime().start(Backend::Sqlite).await.unwrap();
    if !serves_onnx(&server).await {
        return;
    }
    let ann = server.user("ann").await;
    for (name, declared) in [("torch_mlp", "pytorch"), ("tensorflow_dense", "tensorflow")] {
        let told = fixture(&format!("onnx_exports/{name}.json"));
        let told: Value = serde_json::from_slice(&told).unwrap();
        let model = Part::File(
            "file",
            format!("{name}.onnx"),
            fixture(&format!("onnx_exports/{name}.onnx")),
        );
        let text = |name: &'static str, value: &str| Part::Text(name, value.to_owned());
        let parts = [text("name", name), text("model_type", declared), model];
        ann.post("/api/v1/models")
            .multipart(parts)
            .await
            .status(201);
        let answer = ann
            .predict(name, told["inputs"].clone())
            .await
            .status(200)
            .json();
        assert_close(
            name,
            &flat(&answer["predictions"]),
            &flat(&told["outputs"]),
            ONNX,
        );
    }
}
