use super::*;
use crate::{Cause, Disk, Durability, JournalError, State, WhenFull};

#[test]
fn what_is_appended_is_read_back_in_order_across_segments() {
    let disk = sim(1);
    let journal = open(&disk, BOOT, settings());
    for number in 0..100 {
        let sequence = written(journal.append(&payload(number, 300)));
        assert_eq!(sequence, number as u64);
    }
    let found = Found::following(&journal);
    assert!(found.damage.is_empty());
    assert_eq!(found.missing, 0);
    assert_eq!(found.records.len(), 100);
    for (sequence, read) in &found.records {
        assert_eq!(*read, payload(usize::try_from(*sequence).unwrap(), 300));
    }
    assert!(journal.stats().segments > 5);
    assert!(
        disk.files()
            .iter()
            .all(|(_, bytes)| *bytes <= SEGMENT_BYTES as usize + 16)
    );
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own() {
    let disk = sim(1);
    let journal = open(&disk, BOOT, settings());
    for len in [10, 50_000, 10] {
        let _ = written(journal.append(&vec![1; len]));
    }
    let found = Found::following(&journal);
    let lengths: Vec<usize> = found.records.values().map(Vec::len).collect();
    assert_eq!(lengths, [10, 50_000, 10]);
    assert_eq!(journal.stats().segments, 3);
}

#[test]
fn an_empty_record_is_dropped() {
    let journal = open(&sim(1), BOOT, settings());
    assert_eq!(journal.append(&[]), Appended::Dropped);
    assert_eq!(journal.stats().dropped, 1);
    assert_eq!(journal.state(), State::Writing);
}

#[test]
fn a_journal_that_is_off_touches_nothing() {
    let disk = sim(1);
    let off = Settings {
        durability: Durability::Off,
        ..settings()
    };
    let journal = open(&disk, BOOT, off);
    assert_eq!(journal.append(b"x"), Appended::Off);
    assert_eq!(journal.sync().unwrap(), 0);
    journal.close().unwrap();
    assert_eq!(disk.calls(), 0);
    assert!(Found::following(&journal).records.is_empty());
}

#[test]
fn many_waiters_cost_one_sync() {
    let disk = sim(1);
    let on_disk = Settings {
        durability: Durability::Disk,
        ..settings()
    };
    let journal = open(&disk, BOOT, on_disk);
    let waiting: Vec<u64> = (0..10)
        .map(|_| journal.append(b"record").needs_sync().unwrap())
        .collect();
    for sequence in waiting {
        journal.sync_up_to(sequence).unwrap();
    }
    assert_eq!(disk.syncs(), 1);
    assert_eq!(journal.sync().unwrap(), 10);
    assert_eq!(disk.syncs(), 1, "there was nothing new to sync");
    assert_eq!(
        open(&sim(1), BOOT, settings()).append(b"x").needs_sync(),
        None
    );
}

#[test]
fn a_sync_does_not_vouch_for_what_was_written_while_it_ran() {
    let disk = sim(1);
    let journal = Arc::new(open(&disk, BOOT, settings()));
    let _ = written(journal.append(b"before"));
    let other = journal.clone();
    disk.during_sync(move || {
        let _ = written(other.append(b"meanwhile"));
    });
    assert_eq!(journal.sync().unwrap(), 1);
    journal.sync_up_to(0).unwrap();
    assert_eq!(disk.syncs(), 1);
    journal.sync_up_to(1).unwrap();
    assert_eq!(disk.syncs(), 2);
}

#[test]
fn a_full_spool_sheds_or_rejects_until_it_is_read() {
    for (when_full, refused) in [
        (WhenFull::ShedLog, Appended::Dropped),
        (WhenFull::Reject, Appended::SpoolFull),
    ] {
        let journal = open(
            &sim(1),
            BOOT,
            Settings {
                max_spool_bytes: 5_000,
                when_full,
                ..settings()
            },
        );
        let mut reader = journal.reader(Cursor::start(BOOT));
        let mut total = 0;
        for _ in 0..5 {
            let mut refusals = 0;
            for number in 0..100 {
                match journal.append(&payload(number, 200)) {
                    Appended::Written { .. } => total += 1,
                    other => {
                        assert_eq!(other, refused);
                        refusals += 1;
                    }
                }
            }
            assert!(refusals > 50, "{refusals}");
            assert!(journal.stats().spool_bytes <= 5_000);
            let shedding = matches!(
                journal.state(),
                State::Dropping {
                    cause: Cause::SpoolFull,
                    ..
                }
            );
            assert_eq!(shedding, when_full == WhenFull::ShedLog);
            let cursor = Found::default().read(&mut reader, 700);
            journal.remove_below(cursor).unwrap();
            assert_eq!(journal.stats().spool_bytes, 0);
            let _ = written(journal.append(b"after reading"));
            assert_eq!(journal.state(), State::Writing);
            total += 1;
        }
        assert_eq!(journal.stats().appended, total);
    }
}

#[test]
fn leftovers_are_listed_counted_read_and_removed() {
    let disk = sim(1);
    let journal = open(&disk, BOOT, settings());
    for number in 0..50 {
        let _ = written(journal.append(&payload(number, 300)));
    }
    let segments = journal.stats().segments;

    let next = open(&disk, NEXT_BOOT, settings());
    let own = next.stats().spool_bytes;
    assert_eq!(next.leftovers(), [BOOT]);
    assert!(own > 5_000);
    let mut reader = next.reader(Cursor::start(BOOT));
    let mut records = Records::new();
    let mut seen = 0;
    while seen < 25 {
        reader.read(&mut records, 700).unwrap();
        seen += records.len();
    }
    let removed = next.remove_below(records.cursor()).unwrap();
    assert!(removed > 0 && removed < segments);
    assert!(next.stats().spool_bytes < own);

    let mut rest = Found::default();
    rest.read(&mut next.reader(records.cursor()), 700);
    assert_eq!(rest.records.len(), 50 - seen);
    assert!(matches!(
        next.remove_boot(NEXT_BOOT),
        Err(JournalError::Running)
    ));
    next.remove_boot(BOOT).unwrap();
    assert!(next.leftovers().is_empty());
    assert!(Found::leftover(&disk, BOOT).records.is_empty());
}

#[test]
fn the_names_of_process_starts_sort_by_time_and_read_back() {
    let clock = clock();
    let entropy = plimsoll_core::entropy::SeededEntropy::new(1);
    let first = BootId::new(clock.as_ref(), &entropy);
    clock.advance(SECOND);
    let second = BootId::new(clock.as_ref(), &entropy);
    assert!(first < second && first.to_string() < second.to_string());
    assert_eq!(first.to_string().parse(), Ok(first));
    assert!(first.to_string().to_lowercase().parse::<BootId>().is_err());
}

#[test]
fn a_real_folder_holds_the_journal_between_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(Disk::new(folder.path().join("journal")).unwrap());
    let journal = open(&disk(), BOOT, settings());
    for number in 0..60 {
        let _ = written(journal.append(&payload(number, 300)));
    }
    journal.close().unwrap();
    drop(journal);

    let next = open(&disk(), NEXT_BOOT, settings());
    assert_eq!(next.leftovers(), [BOOT]);
    let found = Found::leftover(&disk(), BOOT);
    assert_eq!(found.records.len(), 60);
    assert!(found.damage.is_empty());
    next.remove_boot(BOOT).unwrap();
    assert!(
        !folder
            .path()
            .join("journal")
            .join(BOOT.to_string())
            .exists()
    );
}

#[test]
fn the_age_of_the_last_sync_is_told() {
    let clock = clock();
    let journal = Journal::open(sim(1), BOOT, clock.clone(), settings()).unwrap();
    clock.advance(SECOND);
    assert_eq!(journal.stats().last_sync_age, SECOND);
    journal.sync().unwrap();
    assert_eq!(journal.stats().last_sync_age, Duration::ZERO);
}
