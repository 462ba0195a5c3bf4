//! Equal batches have equal digests, whoever sent them in whatever form.

use sha2::{Digest as _, Sha256};

use super::{Batch, Column, Values};
use crate::digest::Digest;

/// Bytes gathered before they are hashed.
const BLOCK: usize = 4096;

impl Batch {
    /// SHA-256 of rows and values after coercion. `0.0` and `-0.0` differ, as do
    /// the bit patterns of missing numbers: what a model may tell apart.
    pub fn digest(&self) -> Digest {
        let mut hash = Blocks::default();
        hash.number(self.rows);
        for column in &self.columns {
            hash.column(column);
        }
        hash.finish()
    }
}

/// Hashes what is written into it a block at a time.
#[derive(Default)]
struct Blocks {
    hash: Sha256,
    block: Vec<u8>,
}

impl Blocks {
    fn bytes(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK {
            self.hash.update(&self.block);
            self.block.clear();
        }
    }

    fn number(&mut self, number: usize) {
        self.bytes(&(number as u64).to_le_bytes());
    }

    fn column(&mut self, column: &Column) {
        self.number(column.width);
        self.number(column.shape.len());
        for dimension in &column.shape {
            self.number(*dimension);
        }
        match &column.values {
            Values::Float32(values) => self.fixed(0, values, f32::to_le_bytes),
            Values::Float64(values) => self.fixed(1, values, f64::to_le_bytes),
            Values::Int64(values) => self.fixed(2, values, i64::to_le_bytes),
            Values::Bool(values) => self.fixed(3, values, |value| [u8::from(value)]),
            Values::Text(values) => self.texts(values),
        }
    }

    fn fixed<T: Copy, const N: usize>(&mut self, tag: u8, values: &[T], bytes: fn(T) -> [u8; N]) {
        self.bytes(&[tag]);
        self.number(values.len());
        for value in values {
            self.bytes(&bytes(*value));
        }
    }

    fn texts(&mut self, texts: &[Option<String>]) {
        self.bytes(&[4]);
        self.number(texts.len());
        for text in texts {
            // One more than the length, so that nothing and an empty text differ.
            self.number(text.as_ref().map_or(0, |text| text.len() + 1));
            self.bytes(text.as_deref().unwrap_or_default().as_bytes());
        }
    }

    fn finish(mut self) -> Digest {
        self.hash.update(&self.block);
        Digest::from_bytes(self.hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn batch(columns: Vec<(Values, usize)>) -> Batch {
        let column = |(values, width)| Column {
            values,
            width,
            shape: Vec::new(),
        };
        Batch {
            rows: 2,
            columns: columns.into_iter().map(column).collect(),
        }
    }

    #[test]
    fn whatever_differs_has_another_digest() {
        let text = |texts: [Option<&str>; 2]| {
            let texts = texts.map(|text| text.map(str::to_owned));
            Values::Text(texts.to_vec())
        };
        let batches = [
            vec![(Values::Float64(vec![0.0, 1.0]), 1)],
            vec![(Values::Float64(vec![-0.0, 1.0]), 1)],
            vec![(Values::Float32(vec![0.0, 1.0]), 1)],
            vec![(Values::Int64(vec![0, 1]), 1)],
            vec![(Values::Bool(vec![false, true]), 1)],
            vec![(Values::Float64(vec![0.0, 1.0]), 2)],
            vec![
                (Values::Float64(vec![0.0]), 1),
                (Values::Float64(vec![1.0]), 1),
            ],
            vec![(text([Some("ab"), Some("")]), 1)],
            vec![(text([Some("a"), Some("b")]), 1)],
            vec![(text([Some("ab"), None]), 1)],
            vec![(Values::Float64(vec![0.5; 2 * BLOCK]), BLOCK)],
        ];
        let digests: HashSet<_> = batches.iter().cloned().map(|b| batch(b).digest()).collect();
        assert_eq!(digests.len(), batches.len());
        let again = batch(batches[0].clone()).digest();
        assert!(digests.contains(&again));
    }
}
