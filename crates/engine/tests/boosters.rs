//! Damaged files of boosting libraries: refused or survived, never a panic, never long.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::time::{Clock, SystemClock};
use plimsoll_engine::{Control, Engine, EngineError, EngineOptions};

/// No file may take longer; sound ones take milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// One file of each format of each library, of its newest version.
fn files() -> Vec<PathBuf> {
    let root = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/parity"
    ));
    let mut found = Vec::new();
    for folder in ["xgboost/3.2.0", "lightgbm/4.7.0", "catboost/1.2.10"] {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.retain(|path| !path.ends_with("cases.json"));
        let wanted = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            ["multi", "categories", "codes", "dart", "linear_", "one_hot"]
                .iter()
                .any(|word| name.contains(word))
        };
        found.extend(paths.into_iter().filter(wanted));
    }
    assert!(found.len() >= 8, "{found:?}");
    found
}

fn open(bytes: &[u8]) -> Result<(), EngineError> {
    let opened = Engine::new(EngineOptions::default()).open(bytes)?;
    // A file that still opens has to survive being asked.
    let schema = opened.predictor.schema();
    let mut batch = Batch::empty(schema);
    batch.rows = 0;
    let clock = SystemClock::new();
    let mut output = Output::default();
    let control = Control::unlimited(&clock);
    opened.predictor.predict(&batch, &mut output, &control)?;
    if schema.inputs().len() < 1000 {
        let rows: Vec<_> = (0..20)
            .map(|_| vec![serde_json::Value::Null; schema.inputs().len()])
            .collect();
        let body = serde_json::json!({ "inputs": rows }).to_string();
        let decoded = plimsoll_core::decode::predict_body(body.as_bytes(), schema, 20);
        if let Ok(decoded) = decoded {
            let predictor = &opened.predictor;
            predictor.predict(&decoded.batch, &mut output, &control)?;
        }
    }
    Ok(())
}

fn timed(name: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let clock = SystemClock::new();
    let before = clock.monotonic();
    let outcome = open(bytes);
    let took = clock.monotonic().since(before);
    assert!(took < PATIENCE, "{} took {took:?}", name.display());
    outcome
}

#[test]
fn a_file_that_ends_too_early_is_refused() {
    for path in files() {
        let bytes = std::fs::read(&path).unwrap();
        assert!(open(&bytes).is_ok(), "{}", path.display());
        // What follows the trees of a LightGBM text is not needed.
        let text = String::from_utf8_lossy(&bytes);
        let needed = text.find("end of trees").unwrap_or(bytes.len() - 2);
        for percent in 0..100 {
            let length = needed * percent / 100;
            let outcome = timed(&path, &bytes[..length]);
            assert!(outcome.is_err(), "{} up to {length}", path.display());
        }
    }
}

#[test]
fn flipped_bytes_never_panic_and_never_take_long() {
    for path in files() {
        let mut bytes = std::fs::read(&path).unwrap();
        let stride = (bytes.len() / 600).max(1);
        for at in (0..bytes.len()).step_by(stride) {
            for change in [0x01, 0x10, 0x80] {
                bytes[at] ^= change;
                let _ = timed(&path, &bytes);
                bytes[at] ^= change;
            }
        }
    }
}

#[test]
fn what_a_library_can_write_and_is_not_served_is_named() {
    let lightgbm = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\n\
        objective=OBJECTIVE\nfeature_names=a\nfeature_infos=[0:1]\n\nTree=0\nnum_leaves=1\nnum_cat=0\n\
        leaf_value=1\nis_linear=LINEAR\nend of trees\n";
    let xgboost = r#"{"learner":{"attributes":{},"feature_names":[],"gradient_booster":{"model":{"tree_info":[0],
        "trees":[{"tree_param":{"size_leaf_vector":"LEAVES"},"left_children":[-1],"right_children":[-1],
        "split_indices":[0],"split_conditions":[0.5],"default_left":[0]}]},"name":"BOOSTER"},
        "learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"1"},
        "objective":{"name":"OBJECTIVE"}},"version":[2,1,4]}"#;
    let sound = |text: &str| {
        text.replace("LINEAR", "0")
            .replace("LEAVES", "1")
            .replace("BOOSTER", "gbtree")
            .replace(
                "OBJECTIVE",
                if text.starts_with("tree") {
                    "regression"
                } else {
                    "reg:squarederror"
                },
            )
    };
    for text in [lightgbm, xgboost] {
        assert!(
            open(sound(text).as_bytes()).is_ok(),
            "{:?}",
            open(sound(text).as_bytes())
        );
    }
    for (text, part, value, names) in [
        (lightgbm, "LINEAR", "1", "linear trees"),
        (lightgbm, "OBJECTIVE", "binary_new", "binary_new"),
        (xgboost, "LEAVES", "3", "several outputs"),
        (xgboost, "BOOSTER", "gbnew", "gbnew"),
        (xgboost, "OBJECTIVE", "reg:new", "reg:new"),
    ] {
        let error = open(sound(&text.replace(part, value)).as_bytes()).unwrap_err();
        let is_refused =
            matches!(&error, EngineError::Unsupported { what, .. } if what.contains(names));
        assert!(is_refused, "{error}");
    }
}
