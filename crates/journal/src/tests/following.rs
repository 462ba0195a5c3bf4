use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::Disk;

const THREADS: usize = 8;

fn real_disk() -> (tempfile::TempDir, Arc<Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::new(folder.path()).unwrap());
    (folder, disk)
}

#[test]
fn eight_writers_leave_no_gap_and_lose_nothing() {
    const EACH: usize = 500;
    let (_folder, disk) = real_disk();
    let journal = open(
        &disk,
        BOOT,
        Settings {
            segment_bytes: 100_000,
            ..Settings::default()
        },
    );
    thread::scope(|scope| {
        for writer in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || {
                for number in 0..EACH {
                    let _ = written(journal.append(&payload(writer * EACH + number, 300)));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                journal.sync().unwrap();
            }
        });
    });
    let found = Found::following(&journal);
    assert_eq!(found.records.len(), THREADS * EACH);
    assert_eq!(
        found
            .records
            .last_key_value()
            .map(|(sequence, _)| *sequence),
        Some((THREADS * EACH) as u64 - 1)
    );
    let mut read: Vec<&Vec<u8>> = found.records.values().collect();
    let expected: Vec<Vec<u8>> = (0..THREADS * EACH).map(|n| payload(n, 300)).collect();
    let mut expected: Vec<&Vec<u8>> = expected.iter().collect();
    read.sort();
    expected.sort();
    assert!(read == expected);
}

#[test]
fn a_reader_that_follows_the_writer_sees_every_record_once() {
    const TOTAL: usize = 5_000;
    let (_folder, disk) = real_disk();
    let journal = open(
        &disk,
        BOOT,
        Settings {
            segment_bytes: 50_000,
            ..Settings::default()
        },
    );
    let done = AtomicBool::new(false);
    let mut found = Found::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..TOTAL {
                let _ = written(journal.append(&payload(number, 300)));
            }
            done.store(true, Ordering::Release);
        });
        let mut reader = journal.reader(Cursor::start(BOOT));
        loop {
            let was_done = done.load(Ordering::Acquire);
            let cursor = found.read(&mut reader, 4_096);
            journal.remove_below(cursor).unwrap();
            if was_done {
                break;
            }
        }
    });
    assert!(found.damage.is_empty());
    assert_eq!(found.missing, 0);
    assert_eq!(found.records.len(), TOTAL);
    for (sequence, read) in &found.records {
        assert_eq!(*read, payload(usize::try_from(*sequence).unwrap(), 300));
    }
    let stats = journal.stats();
    assert_eq!((stats.spool_bytes, stats.segments), (0, 1));
}

#[test]
fn waiters_on_many_threads_all_get_their_record_synced() {
    let disk = sim(9);
    let journal = open(
        &disk,
        BOOT,
        Settings {
            durability: crate::Durability::Disk,
            ..settings()
        },
    );
    thread::scope(|scope| {
        for writer in 0..THREADS {
            let (journal, disk) = (&journal, &disk);
            scope.spawn(move || {
                for number in 0..20 {
                    let payload = payload(writer * 20 + number, 300);
                    let sequence = journal.append(&payload).needs_sync().unwrap();
                    journal.sync_up_to(sequence).unwrap();
                    let after = Arc::new(disk.after_power_loss());
                    let found = Found::leftover(&after, BOOT);
                    assert_eq!(found.records.get(&sequence), Some(&payload));
                }
            });
        }
    });
    assert_eq!(journal.stats().appended, 160);
}
