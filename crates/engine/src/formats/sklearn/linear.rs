//! Linear models: regressions, classifiers, and the search for outliers.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use super::version::Version;
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::linear::{
    Linear, LinearClassifier, LinearOutlier, LinearRegression, Link,
};
use crate::reader::malformed;

const ANGLE: &str = "sklearn.linear_model._least_angle";
const BASE: &str = "sklearn.linear_model._base";
const BAYES: &str = "sklearn.linear_model._bayes";
const DESCENT: &str = "sklearn.linear_model._coordinate_descent";
const GENERALISED: &str = "sklearn.linear_model._glm.glm";
const GRADIENT: &str = "sklearn.linear_model._stochastic_gradient";
const LOGISTIC: &str = "sklearn.linear_model._logistic";
const PASSIVE: &str = "sklearn.linear_model._passive_aggressive";
const PURSUIT: &str = "sklearn.linear_model._omp";
const RIDGE: &str = "sklearn.linear_model._ridge";
const SVM: &str = "sklearn.svm._classes";

const CLASSIFIER: Reader = Reader::Head(classifier);
const GENERAL: Reader = Reader::Head(generalised);
const REGRESSION: Reader = Reader::Head(regression);

pub(super) const CLASSES: &[Class] = &[
    (ANGLE, "Lars", REGRESSION),
    (ANGLE, "LarsCV", REGRESSION),
    (ANGLE, "LassoLars", REGRESSION),
    (ANGLE, "LassoLarsCV", REGRESSION),
    (ANGLE, "LassoLarsIC", REGRESSION),
    (BASE, "LinearRegression", REGRESSION),
    (BAYES, "ARDRegression", REGRESSION),
    (BAYES, "BayesianRidge", REGRESSION),
    (DESCENT, "ElasticNet", REGRESSION),
    (DESCENT, "ElasticNetCV", REGRESSION),
    (DESCENT, "Lasso", REGRESSION),
    (DESCENT, "LassoCV", REGRESSION),
    (DESCENT, "MultiTaskElasticNet", REGRESSION),
    (DESCENT, "MultiTaskElasticNetCV", REGRESSION),
    (DESCENT, "MultiTaskLasso", REGRESSION),
    (DESCENT, "MultiTaskLassoCV", REGRESSION),
    (GENERALISED, "GammaRegressor", GENERAL),
    (GENERALISED, "PoissonRegressor", GENERAL),
    (GENERALISED, "TweedieRegressor", GENERAL),
    (GRADIENT, "SGDClassifier", CLASSIFIER),
    (GRADIENT, "SGDOneClassSVM", Reader::Head(outlier)),
    (GRADIENT, "SGDRegressor", REGRESSION),
    (LOGISTIC, "LogisticRegression", CLASSIFIER),
    (LOGISTIC, "LogisticRegressionCV", CLASSIFIER),
    (PASSIVE, "PassiveAggressiveClassifier", CLASSIFIER),
    (PASSIVE, "PassiveAggressiveRegressor", REGRESSION),
    (PURSUIT, "OrthogonalMatchingPursuit", REGRESSION),
    (PURSUIT, "OrthogonalMatchingPursuitCV", REGRESSION),
    (RIDGE, "Ridge", REGRESSION),
    (RIDGE, "RidgeCV", REGRESSION),
    (RIDGE, "RidgeClassifier", CLASSIFIER),
    (RIDGE, "RidgeClassifierCV", CLASSIFIER),
    (SVM, "LinearSVC", CLASSIFIER),
    (SVM, "LinearSVR", REGRESSION),
    (
        "sklearn.discriminant_analysis",
        "LinearDiscriminantAnalysis",
        CLASSIFIER,
    ),
    ("sklearn.linear_model._huber", "HuberRegressor", REGRESSION),
    ("sklearn.linear_model._perceptron", "Perceptron", CLASSIFIER),
    (
        "sklearn.linear_model._quantile",
        "QuantileRegressor",
        REGRESSION,
    ),
    (
        "sklearn.linear_model._ransac",
        "RANSACRegressor",
        Reader::Head(consensus),
    ),
    (
        "sklearn.linear_model._theil_sen",
        "TheilSenRegressor",
        REGRESSION,
    ),
    (
        "sklearn.preprocessing._label",
        "LabelBinarizer",
        Reader::Part,
    ),
];

