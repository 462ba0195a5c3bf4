//! What an append costs, and how fast the reader is.
//!
//! `cargo run --release -p plimsoll-journal --example append_cost [FOLDER]`:
//! prints, per record size, nanoseconds per append (mean, median, 99th
//! percentile) of three rounds, the reader's MB/s from the page cache, and
//! what the seam, the lock and the checksum add to a bare write.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a measurement prints what it measured, by the real clock"
)]

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_core::time::SystemClock;
use plimsoll_journal::{Appended, BootId, Cursor, Disk, Journal, Reader, Records, Settings};

const BYTES_PER_ROUND: usize = 192 << 20;
const MOST_RECORDS: usize = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join("plimsoll-append-cost"),
        PathBuf::from,
    );
    for len in [300, 512, 2 << 10, 64 << 10] {
        for _ in 0..3 {
            let payload = vec![7; len];
            let count = (BYTES_PER_ROUND / len).min(MOST_RECORDS);
            bare(&folder, &payload, count)?;
            journal(&folder, &payload, count)?;
        }
    }
    contended(&folder)?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The same bytes with nothing but the system call.
fn bare(folder: &Path, payload: &[u8], count: usize) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let path = folder.join("bare");
    let mut file: File = OpenOptions::new().append(true).create(true).open(&path)?;
    let head = [1; 16];
    let took = time(count, || {
        let wrote = file.write_vectored(&[IoSlice::new(&head), IoSlice::new(payload)]);
        assert!(wrote.is_ok_and(|len| len == payload.len() + head.len()));
    });
    print("bare write", payload.len(), took);
    fs::remove_file(path)?;
    Ok(())
}

fn journal(folder: &Path, payload: &[u8], count: usize) -> Result<(), Box<dyn Error>> {
    let (journal, disk, boot) = open(folder)?;
    let took = time(count, || {
        assert!(matches!(journal.append(payload), Appended::Written { .. }));
    });
    print("append", payload.len(), took);

    let mut reader = Reader::leftover(disk, Cursor::start(boot));
    let mut records = Records::new();
    let (started, mut bytes, mut seen) = (Instant::now(), 0, 0);
    loop {
        reader.read(&mut records, 1 << 20)?;
        seen += records.len();
        bytes += records.iter().map(|r| r.payload.len() + 16).sum::<usize>();
        if records.at_end() {
            break;
        }
    }
    assert_eq!(seen, count);
    let took = started.elapsed();
    println!(
        "{:>12} {:6} B   {:5.0} MB/s   {:.2} M records/s",
        "read",
        payload.len(),
        bytes as f64 / took.as_secs_f64() / 1e6,
        seen as f64 / took.as_secs_f64() / 1e6,
    );
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// Two threads at once: the lock is held for the write and 16 bytes of checksum.
fn contended(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (journal, ..) = open(folder)?;
    let payload = vec![7; 512];
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let took = time(MOST_RECORDS, || {
                    assert!(matches!(journal.append(&payload), Appended::Written { .. }));
                });
                print("of 2 threads", payload.len(), took);
            });
        }
    });
    Ok(())
}

fn open(folder: &Path) -> Result<(Journal, Arc<Disk>, BootId), Box<dyn Error>> {
    let disk = Arc::new(Disk::new(folder)?);
    let boot = BootId::from_u128(1);
    let clock = Arc::new(SystemClock::new());
    let journal = Journal::open(disk.clone(), boot, clock, Settings::default())?;
    Ok((journal, disk, boot))
}

fn time(count: usize, mut run: impl FnMut()) -> Vec<Duration> {
    (0..count)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect()
}

fn print(what: &str, len: usize, mut took: Vec<Duration>) {
    let mean = took.iter().sum::<Duration>().as_nanos() / took.len() as u128;
    took.sort();
    let at = |percent: usize| took[took.len() * percent / 100].as_nanos();
    println!(
        "{what:>12} {len:6} B   mean {mean:6} ns   p50 {:6} ns   p99 {:6} ns",
        at(50),
        at(99)
    );
}
