//! Models over columns of texts: their fields, their examples, and what they refuse.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]

use std::path::PathBuf;

use plimsoll_core::column::Output;
use plimsoll_core::decode::predict_body;
use plimsoll_core::example::{example_batch, example_row};
use plimsoll_core::time::SystemClock;
use plimsoll_engine::{Control, Engine, EngineError, EngineOptions, Opened};
use serde_json::{Value, json};

fn parity(path: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/parity"
    ))
    .join(path)
}

fn open(path: PathBuf) -> Result<Opened, EngineError> {
    Engine::new(EngineOptions::default()).open(&std::fs::read(path).unwrap())
}

/// What a model answers for rows of JSON.
fn predict(opened: &Opened, rows: &Value) -> Result<Output, String> {
    let body = json!({ "inputs": rows }).to_string();
    let decoded = predict_body(body.as_bytes(), opened.predictor.schema(), 100);
    let decoded = decoded.map_err(|error| format!("{error:?}"))?;
    let clock = SystemClock::new();
    let mut output = Output::default();
    let control = Control::unlimited(&clock);
    let predicted = opened
        .predictor
        .predict(&decoded.batch, &mut output, &control);
    predicted.map_err(|error| error.to_string())?;
    Ok(output)
}

#[test]
fn a_value_that_is_no_category_is_refused_by_its_row_and_field() {
    let opened = open(parity("encode/1.9.1/000_plain.joblib")).unwrap();
    let known = json!({"strength": "light", "size": 1, "hue": "red", "old": 0});
    predict(&opened, &json!([known])).unwrap();
    for (field, value) in [("hue", json!("blue")), ("size", json!(3))] {
        let mut row = known.clone();
        row[field] = value;
        let refused = predict(&opened, &json!([known, known, row])).unwrap_err();
        let expected = format!("{field:?} in row 2 is none of the values");
        assert!(refused.contains(&expected), "{refused}");
    }
    // A gap is a category only where it was one.
    let mut row = known.clone();
    row["hue"] = Value::Null;
    assert!(
        predict(&opened, &json!([row]))
            .unwrap_err()
            .contains("null")
    );
}

#[test]
fn a_value_behind_an_imputer_is_named_by_the_field_it_came_from() {
    let opened = open(parity("impute/1.9.1/017_most_frequent_nan.joblib")).unwrap();
    let rows = json!([{"strength": null, "hue": null}, {"strength": "light", "hue": "blue"}]);
    let refused = predict(&opened, &rows).unwrap_err();
    assert!(refused.contains("\"hue\" in row 1"), "{refused}");
}

#[test]
fn columns_that_were_dropped_are_not_asked_for() {
    let opened = open(parity("columns/1.9.1/000_by_name.joblib")).unwrap();
    let fields = opened.predictor.schema().inputs().iter();
    let names: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["alcohol", "strength", "ash", "hue", "flavanoids"]);
}

#[test]
fn a_vectorizer_takes_one_field_called_text() {
    let opened = open(parity("text/1.9.1/020_tfidf_logistic.joblib")).unwrap();
    assert_eq!(example_row(opened.predictor.schema()), json!({"text": ""}));
}

#[test]
fn examples_of_models_over_categories_are_answered() {
    for folder in [
        "columns/1.9.1",
        "encode/1.9.1",
        "impute/1.9.1",
        "text/1.9.1",
    ] {
        for entry in std::fs::read_dir(parity(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_none_or(|extension| extension != "joblib")
            {
                continue;
            }
            let opened = open(path.clone()).unwrap();
            let schema = opened.predictor.schema();
            let answered = predict(&opened, &json!([example_row(schema)]));
            assert!(answered.is_ok(), "{}: {answered:?}", path.display());
            let clock = SystemClock::new();
            let mut output = Output::default();
            let batch = example_batch(schema);
            opened
                .predictor
                .predict(&batch, &mut output, &Control::unlimited(&clock))
                .unwrap();
        }
    }
}
