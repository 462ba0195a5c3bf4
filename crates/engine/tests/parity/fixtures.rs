//! The stored models, and what their libraries answered.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plimsoll_engine::{Engine, EngineError, EngineOptions, Opened};
use serde::Deserialize;
use serde_json::Value;

/// The models of one family, written by one version of one library.
#[derive(Deserialize)]
pub(crate) struct Suite {
    /// Name and version.
    pub(crate) library: String,
    /// Rows by name.
    inputs: BTreeMap<String, Vec<Value>>,
    /// The models.
    pub(crate) cases: Vec<Case>,
    /// Where they lie.
    #[serde(skip)]
    folder: PathBuf,
}

/// One model, and what its library answered.
#[derive(Deserialize)]
pub(crate) struct Case {
    /// Classes on trial, for the table.
    pub(crate) parts: Vec<String>,
    /// Name of the file.
    pub(crate) file: String,
    /// Name of its rows.
    inputs: String,
    /// Largest difference that is accepted, relative to values above 1.
    pub(crate) tolerance: f64,
    /// Classes, row by row.
    pub(crate) labels: Option<Vec<Value>>,
    /// Probabilities, row by row.
    pub(crate) probabilities: Option<Vec<Vec<f64>>>,
    /// Values by the name of the output field, row by row.
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, Value>,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// All suites, in the order of their folders; those of `PLIMSOLL_PARITY` alone if that names a family.
pub(crate) fn suites() -> Vec<Suite> {
    let parity = root().join("fixtures/parity");
    let only = std::env::var_os("PLIMSOLL_PARITY");
    let mut found = Vec::new();
    for family in folders(parity) {
        if only.is_some() && family.file_name() != only.as_deref() {
            continue;
        }
        for folder in folders(family) {
            if let Ok(text) = std::fs::read_to_string(folder.join("cases.json")) {
                let suite: Suite = serde_json::from_str(&text).unwrap();
                found.push(Suite { folder, ..suite });
            }
        }
    }
    assert!(
        found.len() >= 3 || only.is_some(),
        "fixtures of three versions at least"
    );
    found
}

fn folders(path: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

impl Suite {
    /// Family and version, for messages.
    pub(crate) fn place(&self) -> String {
        let mut names = self.folder.iter().rev();
        let (version, family) = (names.next().unwrap(), names.next().unwrap());
        format!("{}/{}", family.display(), version.display())
    }

    pub(crate) fn rows(&self, case: &Case) -> &[Value] {
        &self.inputs[&case.inputs]
    }

    pub(crate) fn open(&self, case: &Case) -> Result<Opened, EngineError> {
        let bytes = std::fs::read(self.folder.join(&case.file)).unwrap();
        let options = EngineOptions {
            onnxruntime: std::env::var_os("PLIMSOLL_TEST_ONNXRUNTIME").map(PathBuf::from),
            intra_threads: 1,
        };
        Engine::new(options).open(&bytes)
    }
}
