//! Opening a model file: what it is by its content, and the reader for it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::formats::boosters::{catboost, lightgbm, xgboost};
use crate::formats::{known, mlflow, onnx, sklearn};
use crate::outside::{ForeignKind, Outside, OutsideStatus};
use crate::{EngineError, Predictor, flat};

/// A model ready to predict, with what is known about the file it came from.
pub struct Opened {
    /// The decoded model.
    pub predictor: Box<dyn Predictor>,
    /// What the file was.
    pub description: Description,
}

/// What a model file turned out to be, for people and for the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The file format: `onnx`, `sklearn-joblib`, `sklearn-pickle`, `skops`, `xgboost-json`, `xgboost-ubj`,
    /// `xgboost-pickle`, `lightgbm-text`, `lightgbm-pickle`, `catboost-json` or `python-` and a kind.
    pub format: String,
    /// The estimator or graph, `RandomForestClassifier` for instance.
    pub algorithm: String,
    /// The library and version that wrote the file, if it says so.
    pub library: Option<String>,
    /// Remarks the owner of the model should read.
    pub notes: Vec<String>,
}

impl Description {
    /// The family of formats, as a client would declare it: `onnx`, `sklearn`, `xgboost`, `lightgbm`, `catboost` or `python`.
    pub fn family(&self) -> &'static str {
        match self.format.split('-').next() {
            Some("onnx") => "onnx",
            Some("xgboost") => "xgboost",
            Some("lightgbm") => "lightgbm",
            Some("catboost") => "catboost",
            Some("python") => "python",
            _ => "sklearn",
        }
    }

    /// Whether a type a client declared means what the file is.
    ///
    /// `declared` may be in any letter case and may name the family, the format
    /// or a usual synonym (`scikit-learn`, `joblib`, `pickle`). A framework that
    /// exports to ONNX (`pytorch`, `xgboost`, …) goes with an ONNX file.
    pub fn matches(&self, declared: &str) -> bool {
        let declared = declared.trim().to_ascii_lowercase();
        let declared = declared.trim_start_matches('.');
        let names: &[&str] = match self.family() {
            // Its own library knows what it is; any name may be the right one.
            "python" => return true,
            "onnx" => &[
                "onnx",
                "pytorch",
                "torch",
                "tensorflow",
                "keras",
                "xgboost",
                "lightgbm",
                "catboost",
            ],
            "xgboost" => &["xgboost", "xgb"],
            "lightgbm" => &["lightgbm", "lgbm", "lgb"],
            "catboost" => &["catboost"],
            _ => &[
                "sklearn",
                "scikit-learn",
                "scikit_learn",
                "scikitlearn",
                "joblib",
                "pickle",
                "pkl",
                "skops",
            ],
        };
        let is_pickle = self.format.ends_with("-pickle");
        let is_pickled = is_pickle && matches!(declared, "joblib" | "pickle" | "pkl");
        declared == self.format || names.contains(&declared) || is_pickled
    }
}

/// What the engine was configured to use.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// The ONNX Runtime library, if there is one.
    pub onnxruntime: Option<PathBuf>,
    /// Threads inside one ONNX prediction; 0 counts as 1.
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
    outside: Option<Arc<dyn Outside>>,
}

impl Engine {
    /// An engine that loads nothing until a file needs it.
    pub fn new(options: EngineOptions) -> Self {
        Self {
            options,
            outside: None,
        }
    }

    /// The same engine, which asks `outside` about files that no reader here serves.
    #[must_use]
    pub fn asking(mut self, outside: Arc<dyn Outside>) -> Self {
        self.outside = Some(outside);
        self
    }

    /// Recognises a file by its content and opens it.
    ///
    /// Errors: [`EngineError::Unrecognised`] says what the content looks like,
    /// [`EngineError::Unsupported`] how to export a known format so that it can
    /// be served, [`EngineError::Unavailable`] what has to be installed; the
    /// others are those of the reader.
    pub fn open(&self, bytes: &[u8]) -> Result<Opened, EngineError> {
        let Some(file) = mlflow::model_file(bytes)? else {
            return self.open_file(bytes, &[]);
        };
        let mut opened = self.open_file(&file.bytes, &file.names)?;
        opened.description.notes.push(file.note);
        Ok(opened)
    }

    /// The sample rows that a model folder of MLflow keeps, as `inputs` of a request takes them; `None` if there are none.
    pub fn example(&self, bytes: &[u8]) -> Option<String> {
        mlflow::example(bytes)
    }

    /// Opens a model file here, or outside if no reader here serves it.
    fn open_file(&self, bytes: &[u8], names: &[String]) -> Result<Opened, EngineError> {
        let refused = match self.open_here(bytes, names) {
            Err(error) if error.is_unserved() => error,
            other => return other,
        };
        match (ForeignKind::of(bytes), &self.outside) {
            (Some(kind), Some(outside)) => outside.open(kind, bytes),
            (Some(_), None) => Err(refused.naming_the_switch()),
            (None, _) => Err(refused),
        }
    }

    /// Opens a model file; `names` are for inputs that it does not name itself.
    fn open_here(&self, bytes: &[u8], names: &[String]) -> Result<Opened, EngineError> {
        if let Some(opened) = sklearn::open_archive(bytes, names) {
            return opened;
        }
        if let Some(error) = known::by_signature(bytes) {
            return Err(error);
        }
        if xgboost::sniff(bytes) {
            return xgboost::open(bytes);
        }
        if catboost::sniff(bytes) {
            return catboost::open(bytes);
        }
        if lightgbm::sniff(bytes) {
            return lightgbm::open(bytes);
        }
        if onnx::sniff(bytes) {
            let library = self.options.onnxruntime.as_deref();
            return onnx::open(bytes, library, self.options.intra_threads);
        }
        if sklearn::sniff(bytes) {
            return sklearn::open(bytes, names);
        }
        Err(known::otherwise(bytes))
    }

    /// Opens the flat form of a model, which [`Predictor::flat`] wrote.
    ///
    /// Errors: [`EngineError::Unsupported`] if another version of this program
    /// wrote it, [`EngineError::Malformed`] if it is damaged; the original is
    /// then translated again.
    pub fn open_flat(&self, bytes: &[u8]) -> Result<Opened, EngineError> {
        flat::read(bytes)
    }

    /// How whoever is asked outside is doing; `None` if nobody is. May start a process.
    pub fn outside_status(&self) -> Option<OutsideStatus> {
        self.outside.as_ref().map(|outside| outside.status())
    }

    /// Processes that run models outside, and how often one was started again.
    pub fn outside_counts(&self) -> (u64, u64) {
        let outside = self.outside.as_ref();
        outside.map_or((0, 0), |outside| outside.counts())
    }

    /// Whether ONNX files can be served here; loads the library to find out.
    pub fn onnx_status(&self) -> OnnxStatus {
        match onnx::load(self.options.onnxruntime.as_deref()) {
            Ok(runtime) => OnnxStatus::Ready {
                version: runtime.version.clone(),
            },
            Err(why) => OnnxStatus::Missing {
                why,
                advice: onnx::ADVICE.to_owned(),
            },
        }
    }
}
