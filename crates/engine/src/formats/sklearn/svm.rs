//! Support vector machines of libsvm.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::names;
use super::plan::{Answers, HeadPlan, Missing, Need};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::svm::{PairScores, Similarity, SupportClassifier, SupportSum, Vectors};
use crate::reader::malformed;

const CLASSES_OF: &str = "sklearn.svm._classes";

pub(super) const CLASSES: &[Class] = &[
    (CLASSES_OF, "NuSVC", Reader::Head(classifier)),
    (CLASSES_OF, "NuSVR", Reader::Head(sum)),
    (CLASSES_OF, "OneClassSVM", Reader::Head(sum)),
    (CLASSES_OF, "SVC", Reader::Head(classifier)),
    (CLASSES_OF, "SVR", Reader::Head(sum)),
];

/// `SVR`, `NuSVR` and `OneClassSVM`.
fn sum(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let vectors = vectors(estimator)?;
    let count = vectors.points.len() / vectors.features;
    let outliers = estimator.class == "OneClassSVM";
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(vectors.features, Missing::Refused),
        answers: if outliers {
            Answers::outlier()
        } else {
            Answers::regression(1)
        },
        head: Head::SupportSum(SupportSum {
            vectors,
            coefficients: estimator.numbers_of("_dual_coef_", count)?,
            intercept: estimator.numbers_of("_intercept_", 1)?[0],
            outliers,
        }),
    })
}

/// `SVC` and `NuSVC`. What libsvm itself uses stands in `_dual_coef_` and
/// `_intercept_`; for two classes, `dual_coef_` and `intercept_` have the other
/// sign (`sklearn/svm/_base.py`, `fit`).
fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let vectors = vectors(estimator)?;
    let count = vectors.points.len() / vectors.features;
    let pairs = classes.len() * (classes.len() - 1) / 2;
    let coefficients = count.checked_mul(classes.len() - 1);
    let coefficients = coefficients.ok_or_else(|| malformed("too many support vectors"))?;
    let shape = match estimator.text("decision_function_shape") {
        Some("ovo") => PairScores::Pairs,
        _ => PairScores::Classes,
    };
    let break_ties = estimator.flag("break_ties", false)?;
    if break_ties && shape == PairScores::Pairs {
        return Err(estimator.unserved("with break_ties and one score for each pair"));
    }
    let classifier = SupportClassifier {
        counts: counts(estimator, classes.len(), count)?,
        coefficients: estimator.numbers_of("_dual_coef_", coefficients)?,
        intercepts: estimator.numbers_of("_intercept_", pairs)?,
        platt: platt(estimator, pairs)?,
        scores: shape,
        break_ties,
        vectors,
    };
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(classifier.vectors.features, Missing::Refused),
        head: Head::SupportClassifier(classifier),
        answers: Answers::Classes(classes),
    })
}

/// How many of `all` support vectors each class has.
fn counts(estimator: Estimator<'_>, classes: usize, all: usize) -> Result<Vec<usize>, EngineError> {
    let counts = estimator.array("_n_support")?.values()?;
    let counts = counts
        .iter()
        .map(|count| usize::try_from(count.as_i64()?).ok());
    let counts: Option<Vec<usize>> = counts.collect();
    let counts = counts.filter(|counts| {
        let sum = counts
            .iter()
            .try_fold(0_usize, |sum, n| sum.checked_add(*n));
        counts.len() == classes && sum == Some(all)
    });
    counts.ok_or_else(|| malformed("_n_support does not count the support vectors of each class"))
}

/// Platt's A and B for each pair, if the model was fitted to give probabilities.
fn platt(estimator: Estimator<'_>, pairs: usize) -> Result<Option<Vec<[f64; 2]>>, EngineError> {
    // Since 1.9 the switch may be a text that stands for no (`sklearn/svm/_base.py`).
    let switched_off = estimator.text("probability").is_some();
    if switched_off || !estimator.flag("probability", false)? {
        return Ok(None);
    }
    let a = estimator.numbers_of("_probA", pairs)?;
    let b = estimator.numbers_of("_probB", pairs)?;
    Ok(Some(a.into_iter().zip(b).map(<[f64; 2]>::from).collect()))
}

fn vectors(estimator: Estimator<'_>) -> Result<Vectors, EngineError> {
    if estimator.flag("_sparse", false)? {
        return Err(estimator.unserved("fitted on a sparse matrix"));
    }
    let features = estimator.features()?;
    let similarity = similarity(estimator)?;
    let shape = estimator.array("support_vectors_")?.shape;
    if shape.len() != 2 || shape[1] != features {
        return Err(malformed(format!(
            "support_vectors_ is {shape:?} for {features} features"
        )));
    }
    Ok(Vectors {
        points: estimator.numbers("support_vectors_")?,
        features,
        similarity,
    })
}

fn similarity(estimator: Estimator<'_>) -> Result<Similarity, EngineError> {
    let number = |name: &str| Ok::<_, EngineError>(estimator.numbers_of(name, 1)?[0]);
    match estimator.text("kernel") {
        Some("linear") => Ok(Similarity::Linear),
        Some("rbf") => Ok(Similarity::Radial {
            gamma: number("_gamma")?,
        }),
        Some("poly") => Ok(Similarity::Polynomial {
            gamma: number("_gamma")?,
            constant: number("coef0")?,
            degree: u32::try_from(estimator.size("degree")?)
                .map_err(|_| estimator.unserved("of this degree"))?,
        }),
        Some("sigmoid") => Ok(Similarity::Sigmoid {
            gamma: number("_gamma")?,
            constant: number("coef0")?,
        }),
        Some(other) => Err(estimator.unserved(&format!("with the kernel {other:?}"))),
        None => Err(estimator.unserved("with a kernel of its own")),
    }
}
