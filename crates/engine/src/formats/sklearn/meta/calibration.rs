//! `CalibratedClassifierCV` (`sklearn/calibration.py`), and the isotonic regression it may use.

use super::members::{self, Joined};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::names;
use crate::formats::sklearn::plan::{Answers, HeadPlan, Missing, Need};
use crate::kernel::head::Head;
use crate::kernel::heads::calibrated::{Calibrated, Calibration, Calibrator, Curve, Points};
use crate::kernel::heads::isotonic::{Beyond, Isotonic};
use crate::reader::array::DType;
use crate::reader::element::Kind;
use crate::reader::malformed;

/// The mean of `calibrated_classifiers_`.
pub(super) fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let (mut members, mut calibrators) = (Vec::new(), Vec::new());
    for id in estimator.list("calibrated_classifiers_")? {
        let calibrated = estimator.child(*id)?;
        if calibrated.class != "_CalibratedClassifier" {
            return Err(estimator.wrong("calibrated_classifiers_", *id));
        }
        // `base_estimator` until 1.2.
        let name = match calibrated.attribute("estimator") {
            Some(_) => "estimator",
            None => "base_estimator",
        };
        let member = members::member(calibrated, calibrated.fitted(name)?, None)?;
        member.check_scores()?;
        // For a temperature, members are fitted on the numbers of classes that are texts.
        let places = match calibrated.text("method") {
            Some("temperature") => member
                .places_among(&classes)
                .or_else(|_| member.places_of_numbers(classes.len()))?,
            _ => member.places_among(&classes)?,
        };
        if !places.iter().copied().eq((0..).take(classes.len())) {
            return Err(estimator.unserved("whose members know other classes"));
        }
        members.push(member);
        calibrators.push(calibrator(calibrated)?);
    }
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let each = models.into_iter().zip(calibrators);
    let each = each.map(|(model, by)| Calibration::new(model, by));
    Ok(HeadPlan {
        from,
        head: Head::Calibrated(Calibrated::new(each.collect::<Result<_, _>>()?)?),
        needs,
        answers: Answers::Classes(classes),
    })
}

/// What makes the scores of one classifier probabilities.
fn calibrator(calibrated: Estimator<'_>) -> Result<Calibrator, EngineError> {
    let list = calibrated.list("calibrators")?;
    if calibrated.text("method") == Some("temperature") {
        let Some(scaling) = list.first() else {
            return Err(malformed("a calibration without a temperature"));
        };
        let scaling = calibrated.child(*scaling)?;
        let beta = scaling.number("beta_")?;
        return Ok(Calibrator::Temperature(beta));
    }
    let curves = list.iter().map(|id| curve(calibrated.child(*id)?));
    curves.collect::<Result<_, _>>().map(Calibrator::Curves)
}

/// `IsotonicRegression`, by itself: a curve over one column (`sklearn/isotonic.py`, `_transform`).
pub(super) fn isotonic(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let beyond = match estimator.text("out_of_bounds") {
        Some("clip") => Beyond::Level,
        Some("nan") => Beyond::Missing,
        _ => Beyond::Refused,
    };
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(1, Missing::Refused),
        answers: Answers::regression(1),
        head: Head::Isotonic(Isotonic {
            points: points(estimator)?,
            beyond,
        }),
    })
}

/// The points of an isotonic regression, in the precision it was fitted in.
fn points(estimator: Estimator<'_>) -> Result<Points, EngineError> {
    let places = estimator.array("X_thresholds_")?;
    let narrow = matches!(places.dtype, DType::Plain(Kind::Float(4), _));
    let x = estimator.numbers("X_thresholds_")?;
    let y = estimator.numbers("y_thresholds_")?;
    Points::new(x, y, narrow)
}

fn curve(calibrator: Estimator<'_>) -> Result<Curve, EngineError> {
    match calibrator.class {
        "_SigmoidCalibration" => Ok(Curve::Sigmoid {
            a: calibrator.number("a_")?,
            b: calibrator.number("b_")?,
        }),
        "IsotonicRegression" if calibrator.text("out_of_bounds") == Some("clip") => {
            points(calibrator).map(Curve::Isotonic)
        }
        _ => Err(calibrator.unserved("as a calibrator")),
    }
}
