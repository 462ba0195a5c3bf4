//! Scalers.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use super::preprocess::elementwise;
use crate::EngineError;
use crate::kernel::step::Step;
use crate::kernel::steps::elementwise::Change;
use crate::kernel::steps::project::{Norm, Normalizer};
use crate::kernel::steps::scale::Scaler;
use crate::reader::element::Value;
use crate::reader::numpy;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.preprocessing._data",
        "MaxAbsScaler",
        Reader::Step(largest),
    ),
    (
        "sklearn.preprocessing._data",
        "MinMaxScaler",
        Reader::Step(range),
    ),
    (
        "sklearn.preprocessing._data",
        "Normalizer",
        Reader::Step(normalizer),
    ),
    (
        "sklearn.preprocessing._data",
        "RobustScaler",
        Reader::Step(robust),
    ),
    (
        "sklearn.preprocessing._data",
        "StandardScaler",
        Reader::Step(standard),
    ),
];

/// `StandardScaler`: `mean_` and `scale_`, each where the scaler was told to use it.
pub(super) fn standard(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let mean = part(estimator, "with_mean", "mean_")?;
    let scale = part(estimator, "with_std", "scale_")?;
    scaler(estimator, mean, scale)
}

/// `RobustScaler`: the same with `center_`.
fn robust(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let centre = part(estimator, "with_centering", "center_")?;
    let scale = part(estimator, "with_scaling", "scale_")?;
    scaler(estimator, centre, scale)
}

/// `MaxAbsScaler`; since 1.8 it may cut what is beyond the training values.
fn largest(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let scale = estimator.numbers_of("scale_", estimator.features()?)?;
    if estimator.flag("clip", false)? {
        return elementwise(estimator, Change::Shrink(scale), Missing::Kept);
    }
    scaler(estimator, None, Some(scale))
}

/// `MinMaxScaler`.
fn range(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let range = if estimator.flag("clip", false)? {
        Some(bounds(estimator)?)
    } else {
        None
    };
    let change = Change::Stretch {
        factor: estimator.numbers_of("scale_", features)?,
        shift: estimator.numbers_of("min_", features)?,
        range,
    };
    elementwise(estimator, change, Missing::Kept)
}

/// `feature_range`: two numbers.
fn bounds(estimator: Estimator<'_>) -> Result<(f64, f64), EngineError> {
    let name = "feature_range";
    let number = |id| -> Result<Option<f64>, EngineError> {
        let value = numpy::value(estimator.arena(), id)?;
        Ok(value.as_ref().and_then(Value::as_f64))
    };
    match estimator.list(name)? {
        [least, most] => match (number(*least)?, number(*most)?) {
            (Some(least), Some(most)) if least < most => Ok((least, most)),
            _ => Err(estimator.wrong(name, *least)),
        },
        _ => Err(estimator.wrong(name, estimator.fitted(name)?)),
    }
}

/// `Normalizer`.
fn normalizer(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    Ok(StepPlan {
        from: estimator,
        step: Step::Normalize(Normalizer {
            features,
            norm: norm(estimator)?,
        }),
        needs: Need::numbers(features, Missing::Refused),
    })
}

/// The norm that `norm` names.
pub(super) fn norm(estimator: Estimator<'_>) -> Result<Norm, EngineError> {
    match estimator.text("norm") {
        Some("l1") => Ok(Norm::L1),
        Some("l2") => Ok(Norm::L2),
        Some("max") => Ok(Norm::Max),
        _ => Err(estimator.wrong("norm", estimator.fitted("norm")?)),
    }
}

/// The numbers `name`, if `switch` is on.
fn part(
    estimator: Estimator<'_>,
    switch: &str,
    name: &str,
) -> Result<Option<Vec<f64>>, EngineError> {
    if !estimator.flag(switch, true)? {
        return Ok(None);
    }
    let features = estimator.features()?;
    estimator.numbers_of(name, features).map(Some)
}

fn scaler(
    estimator: Estimator<'_>,
    mean: Option<Vec<f64>>,
    scale: Option<Vec<f64>>,
) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    Ok(StepPlan {
        from: estimator,
        step: Step::Scale(Scaler {
            features,
            mean,
            scale,
        }),
        needs: Need::numbers(features, Missing::Kept),
    })
}
