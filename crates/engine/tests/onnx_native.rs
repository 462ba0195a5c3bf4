//! ONNX files that need no ONNX Runtime: each is run natively and with the runtime, which
//! has to make no difference to anybody. Files that contradict themselves are refused by both.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_core::column::{Output, Values};
use plimsoll_core::decode::predict_body;
use plimsoll_core::example::example_batch;
use plimsoll_core::schema::Schema;
use plimsoll_core::time::SystemClock;
use plimsoll_engine::{Control, Engine, EngineError, EngineOptions, OnnxStatus, Opened};
use serde_json::{Value, json};

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

/// An engine without the runtime: what it opens is native.
fn native() -> Engine {
    Engine::new(EngineOptions::default())
}

/// An engine with the runtime, or `None` if these tests are to be skipped.
fn with_runtime() -> Option<Engine> {
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
        panic!("these tests need ONNX Runtime, and {why}; PLIMSOLL_SKIP_ONNX=1 skips them");
    }
    Some(engine)
}

/// The same file with metadata that leaves it to the runtime: a field of a message may be appended.
fn for_runtime(file: &[u8]) -> Vec<u8> {
    let (key, value) = (b"plimsoll_engine", b"onnxruntime");
    let mut entry = vec![0x0a, u8::try_from(key.len()).unwrap()];
    entry.extend(key);
    entry.extend([0x12, u8::try_from(value.len()).unwrap()]);
    entry.extend(value);
    let field = [0x72, u8::try_from(entry.len()).unwrap()];
    [file, &field, &entry].concat()
}

/// A file and the rows that are predicted from it.
struct Case {
    name: String,
    bytes: Vec<u8>,
    rows: Value,
}

/// All files of converters, and those by hand.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in ["1.20.1", "1.31.1"] {
        let folder = root().join("fixtures/parity/onnx").join(version);
        let manifest: Value =
            serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
        for case in manifest["cases"].as_array().unwrap() {
            let file = case["file"].as_str().unwrap();
            cases.push(Case {
                name: format!("{version}/{file}"),
                bytes: std::fs::read(folder.join(file)).unwrap(),
                rows: manifest["inputs"][case["inputs"].as_str().unwrap()].clone(),
            });
        }
    }
    assert!(cases.len() > 70, "{}", cases.len());
    for folder in ["onnx", "onnx_exports"] {
        for file in files(folder) {
            let told = std::fs::read(file.with_extension("json"));
            let Ok(told) = told else { continue };
            let told: Value = serde_json::from_slice(&told).unwrap();
            cases.push(Case {
                name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
                bytes: std::fs::read(&file).unwrap(),
                rows: told["inputs"].clone(),
            });
        }
    }
    cases
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("fixtures").join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "onnx"));
    files.sort();
    files
}

fn predict(opened: &Opened, rows: &Value) -> Result<Output, EngineError> {
    let body = json!({ "inputs": rows }).to_string();
    let decoded = predict_body(body.as_bytes(), opened.predictor.schema(), 100);
    let batch = decoded.unwrap_or_else(|_| panic!("{rows}")).batch;
    let clock = SystemClock::new();
    let mut output = Output::default();
    let control = Control::unlimited(&clock);
    let predicted = opened.predictor.predict(&batch, &mut output, &control);
    predicted.map(|()| output)
}

/// Everything a schema says, in words.
fn words(schema: &Schema) -> String {
    let (inputs, blocks) = (schema.inputs(), schema.blocks());
    let answers = (&schema.outputs, &schema.classes, schema.task);
    format!("{inputs:?} {blocks:?} {:?} {answers:?}", schema.slots())
}

