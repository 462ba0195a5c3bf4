//! XGBoost, from 1.0 on: JSON, UBJSON, and what its pickles hold (`src/learner.cc`, `LearnerIO`).

mod trees;

use super::{Booster, features, fields, numbered, unserved};
use crate::EngineError;
use crate::kernel::heads::boosting::{Boosting, Ensemble};
use crate::kernel::heads::link::{Label, Link};
use crate::kernel::heads::weights::Weights;
use crate::open::Opened;
use crate::reader::document::Document;
use crate::reader::{malformed, printable, ubjson};
use plimsoll_core::schema::DataType;

const LIBRARY: &str = "an XGBoost";
const ADVICE: &str = "export it to ONNX with onnxmltools.convert_xgboost and upload that file";

/// Most sums of a row, of classes or outputs.
const MAX_SUMS: usize = 10_000;

/// How a model was asked for predictions by those who saved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// As the file says: by a wrapper for scikit-learn if one saved it.
    AsSaved,
    /// By `XGBClassifier`.
    Classifier,
    /// By `XGBRegressor`, `XGBRanker` and the like.
    Regressor,
}

/// Whether `bytes` begin like a model in JSON or UBJSON.
pub(crate) fn sniff(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    bytes.first() == Some(&b'{') && head.windows(9).any(|window| window == b"\"learner\"")
        || is_ubjson(bytes) && head.windows(7).any(|window| window == b"learner")
}

/// Keys of UBJSON have a length, those of JSON a quote.
fn is_ubjson(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'{', b'L' | b'l' | b'i' | b'U' | b'I' | b'#' | b'$', ..]
    )
}

/// Reads a model file.
///
/// Errors: [`EngineError::Unsupported`] names a part that is not served;
/// [`EngineError::Malformed`] and [`EngineError::TooLarge`] say where the file breaks.
pub(crate) fn open(bytes: &[u8]) -> Result<Opened, EngineError> {
    let format = if is_ubjson(bytes) {
        "xgboost-ubj"
    } else {
        "xgboost-json"
    };
    read(bytes, Asked::AsSaved)?.open(format, "Booster")
}

/// Reads a model, or the configuration and the model that a pickle holds.
pub(crate) fn read(bytes: &[u8], asked: Asked) -> Result<Booster, EngineError> {
    let document = if is_ubjson(bytes) {
        ubjson::read(bytes)?
    } else {
        Document::json(bytes)?
    };
    model(document.get("Model").unwrap_or(&document), asked)
}

/// What the trees add up to, and for whom.
struct Setting<'d> {
    learner: &'d Document,
    features: usize,
    sums: usize,
    objective: &'d str,
    /// Whether the answer is that of a regressor, whatever the objective.
    regressor: bool,
    /// Iterations that count, if not all.
    iterations: Option<usize>,
}

fn model(document: &Document, asked: Asked) -> Result<Booster, EngineError> {
    let learner = document.at(&["learner"])?;
    let parameter = |name: &str| learner.at(&["learner_model_param", name]).ok();
    let count = |name: &str| parameter(name).and_then(Document::size).unwrap_or(0);
    let objective = learner.at(&["objective", "name"])?.text();
    let (wrapped, best) = (
        attribute(learner, "scikit_learn"),
        attribute(learner, "best_iteration"),
    );
    // Wrappers stop where early stopping did, a Booster asked by itself does not
    // (`python-package/xgboost/sklearn.py`, `_get_iteration_range`).
    let stops = asked != Asked::AsSaved || wrapped.is_some();
    let best = best.and_then(|best| best.parse::<usize>().ok());
    let setting = Setting {
        learner,
        features: features(parameter("num_feature").and_then(Document::size))?,
        sums: count("num_class").max(count("num_target")).max(1),
        objective: objective.ok_or_else(|| malformed("its objective has no name"))?,
        regressor: asked == Asked::Regressor
            || wrapped.is_some_and(|meta| meta.contains("\"regressor\"")),
        iterations: best.filter(|_| stops).map(|best| best.saturating_add(1)),
    };
    if setting.sums > MAX_SUMS {
        return Err(unserved(
            LIBRARY,
            "of so many outputs",
            "at most 10,000 are served",
        ));
    }
    let mut notes = Vec::new();
    if let (Some(best), false) = (best, stops) {
        notes.push(format!(
            "all trees are used, as Booster.predict does; the best iteration was {best}"
        ));
    }
    let head = Boosting::new(ensemble(&setting)?, base(&setting)?, link(&setting)?)?;
    Ok(Booster {
        classes: numbered(head.classes()),
        head: head.accepting_missing(),
        fields: fields(names(learner)?, setting.features)?,
        values: DataType::Float32,
        objective: printable(setting.objective),
        library: library(document),
        notes,
    })
}

