//! Naive Bayes, discriminants and centroids.

use std::f64::consts::PI;

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::generative::{
    Categories, Centroids, Generative, Likelihood, Normal, Quadratic,
};
use crate::kernel::heads::linear::Linear;
use crate::reader::pickle::NodeId;
use crate::reader::{malformed, numpy};

const BAYES: &str = "sklearn.naive_bayes";
const SUMS: Reader = Reader::Head(sums);

pub(super) const CLASSES: &[Class] = &[
    (BAYES, "BernoulliNB", SUMS),
    (BAYES, "CategoricalNB", Reader::Head(categories)),
    (BAYES, "ComplementNB", SUMS),
    (BAYES, "GaussianNB", Reader::Head(normal)),
    (BAYES, "MultinomialNB", SUMS),
    (
        "sklearn.discriminant_analysis",
        "QuadraticDiscriminantAnalysis",
        Reader::Head(quadratic),
    ),
    (
        "sklearn.neighbors._nearest_centroid",
        "NearestCentroid",
        Reader::Head(centroids),
    ),
];

fn plan(
    estimator: Estimator<'_>,
    answers: Answers,
    scores: Likelihood,
) -> Result<HeadPlan<'_>, EngineError> {
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(estimator.features()?, Missing::Refused),
        answers,
        head: Head::Generative(Generative {
            scores,
            decisive: None,
            probabilities: true,
        }),
    })
}

/// `classes × features` numbers.
fn table(estimator: Estimator<'_>, name: &str, classes: usize) -> Result<Vec<f64>, EngineError> {
    let count = classes.checked_mul(estimator.features()?);
    let count = count.ok_or_else(|| malformed("too many classes and features"))?;
    estimator.numbers_of(name, count)
}

/// The numbers of the array or arrays `name`, of which a prior may be zero and its logarithm −∞.
fn logarithms(estimator: Estimator<'_>, name: &str, count: usize) -> Result<Vec<f64>, EngineError> {
    let priors = estimator.numbers_of(name, count)?;
    Ok(priors.into_iter().map(f64::ln).collect())
}

/// `MultinomialNB`, `ComplementNB` and `BernoulliNB`: sums over columns
/// (`sklearn/naive_bayes.py`, `_joint_log_likelihood` of each).
fn sums(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let features = estimator.features()?;
    let mut weights = table(estimator, "feature_log_prob_", classes.len())?;
    let mut intercepts = estimator.numbers_of("class_log_prior_", classes.len())?;
    let mut threshold = None;
    match estimator.class {
        // The priors do not count where there are several classes.
        "ComplementNB" => intercepts.fill(0.0),
        "BernoulliNB" => {
            for (row, intercept) in weights.chunks_exact_mut(features).zip(&mut intercepts) {
                let absent = row.iter().map(|present| (1.0 - present.exp()).ln());
                let absent: Vec<f64> = absent.collect();
                *intercept += absent.iter().sum::<f64>();
                row.iter_mut().zip(absent).for_each(|(p, a)| *p -= a);
            }
            if estimator.attribute("binarize").is_some() {
                threshold = Some(estimator.numbers_of("binarize", 1)?[0]);
            }
        }
        _ => {}
    }
    if weights
        .iter()
        .chain(&intercepts)
        .any(|number| !number.is_finite())
    {
        return Err(estimator.unserved("with probabilities of zero"));
    }
    let linear = Linear {
        weights,
        intercepts,
        features,
    };
    plan(
        estimator,
        Answers::Classes(classes),
        Likelihood::Sums(linear, threshold),
    )
}

/// `GaussianNB`.
fn normal(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let features = estimator.features()?;
    let variances = table(estimator, "var_", classes.len())?;
    if variances.iter().any(|variance| *variance <= 0.0) {
        return Err(estimator.unserved("with variances that are not above zero"));
    }
    let constants = variances.chunks_exact(features).map(|variances| {
        let logarithms = variances.iter().map(|variance| (2.0 * PI * variance).ln());
        -0.5 * logarithms.sum::<f64>()
    });
    let normal = Normal {
        means: table(estimator, "theta_", classes.len())?,
        priors: logarithms(estimator, "class_prior_", classes.len())?,
        constants: constants.collect(),
        variances,
        features,
    };
    plan(
        estimator,
        Answers::Classes(classes),
        Likelihood::Normal(normal),
    )
}

/// The members of the list `name`, one for each of `count`.
fn list<'r>(
    estimator: Estimator<'r>,
    name: &str,
    count: usize,
) -> Result<&'r [NodeId], EngineError> {
    let id = estimator.fitted(name)?;
    let members = estimator.arena().members(id);
    let members = members.filter(|members| members.len() == count);
    members.ok_or_else(|| estimator.wrong(name, id))
}

