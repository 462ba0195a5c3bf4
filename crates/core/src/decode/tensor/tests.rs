//! Tensors of every type, and bodies that were damaged.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::column::{Output, Values};
use crate::decode::DecodeError;
use crate::schema::{ClassLabel, DataType, Field, Schema, Task};

fn numbers(count: usize) -> Schema {
    let field = |at| Field::scalar(format!("x{at}"), DataType::Float64).nullable();
    Schema::packed((0..count).map(field).collect()).unwrap()
}

/// Reads one tensor of these bytes for one column of numbers.
fn numbers_of(datatype: &str, bytes: &[u8], rows: usize) -> Vec<f64> {
    let parameters = json!({"binary_data_size": bytes.len()});
    let tensor =
        json!({"name": "x0", "datatype": datatype, "shape": [rows], "parameters": parameters});
    let mut message = json!({"inputs": [tensor]}).to_string().into_bytes();
    let json = message.len();
    message.extend_from_slice(bytes);
    let request = InferRequest::read(&message, json).unwrap();
    let decoded = infer_batch(&request, &numbers(1), 10).unwrap();
    decoded.batch.columns[0].values.to_f64()
}

#[test]
fn numbers_of_every_type_are_read() {
    for (datatype, bytes, expected) in [
        ("UINT8", &[255_u8, 1][..], [255.0, 1.0]),
        ("INT8", &[255, 1], [-1.0, 1.0]),
        ("UINT16", &[255, 255, 1, 0], [65_535.0, 1.0]),
        ("INT16", &[255, 255, 1, 0], [-1.0, 1.0]),
        (
            "FP16",
            &[0x00, 0x3c, 0x01, 0x00],
            [1.0, f64::powi(2.0, -24)],
        ),
        ("FP16", &[0xff, 0x7b, 0x00, 0xc0], [65_504.0, -2.0]),
        ("BF16", &[0x80, 0x3f, 0x00, 0xc0], [1.0, -2.0]),
    ] {
        assert_eq!(numbers_of(datatype, bytes, 2), expected, "{datatype}");
    }
    let words = [u32::MAX.to_le_bytes(), 1_u32.to_le_bytes()].concat();
    assert_eq!(numbers_of("UINT32", &words, 2), [4_294_967_295.0, 1.0]);
    assert_eq!(numbers_of("INT32", &words, 2), [-1.0, 1.0]);
    let long = [(-5_i64).to_le_bytes(), 7_i64.to_le_bytes()].concat();
    assert_eq!(numbers_of("INT64", &long, 2), [-5.0, 7.0]);
    assert_eq!(numbers_of("UINT64", &7_u64.to_le_bytes(), 1), [7.0]);
    assert_eq!(numbers_of("FP32", &1.5_f32.to_le_bytes(), 1), [1.5]);
    assert_eq!(numbers_of("FP64", &0.1_f64.to_le_bytes(), 1), [0.1]);
    assert!(numbers_of("FP64", &f64::NAN.to_le_bytes(), 1)[0].is_nan());
}

/// A schema of a text, a truth value and a tensor of a free length.
fn mixed() -> Schema {
    let mut free = Field::scalar("free", DataType::Float32);
    free.shape = vec![None, Some(2)];
    Schema::packed(vec![
        Field::scalar("text", DataType::String).nullable(),
        Field::scalar("flag", DataType::Bool),
        free,
    ])
    .unwrap()
}

fn mixed_message() -> (Vec<u8>, usize) {
    let text = [&2_u32.to_le_bytes()[..], b"ab", &0_u32.to_le_bytes()].concat();
    let message = json!({"id": "a", "inputs": [
        {"name": "text", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": text.len()}},
        {"name": "free", "datatype": "FP32", "shape": [2, 2, 2], "data": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
        {"name": "flag", "datatype": "BOOL", "shape": [2], "parameters": {"binary_data_size": 2}},
    ]});
    let mut message = message.to_string().into_bytes();
    let json = message.len();
    message.extend_from_slice(&text);
    message.extend_from_slice(&[1, 0]);
    (message, json)
}

#[test]
fn tensors_find_the_blocks_of_their_fields() {
    let (message, json) = mixed_message();
    let request = InferRequest::read(&message, json).unwrap();
    let batch = infer_batch(&request, &mixed(), 10).unwrap().batch;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(batch.rows, 2);
    assert_eq!(
        batch.columns[0].values,
        Values::Text(vec![text("ab"), text("")])
    );
    assert_eq!(batch.columns[1].values, Values::Bool(vec![true, false]));
    assert_eq!(
        (batch.columns[2].width, &*batch.columns[2].shape),
        (4, &[2, 2][..])
    );
    let free = (1_u8..9).map(f32::from).collect();
    assert_eq!(batch.columns[2].values, Values::Float32(free));
    let few = infer_batch(&request, &mixed(), 1).unwrap_err();
    assert!(matches!(few, DecodeError::TooManyRows { limit: 1, .. }));
}

#[test]
fn labels_are_answered_in_their_own_type() {
    let classes = |labels: [ClassLabel; 2]| {
        numbers(1).answering(Task::Classification, Vec::new(), labels.into())
    };
    let output = Output {
        rows: 1,
        labels: vec![1],
        ..Output::default()
    };
    let text = |text: &str| ClassLabel::Text(text.to_owned());
    for (labels, datatype, bytes, json) in [
        (
            [ClassLabel::Int(1), ClassLabel::Int(2)],
            "INT64",
            &2_i64.to_le_bytes()[..],
            json!([2]),
        ),
        (
            [ClassLabel::Bool(false), ClassLabel::Bool(true)],
            "BOOL",
            &[1],
            json!([true]),
        ),
        (
            [text("a"), text("bc")],
            "BYTES",
            b"\x02\0\0\0bc",
            json!(["bc"]),
        ),
        (
            [text("a"), ClassLabel::Int(7)],
            "BYTES",
            b"\x01\0\0\x007",
            json!(["7"]),
        ),
    ] {
        let schema = classes(labels);
        let tensors = answer_tensors(&schema, &output);
        let mut binary = Vec::new();
        tensors[0].append_to(&mut binary);
        assert_eq!((tensors[0].datatype.name(), &*binary), (datatype, bytes));
        assert_eq!(serde_json::to_value(&tensors[0]).unwrap(), json);
    }
}

proptest! {
    /// A damaged message is refused or becomes a batch that fits; nothing panics.
    #[test]
    fn a_damaged_message_harms_nobody(at in 0_usize..600, byte: u8, cut in 0_usize..600, json in 0_usize..700) {
        let (mut message, length) = mixed_message();
        let at = at % message.len();
        message[at] = byte;
        message.truncate(message.len().saturating_sub(cut % 7));
        for json in [length, json] {
            let Ok(request) = InferRequest::read(&message, json) else {
                continue;
            };
            let Ok(decoded) = infer_batch(&request, &mixed(), 10) else {
                continue;
            };
            let batch = decoded.batch;
            for column in &batch.columns {
                prop_assert_eq!(column.values.len(), batch.rows * column.width);
            }
        }
    }
}
