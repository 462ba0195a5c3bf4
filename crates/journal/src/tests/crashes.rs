use super::*;
use crate::sim::{Fault, Plan};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    Kill,
    PowerLoss,
}

/// What was done to a journal before the crash.
struct History {
    disk: Arc<SimDisk>,
    /// By number; the last one may be the one that was being written.
    attempted: Vec<Vec<u8>>,
    acknowledged: u64,
    synced: u64,
    /// Everything below was read and removed.
    removed: u64,
}

/// Appends, syncs, reads and removes at random until the machine stops at a
/// random call, in the middle of it.
fn live_until_crash(seed: u64) -> History {
    let mut random = Random::new(seed);
    let disk = sim(seed);
    let from = random.below(160) as u64;
    disk.plan(Some(Plan {
        from,
        count: u64::MAX,
        fault: Fault::PowerOff,
    }));
    let journal = open(&disk, BOOT, settings());
    let mut reader = journal.reader(Cursor::start(BOOT));
    let mut records = Records::new();
    let mut read = 0;
    let mut history = History {
        disk: disk.clone(),
        attempted: Vec::new(),
        acknowledged: 0,
        synced: 0,
        removed: 0,
    };
    while disk.calls() <= from {
        match random.below(12) {
            0 => history.synced = journal.sync().unwrap_or(history.synced),
            1 => {
                reader.read(&mut records, 900).unwrap();
                read += records.len() as u64;
            }
            2 if read > 0 => {
                let _ = journal.remove_below(records.cursor());
                history.removed = read;
            }
            _ => {
                let number = history.attempted.len();
                history.attempted.push(payload(number, 600));
                match journal.append(&history.attempted[number]) {
                    Appended::Written { sequence, .. } => {
                        assert_eq!(sequence, history.acknowledged);
                        history.acknowledged += 1;
                    }
                    other => assert_eq!(other, Appended::Dropped),
                }
            }
        }
    }
    history
}

fn check(seed: u64, crash: Crash) {
    let history = live_until_crash(seed);
    let disk = Arc::new(match crash {
        Crash::Kill => history.disk.after_kill(),
        Crash::PowerLoss => history.disk.after_power_loss(),
    });
    let found = Found::leftover(&disk, BOOT);
    for (sequence, read) in &found.records {
        let attempted = &history.attempted[usize::try_from(*sequence).unwrap()];
        assert_eq!(read, attempted, "seed {seed}: record {sequence} is wrong");
    }
    let safe = match crash {
        Crash::Kill => history.acknowledged,
        Crash::PowerLoss => history.synced,
    };
    for sequence in history.removed..safe {
        assert!(
            found.records.contains_key(&sequence),
            "seed {seed}: record {sequence} of {safe} is lost"
        );
    }
    go_on_after(seed, &disk, &found);
}

/// The next process reads the same, resumes anywhere, and writes its own.
fn go_on_after(seed: u64, disk: &Arc<SimDisk>, found: &Found) {
    let next = open(disk, NEXT_BOOT, settings());
    let mut reader = next.reader(Cursor::start(BOOT));
    let mut records = Records::new();
    reader.read(&mut records, 900).unwrap();
    let seen = records.len();
    let mut rest = Found::default();
    rest.read(&mut next.reader(records.cursor()), 5_000);
    assert!(
        found.records.iter().skip(seen).eq(rest.records.iter()),
        "seed {seed}: resuming after {seen} records finds others"
    );
    for number in 0..5 {
        let _ = written(next.append(&payload(number, 600)));
    }
    assert_eq!(Found::following(&next).records.len(), 5, "seed {seed}");
}

fn check_seeds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        check(seed, Crash::PowerLoss);
        check(seed, Crash::Kill);
    }
}

#[test]
fn three_hundred_crashes_lose_nothing_that_was_safe() {
    check_seeds(0..300);
}

#[test]
#[ignore = "takes half a minute in a debug build; part of the full table of trust"]
fn ten_thousand_crashes_lose_nothing_that_was_safe() {
    check_seeds(300..10_300);
}

#[test]
fn a_power_failure_does_lose_what_was_not_synced() {
    let mut lost = 0;
    for seed in 0..50 {
        let history = live_until_crash(seed);
        let found = Found::leftover(&Arc::new(history.disk.after_power_loss()), BOOT);
        let there = (history.removed..history.acknowledged)
            .filter(|sequence| found.records.contains_key(sequence))
            .count() as u64;
        lost += history.acknowledged - history.removed - there;
    }
    assert!(lost > 100, "the simulated disk is too kind: {lost}");
}
