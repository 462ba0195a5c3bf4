//! Scalers.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use crate::EngineError;
use crate::kernel::step::Step;
use crate::kernel::steps::scale::Scaler;

pub(super) const CLASSES: &[Class] = &[(
    "sklearn.preprocessing._data",
    "StandardScaler",
    Reader::Step(standard),
)];

/// `StandardScaler`: `mean_` and `scale_`, each where the scaler was told to use it.
fn standard(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let part = |switch: &str, name: &str| -> Result<Option<Vec<f64>>, EngineError> {
        if !estimator.flag(switch, true)? {
            return Ok(None);
        }
        estimator.numbers_of(name, features).map(Some)
    };
    let scaler = Scaler {
        features,
        mean: part("with_mean", "mean_")?,
        scale: part("with_std", "scale_")?,
    };
    Ok(StepPlan {
        from: estimator,
        step: Step::Scale(scaler),
        needs: Need::numbers(features, Missing::Kept),
    })
}
