//! `TransformedTargetRegressor`: the inverse of what was done to its target.

use super::members::{self, Joined};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::plan::HeadPlan;
use crate::formats::sklearn::preprocess;
use crate::kernel::head::Head;
use crate::kernel::heads::target::{Back, Target};
use crate::kernel::steps::elementwise::Function;

/// The regressor, whose answers `transformer_` changes back.
pub(super) fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let member = members::member(estimator, estimator.fitted("regressor_")?, None)?;
    member.check_numbers()?;
    let answers = member.answers.clone();
    let transformer = estimator.child(estimator.fitted("transformer_")?)?;
    let back = inverse(transformer)?;
    let Joined {
        mut models,
        needs,
        from,
    } = members::join(estimator, vec![member])?;
    let Some(model) = models.pop() else {
        return Err(estimator.unserved("without a regressor"));
    };
    Ok(HeadPlan {
        from,
        head: Head::Target(Target::new(model, back)?),
        needs,
        answers,
    })
}

/// The steps of `inverse_transform` (`sklearn/preprocessing/_data.py`).
fn inverse(transformer: Estimator<'_>) -> Result<Vec<Back>, EngineError> {
    match transformer.class {
        "StandardScaler" => standard(transformer),
        "RobustScaler" => stretch(
            transformer,
            ("with_scaling", "scale_"),
            ("with_centering", "center_"),
        ),
        "MaxAbsScaler" => {
            let factors = transformer.numbers("scale_")?.into_iter();
            Ok(vec![Back::Stretch(
                factors.map(|factor| (factor, 0.0)).collect(),
            )])
        }
        "MinMaxScaler" => {
            let factors = transformer.numbers("scale_")?;
            let shifts = transformer.numbers_of("min_", factors.len())?;
            Ok(vec![Back::Shrink(
                factors.into_iter().zip(shifts).collect(),
            )])
        }
        "PowerTransformer" => power(transformer),
        "FunctionTransformer" => function(transformer),
        _ => Err(transformer.unserved("for a target")),
    }
}

fn standard(scaler: Estimator<'_>) -> Result<Vec<Back>, EngineError> {
    stretch(scaler, ("with_std", "scale_"), ("with_mean", "mean_"))
}

/// `x · factor + shift`, each where the scaler was told to use it.
fn stretch(
    scaler: Estimator<'_>,
    factor: (&str, &str),
    shift: (&str, &str),
) -> Result<Vec<Back>, EngineError> {
    let features = scaler.features()?;
    let list = |(switch, name): (&str, &str), neutral: f64| {
        if scaler.flag(switch, true)? {
            scaler.numbers_of(name, features)
        } else {
            Ok(vec![neutral; features])
        }
    };
    let (factors, shifts) = (list(factor, 1.0)?, list(shift, 0.0)?);
    Ok(vec![Back::Stretch(
        factors.into_iter().zip(shifts).collect(),
    )])
}

fn power(transformer: Estimator<'_>) -> Result<Vec<Back>, EngineError> {
    let mut back = Vec::new();
    if transformer.flag("standardize", true)? {
        back = standard(transformer.child(transformer.fitted("_scaler")?)?)?;
    }
    let powers = transformer.numbers("lambdas_")?;
    back.push(match transformer.text("method") {
        Some("box-cox") => Back::BoxCox(powers),
        Some("yeo-johnson") => Back::YeoJohnson(powers),
        _ => return Err(transformer.unserved("with another method")),
    });
    Ok(back)
}

/// `inverse_func`, if it is a function of numpy.
fn function(transformer: Estimator<'_>) -> Result<Vec<Back>, EngineError> {
    let Some(id) = transformer.attribute("inverse_func") else {
        return Ok(Vec::new());
    };
    let global = transformer.arena().global(id);
    let known = global.filter(|global| preprocess::is_function(&global.module, &global.name));
    let function = known.and_then(|global| Function::named(&global.name));
    let found = transformer.arena().describe(id);
    let function = function.ok_or_else(|| transformer.unserved(&format!("back by {found}")))?;
    Ok(vec![Back::Function(function)])
}
