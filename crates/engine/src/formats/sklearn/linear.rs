//! Linear and logistic regression.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::version::Version;
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::linear::{Linear, Link, Logistic};
use crate::reader::malformed;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.linear_model._base",
        "LinearRegression",
        Reader::Head(regression),
    ),
    (
        "sklearn.linear_model._coordinate_descent",
        "ElasticNet",
        Reader::Head(regression),
    ),
    (
        "sklearn.linear_model._coordinate_descent",
        "Lasso",
        Reader::Head(regression),
    ),
    (
        "sklearn.linear_model._logistic",
        "LogisticRegression",
        Reader::Head(logistic),
    ),
    (
        "sklearn.linear_model._ridge",
        "Ridge",
        Reader::Head(regression),
    ),
];

/// `LinearRegression`, `Ridge`, `Lasso`, `ElasticNet`, of one output or several.
fn regression(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let linear = scores(estimator)?;
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(linear.features, Missing::Refused),
        answers: Answers::regression(linear.intercepts.len()),
        head: Head::Linear(linear),
    })
}

/// `LogisticRegression`.
fn logistic(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let scores = scores(estimator)?;
    let expected = if classes.len() == 2 { 1 } else { classes.len() };
    if scores.intercepts.len() != expected {
        let (found, classes) = (scores.intercepts.len(), classes.len());
        return Err(malformed(format!(
            "{found} rows of coef_ for {classes} classes"
        )));
    }
    let link = link(estimator, classes.len());
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(scores.features, Missing::Refused),
        head: Head::Logistic(Logistic { scores, link }),
        answers: Answers::Classes(classes),
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
