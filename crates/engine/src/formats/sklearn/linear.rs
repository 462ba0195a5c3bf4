//! Linear and logistic regression, and the standard scaler.

use super::estimator::Estimator;
use super::version::Version;
use crate::EngineError;
use crate::kernel::linear::{Linear, Link, Logistic};
use crate::kernel::scale::Scaler;
use crate::reader::malformed;

/// `StandardScaler`: `mean_` and `scale_`, each where the scaler was told to use it.
pub(super) fn scaler(estimator: Estimator<'_>) -> Result<Scaler, EngineError> {
    let features = estimator.features()?;
    let part = |switch: &str, name: &str| -> Result<Option<Vec<f64>>, EngineError> {
        if !estimator.flag(switch, true)? {
            return Ok(None);
        }
        let numbers = estimator.numbers(name)?;
        if numbers.len() != features {
            return Err(malformed(format!(
                "{name} has {} of {features} values",
                numbers.len()
            )));
        }
        Ok(Some(numbers))
    };
    Ok(Scaler {
        mean: part("with_mean", "mean_")?,
        scale: part("with_std", "scale_")?,
    })
}

/// `LinearRegression`, `Ridge`, `Lasso`, `ElasticNet` with one output.
pub(super) fn regression(estimator: Estimator<'_>) -> Result<Linear, EngineError> {
    let linear = scores(estimator)?;
    if linear.intercepts.len() != 1 {
        return Err(estimator.unserved("with several outputs"));
    }
    Ok(linear)
}

/// `LogisticRegression` over `classes` classes.
pub(super) fn logistic(estimator: Estimator<'_>, classes: usize) -> Result<Logistic, EngineError> {
    let scores = scores(estimator)?;
    let expected = if classes == 2 { 1 } else { classes };
    if scores.intercepts.len() != expected {
        let found = scores.intercepts.len();
        return Err(malformed(format!(
            "{found} rows of coef_ for {classes} classes"
        )));
    }
    Ok(Logistic {
        scores,
        link: link(estimator, classes),
    })
}

/// Which road `predict_proba` takes in the version that wrote the file
/// (`sklearn/linear_model/_logistic.py` of 1.2 to 1.9).
fn link(estimator: Estimator<'_>, classes: usize) -> Link {
    let multi_class = estimator.text("multi_class").unwrap_or("auto");
    let solver = estimator.text("solver").unwrap_or("lbfgs");
    // 1.8 dropped the attribute: two classes are logistic, more are softmax.
    let one_versus_rest = match multi_class {
        "ovr" | "warn" => true,
        "auto" | "deprecated" if estimator.version < Version(1, 8) => {
            // newton-cholesky learned to fit several classes at once in 1.6.
            let by_class = solver == "newton-cholesky" && estimator.version < Version(1, 6);
            classes == 2 || solver == "liblinear" || by_class
        }
        "auto" | "deprecated" => classes == 2,
        _ => false,
    };
    if one_versus_rest {
        Link::Logistic
    } else {
        Link::Softmax
    }
}

/// `coef_` and `intercept_`, whose shapes vary with the class and its version:
/// (features), (1, features) or (scores, features), and a number or an array.
fn scores(estimator: Estimator<'_>) -> Result<Linear, EngineError> {
    let features = estimator.features()?;
    let weights = estimator.numbers("coef_")?;
    let shape = estimator.array("coef_")?.shape;
    let count = match shape.as_slice() {
        [width] if *width == features => 1,
        [count, width] if *width == features && *count > 0 => *count,
        _ => {
            return Err(malformed(format!(
                "coef_ is {shape:?} for {features} features"
            )));
        }
    };
    let mut intercepts = estimator.numbers("intercept_")?;
    if intercepts.len() == 1 {
        intercepts.resize(count, intercepts[0]);
    }
    if intercepts.len() != count {
        let found = intercepts.len();
        return Err(malformed(format!(
            "intercept_ has {found} of {count} values"
        )));
    }
    Ok(Linear {
        weights,
        intercepts,
        features,
    })
}