/// Whatever answers `coef_ · x + intercept_`, of one output or several.
fn regression(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let scores = scores(estimator)?;
    Ok(regression_of(estimator, scores, false))
}

/// Generalised linear models: the inverse of the link follows
/// (`sklearn/linear_model/_glm/glm.py`, `predict`).
fn generalised(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let arena = estimator.arena();
    let loss = estimator.fitted("_base_loss")?;
    let link = arena.attribute(loss, "link");
    let link = link.and_then(|link| arena.class(link));
    let exponential = match link.map(|class| class.name.as_ref()) {
        Some("LogLink") => true,
        Some("IdentityLink") => false,
        _ => return Err(estimator.unserved("with a link other than log or identity")),
    };
    let scores = scores(estimator)?;
    Ok(regression_of(estimator, scores, exponential))
}

/// `RANSACRegressor`: the model of the largest consensus, on the columns it was itself fitted on.
fn consensus(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let best = estimator.child(estimator.fitted("estimator_")?)?;
    let known = CLASSES.iter().find(|class| class.1 == best.class);
    match known {
        Some((_, _, Reader::Head(read))) if best.class != estimator.class => Ok(HeadPlan {
            from: estimator,
            ..read(best)?
        }),
        _ => Err(estimator.unserved(&format!("around a {}", best.class))),
    }
}

fn regression_of(estimator: Estimator<'_>, scores: Linear, exponential: bool) -> HeadPlan<'_> {
    HeadPlan {
        from: estimator,
        needs: Need::numbers(scores.features, Missing::Refused),
        answers: Answers::regression(scores.intercepts.len()),
        head: Head::LinearRegression(LinearRegression {
            scores,
            exponential,
        }),
    }
}

/// `SGDOneClassSVM`: `coef_ · x − offset_`.
fn outlier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let offset = estimator.numbers_of("offset_", 1)?;
    let scores = Linear {
        weights: estimator.numbers_of("coef_", features)?,
        intercepts: vec![-offset[0]],
        features,
    };
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(features, Missing::Refused),
        answers: Answers::outlier(),
        head: Head::LinearOutlier(LinearOutlier { scores }),
    })
}

/// Classifiers by the largest of their scores, or by the sign of a single one.
fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = if estimator.class.starts_with("Ridge") {
        // `classes_` is a property of these (`sklearn/linear_model/_ridge.py`).
        let binarizer = estimator.child(estimator.fitted("_label_binarizer")?)?;
        if binarizer.text("y_type_").is_none_or(is_multilabel) {
            return Err(estimator.unserved("with several outputs"));
        }
        names::classes(binarizer)?
    } else {
        names::classes(estimator)?
    };
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
        head: Head::LinearClassifier(LinearClassifier { scores, link }),
        answers: Answers::Classes(classes),
    })
}

fn is_multilabel(target: &str) -> bool {
    target.starts_with("multilabel")
}

/// How a classifier makes probabilities of its scores, if it does.
fn link(estimator: Estimator<'_>, classes: usize) -> Link {
    match (estimator.class, estimator.text("loss")) {
        ("LogisticRegression" | "LogisticRegressionCV", _) => logistic_link(estimator, classes),
        ("LinearDiscriminantAnalysis", _) if classes > 2 => Link::Softmax,
        ("LinearDiscriminantAnalysis", _) | ("SGDClassifier", Some("log_loss" | "log")) => {
            Link::Logistic
        }
        ("SGDClassifier", Some("modified_huber")) => Link::ModifiedHuber,
        _ => Link::Nothing,
    }
}

/// Which road `predict_proba` takes in the version that wrote the file
/// (`sklearn/linear_model/_logistic.py` of 1.2 to 1.9).
fn logistic_link(estimator: Estimator<'_>, classes: usize) -> Link {
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
