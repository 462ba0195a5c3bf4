//! Transformers of numbers that are no scalers: powers, quantiles, bins, products, functions.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Missing, Need, StepPlan};
use crate::EngineError;
use crate::kernel::step::Step;
use crate::kernel::steps::elementwise::{Change, Elementwise, Function};
use crate::kernel::steps::polynomial::{Degrees, Polynomial};
use crate::kernel::steps::quantile::{Bins, Quantiles};
use crate::reader::malformed;
use crate::reader::pickle::Node;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.preprocessing._data",
        "Binarizer",
        Reader::Step(binarizer),
    ),
    (
        "sklearn.preprocessing._data",
        "PolynomialFeatures",
        Reader::Step(polynomial),
    ),
    (
        "sklearn.preprocessing._polynomial",
        "PolynomialFeatures",
        Reader::Step(polynomial),
    ),
    (
        "sklearn.preprocessing._data",
        "PowerTransformer",
        Reader::Step(power),
    ),
    (
        "sklearn.preprocessing._data",
        "QuantileTransformer",
        Reader::Step(quantile),
    ),
    (
        "sklearn.preprocessing._discretization",
        "KBinsDiscretizer",
        Reader::Step(bins),
    ),
    (
        "sklearn.preprocessing._function_transformer",
        "FunctionTransformer",
        Reader::Step(function),
    ),
];

/// Modules numpy pickles its functions under: its own, and where 1.x had them.
const NUMPY: [&str; 3] = [
    "numpy",
    "numpy.core._multiarray_umath",
    "numpy._core._multiarray_umath",
];

/// Whether this is a function of numpy that a `FunctionTransformer` may name.
pub(super) fn is_function(module: &str, name: &str) -> bool {
    NUMPY.contains(&module) && Function::named(name).is_some()
}

/// A step that changes values one by one.
pub(super) fn elementwise(
    estimator: Estimator<'_>,
    change: Change,
    missing: Missing,
) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    Ok(StepPlan {
        from: estimator,
        step: Step::Elementwise(Elementwise {
            features,
            change,
            missing: missing != Missing::Refused,
        }),
        needs: Need::numbers(features, missing),
    })
}

/// `Binarizer`.
fn binarizer(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let threshold = estimator.number("threshold")?;
    elementwise(estimator, Change::Above(threshold), Missing::Refused)
}

/// `FunctionTransformer` with a function of numpy, or none. Other functions would have to be run.
fn function(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    if let Some(id) = estimator.attribute("kw_args")
        && !matches!(estimator.arena().get(id), Node::Dict(entries) if entries.is_empty())
    {
        return Err(estimator.unserved("with kw_args"));
    }
    let change = match estimator.attribute("func") {
        None => Change::Nothing,
        Some(id) => {
            let global = estimator.arena().global(id);
            let named = global.filter(|global| is_function(&global.module, &global.name));
            let function = named.and_then(|global| Function::named(&global.name));
            let function = function.ok_or_else(|| {
                let found = estimator.arena().describe(id);
                estimator.unserved(&format!("of {found}"))
            })?;
            Change::Function(function)
        }
    };
    let missing = if estimator.flag("validate", false)? {
        Missing::Refused
    } else {
        Missing::Kept
    };
    elementwise(estimator, change, missing)
}

/// `PowerTransformer`, and the scaler behind it if it standardizes.
fn power(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let exponents = estimator.numbers_of("lambdas_", features)?;
    let change = match estimator.text("method") {
        Some("box-cox") => Change::BoxCox(exponents),
        Some("yeo-johnson") => Change::YeoJohnson(exponents),
        _ => return Err(estimator.wrong("method", estimator.fitted("method")?)),
    };
    let plan = elementwise(estimator, change, Missing::Kept)?;
    if !estimator.flag("standardize", true)? {
        return Ok(plan);
    }
    let scaler = super::scale::standard(estimator.child(estimator.fitted("_scaler")?)?)?;
    plan.followed_by(scaler.step)
}

/// `QuantileTransformer`.
fn quantile(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let shares = estimator.numbers("references_")?;
    let count = shares.len().saturating_mul(features);
    let quantiles = estimator.numbers_of("quantiles_", count)?;
    let normal = match estimator.text("output_distribution") {
        Some("uniform") => false,
        Some("normal") => true,
        _ => return Err(estimator.unserved("with another distribution")),
    };
    Ok(StepPlan {
        from: estimator,
        step: Step::Quantiles(Quantiles::new(&quantiles, shares, normal)?),
        needs: Need::numbers(features, Missing::Kept),
    })
}

/// `KBinsDiscretizer`: the first and last edge of `bin_edges_` bound nothing (`_discretization.py`, `transform`).
fn bins(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let columns = estimator.array("bin_edges_")?;
    let columns = columns.objects().unwrap_or(&[]);
    if columns.len() != features {
        return Err(malformed("bin_edges_ does not fit the columns"));
    }
    let edges = columns.iter().map(|id| {
        let edges = estimator.array_at("bin_edges_", *id)?.f64s()?;
        let rising = edges.is_sorted_by(|a, b| a <= b);
        match edges.as_slice() {
            [_, inner @ .., _] if rising => Ok(inner.to_vec()),
            _ => Err(malformed("the edges of bins do not rise")),
        }
    });
    let edges: Vec<Vec<f64>> = edges.collect::<Result<_, EngineError>>()?;
    let hot = match estimator.text("encode") {
        Some("onehot" | "onehot-dense") => true,
        Some("ordinal") => false,
        _ => return Err(estimator.wrong("encode", estimator.fitted("encode")?)),
    };
    Ok(StepPlan {
        from: estimator,
        step: Step::Bins(Bins { edges, hot }),
        needs: Need::numbers(features, Missing::Refused),
    })
}

/// `PolynomialFeatures`: `degree` was resolved into `_min_degree` and `_max_degree`.
fn polynomial(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let degrees = Degrees {
        least: estimator.size("_min_degree")?,
        most: estimator.size("_max_degree")?,
        distinct: estimator.flag("interaction_only", false)?,
        bias: estimator.flag("include_bias", true)?,
    };
    let step = Polynomial::new(features, degrees)?;
    Ok(StepPlan {
        from: estimator,
        step: Step::Polynomial(step),
        needs: Need::numbers(features, Missing::Refused),
    })
}
