//! `SplineTransformer` (`sklearn/preprocessing/_polynomial.py`).

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use crate::EngineError;
use crate::kernel::step::Step;
use crate::kernel::steps::spline::{Beyond, Splines};
use crate::reader::malformed;

pub(super) const CLASSES: &[Class] = &[(
    "sklearn.preprocessing._polynomial",
    "SplineTransformer",
    Reader::Step(splines),
)];

/// The knots of each column; the splines over them follow from these.
fn splines(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let curves = estimator.list("bsplines_")?;
    if curves.len() != features {
        return Err(malformed("bsplines_ does not fit the columns"));
    }
    let beyond = match estimator.text("extrapolation") {
        Some("error") => Beyond::Refused,
        Some("constant") => Beyond::Level,
        Some("linear") => Beyond::Straight,
        Some("continue") => Beyond::Curved,
        Some("periodic") => Beyond::Periodic,
        _ => return Err(malformed("extrapolation is none")),
    };
    // SciPy 1.15 put an underscore before the name.
    let knots = curves.iter().map(|curve| {
        let attribute = |name| estimator.arena().attribute(*curve, name);
        let knots = attribute("t").or_else(|| attribute("_t"));
        let knots = knots.ok_or_else(|| estimator.wrong("bsplines_", *curve))?;
        estimator.array_at("bsplines_", knots)?.f64s()
    });
    let knots: Vec<Vec<f64>> = knots.collect::<Result<_, _>>()?;
    let mut splines = Splines::new(knots, estimator.size("degree")?, beyond)?;
    if !estimator.flag("include_bias", true)? {
        splines = splines.without_last();
    }
    let mut missing = Missing::Refused;
    if estimator.text("handle_missing") == Some("zeros") {
        splines = splines.accepting_missing();
        missing = Missing::Used;
    }
    Ok(StepPlan {
        from: estimator,
        step: Step::Splines(splines),
        needs: Need::numbers(features, missing),
    })
}
