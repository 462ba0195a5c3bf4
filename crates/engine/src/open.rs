//! Opening a model file: what came out of it.

use std::path::PathBuf;

use crate::formats::sklearn;
use crate::{EngineError, Predictor};

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

impl Description {
    /// The family of formats, as a client would declare it.
    pub fn family(&self) -> &'static str {
        if self.format.starts_with("onnx") { "onnx" } else { "sklearn" }
    }
}

/// What the engine was configured to use.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// The ONNX Runtime library, if there is one.
    pub onnxruntime: Option<PathBuf>,
    /// Threads inside one ONNX prediction.
    pub intra_threads: usize,
}

/// Whether ONNX files can be served here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnnxStatus {
    /// They can.
    Ready {
        /// Version of the library.
        version: String,
    },
    /// They cannot.
    Missing {
        /// What is wrong.
        why: String,
        /// How to change that.
        advice: String,
    },
}

/// Opens model files.
#[derive(Clone, Debug)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine that loads nothing until a file needs it.
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// Recognises a file by its content and opens it.
    pub fn open(&self, bytes: &[u8]) -> Result<Opened, EngineError> {
        if sklearn::sniff(bytes) {
            return sklearn::open(bytes);
        }
        Err(EngineError::Unrecognised { found: "unknown content".to_owned() })
    }

    /// Whether ONNX files can be served here.
    pub fn onnx_status(&self) -> OnnxStatus {
        OnnxStatus::Missing {
            why: format!("{:?} was not loaded", self.options.onnxruntime),
            advice: "pip install onnxruntime".to_owned(),
        }
    }
}
