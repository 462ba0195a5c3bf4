//! Opening a model file: what came out of it.

use crate::Predictor;

/// A model ready to predict, with what is known about the file it came from.
pub struct Opened {
    /// The decoded model.
    pub predictor: Box<dyn Predictor>,
    /// What the file was.
    pub description: Description,
}

/// What a model file turned out to be, for people and for the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The file format, `joblib` or `onnx` for instance.
    pub format: String,
    /// The estimator or graph, `RandomForestClassifier` for instance.
    pub algorithm: String,
    /// The library and version that wrote the file, if it says so.
    pub library: Option<String>,
    /// Remarks the owner of the model should read.
    pub notes: Vec<String>,
}
