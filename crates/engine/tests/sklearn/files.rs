//! Fixtures on disk, and the shortest way from bytes to an answer.

use std::path::PathBuf;

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::time::SystemClock;
use plimsoll_engine::{Control, Engine, EngineError, EngineOptions, Opened};
use serde::Deserialize;

/// What `make.py` recorded about one version of scikit-learn.
#[derive(Deserialize)]
pub(crate) struct Manifest {
    #[serde(rename = "scikit-learn")]
    pub(crate) version: String,
    pub(crate) cases: Vec<Case>,
    pub(crate) refused: Vec<Refused>,
}

/// One model and what scikit-learn answered.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) inputs: String,
    pub(crate) expected: String,
    pub(crate) features: Option<Vec<String>>,
    pub(crate) missing: bool,
    #[serde(default)]
    pub(crate) classes: Vec<serde_json::Value>,
    #[serde(default)]
    pub(crate) labels: Vec<u32>,
}

/// One file that is not served, and what the refusal has to name.
#[derive(Deserialize)]
pub(crate) struct Refused {
    pub(crate) file: String,
    pub(crate) names: String,
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures"))
}

/// The manifest of every version, with its folder.
pub(crate) fn manifests() -> Vec<(PathBuf, Manifest)> {
    let folders = std::fs::read_dir(folder().join("sklearn")).unwrap();
    let mut found = Vec::new();
    for entry in folders {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let text = std::fs::read_to_string(path.join("cases.json")).unwrap();
            found.push((path, serde_json::from_str(&text).unwrap()));
        }
    }
    assert!(found.len() >= 2, "fixtures of two versions at least");
    found
}

/// Bytes of one model of the newest version there is.
pub(crate) fn newest(file: &str) -> Vec<u8> {
    let mut folders: Vec<_> = manifests().into_iter().map(|(path, _)| path).collect();
    folders.sort();
    std::fs::read(folders.last().unwrap().join(file)).unwrap()
}

pub(crate) fn open(bytes: &[u8]) -> Result<Opened, EngineError> {
    Engine::new(EngineOptions::default()).open(bytes)
}

/// Shape and values of a `.npy` file of little-endian f64 in C order.
pub(crate) fn npy(path: PathBuf) -> (Vec<usize>, Vec<f64>) {
    let bytes = std::fs::read(path).unwrap();
    let header_len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + header_len]).unwrap();
    assert!(
        header.contains("'<f8'") && header.contains("'fortran_order': False"),
        "{header}"
    );
    let (_, shape) = header.split_once("'shape': (").unwrap();
    let (shape, _) = shape.split_once(')').unwrap();
    let shape = shape
        .split(',')
        .filter_map(|dim| dim.trim().parse().ok())
        .collect();
    let values = bytes[10 + header_len..].as_chunks::<8>().0;
    (
        shape,
        values
            .iter()
            .map(|value| f64::from_le_bytes(*value))
            .collect(),
    )
}

/// `rows` of `width` numbers as the batch of a model over one block.
pub(crate) fn batch(opened: &Opened, values: &[f64], width: usize) -> Batch {
    let mut batch = Batch::empty(opened.predictor.schema());
    batch.rows = values.len() / width;
    batch.columns[0].values = Values::Float64(values.to_vec());
    batch
}

pub(crate) fn predict(opened: &Opened, batch: &Batch) -> Result<Output, EngineError> {
    let clock = SystemClock::new();
    let mut output = Output::default();
    opened
        .predictor
        .predict(batch, &mut output, &Control::unlimited(&clock))?;
    Ok(output)
}
