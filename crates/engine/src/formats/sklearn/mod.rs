//! Models that scikit-learn wrote with joblib or pickle, read without running anything.
//!
//! The file becomes a graph of inert nodes ([`crate::reader::pickle`]), the
//! graph becomes kernels ([`crate::kernel`]). Attributes of fitted estimators
//! are named as scikit-learn 1.2 to 1.9 name them.

mod estimator;
mod globals;
mod linear;
mod names;
mod pipeline;
mod trees;
mod version;

use plimsoll_core::schema::{DataType, Field, Schema, Task};

use crate::EngineError;
use crate::kernel::chain::{Chain, Head};
use crate::open::{Description, Opened};
use crate::reader::compressed::{self, Compression};
use crate::reader::malformed;
use crate::reader::pickle::{self, Graph, Limits};
use estimator::Estimator;
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
pub(crate) fn open(bytes: &[u8]) -> Result<Opened, EngineError> {
    let limits = Limits::DEFAULT;
    let content = compressed::expand(bytes, limits.bytes)?;
    if !pickle::sniff(&content) {
        let found = "something compressed that is no pickle".to_owned();
        return Err(EngineError::Unrecognised { found });
    }
    let graph = pickle::read(&content, limits, globals::judge)?;
    let root = root(&graph)?;
    let plan = pipeline::plan(root)?;
    let algorithm = plan.algorithm.clone();
    let predictor = Box::new(chain(root, plan)?);
    let joblib = graph.joblib || Compression::detect(bytes).is_some();
    let library = root.text("_sklearn_version").unwrap_or_default();
    Ok(Opened {
        predictor,
        description: Description {
            format: if joblib {
                "sklearn-joblib"
            } else {
                "sklearn-pickle"
            }
            .to_owned(),
            algorithm,
            library: Some(format!("scikit-learn {library}")),
            notes: Vec::new(),
        },
    })
}

/// The estimator the file holds, of a version that is served.
fn root<'r>(graph: &'r Graph<'r>) -> Result<Estimator<'r>, EngineError> {
    if estimator::class_name(graph, graph.root).is_none_or(|class| class == "Tree") {
        return Err(EngineError::Unsupported {
            what: format!("a file that holds {}", graph.arena.describe(graph.root)),
            advice: "save the fitted estimator itself: joblib.dump(model, \"model.joblib\")"
                .to_owned(),
        });
    }
    let unversioned = Estimator::at(graph, graph.root, Version(0, 0))?;
    let version = unversioned.text("_sklearn_version").unwrap_or("unknown");
    Ok(Estimator {
        version: Version::served(version)?,
        ..unversioned
    })
}

/// Schema and kernels of a planned model.
fn chain(root: Estimator<'_>, plan: pipeline::Plan<'_>) -> Result<Chain, EngineError> {
    let first = plan.members.first().copied().unwrap_or(root);
    let features = first.features()?;
    if plan
        .members
        .iter()
        .any(|member| member.features().ok() != Some(features))
    {
        return Err(malformed("the steps of a pipeline differ in width"));
    }
    let mut accepts_missing = true;
    let mut classes = Vec::new();
    let head = match plan.last {
        None => Head::Rows,
        Some(last) => {
            if last.class.ends_with("Classifier") || last.class == "LogisticRegression" {
                classes = names::classes(last)?;
            }
            head(last, classes.len(), &mut accepts_missing)?
        }
    };
    let (task, outputs) = answer(&head, features);
    let schema = Schema::packed(names::fields(first, accepts_missing)?);
    let schema = schema.map_err(|error| malformed(error.to_string()))?;
    let schema = schema.answering(task, outputs, classes);
    Ok(Chain::new(schema, plan.scalers, head, accepts_missing))
}

fn head(
    last: Estimator<'_>,
    classes: usize,
    accepts_missing: &mut bool,
) -> Result<Head, EngineError> {
    *accepts_missing = false;
    let mut grown = |grown: trees::Grown| {
        *accepts_missing = grown.accepts_missing;
        grown.forest
    };
    Ok(match last.class {
        "LogisticRegression" => Head::Logistic(linear::logistic(last, classes)?),
        "LinearRegression" | "Ridge" | "Lasso" | "ElasticNet" => {
            Head::Linear(linear::regression(last)?)
        }
        "DecisionTreeClassifier" | "ExtraTreeClassifier" => {
            Head::ForestClasses(grown(trees::tree(last, classes)?))
        }
        "DecisionTreeRegressor" | "ExtraTreeRegressor" => {
            Head::ForestMean(grown(trees::tree(last, 1)?))
        }
        "RandomForestClassifier" | "ExtraTreesClassifier" => {
            Head::ForestClasses(grown(trees::forest(last, classes)?))
        }
        "RandomForestRegressor" | "ExtraTreesRegressor" => {
            Head::ForestMean(grown(trees::forest(last, 1)?))
        }
        _ => return Err(last.unserved("as the last step")),
    })
}

fn answer(head: &Head, features: usize) -> (Task, Vec<Field>) {
    match head {
        Head::Rows => {
            let mut rows = Field::scalar("transformed", DataType::Float64);
            rows.shape = vec![Some(features)];
            (Task::Other, vec![rows])
        }
        Head::Linear(_) | Head::ForestMean(_) => {
            let prediction = Field::scalar("prediction", DataType::Float64);
            (Task::Regression, vec![prediction])
        }
        Head::Logistic(_) | Head::ForestClasses(_) => (Task::Classification, Vec::new()),
    }
}
