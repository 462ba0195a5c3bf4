//! Models that scikit-learn wrote with joblib or pickle, read without running anything.
//!
//! The file becomes a graph of inert nodes ([`crate::reader::pickle`]), the
//! graph becomes kernels ([`crate::kernel`]). Attributes of fitted estimators
//! are named as scikit-learn 1.2 to 1.9 name them.

mod boosters;
mod boosting;
mod categories;
mod classes;
mod clusters;
mod compose;
mod dummies;
mod encode;
mod estimator;
mod generative;
mod globals;
mod histogram;
mod importances;
mod impute;
mod isolation;
mod layers;
mod linear;
mod meta;
mod mixture;
mod names;
mod neighbours;
mod pipeline;
mod plan;
mod preprocess;
mod reduce;
mod scale;
mod select;
mod spline;
mod svm;
mod text;
mod trees;
mod version;

use plimsoll_core::schema::{Schema, Task};

use super::zip::entry_names;
use crate::EngineError;
use crate::kernel::native::Native;
use crate::open::{Description, Opened};
use crate::reader::compressed::{self, Compression};
use crate::reader::malformed;
use crate::reader::pickle::{self, Graph, Limits};
use crate::reader::skops;
use crate::reader::zip::Archive;
use classes::Reader;
use estimator::Estimator;
use pipeline::Translated;
use plan::Answers;
use version::Version;

/// Whether `bytes` may be a pickle, or a compressed one.
pub(crate) fn sniff(bytes: &[u8]) -> bool {
    Compression::detect(bytes).is_some() || pickle::sniff(bytes)
}

/// Reads a scikit-learn model. Nothing in the file is run.
///
/// Errors: [`EngineError::Unrecognised`] if it is no pickle; [`EngineError::Unsafe`] names a global that belongs to no known
/// estimator, [`EngineError::Unsupported`] a known one that is not served and
/// the way to export it; [`EngineError::Malformed`] and
/// [`EngineError::TooLarge`] say where the file contradicts itself or passes a limit.
///
/// `names` are for the inputs of a model that does not name them itself.
pub(crate) fn open(bytes: &[u8], names: &[String]) -> Result<Opened, EngineError> {
    let limits = Limits::DEFAULT;
    let content = compressed::expand(bytes, limits.bytes)?;
    if !pickle::sniff(&content) {
        let found = "something compressed that is no pickle".to_owned();
        return Err(EngineError::Unrecognised { found });
    }
    let graph = pickle::read(&content, limits, globals::judge)?;
    if let Some(opened) = boosters::open(&graph) {
        return opened;
    }
    let joblib = graph.joblib || Compression::detect(bytes).is_some();
    let format = if joblib {
        "sklearn-joblib"
    } else {
        "sklearn-pickle"
    };
    opened(&graph, format, names)
}

/// Reads a scikit-learn model from a file of skops, if that is what `bytes` are.
/// Errors are those of [`open`].
pub(crate) fn open_archive(bytes: &[u8], names: &[String]) -> Option<Result<Opened, EngineError>> {
    let is_zip = bytes.starts_with(b"PK\x03\x04");
    if !is_zip || !entry_names(bytes)?.contains(&"schema.json") {
        return None;
    }
    let archive = Archive::open(bytes, Limits::DEFAULT.bytes);
    Some(archive.and_then(|archive| {
        let graph = skops::read(&archive, globals::judge)?;
        if let Some(opened) = boosters::open(&graph) {
            return opened;
        }
        opened(&graph, "skops", names)
    }))
}

fn opened(graph: &Graph<'_>, format: &str, names: &[String]) -> Result<Opened, EngineError> {
    let root = root(graph)?;
    let mut translated = pipeline::translate(root)?;
    let algorithm = std::mem::take(&mut translated.algorithm);
    let predictor = Box::new(native(translated, names)?);
    let library = written_by(root);
    Ok(Opened {
        predictor,
        description: Description {
            format: format.to_owned(),
            algorithm,
            library: Some(format!("scikit-learn {library}")),
            notes: Vec::new(),
        },
    })
}

/// The estimator the file holds, of a version that is served.
fn root<'r>(graph: &'r Graph<'r>) -> Result<Estimator<'r>, EngineError> {
    let class = estimator::class_name(graph, graph.root);
    let reader = class.and_then(classes::reader);
    if reader.is_none_or(|reader| matches!(reader, Reader::Part)) {
        return Err(EngineError::Unsupported {
            what: format!("a file that holds {}", graph.arena.describe(graph.root)),
            advice: "save the fitted estimator itself: joblib.dump(model, \"model.joblib\")"
                .to_owned(),
        });
    }
    let unversioned = Estimator::root(graph, Version(0, 0))?;
    Estimator::root(graph, Version::served(written_by(unversioned))?)
}

/// The version of scikit-learn that wrote an estimator. A pipeline of imbalanced-learn does not say, but its steps do.
fn written_by(estimator: Estimator<'_>) -> &str {
    let version = |id| {
        estimator
            .arena()
            .text(estimator.arena().attribute(id, "_sklearn_version")?)
    };
    let steps = || {
        let steps = estimator.list("steps").unwrap_or(&[]).iter();
        steps.filter_map(|step| estimator.arena().members(*step)?.get(1).copied())
    };
    let found = version(estimator.id).or_else(|| steps().find_map(version));
    found.unwrap_or("unknown")
}

/// Schema and kernels of a translated model.
fn native(translated: Translated<'_>, names: &[String]) -> Result<Native, EngineError> {
    let named = translated.first.attribute("feature_names_in_").is_some();
    let mut fields = names::fields(translated.first, translated.needs)?;
    if !named && names.len() == fields.len() {
        for (field, name) in fields.iter_mut().zip(names) {
            field.name.clone_from(name);
        }
    }
    let schema = Schema::packed(fields);
    let schema = schema.map_err(|error| malformed(error.to_string()))?;
    let schema = match translated.answers {
        Answers::Classes(classes) => schema.answering(Task::Classification, Vec::new(), classes),
        Answers::Values(task, outputs) => schema.answering(task, outputs, Vec::new()),
    };
    Native::new(schema, translated.model)
}
