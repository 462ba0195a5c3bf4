//! ONNX files against what scikit-learn and ONNX Runtime answered for the same rows.
//!
//! Needs the library of ONNX Runtime: `target/onnxruntime/libonnxruntime.so`,
//! or the path in `PLIMSOLL_TEST_ONNXRUNTIME`. `PLIMSOLL_SKIP_ONNX=1` skips.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod runs;

use std::path::{Path, PathBuf};

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::decode::predict_body;
use plimsoll_core::schema::{ClassLabel, DataType, Schema, Task};
use plimsoll_core::time::{Clock, Monotonic, SystemClock, Timestamp};
use plimsoll_engine::{
    Control, Engine, EngineError, EngineOptions, OnnxStatus, Opened, Predictor, Stop,
    find_onnxruntime,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-6;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the library is"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The engine, or `None` if these tests are to be skipped.
fn engine() -> Option<Engine> {
    if variable("PLIMSOLL_SKIP_ONNX").as_deref() == Some("1") {
        return None;
    }
    let library = variable("PLIMSOLL_TEST_ONNXRUNTIME").map_or_else(
        || root().join("target/onnxruntime/libonnxruntime.so"),
        PathBuf::from,
    );
    let engine = Engine::new(EngineOptions {
        onnxruntime: Some(library),
        intra_threads: 1,
    });
    if let OnnxStatus::Missing { why, .. } = engine.onnx_status() {
        panic!(
            "these tests need ONNX Runtime, and {why}; put libonnxruntime.so into target/onnxruntime/, \
             name it in PLIMSOLL_TEST_ONNXRUNTIME, or set PLIMSOLL_SKIP_ONNX=1"
        );
    }
    Some(engine)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(root().join("fixtures/onnx").join(name)).unwrap()
}

fn expected(name: &str) -> Value {
    serde_json::from_slice(&bytes(&format!("{name}.json"))).unwrap()
}

fn open(engine: &Engine, name: &str) -> Opened {
    let opened = engine.open(&bytes(&format!("{name}.onnx")));
    opened.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The rows of a fixture as a request would bring them.
fn batch(schema: &Schema, record: &Value) -> Batch {
    let body = serde_json::json!({ "inputs": record["inputs"] }).to_string();
    predict_body(body.as_bytes(), schema, 100).unwrap().batch
}

fn predict(model: &dyn Predictor, batch: &Batch) -> Result<Output, EngineError> {
    let clock = SystemClock::new();
    let mut output = Output::default();
    model.predict(batch, &mut output, &Control::unlimited(&clock))?;
    Ok(output)
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Bool(value) => vec![f64::from(u8::from(*value))],
        number => vec![
            number
                .as_f64()
                .unwrap_or_else(|| panic!("{number} is no number")),
        ],
    }
}

fn numbers(values: &Values) -> Vec<f64> {
    match values {
        Values::Float32(v) => v.iter().map(|value| f64::from(*value)).collect(),
        Values::Float64(v) => v.clone(),
        Values::Int64(v) => v
            .iter()
            .map(|value| f64::from(i32::try_from(*value).unwrap()))
            .collect(),
        Values::Bool(v) => v.iter().map(|value| f64::from(u8::from(*value))).collect(),
        Values::Text(_) => panic!("text"),
    }
}

fn assert_close(name: &str, got: &[f64], wanted: &[f64]) {
    assert_eq!(got.len(), wanted.len(), "{name}");
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let allowed = TOLERANCE * wanted.abs().max(1.0);
        assert!(
            (got - wanted).abs() <= allowed,
            "{name}[{index}]: {got} and not {wanted}"
        );
    }
}

fn label(label: &ClassLabel) -> Value {
    serde_json::to_value(label).unwrap()
}

