//! Models of XGBoost and LightGBM within pickles: what they wrote of themselves
//! is read like a file of theirs.

use std::borrow::Cow;

use plimsoll_core::schema::{ClassLabel, DataType};

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::version::Version;
use crate::EngineError;
use crate::formats::boosters::xgboost::{self, Asked};
use crate::formats::boosters::{Booster, lightgbm};
use crate::kernel::head::Head;
use crate::open::Opened;
use crate::reader::malformed;
use crate::reader::pickle::{Arena, Graph, Node, NodeId};

pub(super) const CLASSES: &[Class] = &[
    ("lightgbm.basic", "Booster", Reader::Head(head)),
    ("lightgbm.sklearn", "LGBMClassifier", Reader::Head(head)),
    ("lightgbm.sklearn", "LGBMRanker", Reader::Head(head)),
    ("lightgbm.sklearn", "LGBMRegressor", Reader::Head(head)),
    ("xgboost.core", "Booster", Reader::Head(head)),
    ("xgboost.sklearn", "XGBClassifier", Reader::Head(head)),
    ("xgboost.sklearn", "XGBRFClassifier", Reader::Head(head)),
    ("xgboost.sklearn", "XGBRFRegressor", Reader::Head(head)),
    ("xgboost.sklearn", "XGBRanker", Reader::Head(head)),
    ("xgboost.sklearn", "XGBRegressor", Reader::Head(head)),
];

/// The model, if a pickle holds one of these libraries and nothing around it.
pub(super) fn open(graph: &Graph<'_>) -> Option<Result<Opened, EngineError>> {
    let module = library(graph, graph.root)?;
    // These classes do not say which version of scikit-learn they knew, and do not depend on it.
    let root = Estimator::root(graph, Version(1, 9));
    Some(root.and_then(|root| read(root)?.open(&format!("{module}-pickle"), root.class)))
}

fn library<'r>(graph: &'r Graph<'r>, id: NodeId) -> Option<&'r str> {
    let module = graph.arena.class(id)?.module.as_ref();
    let library = module.split('.').next()?;
    matches!(library, "xgboost" | "lightgbm").then_some(library)
}

/// The model as a part of another.
fn head(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let booster = read(estimator)?;
    let needs = booster.fields.iter().map(|field| Need {
        text: field.data_type == DataType::String,
        missing: Missing::Used,
        categories: None,
    });
    let needs = needs.collect();
    let answers = if booster.classes.is_empty() {
        let (task, outputs) = booster.outputs();
        Answers::Values(task, outputs)
    } else {
        Answers::Classes(booster.classes)
    };
    Ok(HeadPlan {
        from: estimator,
        needs,
        head: Head::Boosting(booster.head),
        answers,
    })
}

fn read(estimator: Estimator<'_>) -> Result<Booster, EngineError> {
    match library(estimator.graph, estimator.id) {
        Some("xgboost") => of_xgboost(estimator),
        _ => of_lightgbm(estimator),
    }
}

/// The booster a wrapper holds, or the booster itself.
fn inner(estimator: Estimator<'_>) -> Result<Estimator<'_>, EngineError> {
    if estimator.class == "Booster" {
        return Ok(estimator);
    }
    estimator.child(estimator.fitted("_Booster")?)
}

fn of_xgboost(estimator: Estimator<'_>) -> Result<Booster, EngineError> {
    let asked = match estimator.class {
        "Booster" => Asked::AsSaved,
        "XGBClassifier" | "XGBRFClassifier" => Asked::Classifier,
        _ => Asked::Regressor,
    };
    if estimator.attribute("missing").is_some() && !estimator.number("missing")?.is_nan() {
        return Err(estimator.unserved("with a value that stands for missing ones"));
    }
    let booster = inner(estimator)?;
    let id = booster.fitted("handle")?;
    let bytes = bytes(booster.arena(), id).ok_or_else(|| booster.wrong("handle", id))?;
    estimator.graph.budget.spend_bytes(bytes.len())?;
    let mut read = xgboost::read(&bytes, asked)?;
    if estimator.attribute("classes_").is_some() {
        read.classes = same_number(names::classes(estimator)?, &read)?;
    }
    Ok(read)
}

fn of_lightgbm(estimator: Estimator<'_>) -> Result<Booster, EngineError> {
    let booster = inner(estimator)?;
    // The handle got its underscore in 4.0.
    let name = if booster.attribute("_handle").is_some() {
        "_handle"
    } else {
        "handle"
    };
    let id = booster.fitted(name)?;
    let text = booster.arena().text(id);
    let text = text.ok_or_else(|| booster.wrong(name, id))?;
    estimator.graph.budget.spend_bytes(text.len())?;
    // 0 and −1 are no best iteration (`Booster.predict`).
    let best = booster.attribute("best_iteration");
    let best = best.and_then(|_| booster.size("best_iteration").ok());
    let mut read = lightgbm::read(text, best.filter(|best| *best > 0))?;
    if estimator.attribute("_classes").is_some() && !read.classes.is_empty() {
        read.classes = same_number(names::labels(estimator, "_classes")?, &read)?;
    }
    Ok(read)
}

/// `named` instead of the classes a model only counts.
fn same_number(named: Vec<ClassLabel>, read: &Booster) -> Result<Vec<ClassLabel>, EngineError> {
    if named.len() == read.classes.len() {
        return Ok(named);
    }
    Err(malformed(format!(
        "{} names for {} classes",
        named.len(),
        read.classes.len()
    )))
}

/// Bytes, or the `bytearray` that was made of them.
fn bytes<'r>(arena: &'r Arena<'_>, id: NodeId) -> Option<Cow<'r, [u8]>> {
    match arena.get(id) {
        Node::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        // Protocols 0 to 2 write bytes as the text of their Latin-1 codes.
        Node::Text(text) => {
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
            bytes.map(Cow::Owned)
        }
        Node::Object(object) => {
            let class = arena.class(id)?;
            let argument = *arena.arguments(object).first()?;
            let is_plain = matches!(arena.get(argument), Node::Bytes(_) | Node::Text(_));
            let is_known = matches!(class.name.as_ref(), "bytearray" | "bytes" | "encode");
            if is_known && is_plain {
                return bytes(arena, argument);
            }
            None
        }
        _ => None,
    }
}
