//! What must hold of this crate's parsers for every input: run by the fuzzer
//! with the feature `fuzzing`, and over its corpora by the tests.
//!
//! Each function panics on a counterexample and returns otherwise.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::IgnoredAny;

use crate::column::{Batch, Values};
use crate::decode::{self, Decoded};
use crate::entropy::Entropy;
use crate::key::{KEY_LEN, KeyHandle, NewKey, PresentedKey};
use crate::schema::{DataType, Field, Schema};

/// Most rows of one body; few, so that the limit is met.
const MAX_ROWS: usize = 8;

/// A body of a prediction, after one byte that chooses the schema.
///
/// A body is refused or becomes a batch that fits its schema, and only what is
/// JSON is accepted. White space around it changes nothing.
pub fn predict_body(input: &[u8]) {
    let Some((choice, body)) = input.split_first() else {
        return;
    };
    let schema = schema(*choice);
    let decoded = decode::predict_body(body, &schema, MAX_ROWS);
    let mut padded = b" \n".to_vec();
    padded.extend_from_slice(body);
    padded.extend_from_slice(b"\t\r");
    let again = decode::predict_body(&padded, &schema, MAX_ROWS);
    assert!(decoded.is_ok() == again.is_ok(), "white space decides");
    let (Ok(decoded), Ok(again)) = (decoded, again) else {
        return;
    };
    // Missing numbers are NaN, which is not equal to itself.
    assert!(
        format!("{decoded:?}") == format!("{again:?}"),
        "white space changes a value"
    );
    assert!(
        serde_json::from_slice::<IgnoredAny>(body).is_ok(),
        "what is no JSON was accepted"
    );
    fits(&decoded, &schema);
}

fn fits(decoded: &Decoded, schema: &Schema) {
    let Batch { rows, columns } = &decoded.batch;
    assert!((1..=MAX_ROWS).contains(rows), "{rows} rows were accepted");
    assert_eq!(columns.len(), schema.blocks().len());
    for (column, block) in columns.iter().zip(schema.blocks()) {
        assert_eq!(column.values.data_type(), block.data_type);
        assert_eq!(column.values.len(), rows * column.width);
        assert!(block.width.is_none_or(|width| width == column.width));
        let is_finite = match &column.values {
            Values::Float32(v) => v.iter().all(|number| !number.is_infinite()),
            Values::Float64(v) => v.iter().all(|number| !number.is_infinite()),
            Values::Int64(_) | Values::Bool(_) | Values::Text(_) => true,
        };
        assert!(is_finite, "a number became infinite");
    }
}

/// One of a few schemas: every type, missing values, fixed and free shapes.
fn schema(choice: u8) -> Schema {
    let tensor = |name: &str, data_type, shape: &[Option<usize>]| Field {
        shape: shape.to_vec(),
        ..Field::scalar(name, data_type)
    };
    let number = |name: &str| Field::scalar(name, DataType::Float64);
    let built = match choice % 6 {
        0 => Schema::packed((0..4).map(|i| number(&format!("x{i}"))).collect()),
        1 => Schema::packed(vec![
            number("age").nullable(),
            Field::scalar("city", DataType::String).nullable(),
            Field::scalar("id", DataType::Int64),
            Field::scalar("member", DataType::Bool),
            Field::scalar("score", DataType::Float32),
        ]),
        2 => Schema::packed(vec![number("inputs")]),
        3 => Schema::separate(vec![tensor(
            "pixels",
            DataType::Float32,
            &[Some(2), Some(2)],
        )]),
        4 => Schema::separate(vec![
            tensor("tokens", DataType::Int64, &[None]),
            tensor("words", DataType::String, &[None, Some(2)]),
        ]),
        _ => Schema::packed(vec![
            Field::scalar("data", DataType::String),
            Field::scalar("a/b~c", DataType::Int64),
        ]),
    };
    built.expect("invariant: these names differ and these shapes are small")
}

/// A text as a key, and a good key of which a few bytes were changed.
///
/// A text is refused or has the form of a key. A change of up to four
/// neighbouring bytes never goes unnoticed: CRC-32 finds every burst of 32 bits.
pub fn api_key(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        arbitrary_key(text);
    }
    let Some((seed, change)) = input.split_first_chunk::<8>() else {
        return;
    };
    let good = NewKey::generate(&Counting(AtomicU64::new(u64::from_le_bytes(*seed))));
    let text = good.text.expose();
    let parsed = PresentedKey::parse(text);
    let parsed = parsed.unwrap_or_else(|_| unreachable!("a new key is refused"));
    assert!(parsed.handle == good.handle && parsed.matches(&good.hash));
    let Some((place, with)) = change.split_first() else {
        return;
    };
    let with = &with[..with.len().min(4)];
    let start = usize::from(*place) % (KEY_LEN - with.len());
    let mut changed = text.clone().into_bytes();
    changed[start..start + with.len()].copy_from_slice(with);
    if let Ok(changed) = std::str::from_utf8(&changed) {
        let is_accepted = PresentedKey::parse(changed).is_ok();
        assert!(is_accepted == (changed == text), "a change goes unnoticed");
    }
}

fn arbitrary_key(text: &str) {
    if let Ok(handle) = text.parse::<KeyHandle>() {
        assert!(handle.as_str() == text, "a handle reads as another");
    }
    if let Ok(key) = PresentedKey::parse(text) {
        assert!(text.len() == KEY_LEN, "a key of another length");
        assert!(text.starts_with(&key.handle.display_prefix()));
    }
}

/// Every call gives other bytes, and each byte is below 248 sooner or later,
/// which a key waits for.
#[derive(Debug)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            // Knuth's multiplicative hash (TAOCP 6.4) of a counter.
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let [.., high] = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            *byte = high;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn replay(target: &str, property: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let files = std::fs::read_dir(corpus.join(target)).unwrap();
        let contents = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let replayed = contents.inspect(|content| property(content)).count();
        assert!(replayed >= 10, "{replayed} inputs of {target}");
    }

    #[test]
    fn the_corpora_hold_no_counterexample() {
        replay("predict_body", predict_body);
        replay("api_key", api_key);
    }
}
