//! ONNX Runtime itself: found, loaded once per process, never by accident.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::ErrorCode;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::shared::library_version;
use super::wire::malformed;
use crate::EngineError;

/// What to do when the library is missing or too old.
pub(crate) const ADVICE: &str = "install ONNX Runtime 1.24 or newer (pip install onnxruntime) and name its library \
     with --onnxruntime or engine.onnxruntime, for instance \
     site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1";

/// Longest part of a message of the runtime that is passed on.
const MAX_MESSAGE: usize = 300;

/// The library as it was loaded.
pub(crate) struct Runtime {
    /// The process's environment; the library allows one.
    pub(super) environment: Environment,
    /// Version of the library, `1.31.1` for instance.
    pub(crate) version: String,
}

/// The library, once it has been loaded.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// Held while the library is loaded.
static LOADING: Mutex<()> = Mutex::new(());

/// Loads the library unless that has been done, whichever path was given then.
///
/// Errors: why it could not be loaded; a later call with another path may succeed.
pub(crate) fn load(library: Option<&Path>) -> Result<&'static Runtime, String> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _only_one_loads = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let library = library.ok_or("no library was configured or found")?;
    // A missing file is told apart here: the dynamic loader would search for it elsewhere.
    if !library.is_file() {
        return Err(format!("there is no file {}", library.display()));
    }
    let library = library.canonicalize().map_err(|error| error.to_string())?;
    let version = library_version(&library)
        .map_err(|error| format!("{} cannot be loaded: {error}", library.display()))?;
    let minor = version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok());
    if minor.is_none_or(|minor: u32| minor < ort::MINOR_VERSION) {
        return Err(format!("{} has version {version}", library.display()));
    }
    let builder = ort::init_from(&library).map_err(|error| error.to_string())?;
    let environment = builder
        .with_name("plimsoll")
        .with_telemetry(false)
        .build()
        .map_err(|error| error.to_string())?;
    // What goes wrong is returned; the library must not write to the terminal besides.
    environment.set_log_level(LogLevel::Fatal);
    Ok(RUNTIME.get_or_init(|| Runtime {
        environment,
        version,
    }))
}

/// The first ONNX Runtime library among `candidates`: files as they are,
/// directories with the library inside, directly or as the Python package has it.
pub fn find_onnxruntime(candidates: &[PathBuf]) -> Option<PathBuf> {
    candidates.iter().find_map(|candidate| {
        if candidate.is_file() {
            return Some(candidate.clone());
        }
        ["", "lib", "capi", "onnxruntime/capi"]
            .iter()
            .find_map(|inner| library_in(&candidate.join(inner)))
    })
}

fn library_in(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?;
    let is_library = |name: &str| {
        let rest = name.strip_prefix("libonnxruntime.");
        name == "onnxruntime.dll"
            || rest.is_some_and(|rest| {
                rest == "so" || rest.starts_with("so.") || rest.ends_with("dylib")
            })
    };
    let libraries = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        is_library(entry.file_name().to_str()?).then(|| entry.path())
    });
    libraries.max()
}

/// Reads a graph into a session for the CPU.
pub(super) fn session(
    runtime: &Runtime,
    bytes: &[u8],
    intra_threads: usize,
) -> Result<Session, EngineError> {
    let mut builder =
        session_builder(&runtime.environment, intra_threads.max(1)).map_err(|error| {
            EngineError::Failed {
                detail: sentence(&error),
            }
        })?;
    builder
        .commit_from_memory(bytes)
        .map_err(|error| refusal(&error, &runtime.version))
}

fn session_builder(environment: &Environment, intra_threads: usize) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(intra_threads)?
        .with_inter_threads(1)?
        // Spinning threads would take the cores the server answers with.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?)
}

/// Why the runtime does not take a file.
fn refusal(error: &ort::Error, version: &str) -> EngineError {
    let detail = sentence(error);
    let unknown = [
        "No Op registered",
        "is not a registered function/op",
        "Could not find an implementation",
        "max supported IR version",
        "is till opset",
        "ONNX Runtime only *guarantees* support",
    ];
    if error.code() == ErrorCode::NotImplemented
        || unknown.iter().any(|known| detail.contains(known))
    {
        return EngineError::Unsupported {
            what: format!("this graph (ONNX Runtime {version} says: {detail})"),
            advice: "export it with a lower opset or standard operators, or install a newer ONNX Runtime"
                .to_owned(),
        };
    }
    malformed(detail)
}

/// The runtime's message without paths of its source files, on one line.
pub(super) fn sentence(error: &ort::Error) -> String {
    let message = error.message();
    // "/onnxruntime_src/…/model.cc:181 onnxruntime::Model::Model(…) Unsupported …"
    let message = match message.find(".cc:") {
        Some(at) => message[at..]
            .split_once(") ")
            .map_or(message, |(_, rest)| rest),
        None => message,
    };
    // "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : …"
    let message = match message.strip_prefix("[ONNXRuntimeError] : ") {
        Some(rest) => rest.splitn(3, " : ").last().unwrap_or(rest),
        None => message,
    };
    let message = message.lines().next().unwrap_or_default().trim();
    message.chars().take(MAX_MESSAGE).collect()
}
