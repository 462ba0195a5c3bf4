//! The flat form of stored models: the same answers, and no damage goes unnoticed.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test that cannot prepare what it needs has failed; small counts fit into f64"
)]

use std::path::{Path, PathBuf};

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::example::example_batch;
use plimsoll_core::time::ManualClock;
use plimsoll_core::time::Timestamp;
use plimsoll_engine::{Control, Engine, EngineError, EngineOptions, Opened, Predictor};
use proptest::prelude::*;

/// Magic, version and checksum.
const HEAD_BYTES: usize = 20;

fn engine() -> Engine {
    Engine::new(EngineOptions::default())
}

/// Every stored model that is translated, with its name.
fn models() -> impl Iterator<Item = (String, Opened)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut files = Vec::new();
    for folder in ["sklearn", "parity"] {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    files.into_iter().filter_map(|file| {
        let opened = engine().open(&std::fs::read(&file).unwrap()).ok()?;
        Some((file.display().to_string(), opened))
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let end = path.extension().and_then(|end| end.to_str());
        if path.is_dir() {
            collect(&path, files);
        } else if matches!(end, Some("joblib" | "pkl" | "gz" | "z" | "bz2")) {
            files.push(path);
        }
    }
}

fn answer(predictor: &dyn Predictor) -> Option<Output> {
    let clock = ManualClock::new(Timestamp::from_micros(0));
    let mut output = Output::default();
    let batch = example_batch(predictor.schema());
    let predicted = predictor.predict(&batch, &mut output, &Control::unlimited(&clock));
    predicted.ok().map(|()| output)
}

#[test]
fn every_stored_model_has_a_flat_form_that_answers_the_same() {
    let mut seen = 0;
    for (file, opened) in models() {
        let flat = opened.predictor.flat(&opened.description);
        let flat = flat.unwrap_or_else(|| unreachable!("{file} has no flat form"));
        let again = engine().open_flat(&flat).unwrap();
        assert_eq!(again.description, opened.description, "{file}");
        assert_eq!(
            again.predictor.schema().inputs(),
            opened.predictor.schema().inputs(),
            "{file}"
        );
        assert_eq!(
            again.predictor.schema().classes,
            opened.predictor.schema().classes,
            "{file}"
        );
        assert_eq!(again.predictor.cost(), opened.predictor.cost(), "{file}");
        let (was, is) = (answer(&*opened.predictor), answer(&*again.predictor));
        // NaN is equal to itself here.
        assert_eq!(format!("{was:?}"), format!("{is:?}"), "{file}");
        // Tables of categories may come in another order.
        let written = again.predictor.flat(&again.description).unwrap();
        assert_eq!(written.len(), flat.len(), "{file}");
        seen += 1;
    }
    assert!(seen > 80, "{seen} models");
}

#[test]
fn a_flat_file_cut_anywhere_is_refused() {
    for (file, opened) in models() {
        let flat = opened.predictor.flat(&opened.description).unwrap();
        for percent in 0..100 {
            let cut = &flat[..flat.len() * percent / 100];
            let refused = engine().open_flat(cut).map(|_| ());
            assert!(
                matches!(refused, Err(EngineError::Malformed { .. })),
                "{file} at {percent} %: {refused:?}"
            );
        }
    }
}

#[test]
fn a_file_of_another_version_is_told_from_a_damaged_one() {
    let (_, opened) = models().next().unwrap();
    let mut flat = opened.predictor.flat(&opened.description).unwrap();
    flat[8] ^= 1;
    let refused = engine().open_flat(&flat).map(|_| ());
    assert!(
        matches!(refused, Err(EngineError::Unsupported { .. })),
        "{refused:?}"
    );
    flat[0] ^= 1;
    let refused = engine().open_flat(&flat).map(|_| ());
    assert!(
        matches!(refused, Err(EngineError::Malformed { .. })),
        "{refused:?}"
    );
}

/// Forty rows of small numbers for a model that takes nothing else.
fn rows(predictor: &dyn Predictor) -> Option<Batch> {
    let mut batch = example_batch(predictor.schema());
    let [column] = &mut batch.columns[..] else {
        return None;
    };
    let Values::Float64(numbers) = &mut column.values else {
        return None;
    };
    *numbers = (0..column.width * 40)
        .map(|i| (i % 37) as f64 / 5.0)
        .collect();
    batch.rows = 40;
    Some(batch)
}

#[test]
fn trees_that_lie_behind_a_right_checksum_are_refused_or_walked_to_an_end() {
    let clock = ManualClock::new(Timestamp::from_micros(0));
    let mut refused = 0;
    let trees = models().filter(|(file, _)| {
        [
            "iris_tree",
            "iris_forest_p5",
            "diabetes_extra_tree",
            "wine_extra",
        ]
        .iter()
        .any(|name| file.contains(name))
    });
    for (_, opened) in trees {
        let flat = opened.predictor.flat(&opened.description).unwrap();
        for at in (HEAD_BYTES..flat.len()).step_by(flat.len() / 400 + 1) {
            let mut lying = flat.clone();
            lying[at] ^= 1 << (at % 8);
            let checksum = crc32fast::hash(&lying[HEAD_BYTES..]);
            lying[HEAD_BYTES - 4..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
            let Ok(opened) = engine().open_flat(&lying) else {
                refused += 1;
                continue;
            };
            let (mut output, control) = (Output::default(), Control::unlimited(&clock));
            if let Some(batch) = rows(&*opened.predictor) {
                // Any answer will do, and so will a refusal of the rows.
                let _ = opened.predictor.predict(&batch, &mut output, &control);
            }
        }
    }
    assert!(refused > 100, "{refused} were refused");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_is_refused(place in any::<prop::sample::Index>(), bit in 0..8_u8, model in any::<prop::sample::Index>()) {
        thread_local! {
            static FLAT: Vec<Vec<u8>> = models()
                .map(|(_, opened)| opened.predictor.flat(&opened.description).unwrap())
                .collect();
        }
        FLAT.with(|flat| {
            let mut flat = model.get(flat).clone();
            let at = place.index(flat.len());
            flat[at] ^= 1 << bit;
            assert!(engine().open_flat(&flat).is_err(), "byte {at}");
        });
    }
}
