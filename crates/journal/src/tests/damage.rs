use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::DamageKind;
use crate::frame::{self, Header, Parsed};

/// Twelve records in a few segments, the last one sealed or not.
fn small_journal(sealed: bool) -> Arc<SimDisk> {
    let disk = sim(5);
    let tiny = Settings {
        segment_bytes: 200,
        ..Settings::default()
    };
    let journal = open(&disk, BOOT, tiny);
    for number in 0..12 {
        let _ = written(journal.append(&payload(number, 40)));
    }
    if sealed {
        journal.close().unwrap();
    }
    disk
}

fn assert_flip_is_noticed(disk: &Arc<SimDisk>, path: &Path, bit: usize) {
    let what = format!("bit {bit} of {}", path.display());
    disk.flip(path, bit);
    let found = Found::leftover(disk, BOOT);
    disk.flip(path, bit);
    for (sequence, read) in &found.records {
        let number = usize::try_from(*sequence).unwrap();
        assert_eq!(*read, payload(number, 40), "{what}: {sequence} is wrong");
    }
    assert_eq!(found.damage.len(), 1, "{what} went unnoticed");
    let damage = found.damage[0];
    let segment = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(segment, format!("{:010}.log", damage.at.segment), "{what}");
    assert!(damage.at.offset <= (bit / 8) as u64, "{what}");
}

#[test]
fn every_single_bit_that_flips_is_noticed() {
    for sealed in [false, true] {
        let disk = small_journal(sealed);
        let whole = Found::leftover(&disk, BOOT);
        assert_eq!(whole.records.len(), 12);
        assert!(whole.damage.is_empty());
        for (path, bytes) in disk.files() {
            for bit in 0..bytes * 8 {
                assert_flip_is_noticed(&disk, &path, bit);
            }
        }
    }
}

#[test]
fn damage_costs_the_rest_of_its_segment_and_no_other() {
    let disk = small_journal(true);
    let (path, _) = disk.files()[1].clone();
    disk.flip(&path, (44 + 16) * 8);
    let found = Found::leftover(&disk, BOOT);
    assert_eq!(found.damage[0].kind, DamageKind::Corrupt);
    assert_eq!(found.damage[0].at.segment, 2);
    assert_eq!(found.damage[0].at.offset, 44);
    assert!(found.missing > 0);
    assert_eq!(found.records.len() as u64 + found.missing, 12);
    assert!(found.records.contains_key(&0) && found.records.contains_key(&11));
}

#[test]
fn a_cut_at_any_byte_of_the_last_segment_is_a_torn_end() {
    let disk = small_journal(false);
    let (path, bytes) = disk.files().pop().unwrap();
    let content = content(&disk, &path, bytes);
    let boundaries = {
        let mut ends = vec![44];
        let mut at = 44;
        while at < bytes {
            let length = u32::from_le_bytes(content[at..at + 4].try_into().unwrap());
            at += 16 + length as usize;
            ends.push(at);
        }
        ends
    };
    for len in 0..bytes {
        disk.put(&path, content[..len].to_vec());
        let found = Found::leftover(&disk, BOOT);
        if boundaries.contains(&len) {
            assert!(found.damage.is_empty(), "cut to {len}");
        } else {
            assert_eq!(found.damage.len(), 1, "cut to {len}");
            assert_eq!(found.damage[0].kind, DamageKind::Torn, "cut to {len}");
        }
    }
}

#[test]
fn damage_under_the_writer_is_noticed_and_left_behind() {
    let disk = sim(5);
    let journal = open(&disk, BOOT, Settings::default());
    for number in 0..10 {
        let _ = written(journal.append(&payload(number, 40)));
    }
    let (path, _) = disk.files()[0].clone();
    let mut reader = journal.reader(Cursor::start(BOOT));
    let mut found = Found::default();
    found.read(&mut reader, 60);
    for number in 10..20 {
        let _ = written(journal.append(&payload(number, 40)));
    }
    let end = disk.files()[0].1;
    disk.flip(&path, (end - 1) * 8);
    found.read(&mut reader, 60);
    assert_eq!(found.damage.len(), 1);
    assert_eq!(found.damage[0].kind, DamageKind::Corrupt);
    assert_eq!(found.records.len(), 19);

    let _ = written(journal.append(b"in a new segment"));
    let cursor = found.read(&mut reader, 60);
    assert_eq!(found.records[&20], b"in a new segment");
    assert_eq!(found.missing, 1);
    assert_eq!(found.damage.len(), 1);
    assert_eq!(cursor.segment, 2);
}

