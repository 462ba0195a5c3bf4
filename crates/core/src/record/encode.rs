//! Writing: fixed-size elements as blocks of little-endian bytes, counts as LEB128.

use super::{Kept, Outcome, PredictionRecord, RECORD_FORMAT, RecordHead, Redacted, Redaction};
use crate::column::{Batch, Column, Output, Values};

/// Bits of the second byte.
pub(super) mod flag {
    pub(in crate::record) const FAILED: u8 = 1;
    pub(in crate::record) const CACHED: u8 = 1 << 1;
    pub(in crate::record) const RESULT_CACHED: u8 = 1 << 2;
    pub(in crate::record) const KEY: u8 = 1 << 3;
    pub(in crate::record) const ENDPOINT: u8 = 1 << 4;
    pub(in crate::record) const REQUEST_ID: u8 = 1 << 5;
    pub(in crate::record) const REDUCED: u8 = 1 << 6;
    pub(in crate::record) const SHADOW: u8 = 1 << 7;
}

/// Tags of element types.
pub(super) mod tag {
    pub(in crate::record) const FLOAT32: u8 = 0;
    pub(in crate::record) const FLOAT64: u8 = 1;
    pub(in crate::record) const INT64: u8 = 2;
    pub(in crate::record) const BOOL: u8 = 3;
    pub(in crate::record) const TEXT: u8 = 4;
}

/// Tags of what the log keeps; a record whose values are kept has none.
pub(super) mod kept {
    pub(in crate::record) const DIGESTS: u8 = 1;
    pub(in crate::record) const ROW: u8 = 2;
    pub(in crate::record) const NOTHING: u8 = 3;
}

/// Tags of redactions; a kept field is not listed.
pub(super) mod redaction {
    pub(in crate::record) const DROP: u8 = 1;
    pub(in crate::record) const MASK: u8 = 2;
    pub(in crate::record) const PSEUDONYM: u8 = 3;
}

impl PredictionRecord<'_> {
    /// Appends the record's binary form to `out`; allocates only when `out` grows.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(RECORD_FORMAT);
        out.push(flags(&self.head, &self.outcome));
        write_head(&self.head, out);
        write_batch(self.input, self.redacted, out);
        write_redacted(self.redacted, out);
        match self.outcome {
            Outcome::Answered(output) => write_output(output, out),
            Outcome::Failed { code } => write_text(code, out),
        }
    }
}

fn flags(head: &RecordHead<'_>, outcome: &Outcome<'_>) -> u8 {
    [
        (matches!(outcome, Outcome::Failed { .. }), flag::FAILED),
        (head.cached, flag::CACHED),
        (head.result_cached, flag::RESULT_CACHED),
        (head.key.is_some(), flag::KEY),
        (head.endpoint.is_some(), flag::ENDPOINT),
        (head.request_id.is_some(), flag::REQUEST_ID),
        (head.kept != Kept::Values, flag::REDUCED),
        (head.shadow, flag::SHADOW),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .fold(0, |all, (_, bit)| all | bit)
}

fn write_head(head: &RecordHead<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&head.prediction.as_u128().to_le_bytes());
    out.extend_from_slice(&head.at.as_micros().to_le_bytes());
    out.extend_from_slice(&head.model.as_u128().to_le_bytes());
    out.extend_from_slice(&head.version.as_u128().to_le_bytes());
    write_number(head.version_number.cast_unsigned(), out);
    out.extend_from_slice(&head.user.as_u128().to_le_bytes());
    if let Some(key) = head.key {
        out.extend_from_slice(&key.as_u128().to_le_bytes());
    }
    for text in [head.endpoint, head.request_id].into_iter().flatten() {
        write_text(text, out);
    }
    write_text(head.header_request_id, out);
    write_number(head.latency_us, out);
    match head.kept {
        Kept::Values => {}
        Kept::Digests => out.push(kept::DIGESTS),
        Kept::Row => out.push(kept::ROW),
        Kept::Nothing => out.push(kept::NOTHING),
    }
}

fn write_batch(batch: &Batch, redacted: &[Redacted<'_>], out: &mut Vec<u8>) {
    write_count(batch.rows, out);
    write_count(batch.columns.len(), out);
    for (block, column) in batch.columns.iter().enumerate() {
        let hidden = Hidden {
            block,
            row_width: column.width,
            fields: redacted,
        };
        write_column(column, &hidden, out);
    }
}

fn write_output(output: &Output, out: &mut Vec<u8>) {
    const NOTHING_HIDDEN: Hidden<'_> = Hidden {
        block: 0,
        row_width: 0,
        fields: &[],
    };
    write_count(output.rows, out);
    write_count(output.labels.len(), out);
    write_fixed(&output.labels, u32::to_le_bytes, out);
    write_count(output.probabilities.len(), out);
    write_fixed(&output.probabilities, f64::to_le_bytes, out);
    write_count(output.values.len(), out);
    for column in &output.values {
        write_column(column, &NOTHING_HIDDEN, out);
    }
}