#[test]
fn classifiers_answer_what_scikit_learn_answers() {
    let Some(engine) = engine() else { return };
    for (name, algorithm) in [
        ("cancer_pipeline", "LinearClassifier"),
        ("cancer_named", "LinearClassifier"),
        ("cancer_forest", "TreeEnsembleClassifier"),
        ("iris_text", "LinearClassifier"),
        ("iris_zipmap", "LinearClassifier"),
        ("iris_zipmap_int", "LinearClassifier"),
        ("iris_mlp", "neural network"),
        ("named_inputs", "LinearClassifier"),
    ] {
        let opened = open(&engine, name);
        let (record, schema) = (expected(name), opened.predictor.schema());
        let sklearn = &record["sklearn"];
        assert_eq!(opened.description.algorithm, algorithm, "{name}");
        assert_eq!(
            opened.description.library.as_deref(),
            Some("skl2onnx 1.20.0")
        );
        assert_eq!(schema.task, Task::Classification, "{name}");
        let classes: Vec<Value> = schema.classes.iter().map(label).collect();
        assert_eq!(Value::Array(classes.clone()), sklearn["classes"], "{name}");
        assert!(schema.outputs.is_empty(), "{name}");

        let output = predict(&*opened.predictor, &batch(schema, &record)).unwrap();
        let labels: Vec<Value> = output
            .labels
            .iter()
            .map(|at| classes[*at as usize].clone())
            .collect();
        assert_eq!(Value::Array(labels), sklearn["labels"], "{name}");
        assert_close(
            name,
            &output.probabilities,
            &flat(&sklearn["probabilities"]),
        );
        assert_eq!(output.rows, output.labels.len());
    }
}

#[test]
fn graphs_without_classes_answer_their_outputs_as_values() {
    let Some(engine) = engine() else { return };
    for name in [
        "diabetes_boosted",
        "conv",
        "one_row",
        "tokens",
        "lying_rank",
    ] {
        let opened = open(&engine, name);
        let (record, schema) = (expected(name), opened.predictor.schema());
        let output = predict(&*opened.predictor, &batch(schema, &record)).unwrap();
        assert_eq!(output.values.len(), schema.outputs.len());
        for (field, column) in schema.outputs.iter().zip(&output.values) {
            let wanted = flat(&record["onnxruntime"][&field.name]);
            assert_close(
                &format!("{name} {}", field.name),
                &numbers(&column.values),
                &wanted,
            );
            assert_eq!(column.values.data_type(), field.data_type);
            assert_eq!(column.values.len(), output.rows * column.width);
        }
        if let Value::Object(values) = &record["sklearn"]["values"] {
            assert_close(
                name,
                &numbers(&output.values[0].values),
                &flat(&values["variable"]),
            );
        }
    }
}

#[test]
fn schemas_speak_of_features_inputs_and_open_dimensions() {
    let Some(engine) = engine() else { return };
    let inputs = |name: &str| open(&engine, name).predictor.schema().inputs().to_vec();
    let names =
        |name: &str| -> Vec<String> { inputs(name).into_iter().map(|field| field.name).collect() };
    assert_eq!(names("iris_text"), ["x0", "x1", "x2", "x3"]);
    assert_eq!(names("cancer_named")[..2], ["mean_radius", "mean_texture"]);
    assert_eq!(names("named_inputs"), ["age", "visits", "city"]);
    let types: Vec<DataType> = inputs("named_inputs")
        .iter()
        .map(|field| field.data_type)
        .collect();
    assert_eq!(
        types,
        [DataType::Float32, DataType::Int64, DataType::String]
    );
    assert_eq!(inputs("conv")[0].shape, [Some(2), None]);
    assert_eq!(inputs("tokens")[0].shape, [None]);
    assert_eq!(inputs("tokens")[0].data_type, DataType::Int64);

    let boosted = open(&engine, "diabetes_boosted");
    assert_eq!(boosted.predictor.schema().task, Task::Regression);
    assert!(boosted.predictor.schema().outputs[0].is_scalar());
    let one_row = open(&engine, "one_row");
    assert_eq!(one_row.description.notes.len(), 1);
    let schema = one_row.predictor.schema();
    assert_eq!(schema.outputs[1].shape, [Some(3), None]);
    let output = predict(&*one_row.predictor, &batch(schema, &expected("one_row"))).unwrap();
    assert_eq!((output.rows, &output.values[1].shape[..]), (4, &[3, 5][..]));
}

