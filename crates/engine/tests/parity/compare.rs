//! An answer beside the one the library gave.

use plimsoll_core::column::{Column, Output, Values};
use plimsoll_core::decode::predict_body;
use plimsoll_core::time::SystemClock;
use plimsoll_engine::{Control, Opened};
use serde_json::{Value, json};

use crate::fixtures::{Case, Suite};

/// The largest difference between the answers, relative to values above 1; or what is wrong with them.
pub(crate) fn difference(suite: &Suite, case: &Case) -> Result<f64, String> {
    let opened = suite.open(case).map_err(|error| error.to_string())?;
    let output = predict(&opened, suite.rows(case))?;
    let schema = opened.predictor.schema();
    let label = |label: &u32| serde_json::to_value(&schema.classes[*label as usize]).unwrap();
    let labels: Vec<Value> = output.labels.iter().map(label).collect();
    let expected = case.labels.clone().unwrap_or_default();
    if labels.len() != expected.len() || !labels.iter().zip(&expected).all(same) {
        return Err(format!("labels {labels:?} instead of {expected:?}"));
    }
    let probabilities = case.probabilities.clone().unwrap_or_default().concat();
    if probabilities.len() != output.probabilities.len() {
        let (got, expected) = (output.probabilities.len(), probabilities.len());
        return Err(format!("{got} probabilities instead of {expected}"));
    }
    let mut worst = largest_difference(&output.probabilities, &probabilities);
    for (name, expected) in &case.outputs {
        let index = schema.outputs.iter().position(|field| field.name == *name);
        let index = index.ok_or_else(|| format!("no output is called {name}"))?;
        worst = worst.max(column_difference(&output.values[index], expected)?);
    }
    Ok(worst)
}

/// What a model answers for rows of JSON.
pub(crate) fn predict(opened: &Opened, rows: &[Value]) -> Result<Output, String> {
    let body = json!({ "inputs": rows }).to_string();
    let decoded = predict_body(body.as_bytes(), opened.predictor.schema(), rows.len());
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

/// The largest difference, relative to values above 1. Missing equals missing.
pub(crate) fn largest_difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let each = got.iter().zip(expected).map(|(a, b)| {
        if a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan() {
            return 0.0;
        }
        let difference = (a - b).abs() / b.abs().max(1.0);
        if difference.is_nan() {
            f64::INFINITY
        } else {
            difference
        }
    });
    each.fold(0.0, f64::max)
}

fn column_difference(column: &Column, expected: &Value) -> Result<f64, String> {
    let mut flat = Vec::new();
    flatten(expected, &mut flat);
    let got: Vec<Value> = match &column.values {
        Values::Float64(v) => v.iter().map(|x| json!(x)).collect(),
        Values::Float32(v) => v.iter().map(|x| json!(x)).collect(),
        Values::Int64(v) => v.iter().map(|x| json!(x)).collect(),
        Values::Bool(v) => v.iter().map(|x| json!(x)).collect(),
        Values::Text(v) => v.iter().map(|x| json!(x)).collect(),
    };
    if got.len() != flat.len() {
        return Err(format!("{} values instead of {}", got.len(), flat.len()));
    }
    let numbers = |values: &[Value]| -> Option<Vec<f64>> {
        let each = values.iter().map(|value| match value {
            Value::Null => Some(f64::NAN),
            other => other.as_f64(),
        });
        each.collect()
    };
    match (numbers(&got), numbers(&flat)) {
        (Some(got), Some(expected)) => Ok(largest_difference(&got, &expected)),
        _ if got == flat => Ok(0.0),
        _ => Err(format!("{got:?} instead of {flat:?}")),
    }
}

fn flatten(value: &Value, flat: &mut Vec<Value>) {
    match value {
        Value::Array(members) => members.iter().for_each(|member| flatten(member, flat)),
        other => flat.push(other.clone()),
    }
}

/// Whether two classes are the same; JSON writes 2.0 as 2.0 and Python may write it as 2.
fn same((got, expected): (&Value, &Value)) -> bool {
    got == expected || (got.is_number() && got.as_f64() == expected.as_f64())
}