fn numbers(values: &Values) -> Vec<f64> {
    match values {
        Values::Float32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Values::Int64(v) => v
            .iter()
            .map(|x| f64::from(i32::try_from(*x).unwrap()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn assert_close(name: &str, got: &[f64], wanted: &[f64]) {
    assert_eq!(got.len(), wanted.len(), "{name}");
    for (got, wanted) in got.iter().zip(wanted) {
        let difference = (got - wanted).abs() / wanted.abs().max(1.0);
        let same = (got.is_nan() && wanted.is_nan()) || difference <= TOLERANCE;
        assert!(same, "{name}: {got} and not {wanted}");
    }
}

fn assert_same(name: &str, native: &Output, runtime: &Output) {
    assert_eq!(native.labels, runtime.labels, "{name}");
    assert_eq!(native.rows, runtime.rows, "{name}");
    assert_close(name, &native.probabilities, &runtime.probabilities);
    assert_eq!(native.values.len(), runtime.values.len(), "{name}");
    for (native, runtime) in native.values.iter().zip(&runtime.values) {
        assert_eq!(
            (native.width, &native.shape),
            (runtime.width, &runtime.shape)
        );
        assert_eq!(
            native.values.data_type(),
            runtime.values.data_type(),
            "{name}"
        );
        assert_close(name, &numbers(&native.values), &numbers(&runtime.values));
    }
}

#[test]
fn it_makes_no_difference_who_runs_a_file() {
    let Some(runtime) = with_runtime() else {
        return;
    };
    let mut left = Vec::new();
    for case in cases() {
        let name = &case.name;
        let opened = match native().open(&case.bytes) {
            Err(EngineError::Unavailable { .. }) => {
                left.push(case.name);
                continue;
            }
            opened => opened.unwrap_or_else(|error| panic!("{name}: {error}")),
        };
        let with = runtime.open(&for_runtime(&case.bytes));
        let with = with.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.description, with.description, "{name}");
        let schemas = [&opened, &with].map(|opened| words(opened.predictor.schema()));
        assert_eq!(schemas[0], schemas[1], "{name}");
        // A process that has loaded the runtime has it for every engine: what is native has a flat form.
        let Some(flat) = opened.predictor.flat(&opened.description) else {
            left.push(case.name);
            continue;
        };
        assert!(with.predictor.flat(&with.description).is_none());
        let flat = native().open_flat(&flat).unwrap();
        assert_eq!(words(flat.predictor.schema()), schemas[0], "{name}");

        let answer = predict(&opened, &case.rows).unwrap();
        assert_same(name, &answer, &predict(&with, &case.rows).unwrap());
        assert_same(name, &predict(&flat, &case.rows).unwrap(), &answer);
    }
    // Nets that are not perceptrons, loops, and what is declared otherwise than it comes out.
    let for_the_runtime = [
        "conv",
        "lying_rank",
        "lying_width",
        "one_row",
        "slow",
        "tokens",
        "torch_mlp",
    ];
    assert_eq!(left, for_the_runtime);
}

#[test]
fn an_integer_that_no_double_holds_is_refused_by_its_value() {
    let bytes = std::fs::read(root().join("fixtures/onnx/named_inputs.onnx")).unwrap();
    let opened = native().open(&bytes).unwrap();
    let row = |visits: i64| json!([{"age": 23.0, "visits": visits, "city": "Genoa"}]);
    assert!(predict(&opened, &row(1 << 53)).is_ok());
    let error = predict(&opened, &row((1 << 53) + 1)).unwrap_err();
    assert!(matches!(error, EngineError::Input { .. }), "{error:?}");
    assert!(error.to_string().contains("9007199254740993"), "{error}");
}

#[test]
fn a_category_that_the_graph_refuses_is_named_by_its_field() {
    let case = cases()
        .into_iter()
        .find(|case| case.name.contains("columns_strict"));
    let case = case.unwrap();
    let opened = native().open(&case.bytes).unwrap();
    let mut rows = case.rows;
    rows[2]["colour"] = json!("mauve");
    let error = predict(&opened, &rows).unwrap_err().to_string();
    assert!(error.contains("\"colour\" in row 2"), "{error}");
    assert!(error.contains("none of the values"), "{error}");
}

#[test]
fn files_that_contradict_themselves_are_refused_without_a_runtime() {
    let mut refused = BTreeMap::new();
    for file in files("onnx") {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if let Some(name) = name.strip_prefix("hostile_") {
            let error = native().open(&std::fs::read(&file).unwrap()).err();
            refused.insert(
                name.to_owned(),
                error.unwrap_or_else(|| panic!("{name} was opened")),
            );
        }
    }
    assert_eq!(refused.len(), 20);
    for (name, error) in refused {
        // What is merely no graph for the kernels is the runtime's to refuse.
        let runtimes = matches!(&name[..], "reshape_giant" | "columns_beyond");
        let expected = match error {
            EngineError::Unavailable { .. } => runtimes,
            EngineError::Malformed { .. } => !runtimes,
            _ => false,
        };
        assert!(expected, "{name}: {error:?}");
    }
}

#[test]
fn a_file_cut_off_or_changed_anywhere_is_refused_or_is_another_model() {
    for case in cases() {
        let whole = &case.bytes;
        for percent in 0..100 {
            let cut = &whole[..whole.len() * percent / 100];
            // Behind the graph are versions of operator sets, which a graph may not need.
            let refused = native().open(cut).is_err();
            assert!(refused || percent > 85, "{} cut at {percent} %", case.name);
        }
        for at in (0..whole.len()).step_by(1 + whole.len() / 150) {
            for bits in [0x55, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= bits;
                let Ok(opened) = native().open(&changed) else {
                    continue;
                };
                let batch = example_batch(opened.predictor.schema());
                let clock = SystemClock::new();
                let control = Control::unlimited(&clock);
                // A refusal is as good as an answer: the point is to come back.
                drop(
                    opened
                        .predictor
                        .predict(&batch, &mut Output::default(), &control),
                );
            }
        }
    }
}