#[test]
fn a_segment_under_another_name_is_refused() {
    let disk = small_journal(true);
    let files = disk.files();
    let content = content(&disk, &files[1].0, files[1].1);
    disk.put(&files[2].0, content);
    let found = Found::leftover(&disk, BOOT);
    assert_eq!(found.damage[0].at.segment, 3);
    assert_eq!(found.damage[0].at.offset, 0);
}

#[test]
fn frames_of_another_segment_or_out_of_order_are_refused() {
    let mine = Header {
        boot: BOOT,
        number: 1,
        first_sequence: 0,
    };
    let theirs = Header {
        boot: NEXT_BOOT,
        ..mine
    };
    let (head, seed) = mine.encode();
    let (_, other_seed) = theirs.encode();
    let whole = |seed, sequence: u64| {
        let payload = b"payload";
        let frame = frame::frame(seed, 7, crc32c::crc32c(payload), sequence);
        [&frame[..], payload].concat()
    };
    let cases = [
        ("in order", vec![whole(seed, 0), whole(seed, 1)], 2, 0),
        ("a gap", vec![whole(seed, 0), whole(seed, 2)], 1, 1),
        ("a repetition", vec![whole(seed, 0), whole(seed, 0)], 1, 1),
        ("a late start", vec![whole(seed, 1)], 0, 1),
        (
            "another boot",
            vec![whole(seed, 0), whole(other_seed, 1)],
            1,
            1,
        ),
        (
            "a wrong seal",
            vec![whole(seed, 0), frame::seal(seed, 7).to_vec()],
            1,
            1,
        ),
        (
            "a right seal",
            vec![whole(seed, 0), frame::seal(seed, 1).to_vec()],
            1,
            0,
        ),
    ];
    for (what, frames, records, damages) in cases {
        let disk = sim(1);
        disk.put(&mine.path(), [&head[..], &frames.concat()].concat());
        let found = Found::leftover(&disk, BOOT);
        assert_eq!(found.records.len(), records, "{what}");
        assert_eq!(found.damage.len(), damages, "{what}");
    }
}

#[test]
fn no_bit_of_a_frame_or_header_is_outside_its_checksum() {
    let header = Header {
        boot: BOOT,
        number: 3,
        first_sequence: 9,
    };
    let (mut head, seed) = header.encode();
    let payload = payload(1, 60);
    let length = u32::try_from(payload.len()).unwrap();
    let frame = frame::frame(seed, length, crc32c::crc32c(&payload), 9);
    let mut bytes = [&frame[..], &payload].concat();
    assert!(matches!(
        frame::parse(seed, &bytes),
        Parsed::Record { sequence: 9, .. }
    ));
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(
                frame::parse(seed, &bytes),
                Parsed::Invalid | Parsed::Incomplete { .. }
            ),
            "bit {bit}"
        );
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for bit in 0..head.len() * 8 {
        head[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&head), None, "bit {bit}");
        head[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(Header::decode(&head), Some((header, seed)));
}

fn content(disk: &Arc<SimDisk>, path: &Path, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    let file = disk.open(path).unwrap();
    disk.read_at(&file, 0, &mut content).unwrap();
    content
}

proptest! {
    #[test]
    fn bytes_written_over_a_segment_never_yield_a_wrong_record(
        edits in vec((any::<prop::sample::Index>(), vec(any::<u8>(), 1..40)), 1..5),
        sealed in any::<bool>(),
    ) {
        let disk = small_journal(sealed);
        for (place, bytes) in edits {
            let files = disk.files();
            let (path, len) = &files[place.index(files.len())];
            let mut content = content(&disk, path, *len);
            let at = place.index(content.len());
            let end = (at + bytes.len()).min(content.len());
            content[at..end].copy_from_slice(&bytes[..end - at]);
            disk.put(path, content);
        }
        for (sequence, read) in Found::leftover(&disk, BOOT).records {
            prop_assert_eq!(read, payload(usize::try_from(sequence).unwrap(), 40));
        }
    }

    #[test]
    fn arbitrary_files_yield_nothing(bytes in vec(any::<u8>(), 0..300)) {
        let disk = sim(1);
        disk.put(&PathBuf::from(format!("{BOOT}/0000000001.log")), bytes);
        disk.put(&PathBuf::from(format!("{BOOT}/notes.txt")), b"mine".to_vec());
        prop_assert!(Found::leftover(&disk, BOOT).records.is_empty());
    }
}
