//! The journal against a disk that does its worst, and against a real one.

mod corpus;
mod crashes;
mod damage;
mod faults;
mod following;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::time::{ManualClock, Timestamp};

use crate::sim::{Random, SimDisk};
use crate::{Appended, BootId, Cursor, Damage, Journal, Reader, Records, Settings, Storage};

const BOOT: BootId = BootId::from_u128(7 << 80);
const NEXT_BOOT: BootId = BootId::from_u128(8 << 80);
/// Small, so that a test sees many segments.
const SEGMENT_BYTES: u32 = 2_000;

fn settings() -> Settings {
    Settings {
        segment_bytes: SEGMENT_BYTES,
        ..Settings::default()
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)))
}

fn open<S: Storage>(disk: &Arc<S>, boot: BootId, settings: Settings) -> Journal<S> {
    Journal::open(disk.clone(), boot, clock(), settings).unwrap()
}

/// Different for every `number`, of any length between 1 and `most`.
fn payload(number: usize, most: usize) -> Vec<u8> {
    let mut random = Random::new(number as u64);
    let len = 1 + random.below(most);
    (0..len)
        .map(|_| u8::try_from(random.below(256)).unwrap())
        .collect()
}

fn written(appended: Appended) -> u64 {
    match appended {
        Appended::Written { sequence, .. } => sequence,
        other => panic!("not written: {other:?}"),
    }
}

/// Everything a reader finds, read in batches of about `max_bytes`.
#[derive(Debug, Default)]
struct Found {
    records: BTreeMap<u64, Vec<u8>>,
    damage: Vec<Damage>,
    missing: u64,
}

impl Found {
    /// Reads to the end, checking that numbers grow and that nothing comes twice.
    fn read<S: Storage>(&mut self, reader: &mut Reader<S>, max_bytes: usize) -> Cursor {
        let mut records = Records::new();
        loop {
            reader.read(&mut records, max_bytes).unwrap();
            for record in records.iter() {
                let newest = self.records.last_key_value().map(|(sequence, _)| *sequence);
                assert!(
                    newest.is_none_or(|newest| newest < record.sequence),
                    "{} after {newest:?}",
                    record.sequence
                );
                self.records
                    .insert(record.sequence, record.payload.to_vec());
            }
            self.damage.extend_from_slice(records.damage());
            self.missing += records.missing();
            if records.at_end() {
                return records.cursor();
            }
        }
    }

    fn leftover<S: Storage>(disk: &Arc<S>, boot: BootId) -> Self {
        let mut found = Self::default();
        found.read(
            &mut Reader::leftover(disk.clone(), Cursor::start(boot)),
            700,
        );
        found
    }

    fn following<S: Storage>(journal: &Journal<S>) -> Self {
        let mut found = Self::default();
        found.read(&mut journal.reader(Cursor::start(journal.boot())), 700);
        found
    }
}

fn sim(seed: u64) -> Arc<SimDisk> {
    Arc::new(SimDisk::new(seed))
}

const SECOND: Duration = Duration::from_secs(1);
