use super::*;
use crate::sim::{Fault, Plan};
use crate::{Cause, JournalError, State};

/// What forty appends over a failing disk, and one over a good one, came to.
struct Outcome {
    journal: Journal<SimDisk>,
    disk: Arc<SimDisk>,
    calls: u64,
    acknowledged: BTreeMap<u64, usize>,
    synced: u64,
    dropped: u64,
}

/// One append a second, a sync every fifth, while `plan` fails.
fn append_forty(seed: u64, plan: Option<Plan>) -> Outcome {
    let (disk, clock) = (sim(seed), clock());
    disk.plan(plan);
    let journal = Journal::open(disk.clone(), BOOT, clock.clone(), settings()).unwrap();
    let (mut acknowledged, mut dropped, mut synced) = (BTreeMap::new(), 0, 0);
    let mut calls = 0;
    for number in 0..=40 {
        if number == 40 {
            calls = disk.calls();
            disk.plan(None);
        }
        clock.advance(SECOND);
        match journal.append(&payload(number, 400)) {
            Appended::Written { sequence, .. } => {
                acknowledged.insert(sequence, number);
            }
            other => {
                assert_eq!(other, Appended::Dropped);
                dropped += 1;
            }
        }
        if number % 5 == 4 {
            synced = journal.sync().unwrap();
        }
    }
    Outcome {
        journal,
        disk,
        calls,
        acknowledged,
        synced,
        dropped,
    }
}

/// Every acknowledged record at or above `from` and below `to` is there, and
/// whatever else is there is a record that was appended.
fn assert_faithful(found: &Found, outcome: &Outcome, to: u64, what: &str) {
    for (sequence, number) in outcome.acknowledged.range(..to) {
        assert_eq!(
            found.records.get(sequence),
            Some(&payload(*number, 400)),
            "{what}: record {sequence}"
        );
    }
    let all: Vec<Vec<u8>> = (0..=40).map(|number| payload(number, 400)).collect();
    let mut last = None;
    for (sequence, read) in &found.records {
        let number = all.iter().position(|payload| payload == read);
        assert!(number.is_some(), "{what}: record {sequence} is wrong");
        assert!(number > last, "{what}: record {sequence} comes twice");
        last = number;
    }
}

#[test]
fn no_space_at_any_call_drops_a_few_and_recovers() {
    let calls = {
        let outcome = append_forty(0, None);
        assert_eq!(outcome.dropped, 0);
        outcome.calls
    };
    for fault in [Fault::NoSpace, Fault::NothingWorks] {
        for count in [1, 2, 7] {
            for from in 0..calls {
                let what = format!("{fault:?} at {count} calls from {from}");
                let plan = Plan { from, count, fault };
                let outcome = append_forty(from, Some(plan));
                assert!(outcome.dropped <= count, "{what}: {}", outcome.dropped);
                let stats = outcome.journal.stats();
                assert_eq!(stats.dropped, outcome.dropped, "{what}");
                assert_eq!(stats.state, State::Writing, "{what}");
                assert!(outcome.acknowledged.values().any(|number| *number == 40));
                let all = u64::MAX;
                assert_faithful(&Found::following(&outcome.journal), &outcome, all, &what);
                let killed = Arc::new(outcome.disk.after_kill());
                assert_faithful(&Found::leftover(&killed, BOOT), &outcome, all, &what);
                let off = Arc::new(outcome.disk.after_power_loss());
                assert_faithful(
                    &Found::leftover(&off, BOOT),
                    &outcome,
                    outcome.synced,
                    &what,
                );
            }
        }
    }
}

#[test]
fn a_full_disk_is_asked_once_a_second_and_told_since_when() {
    let (disk, clock) = (sim(3), clock());
    let journal = Journal::open(disk.clone(), BOOT, clock.clone(), settings()).unwrap();
    let _ = written(journal.append(b"before"));
    disk.plan(Some(Plan {
        from: 0,
        count: u64::MAX,
        fault: Fault::NoSpace,
    }));
    for _ in 0..10 {
        for _ in 0..1_000 {
            assert_eq!(journal.append(b"lost"), Appended::Dropped);
        }
        clock.advance(SECOND);
    }
    let calls = disk.calls();
    assert!(calls <= 30, "{calls} calls in ten seconds");
    assert_eq!(
        journal.state(),
        State::Dropping {
            since: Timestamp::from_micros(1_000_000),
            dropped: 10_000,
            cause: Cause::Storage,
        }
    );

    disk.plan(None);
    let _ = written(journal.append(b"after"));
    assert_eq!(journal.state(), State::Writing);
    let found = Found::following(&journal);
    assert!(found.records.values().any(|payload| payload == b"before"));
    assert!(found.records.values().any(|payload| payload == b"after"));
}

#[test]
fn what_filled_the_disk_is_read_to_its_end_and_removed() {
    let (disk, clock) = (sim(3), clock());
    let journal = Journal::open(disk.clone(), BOOT, clock.clone(), settings()).unwrap();
    let _ = written(journal.append(b"before"));
    let mut reader = journal.reader(Cursor::start(BOOT));
    let mut records = Records::new();
    disk.plan(Some(Plan {
        from: 0,
        count: 1,
        fault: Fault::NoSpace,
    }));
    assert_eq!(journal.append(b"lost"), Appended::Dropped);
    disk.plan(None);
    // Nothing is written any more, and yet the reader gets past the segment.
    reader.read(&mut records, 700).unwrap();
    assert_eq!(records.len(), 1);
    reader.read(&mut records, 700).unwrap();
    assert!(records.is_empty() && records.at_end());
    assert_eq!(journal.remove_below(records.cursor()).unwrap(), 1);
    assert_eq!(journal.stats().segments, 0);

    clock.advance(SECOND);
    let _ = written(journal.append(b"after"));
    reader.read(&mut records, 700).unwrap();
    assert_eq!(records.iter().next().unwrap().payload, b"after");
    assert_eq!(records.damage(), []);
}

#[test]
fn a_journal_starts_on_a_full_disk() {
    let (disk, clock) = (sim(3), clock());
    disk.plan(Some(Plan {
        from: 0,
        count: u64::MAX,
        fault: Fault::NoSpace,
    }));
    let journal = Journal::open(disk.clone(), BOOT, clock.clone(), settings()).unwrap();
    assert!(matches!(
        journal.state(),
        State::Dropping { dropped: 0, .. }
    ));
    assert_eq!(journal.append(b"lost"), Appended::Dropped);
    disk.plan(None);
    clock.advance(SECOND);
    let _ = written(journal.append(b"kept"));
    assert_eq!(Found::following(&journal).records.len(), 1);
}

#[test]
fn a_failed_sync_is_final() {
    let disk = sim(3);
    let journal = open(&disk, BOOT, settings());
    let _ = written(journal.append(b"perhaps lost"));
    disk.plan(Some(Plan {
        from: 0,
        count: 1,
        fault: Fault::SyncError,
    }));
    assert!(matches!(journal.sync(), Err(JournalError::SyncFailed(_))));
    let syncs = disk.syncs();
    for _ in 0..3 {
        assert!(matches!(journal.sync(), Err(JournalError::SyncFailed(_))));
        assert!(matches!(
            journal.sync_up_to(0),
            Err(JournalError::SyncFailed(_))
        ));
    }
    assert_eq!(disk.syncs(), syncs, "a failed sync is not tried again");
    assert_eq!(journal.append(b"x"), Appended::Dropped);
    assert!(matches!(
        journal.state(),
        State::Dropping {
            cause: Cause::Sync,
            ..
        }
    ));
}
