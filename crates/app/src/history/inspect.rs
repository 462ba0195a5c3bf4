//! What lies in a journal's folder, looked at from outside, beside a running
//! server or without one. Nothing is changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::time::Timestamp;
use plimsoll_journal::{BootId, Cursor, DamageKind, Disk, Reader, Records};
use plimsoll_store::{JournalCursor, LogDb};

use crate::Error;

/// Bytes of records read at once.
const BATCH_BYTES: usize = 1 << 20;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalReport {
    /// Process starts with a journal, the running one included.
    pub boots: usize,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes of them that are not in the log yet.
    pub unread_bytes: u64,
    /// Records in them.
    pub unread_records: u64,
    /// Time since the log last took something, if something waits.
    pub lag: Option<Duration>,
    /// Places where bytes changed that had been written whole.
    pub corrupt: Vec<String>,
}

/// Looks at the journal in `folder`, which may not exist, and at how far `log`
/// has got with it. Reads every record that is not in the log yet.
pub async fn inspect_journal(
    folder: &Path,
    log: &LogDb,
    now: Timestamp,
) -> Result<JournalReport, Error> {
    let mut report = JournalReport::default();
    let cursors: BTreeMap<String, JournalCursor> = log
        .cursors()
        .await?
        .into_iter()
        .map(|cursor| (cursor.boot.clone(), cursor))
        .collect();
    let failed = |error: std::io::Error| Error::Internal(error.into());
    let names = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(report),
        other => other.map_err(failed)?,
    };
    let disk = Arc::new(Disk::new(folder).map_err(failed)?);
    for entry in names {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(boot) = name.parse::<BootId>() else {
            continue;
        };
        report.boots += 1;
        report.bytes += bytes_of(&entry.path()).map_err(failed)?;
        let cursor = cursors.get(&name);
        let before = report.unread_records;
        read(&disk, place(boot, cursor), &mut report)?;
        if report.unread_records > before {
            let moved = cursor.map_or(Timestamp::from_micros(boot_micros(boot)), |c| c.updated_at);
            report.lag = report.lag.max(Some(now.since(moved)));
        }
    }
    Ok(report)
}

fn bytes_of(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        // A segment may be removed while this looks.
        sum += entry?.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok(sum)
}

/// Where the log has got to.
fn place(boot: BootId, cursor: Option<&JournalCursor>) -> Cursor {
    cursor.map_or(Cursor::start(boot), |cursor| Cursor {
        boot,
        segment: u32::try_from(cursor.segment).unwrap_or(0),
        offset: u64::try_from(cursor.byte_offset).unwrap_or(0),
    })
}

fn read(disk: &Arc<Disk>, from: Cursor, report: &mut JournalReport) -> Result<(), Error> {
    let mut reader = Reader::leftover(disk.clone(), from);
    let mut records = Records::new();
    loop {
        let read = reader.read(&mut records, BATCH_BYTES);
        read.map_err(|error| Error::Internal(error.into()))?;
        report.unread_records += records.len() as u64;
        let payloads = records.iter().map(|record| record.payload.len() as u64);
        report.unread_bytes += payloads.sum::<u64>();
        for damage in records.damage() {
            // A torn end is what a crash, or a server that writes just now, leaves.
            if damage.kind == DamageKind::Corrupt {
                let at = damage.at;
                let place = format!("{} segment {} byte {}", at.boot, at.segment, at.offset);
                report.corrupt.push(place);
            }
        }
        if records.at_end() {
            return Ok(());
        }
    }
}

/// When a process started, in microseconds.
fn boot_micros(boot: BootId) -> i64 {
    i64::try_from((boot.as_u128() >> 80) * 1000).unwrap_or(0)
}