fn attribute<'d>(learner: &'d Document, name: &str) -> Option<&'d str> {
    learner.get("attributes")?.get(name)?.text()
}

fn library(document: &Document) -> String {
    let version = document.get("version").and_then(Document::numbers);
    let parts = version.unwrap_or(&[]).iter().map(f64::to_string);
    format!("xgboost {}", parts.collect::<Vec<_>>().join("."))
}

fn names(learner: &Document) -> Result<Vec<String>, EngineError> {
    let Some(names) = learner.get("feature_names") else {
        return Ok(Vec::new());
    };
    let wrong = || malformed("its feature_names are no texts");
    let names = names.list().ok_or_else(wrong)?.iter();
    names
        .map(|name| name.text().map(str::to_owned).ok_or_else(wrong))
        .collect()
}

/// The booster: `gbtree`, `dart`, which weighs trees, or `gblinear`.
fn ensemble(setting: &Setting<'_>) -> Result<Ensemble, EngineError> {
    let booster = setting.learner.at(&["gradient_booster"])?;
    match booster.at(&["name"])?.text() {
        Some("gbtree") => trees::read(setting, booster.at(&["model"])?, None),
        Some("dart") => {
            let weights = booster.at(&["weight_drop"])?.numbers();
            let weights = weights.ok_or_else(|| malformed("its trees have no weights"))?;
            trees::read(setting, booster.at(&["gbtree", "model"])?, Some(weights))
        }
        Some("gblinear") => {
            let weights = booster.at(&["model", "weights"])?.numbers();
            let weights = weights.ok_or_else(|| malformed("its weights are no numbers"))?;
            let weights = Weights::new(weights, setting.features, setting.sums);
            weights.map(Ensemble::Weights)
        }
        other => {
            let what = format!("with the booster {}", printable(other.unwrap_or("")));
            Err(unserved(LIBRARY, &what, ADVICE))
        }
    }
}

/// What becomes of the sums (`src/objective`, `PredTransform`).
fn link(setting: &Setting<'_>) -> Result<Link, EngineError> {
    let label = Label::Probability;
    Ok(match setting.objective {
        "binary:logistic" if !setting.regressor => Link::Logistic { scale: 1.0, label },
        "binary:logistic" | "reg:logistic" => Link::Sigmoid,
        "binary:hinge" => Link::Hinge,
        "multi:softmax" | "multi:softprob" => Link::Softmax { label },
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
            Link::Exp
        }
        "binary:logitraw"
        | "reg:absoluteerror"
        | "reg:linear"
        | "reg:pseudohubererror"
        | "reg:quantileerror"
        | "reg:squarederror"
        | "reg:squaredlogerror"
        | "rank:map"
        | "rank:ndcg"
        | "rank:pairwise" => Link::Identity,
        other => {
            let what = format!("with the objective {}", printable(other));
            return Err(unserved(LIBRARY, &what, ADVICE));
        }
    })
}

/// What sums begin with: the base score before the transformation of the objective (`ProbToMargin`).
/// It is one number, or since 3.1 a list of them.
fn base(setting: &Setting<'_>) -> Result<Vec<f64>, EngineError> {
    let score = setting.learner.at(&["learner_model_param", "base_score"])?;
    let wrong = || malformed("its base_score is no number");
    let scores: Vec<f32> = match score {
        Document::Text(text) => {
            let text = text.trim_start_matches('[').trim_end_matches(']');
            let scores: Result<_, _> = text.split(',').map(|part| part.trim().parse()).collect();
            scores.map_err(|_| wrong())?
        }
        other => {
            #[expect(clippy::cast_possible_truncation, reason = "it is a float32")]
            let score = other.number().ok_or_else(wrong)? as f32;
            vec![score]
        }
    };
    let margin = |score: f32| match setting.objective {
        "binary:logistic" | "reg:logistic" => -(1.0 / score - 1.0).ln(),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
            score.ln()
        }
        _ => score,
    };
    let mut base: Vec<f64> = scores.into_iter().map(|s| f64::from(margin(s))).collect();
    // The linear booster knows but one (`src/gbm/gblinear.cc`, `PredictBatchInternal`).
    let name = setting.learner.at(&["gradient_booster", "name"])?;
    if name.text() == Some("gblinear") {
        base.truncate(1);
    }
    if let [one] = base[..] {
        base.resize(setting.sums, one);
    }
    Ok(base)
}