/// The shape and the numbers of an array of `rows` rows, or of rank one if `rows` is `None`.
fn finite(
    estimator: Estimator<'_>,
    id: NodeId,
    rows: Option<usize>,
) -> Result<(usize, Vec<f64>), EngineError> {
    let wrong = || {
        malformed(format!(
            "an array of {} has the wrong shape",
            estimator.class
        ))
    };
    let array = numpy::array(estimator.arena(), id)?.ok_or_else(wrong)?;
    let bytes = array.len().saturating_mul(array.dtype.size());
    estimator.graph.budget.spend_bytes(bytes)?;
    let columns = match (rows, array.shape.as_slice()) {
        (Some(rows), [found, columns]) if *found == rows => *columns,
        (None, [columns]) => *columns,
        _ => return Err(wrong()),
    };
    let numbers = array.f64s()?;
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(malformed(format!(
            "an array of {} is not finite",
            estimator.class
        )));
    }
    Ok((columns, numbers))
}

/// `CategoricalNB`: of each column, an array of classes × categories.
fn categories(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let arrays = list(estimator, "feature_log_prob_", estimator.features()?)?;
    let tables = arrays.iter().map(|id| {
        let (categories, by_class) = finite(estimator, *id, Some(classes.len()))?;
        let by_category = (0..categories).flat_map(|category| {
            let column = by_class.iter().skip(category).step_by(categories);
            column.copied()
        });
        Ok(by_category.collect())
    });
    let categories = Categories {
        tables: tables.collect::<Result<_, EngineError>>()?,
        priors: estimator.numbers_of("class_log_prior_", classes.len())?,
    };
    plan(
        estimator,
        Answers::Classes(classes),
        Likelihood::Categories(categories),
    )
}

/// `QuadraticDiscriminantAnalysis` (`sklearn/discriminant_analysis.py`, `_decision_function`).
fn quadratic(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let features = estimator.features()?;
    let rotations = list(estimator, "rotations_", classes.len())?;
    let scalings = list(estimator, "scalings_", classes.len())?;
    let (mut directions, mut spreads) = (Vec::new(), Vec::new());
    for (rotation, scaling) in rotations.iter().zip(scalings) {
        let (count, scaling) = finite(estimator, *scaling, None)?;
        let (columns, rotation) = finite(estimator, *rotation, Some(features))?;
        if columns != count || scaling.iter().any(|spread| *spread <= 0.0) {
            return Err(malformed("rotations_ and scalings_ do not fit each other"));
        }
        let each = scaling.iter().enumerate().flat_map(|(column, spread)| {
            let shrink = spread.powf(-0.5);
            let along = rotation.iter().skip(column).step_by(columns);
            along.map(move |x| x * shrink)
        });
        directions.push(each.collect());
        spreads.push(scaling.iter().map(|spread| spread.ln()).sum());
    }
    let quadratic = Quadratic {
        means: table(estimator, "means_", classes.len())?,
        priors: logarithms(estimator, "priors_", classes.len())?,
        directions,
        spreads,
        features,
    };
    plan(
        estimator,
        Answers::Classes(classes),
        Likelihood::Quadratic(quadratic),
    )
}

/// `NearestCentroid`. Since 1.6 it knows priors, and probabilities if distances are
/// Euclidean; where priors are equal, plain distances decide
/// (`sklearn/neighbors/_nearest_centroid.py`, `predict`).
fn centroids(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let features = estimator.features()?;
    let manhattan = match estimator.text("metric") {
        Some("euclidean") => false,
        Some("manhattan") => true,
        _ => return Err(estimator.unserved("with this metric")),
    };
    let plain = Centroids {
        points: table(estimator, "centroids_", classes.len())?,
        scales: None,
        constants: vec![0.0; classes.len()],
        manhattan,
        features,
    };
    let mut generative = Generative {
        probabilities: false,
        decisive: None,
        scores: Likelihood::Centroids(plain),
    };
    if estimator.attribute("class_prior_").is_some() {
        let scaled = scaled_centroids(estimator, (classes.len(), manhattan))?;
        #[expect(clippy::cast_precision_loss, reason = "a count of classes")]
        let equal = 1.0 / classes.len() as f64;
        let priors = estimator.numbers_of("class_prior_", classes.len())?;
        // What `numpy.isclose` takes for the same.
        let are_equal = priors
            .iter()
            .all(|prior| (prior - equal).abs() <= 1e-8 + 1e-5 * equal);
        let plain = std::mem::replace(&mut generative.scores, Likelihood::Centroids(scaled));
        generative.decisive = are_equal.then_some(plain);
        generative.probabilities = !manhattan;
    }
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(features, Missing::Refused),
        answers: Answers::Classes(classes),
        head: Head::Generative(generative),
    })
}

fn scaled_centroids(
    estimator: Estimator<'_>,
    (classes, manhattan): (usize, bool),
) -> Result<Centroids, EngineError> {
    let features = estimator.features()?;
    let mut scales = estimator.numbers_of("within_class_std_dev_", features)?;
    for scale in &mut scales {
        if *scale == 0.0 {
            *scale = 1.0;
        }
    }
    let mut points = table(estimator, "centroids_", classes)?;
    for point in points.chunks_exact_mut(features) {
        point
            .iter_mut()
            .zip(&scales)
            .for_each(|(x, scale)| *x /= scale);
    }
    let constants = logarithms(estimator, "class_prior_", classes)?;
    Ok(Centroids {
        points,
        scales: Some(scales),
        constants: constants.into_iter().map(|prior| 2.0 * prior).collect(),
        manhattan,
        features,
    })
}
