//! Where the demonstration models lie.

use std::path::{Path, PathBuf};

use crate::output::{Exit, Failure};

/// Files of the first demonstration folder that has any: beside the program,
/// in the working directory, in the data directory.
pub(super) fn find(data_dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let program = std::env::current_exe().ok();
    let beside = program
        .as_deref()
        .and_then(Path::parent)
        .map(|dir| dir.join("demo"));
    let places = [beside, Some("demo".into()), Some(data_dir.join("demo"))];
    for place in places.into_iter().flatten() {
        let models = models_in(&place);
        if !models.is_empty() {
            return Ok(models);
        }
    }
    Err(
        Failure::new(Exit::Data, "there are no demonstration models")
            .next("make them with `make demo`, or put .joblib or .onnx files into ./demo"),
    )
}

fn models_in(place: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(place) else {
        return Vec::new();
    };
    let is_model = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "joblib" || extension == "onnx")
    };
    let mut models: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_model)
        .collect();
    models.sort();
    models
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_are_taken_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.onnx", "a.joblib", "README.md"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = models_in(dir.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.joblib", "b.onnx"]);
        assert!(models_in(&dir.path().join("none")).is_empty());
    }
}
