//! Rows on fewer axes.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use crate::EngineError;
use crate::kernel::step::Step;
use crate::kernel::steps::project::Projection;
use crate::reader::malformed;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.decomposition._incremental_pca",
        "IncrementalPCA",
        Reader::Step(centred),
    ),
    ("sklearn.decomposition._pca", "PCA", Reader::Step(centred)),
    (
        "sklearn.decomposition._truncated_svd",
        "TruncatedSVD",
        Reader::Step(truncated),
    ),
];

/// `PCA`, `IncrementalPCA`. Whitening divides by the deviations, none of which
/// counts as less than rounding (`decomposition/_base.py`, `_transform`).
fn centred(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let mut plan = projection(estimator)?;
    plan.mean = estimator.numbers_of("mean_", plan.features)?;
    if estimator.flag("whiten", false)? {
        let axes = plan.axes.len() / plan.features;
        let variances = estimator.numbers_of("explained_variance_", axes)?;
        let deviations = variances.into_iter().map(f64::sqrt);
        plan.scale = deviations.map(|d| d.max(f64::EPSILON)).collect();
    }
    Ok(step(estimator, plan))
}

/// `TruncatedSVD`.
fn truncated(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    Ok(step(estimator, projection(estimator)?))
}

/// `components_`, one row for each axis.
fn projection(estimator: Estimator<'_>) -> Result<Projection, EngineError> {
    let features = estimator.features()?;
    let shape = estimator.array("components_")?.shape;
    match shape.as_slice() {
        [axes, width] if *width == features && *axes > 0 => {}
        _ => return Err(malformed("components_ does not fit the columns")),
    }
    Ok(Projection {
        features,
        mean: Vec::new(),
        axes: estimator.numbers("components_")?,
        scale: Vec::new(),
    })
}

fn step(estimator: Estimator<'_>, projection: Projection) -> StepPlan<'_> {
    StepPlan {
        from: estimator,
        needs: Need::numbers(projection.features, Missing::Refused),
        step: Step::Project(projection),
    }
}
