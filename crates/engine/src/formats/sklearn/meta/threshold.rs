//! `FixedThresholdClassifier` and `TunedThresholdClassifierCV`, since 1.5.

use super::members::{self, Joined};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::plan::{Answers, HeadPlan};
use crate::kernel::head::Head;
use crate::kernel::heads::threshold::Threshold;
use crate::reader::element::Value;
use crate::reader::numpy;
use crate::reader::pickle::NodeId;
use plimsoll_core::schema::ClassLabel;

/// `FixedThresholdClassifier`. A prefit estimator stands where it was given.
pub(super) fn fixed(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let name = match estimator.attribute("estimator_") {
        Some(_) => "estimator_",
        None => "estimator",
    };
    let positive = estimator.attribute("pos_label");
    let threshold = match estimator.text("threshold") {
        Some("auto") => None,
        _ => Some(estimator.number("threshold")?),
    };
    thresholded(estimator, name, positive, threshold)
}

/// `TunedThresholdClassifierCV`: its scorer knows which class counts.
pub(super) fn tuned(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let arena = estimator.arena();
    let scorer = estimator.fitted("_curve_scorer")?;
    let arguments = arena.attribute(scorer, "_kwargs");
    let positive = arguments.and_then(|arguments| arena.entry(arguments, "pos_label"));
    let threshold = estimator.number("best_threshold_")?;
    thresholded(estimator, "estimator_", positive, Some(threshold))
}

fn thresholded<'r>(
    estimator: Estimator<'r>,
    name: &str,
    positive: Option<NodeId>,
    threshold: Option<f64>,
) -> Result<HeadPlan<'r>, EngineError> {
    let inner = estimator.child(estimator.fitted(name)?)?;
    let member = members::member(estimator, estimator.fitted(name)?, None)?;
    member.check_scores()?;
    let classes = member.classes()?.to_vec();
    let positive = match positive {
        None => 1,
        Some(id) => place(inner, id, &classes)?,
    };
    let Joined {
        mut models,
        needs,
        from,
    } = members::join(estimator, vec![member])?;
    let Some(model) = models.pop() else {
        return Err(estimator.unserved("without an estimator"));
    };
    let by_probability = match estimator.text("response_method") {
        Some("predict_proba") => true,
        Some("decision_function") => false,
        _ => model.gives().probabilities,
    };
    let automatic = if by_probability { 0.5 } else { 0.0 };
    let threshold = threshold.unwrap_or(automatic);
    Ok(HeadPlan {
        from,
        head: Head::Threshold(Threshold::new(model, by_probability, positive, threshold)?),
        needs,
        answers: Answers::Classes(classes),
    })
}

/// Which of the classes the value at `id` is.
fn place(estimator: Estimator<'_>, id: NodeId, classes: &[ClassLabel]) -> Result<u32, EngineError> {
    let label = match numpy::value(estimator.arena(), id)? {
        Some(Value::Bool(label)) => ClassLabel::Bool(label),
        Some(Value::Int(label)) => ClassLabel::Int(label),
        Some(Value::Float(label)) => ClassLabel::Float(label),
        Some(Value::Text(label)) => ClassLabel::Text(label),
        None => return Err(estimator.wrong("pos_label", id)),
    };
    let found = members::place_of(classes, &label);
    found.ok_or_else(|| estimator.wrong("pos_label", id))
}