/// Which elements of one block are blanked.
struct Hidden<'a> {
    block: usize,
    row_width: usize,
    fields: &'a [Redacted<'a>],
}

impl Hidden<'_> {
    fn fields(&self) -> impl Iterator<Item = &Redacted<'_>> {
        self.fields
            .iter()
            .filter(|field| field.slot.block == self.block && field.redaction != Redaction::Keep)
    }

    fn covers(&self, element: usize) -> bool {
        let at = element.checked_rem(self.row_width).unwrap_or(0);
        self.fields().any(|field| {
            let start = field.slot.offset;
            (start..start.saturating_add(field.width)).contains(&at)
        })
    }
}

fn write_column(column: &Column, hidden: &Hidden<'_>, out: &mut Vec<u8>) {
    let tag = match column.values {
        Values::Float32(_) => tag::FLOAT32,
        Values::Float64(_) => tag::FLOAT64,
        Values::Int64(_) => tag::INT64,
        Values::Bool(_) => tag::BOOL,
        Values::Text(_) => tag::TEXT,
    };
    out.push(tag);
    write_count(column.width, out);
    write_count(column.shape.len(), out);
    for dim in &column.shape {
        write_count(*dim, out);
    }
    write_count(column.values.len(), out);
    let start = out.len();
    match &column.values {
        Values::Float32(v) => {
            write_fixed(v, f32::to_le_bytes, out);
            blank(&mut out[start..], f32::NAN.to_le_bytes(), hidden);
        }
        Values::Float64(v) => {
            write_fixed(v, f64::to_le_bytes, out);
            blank(&mut out[start..], f64::NAN.to_le_bytes(), hidden);
        }
        Values::Int64(v) => {
            write_fixed(v, i64::to_le_bytes, out);
            blank(&mut out[start..], 0_i64.to_le_bytes(), hidden);
        }
        Values::Bool(v) => {
            write_fixed(v, |truth| [u8::from(truth)], out);
            blank(&mut out[start..], [0], hidden);
        }
        Values::Text(v) => {
            for (at, text) in v.iter().enumerate() {
                let text = text.as_deref().filter(|_| !hidden.covers(at));
                write_optional_text(text, out);
            }
        }
    }
}

/// Overwrites the hidden elements, so that no value outlives its redaction.
fn blank<const N: usize>(bytes: &mut [u8], with: [u8; N], hidden: &Hidden<'_>) {
    if hidden.fields().next().is_none() {
        return;
    }
    let (elements, _) = bytes.as_chunks_mut::<N>();
    for (at, element) in elements.iter_mut().enumerate() {
        if hidden.covers(at) {
            *element = with;
        }
    }
}

fn write_redacted(redacted: &[Redacted<'_>], out: &mut Vec<u8>) {
    let hidden = || redacted.iter().filter(|f| f.redaction != Redaction::Keep);
    write_count(hidden().count(), out);
    for field in hidden() {
        write_number(u64::from(field.field), out);
        match field.redaction {
            Redaction::Keep | Redaction::Drop => out.push(redaction::DROP),
            Redaction::Mask { keep_last } => out.extend_from_slice(&[redaction::MASK, keep_last]),
            Redaction::Pseudonym => out.push(redaction::PSEUDONYM),
        }
        write_count(field.stand_ins.len(), out);
        for text in field.stand_ins {
            write_optional_text(text.as_deref(), out);
        }
    }
}

/// Sized first and filled after, which compiles to a block copy.
fn write_fixed<T: Copy, const N: usize>(values: &[T], to: fn(T) -> [u8; N], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    let (chunks, _) = out[start..].as_chunks_mut::<N>();
    for (chunk, value) in chunks.iter_mut().zip(values) {
        *chunk = to(*value);
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_count(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// 0 is missing; otherwise the length plus one, then the text.
fn write_optional_text(text: Option<&str>, out: &mut Vec<u8>) {
    let Some(text) = text else {
        out.push(0);
        return;
    };
    write_count(text.len() + 1, out);
    out.extend_from_slice(text.as_bytes());
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    write_number(count as u64, out);
}

/// LEB128 (DWARF 5, section 7.6): seven bits a byte, lowest first.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}
