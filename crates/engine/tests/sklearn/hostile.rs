//! Files that attack their reader are refused by name, in little time and memory.

use std::time::Duration;

use plimsoll_core::time::{Clock, SystemClock};
use plimsoll_engine::EngineError;
use proptest::prelude::*;
use serde::Deserialize;

use crate::files;

/// No single file may take longer; real ones take milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// No test of this program may make it grow beyond this, all of them together.
const MEMORY_BYTES: u64 = 768 << 20;

#[derive(Deserialize)]
struct Attack {
    file: String,
    refusal: String,
    names: String,
}

/// What became of a file: the word of `cases.json`, and everything the outcome says.
fn outcome(bytes: &[u8]) -> (&'static str, String) {
    match files::open(bytes) {
        Ok(opened) => ("none", opened.description.algorithm),
        Err(error) => {
            let kind = match &error {
                EngineError::Unsafe { .. } => "unsafe",
                EngineError::Malformed { .. } => "malformed",
                EngineError::TooLarge { .. } => "too-large",
                EngineError::Unsupported { .. } => "unsupported",
                EngineError::Unrecognised { .. } => "unrecognised",
                _ => "another error",
            };
            (kind, error.to_string())
        }
    }
}

fn timed_outcome(name: &str, bytes: &[u8]) -> (&'static str, String) {
    let clock = SystemClock::new();
    let before = clock.monotonic();
    let outcome = outcome(bytes);
    let took = clock.monotonic().since(before);
    assert!(took < PATIENCE, "{name} took {took:?}");
    outcome
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches("kB").trim();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn every_attack_is_refused_by_name_and_nothing_runs() {
    let folder = files::folder().join("malicious");
    let text = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let attacks: Vec<Attack> = serde_json::from_str(&text).unwrap();
    assert!(attacks.len() >= 60);
    let mut wrong = Vec::new();
    for attack in &attacks {
        let bytes = std::fs::read(folder.join(&attack.file)).unwrap();
        let (refusal, says) = timed_outcome(&attack.file, &bytes);
        if refusal != attack.refusal || !says.contains(&attack.names) {
            wrong.push(format!("{}: {refusal}: {says}", attack.file));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!std::path::Path::new("plimsoll-was-run").exists());
    assert!(peak_bytes() < MEMORY_BYTES, "{} bytes", peak_bytes());
}

#[test]
fn a_payload_that_is_only_data_changes_no_answer() {
    for file in [
        "good_payload.pkl",
        "good_unaligned.joblib",
        "good_big_endian.pkl",
    ] {
        let bytes = std::fs::read(files::folder().join("malicious").join(file)).unwrap();
        let opened = files::open(&bytes).unwrap();
        let output = files::predict(&opened, &files::batch(&opened, &[1.0, 2.0], 2)).unwrap();
        assert_eq!(output.values[0].values.as_f64(), Some(&[5.5][..]), "{file}");
    }
}

#[test]
fn a_message_never_carries_control_or_foreign_characters() {
    for hostile in ["\u{202e}evil", "a\u{7}b", "\u{455}klearn", "a\nb"] {
        let mut bytes = b"\x80\x04\x8c\x02os\x8c".to_vec();
        bytes.push(u8::try_from(hostile.len()).unwrap());
        bytes.extend_from_slice(hostile.as_bytes());
        bytes.extend_from_slice(b"\x93.");
        let (refusal, says) = outcome(&bytes);
        assert_eq!(refusal, "unsafe");
        assert!(
            says.chars().all(|c| c == ' ' || c.is_ascii_graphic()),
            "{says}"
        );
    }
}

#[test]
fn millions_of_opcodes_and_values_meet_their_limits() {
    let mut churn = b"\x80\x04".to_vec();
    churn.extend_from_slice(&b"N0".repeat(11_000_000));
    let mut values = b"\x80\x04".to_vec();
    values.extend_from_slice(&b"]0".repeat(4_100_000));
    for (name, bytes) in [("opcodes", churn), ("values", values)] {
        let (refusal, says) = timed_outcome(name, &bytes);
        assert_eq!(refusal, "too-large", "{says}");
        assert!(says.contains(name), "{says}");
    }
}

#[test]
fn every_prefix_of_a_good_file_is_refused() {
    let good = [
        "iris_names.joblib",
        "iris_forest_p2.pkl",
        "iris_forest_p5.pkl",
        "diabetes_ridge.pkl",
        "cancer_pipeline.joblib.gz",
        "cancer_pipeline.joblib.bz2",
    ];
    for file in good {
        let bytes = files::newest(file);
        assert!(files::open(&bytes).is_ok(), "{file}");
        for length in 0..bytes.len() {
            let (refusal, says) = timed_outcome(file, &bytes[..length]);
            assert_ne!(refusal, "none", "{file} up to byte {length}: {says}");
        }
    }
}

#[test]
fn flipped_bytes_never_panic_and_never_take_long() {
    let good = [
        "iris_names.joblib",
        "iris_forest_p2.pkl",
        "iris_float.pkl",
        "cancer_nested.joblib",
        "diabetes_extra_tree.pkl",
        "cancer_pipeline.joblib.z",
    ];
    for file in good {
        let mut bytes = files::newest(file);
        // Every 1/700th of the file, every kind of change: about 2,000 for each file.
        let stride = (bytes.len() / 700).max(1);
        for at in (0..bytes.len()).step_by(stride) {
            for change in [0x01, 0x80, 0xff] {
                bytes[at] ^= change;
                read_and_predict(file, &bytes);
                bytes[at] ^= change;
            }
        }
    }
}

#[test]
fn every_hundredth_of_an_archive_is_refused_and_flipped_bytes_never_panic() {
    let folder = files::folder().join("parity/containers/1.9.1");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        assert!(files::open(&bytes).is_ok(), "{name}");
        for hundredth in 0..100 {
            let length = bytes.len() * hundredth / 100;
            let (refusal, says) = timed_outcome(&name, &bytes[..length]);
            assert_ne!(refusal, "none", "{name} up to byte {length}: {says}");
        }
        let stride = (bytes.len() / 50).max(1);
        for at in (0..bytes.len()).step_by(stride) {
            for change in [0x01, 0x80, 0xff] {
                bytes[at] ^= change;
                read_and_predict(&name, &bytes);
                bytes[at] ^= change;
            }
        }
        seen += 1;
    }
    assert!(seen >= 10, "{seen} archives");
}

/// Opens a damaged file; if it still opens, the model has to survive being asked.
fn read_and_predict(name: &str, bytes: &[u8]) {
    let clock = SystemClock::new();
    let before = clock.monotonic();
    if let Ok(opened) = files::open(bytes) {
        let width = opened.predictor.schema().inputs().len();
        let rows: Vec<f64> = (0..width * 9)
            .map(|index| f64::from(u32::try_from(index).unwrap()))
            .collect();
        let _ = files::predict(&opened, &files::batch(&opened, &rows, width));
    }
    assert!(clock.monotonic().since(before) < PATIENCE, "{name}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_opcodes_are_read_or_refused(body in proptest::collection::vec(opcode(), 0..60)) {
        let mut bytes = b"\x80\x04".to_vec();
        bytes.extend(body.into_iter().flatten());
        bytes.push(b'.');
        outcome(&bytes);
    }

    #[test]
    fn random_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        outcome(&body);
        let mut bytes = b"\x80\x04".to_vec();
        bytes.extend(body);
        outcome(&bytes);
    }
}

/// One opcode with an argument that suits it, or one that takes none.
fn opcode() -> impl Strategy<Value = Vec<u8>> {
    let words: [&[u8]; 7] = [
        b"cnumpy\ndtype\n",
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n",
        b"csklearn.pipeline\nPipeline\n",
        b"X\x05\x00\x00\x00shape",
        b"X\x05\x00\x00\x00dtype",
        b"X\x02\x00\x00\x00f8",
        b"\x95\x01\x00\x00\x00\x00\x00\x00\x00",
    ];
    prop_oneof![
        proptest::sample::select(
            b"(N0]})tuseablRoQ2\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94".to_vec()
        )
        .prop_map(|byte| vec![byte]),
        (proptest::sample::select(b"KhqUC".to_vec()), 0..6_u8)
            .prop_map(|(code, byte)| vec![code, byte]),
        proptest::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
    ]
}
