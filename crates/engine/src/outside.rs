//! Files that no reader here serves, for an engine outside this program.

use std::fmt::Debug;

use crate::formats::sklearn;
use crate::formats::zip::entry_names;
use crate::{EngineError, Opened};

/// What an engine outside is asked to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// A pickle or joblib file of whatever library.
    Pickle,
    /// A compiled module of PyTorch.
    TorchScript,
    /// A program exported by PyTorch (`.pt2`).
    TorchExport,
    /// A module or checkpoint saved by `torch.save`.
    TorchPickle,
    /// A model of Keras, as an archive or in HDF5.
    Keras,
    /// A directory of TensorFlow's SavedModel in a zip archive.
    SavedModel,
}

/// How an engine outside is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideStatus {
    /// Whether it can open files.
    pub ready: bool,
    /// What it is, or what it lacks.
    pub detail: String,
    /// Processes that run models now.
    pub workers: u64,
    /// Processes that were started again after one failed.
    pub restarts: u64,
}

/// An engine outside this program, which is asked last.
pub trait Outside: Debug + Send + Sync + 'static {
    /// Opens a file. This may run code in the file, and must keep it from doing harm.
    fn open(&self, kind: ForeignKind, bytes: &[u8]) -> Result<Opened, EngineError>;

    /// How it is doing; may take a moment the first time.
    fn status(&self) -> OutsideStatus;

    /// Processes that run models now, and starts after a failure.
    fn counts(&self) -> (u64, u64);
}

impl ForeignKind {
    /// What a file is, by its content.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
            Some(Self::Keras)
        } else if bytes.starts_with(b"PK\x03\x04") {
            Self::of_archive(&entry_names(bytes)?)
        } else if bytes.starts_with(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9") {
            Some(Self::TorchPickle)
        } else {
            sklearn::sniff(bytes).then_some(Self::Pickle)
        }
    }

    fn of_archive(names: &[&str]) -> Option<Self> {
        let has = |wanted: &str| {
            let mut names = names.iter();
            names.any(|name| name.rsplit('/').next() == Some(wanted))
        };
        let found = [
            ("constants.pkl", Self::TorchScript),
            ("archive_format", Self::TorchExport),
            ("serialized_exported_program.json", Self::TorchExport),
            ("data.pkl", Self::TorchPickle),
            ("model.weights.h5", Self::Keras),
            ("saved_model.pb", Self::SavedModel),
        ];
        let found = found.into_iter().find(|(name, _)| has(name));
        found.map(|(_, kind)| kind)
    }

    /// The word for this kind in formats and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pickle => "pickle",
            Self::TorchScript => "torch-script",
            Self::TorchExport => "torch-export",
            Self::TorchPickle => "torch-pickle",
            Self::Keras => "keras",
            Self::SavedModel => "saved-model",
        }
    }

    /// Whether its library wants a folder to write to: for what it unpacks, or for its own use.
    pub const fn needs_folder(self) -> bool {
        !matches!(self, Self::Pickle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_told_apart_by_the_names_inside() {
        for (names, expected) in [
            (
                &["net/constants.pkl", "net/data.pkl"][..],
                Some(ForeignKind::TorchScript),
            ),
            (&["net/data.pkl"], Some(ForeignKind::TorchPickle)),
            (
                &["config.json", "model.weights.h5"],
                Some(ForeignKind::Keras),
            ),
            (&["m/saved_model.pb"], Some(ForeignKind::SavedModel)),
            (
                &["p/archive_format", "p/models/model.json"],
                Some(ForeignKind::TorchExport),
            ),
            (&["schema.json", "0.npy"], None),
        ] {
            assert_eq!(ForeignKind::of_archive(names), expected, "{names:?}");
        }
        assert_eq!(ForeignKind::of(b"plain text"), None);
        assert_eq!(ForeignKind::of(b"\x80\x04\x95"), Some(ForeignKind::Pickle));
    }
}
