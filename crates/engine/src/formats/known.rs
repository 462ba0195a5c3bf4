//! Formats that are recognised but not served, each with its way out, and what
//! a file that is no model looks like.
//!
//! Recognition goes by content alone: signatures, names inside archives, the
//! first keys of a JSON text.

use super::zip::entry_names;
use super::{onnx, recipes};
use crate::EngineError;

/// Bytes at the start that are searched for words.
const HEAD: usize = 4096;
/// The number old versions of PyTorch put first, as a pickle.
const LEGACY_TORCH: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

const SAVED_MODEL_RECIPE: &str = "convert the directory it belongs to: \
     python -m tf2onnx.convert --saved-model DIRECTORY --output model.onnx";
const XGBOOST_RECIPE: &str =
    "load it with XGBoost and save it again: model.save_model(\"model.ubj\")";

/// A format that is known by its first bytes: before anything reads it as a pickle.
pub(crate) fn by_signature(bytes: &[u8]) -> Option<EngineError> {
    let at = |offset: usize, word: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(word))
    };
    Some(if bytes.is_empty() {
        unrecognised("an empty file")
    } else if at(0, LEGACY_TORCH) {
        unsupported("a PyTorch checkpoint", recipes::TORCH)
    } else if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") {
        archive(&entry_names(bytes).unwrap_or_default())
    } else if at(0, b"\x89HDF\r\n\x1a\n") {
        unsupported("a Keras model in HDF5", recipes::KERAS)
    } else if at(0, b"CBM1") {
        unsupported(
            "a CatBoost model",
            "save it as JSON: model.save_model(\"model.json\", format=\"json\"), or as ONNX with format=\"onnx\"",
        )
    } else if at(0, b"binf") {
        unsupported("an XGBoost model in its old binary format", XGBOOST_RECIPE)
    } else if at(0, b"GGUF") {
        unsupported(
            "a GGUF language model",
            "serve it with a server for language models; this one predicts from tables and tensors",
        )
    } else if at(4, b"TFL3") {
        unsupported(
            "a TensorFlow Lite model",
            "convert it: python -m tf2onnx.convert --tflite model.tflite --output model.onnx",
        )
    } else if at(4, b"ORTM") {
        unsupported(
            "an ONNX Runtime flatbuffer",
            "upload the .onnx file it was made from",
        )
    } else if is_safetensors(bytes) {
        unsupported(
            "a safetensors file, which holds weights without a graph,",
            recipes::TORCH,
        )
    } else {
        return None;
    })
}

/// What content that no reader took is.
pub(crate) fn otherwise(bytes: &[u8]) -> EngineError {
    const BINARY: [(&[u8], &str); 10] = [
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF", "a PDF document"),
        (b"PAR1", "a Parquet table"),
        (b"\x93NUMPY", "a NumPy array without a model"),
        (b"SQLite format 3", "an SQLite database"),
        (b"\x7fELF", "a Linux program or library"),
        (b"7z\xbc\xaf", "a 7z archive"),
        (b"\x28\xb5\x2f\xfd", "Zstandard-compressed data"),
    ];
    if let Some((_, found)) = BINARY.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return unrecognised(found);
    }
    if onnx::is_saved_model(bytes) {
        return unsupported("a TensorFlow SavedModel", SAVED_MODEL_RECIPE);
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    match std::str::from_utf8(head).map_err(|error| error.valid_up_to()) {
        Ok(text) => of_text(text),
        // A character may be cut in two at the end of the head.
        Err(valid) if valid + 4 > HEAD => of_text(&String::from_utf8_lossy(&head[..valid])),
        Err(_) => unrecognised("binary data of an unknown kind"),
    }
}

fn of_text(text: &str) -> EngineError {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let lower = start
        .get(..start.len().min(64))
        .unwrap_or(start)
        .to_ascii_lowercase();
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        unrecognised("binary data of an unknown kind")
    } else if start.contains("<PMML") {
        unsupported(
            "a PMML model",
            "save the estimator it was made from with joblib, or convert that to ONNX with skl2onnx",
        )
    } else if lower.starts_with("version https://git-lfs") {
        unrecognised("a Git LFS pointer instead of the file; git lfs pull fetches it")
    } else if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        unrecognised("an HTML page; the download may have needed a sign-in")
    } else if lower.starts_with('<') {
        unrecognised("an XML document")
    } else if lower.starts_with(['{', '[']) {
        unrecognised("JSON that is no model")
    } else {
        unrecognised("plain text")
    }
}

/// A zip archive, by the names of its entries.
fn archive(names: &[&str]) -> EngineError {
    let has = |name: &str| {
        names.iter().any(|entry| {
            let (entry, name) = (entry.trim_end_matches('/'), name.trim_end_matches('/'));
            entry == name
                || entry
                    .strip_suffix(name)
                    .is_some_and(|path| path.ends_with('/'))
        })
    };
    let ends_with = |ending: &[u8]| {
        let mut names = names.iter();
        names.any(|entry| entry.as_bytes().ends_with(ending))
    };
    if has("constants.pkl") {
        unsupported("a TorchScript model", recipes::TORCH)
    } else if has("archive_format")
        || has("serialized_exported_program.json")
        || has("archive_version")
    {
        unsupported(
            "a program exported by PyTorch (.pt2)",
            "export the module it came from to ONNX: torch.onnx.export(program, dynamo=True).save(\"model.onnx\")",
        )
    } else if has("data.pkl") {
        unsupported("a PyTorch checkpoint", recipes::TORCH)
    } else if has("config.json") && has("model.weights.h5") {
        unsupported("a Keras model", recipes::KERAS)
    } else if has("model.ini") && (has("domains/d000.txt") || has("trees/t00_000.bin")) {
        unsupported("an H2O MOJO", recipes::MOJO)
    } else if has("saved_model.pb") {
        unsupported(
            "a TensorFlow SavedModel in a zip archive",
            SAVED_MODEL_RECIPE,
        )
    } else if ends_with(b".onnx") || ends_with(b".joblib") || ends_with(b".pkl") {
        unsupported(
            "a zip archive",
            "unpack it and upload the model file inside",
        )
    } else if has("[Content_Types].xml") {
        unrecognised("an Office document")
    } else if !names.is_empty() && names.iter().all(|name| name.as_bytes().ends_with(b".npy")) {
        unrecognised("NumPy arrays without a model")
    } else {
        unrecognised("a zip archive without a model")
    }
}

/// Eight bytes of length, then a JSON header with offsets.
fn is_safetensors(bytes: &[u8]) -> bool {
    let length = bytes
        .first_chunk::<8>()
        .map(|length| u64::from_le_bytes(*length));
    let header = bytes.get(8..).unwrap_or_default();
    length.is_some_and(|length| length <= header.len() as u64)
        && header.starts_with(b"{\"")
        && (head_has(header, b"data_offsets") || header.starts_with(b"{\"__metadata__\""))
}

fn head_has(bytes: &[u8], word: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD)];
    head.windows(word.len()).any(|window| window == word)
}

fn unsupported(what: &str, advice: &str) -> EngineError {
    EngineError::Unsupported {
        what: what.to_owned(),
        advice: advice.to_owned(),
    }
}

fn unrecognised(found: &str) -> EngineError {
    EngineError::Unrecognised {
        found: found.to_owned(),
    }
}