#[test]
fn what_does_not_fit_the_graph_is_the_callers_or_the_graphs_mistake() {
    let Some(engine) = engine() else { return };
    let tokens = open(&engine, "tokens");
    for (inputs, wanted) in [
        (r#"[{"tokens": [3000000000]}]"#, "outside the range of i32"),
        (r#"[{"tokens": [99]}]"#, "out of data bounds"),
    ] {
        let body = format!(r#"{{"inputs": {inputs}}}"#);
        let batch = predict_body(body.as_bytes(), tokens.predictor.schema(), 9)
            .unwrap()
            .batch;
        let error = predict(&*tokens.predictor, &batch).unwrap_err();
        assert!(matches!(error, EngineError::Input { .. }), "{error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let lying = open(&engine, "lying_width");
    let error = predict(
        &*lying.predictor,
        &batch(lying.predictor.schema(), &expected("lying_width")),
    );
    let wanted = "the model failed: output \"y\" has shape [3] where the graph declares [2]";
    assert_eq!(error.unwrap_err().to_string(), wanted);
    let foreign = Batch {
        rows: 1,
        columns: Vec::new(),
    };
    assert!(matches!(
        predict(&*tokens.predictor, &foreign),
        Err(EngineError::Input { .. })
    ));
}

#[test]
fn the_library_tells_its_version_and_is_loaded_once() {
    let Some(engine) = engine() else { return };
    let OnnxStatus::Ready { version } = engine.onnx_status() else {
        panic!("the library was there a moment ago");
    };
    let parts: Vec<u32> = version
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect();
    assert!(parts.len() == 3 && parts[..2] >= [1, 24][..], "{version}");
    // Whatever path comes later, the process keeps the library it has.
    let elsewhere = Engine::new(EngineOptions {
        onnxruntime: Some(PathBuf::from("/nowhere")),
        intra_threads: 2,
    });
    assert_eq!(elsewhere.onnx_status(), OnnxStatus::Ready { version });
}

#[test]
fn an_empty_batch_is_an_empty_answer() {
    let Some(engine) = engine() else { return };
    let model = open(&engine, "iris_text").predictor;
    let output = predict(&*model, &Batch::empty(model.schema())).unwrap();
    assert_eq!(output, Output::default());
}

#[test]
fn files_that_cannot_be_served_are_refused_with_a_reason() {
    let Some(engine) = engine() else { return };
    for (name, wanted) in [
        ("external", "external data"),
        ("external_nested", "external data"),
        ("fixed_batch", "fixed number of rows"),
        ("scalar", "no dimension for rows"),
        ("half", "of type f16"),
        ("operator", "Frobnicate"),
        ("ir_version", "IR version"),
        ("sequence", "output \"y\", which is no tensor"),
        ("optional", "output \"y\", which is no tensor"),
        ("dangling", "nowhere"),
    ] {
        let Err(error) = engine.open(&bytes(&format!("refused_{name}.onnx"))) else {
            panic!("{name} was opened");
        };
        let refused = matches!(error, EngineError::Unsupported { .. }) != (name == "dangling");
        assert!(
            refused && error.to_string().contains(wanted),
            "{name}: {error}"
        );
        assert!(
            !error.to_string().contains("onnxruntime_src"),
            "{name}: {error}"
        );
    }
}

#[test]
fn damaged_files_are_refused_and_never_crash() {
    let Some(engine) = engine() else { return };
    for name in ["iris_zipmap", "conv"] {
        let whole = bytes(&format!("{name}.onnx"));
        for cut in (0..whole.len()).step_by(7) {
            assert!(engine.open(&whole[..cut]).is_err(), "{name} cut at {cut}");
        }
        for at in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            // A changed weight or name may still be a model; the point is to come back.
            drop(engine.open(&bytes));
        }
    }
}

#[test]
fn the_library_is_found_in_directories_and_as_a_file() {
    let directory = root().join("target/onnxruntime-search/onnxruntime/capi");
    std::fs::create_dir_all(&directory).unwrap();
    for name in [
        "libonnxruntime.so.1.31.1",
        "libonnxruntime_providers_shared.so",
        "notes.txt",
    ] {
        std::fs::write(directory.join(name), "").unwrap();
    }
    let (library, packages) = (
        directory.join("libonnxruntime.so.1.31.1"),
        root().join("target/onnxruntime-search"),
    );
    let missing = root().join("no/such/folder");
    assert_eq!(
        find_onnxruntime(&[missing.clone(), packages]),
        Some(library.clone())
    );
    assert_eq!(
        find_onnxruntime(std::slice::from_ref(&library)),
        Some(library)
    );
    assert_eq!(find_onnxruntime(&[missing]), None);
}
