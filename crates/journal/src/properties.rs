//! What must hold for every input: run by the fuzzer, and over its corpus by the tests.

use std::sync::Arc;

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::record::{
    Outcome, OutcomeView, PredictionRecord, RecordView, Redacted, RedactedView,
};
use plimsoll_core::schema::Slot;

use crate::frame::{self, FRAME_BYTES, Header};
use crate::sim::SimDisk;
use crate::{BootId, Cursor, Reader, Records};

const BOOT: BootId = BootId::from_u128(1);
const SEGMENTS: u32 = 3;
const RECORDS_EACH: u64 = 4;

/// Bytes are no record, or exactly those that the record they say encodes to.
pub fn record(bytes: &[u8]) {
    if let Ok(view) = RecordView::decode(bytes) {
        assert!(encoded(&view) == bytes, "a record has two forms");
    }
}

/// However a small journal is changed, its reader yields records of it only, in
/// order and each once, reports damage where it stops early, and comes to an end.
///
/// `changes` is a list of: segment, offset (2 bytes), how many bytes follow,
/// and these bytes, which are written over the segment. An empty list of bytes
/// cuts the segment there.
pub fn segment(changes: &[u8]) {
    let disk = Arc::new(SimDisk::new(0));
    let mut segments: Vec<Vec<u8>> = (1..=SEGMENTS).map(whole_segment).collect();
    apply(changes, &mut segments);
    for (number, content) in (1..).zip(segments) {
        disk.put(&frame::segment_path(BOOT, number), content);
    }
    let mut reader = Reader::leftover(disk, Cursor::start(BOOT));
    let mut next = 0;
    let (mut lost, mut missing) = (0, 0);
    let mut records = Records::new();
    loop {
        let read = reader.read(&mut records, 50);
        assert!(read.is_ok(), "the simulated disk was read from");
        for record in records.iter() {
            assert!(record.sequence >= next, "a record comes twice");
            assert!(
                record.payload == payload(record.sequence),
                "a record is wrong"
            );
            lost += record.sequence - next;
            next = record.sequence + 1;
        }
        missing += records.missing();
        if records.at_end() {
            break;
        }
    }
    assert!(next <= RECORDS_EACH * u64::from(SEGMENTS));
    assert!(missing >= lost, "a gap was not counted");
}

fn whole_segment(number: u32) -> Vec<u8> {
    let first_sequence = u64::from(number - 1) * RECORDS_EACH;
    let header = Header {
        boot: BOOT,
        number,
        first_sequence,
    };
    let (head, seed) = header.encode();
    let mut bytes = head.to_vec();
    for sequence in first_sequence..first_sequence + RECORDS_EACH {
        let payload = payload(sequence);
        let length = u32::try_from(payload.len()).unwrap_or(0);
        let crc = crc32c::crc32c(&payload);
        bytes.extend_from_slice(&frame::frame(seed, length, crc, sequence));
        bytes.extend_from_slice(&payload);
    }
    if number != SEGMENTS {
        bytes.extend_from_slice(&frame::seal(seed, first_sequence + RECORDS_EACH));
    }
    bytes
}

fn payload(sequence: u64) -> Vec<u8> {
    sequence.to_le_bytes().repeat(1 + FRAME_BYTES / 8)
}

fn apply(mut changes: &[u8], segments: &mut [Vec<u8>]) {
    while let Some(([segment, low, high, length], rest)) = changes.split_first_chunk() {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        changes = rest;
        let content = &mut segments[usize::from(*segment) % SEGMENTS as usize];
        let at = usize::from(u16::from_le_bytes([*low, *high])).min(content.len());
        let end = (at + bytes.len()).min(content.len());
        if bytes.is_empty() {
            content.truncate(at);
        } else {
            content.splice(at..end, bytes.iter().copied());
        }
    }
}

fn encoded(view: &RecordView<'_>) -> Vec<u8> {
    let stand_ins: Vec<Vec<Option<String>>> = view.redacted.iter().map(owned).collect();
    let redacted: Vec<Redacted<'_>> = view
        .redacted
        .iter()
        .zip(&stand_ins)
        .map(|(field, stand_ins)| Redacted {
            field: field.field,
            redaction: field.redaction,
            // The view is blanked already: nothing lies in this block.
            slot: Slot {
                block: usize::MAX,
                offset: 0,
            },
            width: 0,
            stand_ins,
        })
        .collect();
    let output = match &view.outcome {
        OutcomeView::Answered(output) => output.to_output(),
        OutcomeView::Failed { .. } => Output::default(),
    };
    let input: Batch = view.input.to_batch();
    let mut bytes = Vec::new();
    PredictionRecord {
        head: view.head,
        input: &input,
        redacted: &redacted,
        outcome: match view.outcome {
            OutcomeView::Answered(_) => Outcome::Answered(&output),
            OutcomeView::Failed { code } => Outcome::Failed { code },
        },
    }
    .encode(&mut bytes);
    bytes
}

fn owned(field: &RedactedView<'_>) -> Vec<Option<String>> {
    let texts = field.stand_ins.iter();
    texts.map(|text| text.map(str::to_owned)).collect()
}
