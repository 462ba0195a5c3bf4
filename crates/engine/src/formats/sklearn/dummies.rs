//! Baselines whose answer does not depend on the row.

use plimsoll_core::schema::ClassLabel;

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use crate::EngineError;
use crate::kernel::argmax;
use crate::kernel::head::Head;
use crate::kernel::heads::constant::{Constant, Same};
use crate::reader::element::Value;
use crate::reader::{malformed, numpy};

pub(super) const CLASSES: &[Class] = &[
    ("sklearn.dummy", "DummyClassifier", Reader::Head(classifier)),
    ("sklearn.dummy", "DummyRegressor", Reader::Head(regressor)),
];

/// `DummyClassifier`, unless chance decides.
fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let mut probabilities = estimator.numbers_of("class_prior_", classes.len())?;
    let label = match estimator.text("strategy") {
        Some("prior" | "most_frequent") => argmax(&probabilities),
        Some("constant") => constant(estimator, &classes)?,
        _ => return Err(estimator.unserved("that answers by chance")),
    };
    if estimator.text("strategy") != Some("prior") {
        probabilities.fill(0.0);
        probabilities[label as usize] = 1.0;
    }
    plan(
        estimator,
        Same::Class(label, probabilities),
        Answers::Classes(classes),
    )
}

/// Index of the class that is always answered.
fn constant(estimator: Estimator<'_>, classes: &[ClassLabel]) -> Result<u32, EngineError> {
    let id = estimator.fitted("constant")?;
    let label = match (
        estimator.text("constant"),
        numpy::value(estimator.arena(), id)?,
    ) {
        (Some(text), _) => ClassLabel::Text(text.to_owned()),
        (_, Some(Value::Text(text))) => ClassLabel::Text(text),
        (_, Some(Value::Int(number))) => ClassLabel::Int(number),
        (_, Some(Value::Bool(flag))) => ClassLabel::Bool(flag),
        (_, Some(Value::Float(number))) => ClassLabel::Float(number),
        _ => return Err(estimator.wrong("constant", id)),
    };
    let index = classes.iter().position(|class| *class == label);
    let index = index.and_then(|index| u32::try_from(index).ok());
    index.ok_or_else(|| malformed("the constant of a DummyClassifier is none of its classes"))
}

/// `DummyRegressor`, of one output or several.
fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let values = estimator.numbers("constant_")?;
    if values.is_empty() {
        return Err(malformed("constant_ is empty"));
    }
    let answers = Answers::regression(values.len());
    plan(estimator, Same::Values(values), answers)
}

fn plan(
    estimator: Estimator<'_>,
    same: Same,
    answers: Answers,
) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(features, Missing::Used),
        answers,
        head: Head::Constant(Constant { features, same }),
    })
}
