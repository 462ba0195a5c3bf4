//! Mixtures of normal distributions: the component of a row, and how likely each is.

use std::f64::consts::{LN_2, PI};

use plimsoll_core::schema::ClassLabel;

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Answers, HeadPlan, Missing, Need};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::generative::{Generative, Likelihood, Normal, Quadratic};
use crate::reader::malformed;

pub(super) const CLASSES: &[Class] = &[
    (
        "sklearn.mixture._bayesian_mixture",
        "BayesianGaussianMixture",
        Reader::Head(bayesian),
    ),
    (
        "sklearn.mixture._gaussian_mixture",
        "GaussianMixture",
        Reader::Head(gaussian),
    ),
];

/// Most components: each takes a column of every answer.
const MAX_COMPONENTS: usize = 10_000;

/// `GaussianMixture`.
fn gaussian(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let weights = estimator.numbers("weights_")?;
    let logs = weights.iter().map(|weight| weight.ln()).collect();
    mixture(estimator, logs)
}

/// `BayesianGaussianMixture`: the same with weights and a correction that were integrated over
/// (`sklearn/mixture/_bayesian_mixture.py`, `_estimate_log_weights` and `_estimate_log_prob`).
fn bayesian(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let mut logs = log_weights(estimator)?;
    let width = estimator.features()?;
    // Where components share their covariance, they share its degrees of freedom.
    let mut freedom = estimator.numbers("degrees_of_freedom_")?;
    if freedom.len() == 1 {
        freedom.resize(logs.len(), freedom[0]);
    }
    if freedom.len() != logs.len() {
        return Err(malformed("degrees_of_freedom_ does not fit the components"));
    }
    let precision = estimator.numbers_of("mean_precision_", logs.len())?;
    let features = count(width);
    for (log, (freedom, precision)) in logs.iter_mut().zip(freedom.iter().zip(precision)) {
        let each = (0..width).map(|column| digamma(0.5 * (freedom - count(column))));
        let lambda = features * LN_2 + each.sum::<f64>();
        *log += -0.5 * features * freedom.ln() + 0.5 * (lambda - features / precision);
    }
    mixture(estimator, logs)
}

/// The expected logarithm of each weight.
fn log_weights(estimator: Estimator<'_>) -> Result<Vec<f64>, EngineError> {
    if estimator.text("weight_concentration_prior_type") != Some("dirichlet_process") {
        let shares = estimator.numbers("weight_concentration_")?;
        let whole = digamma(shares.iter().sum());
        return Ok(shares.iter().map(|share| digamma(*share) - whole).collect());
    }
    let [first, second] = estimator.list("weight_concentration_")? else {
        return Err(malformed("weight_concentration_ is no pair"));
    };
    let numbers = |id| estimator.array_at("weight_concentration_", id)?.f64s();
    let (first, second) = (numbers(*first)?, numbers(*second)?);
    // What is left of a stick of which each component before broke its part off.
    let mut left = 0.0;
    let sticks = first.iter().zip(second).map(|(a, b)| {
        let whole = digamma(a + b);
        let log = digamma(*a) - whole + left;
        left += digamma(b) - whole;
        log
    });
    Ok(sticks.collect())
}

/// Components of such weights, in logarithms (`_gaussian_mixture.py`, `_estimate_log_gaussian_prob`).
fn mixture(estimator: Estimator<'_>, priors: Vec<f64>) -> Result<HeadPlan<'_>, EngineError> {
    let (components, features) = (priors.len(), estimator.features()?);
    if components == 0 || components > MAX_COMPONENTS {
        return Err(malformed("a mixture of no components, or of too many"));
    }
    let size = components.checked_mul(features);
    let size = size.ok_or_else(|| malformed("too many components and features"))?;
    let means = estimator.numbers_of("means_", size)?;
    let scores = match estimator.text("covariance_type") {
        Some("full") => {
            let all = estimator.numbers_of("precisions_cholesky_", squared(size, features)?)?;
            quadratic((means, priors, features), |at| {
                &all[at * features * features..][..features * features]
            })
        }
        Some("tied") => {
            let one = estimator.numbers_of("precisions_cholesky_", squared(features, features)?)?;
            quadratic((means, priors, features), |_| &one)
        }
        Some("diag") => {
            let roots = estimator.numbers_of("precisions_cholesky_", size)?;
            normal((means, priors, features), roots)
        }
        Some("spherical") => {
            let roots = estimator.numbers_of("precisions_cholesky_", components)?;
            let each = roots
                .iter()
                .flat_map(|root| std::iter::repeat_n(*root, features));
            normal((means, priors, features), each.collect())
        }
        _ => return Err(malformed("covariance_type is none")),
    };
    let labels = (0_i64..).take(components).map(ClassLabel::Int).collect();
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(features, Missing::Refused),
        answers: Answers::Classes(labels),
        head: Head::Generative(Generative {
            scores: scores?,
            decisive: None,
            probabilities: true,
        }),
    })
}

/// Components whose columns vary together; `roots` are the `features²` numbers of each.
fn quadratic<'n>(
    (means, priors, features): (Vec<f64>, Vec<f64>, usize),
    roots: impl Fn(usize) -> &'n [f64],
) -> Result<Likelihood, EngineError> {
    let (mut directions, mut spreads) = (Vec::new(), Vec::new());
    for component in 0..priors.len() {
        let root = roots(component);
        // Its columns are the directions: rows of ours.
        let column = |at: usize| root.iter().skip(at).step_by(features).copied();
        directions.push((0..features).flat_map(column).collect());
        let diagonal = root.iter().step_by(features + 1);
        let constant = constant(diagonal.copied(), features);
        spreads.push(-2.0 * constant);
    }
    sound(&spreads)?;
    Ok(Likelihood::Quadratic(Quadratic {
        means,
        directions,
        spreads,
        priors,
        features,
    }))
}

/// Components whose columns vary by themselves; `roots` are those of the precisions.
fn normal(
    (means, priors, features): (Vec<f64>, Vec<f64>, usize),
    roots: Vec<f64>,
) -> Result<Likelihood, EngineError> {
    let each = roots.chunks_exact(features);
    let constants: Vec<f64> = each
        .map(|roots| constant(roots.iter().copied(), features))
        .collect();
    sound(&constants)?;
    Ok(Likelihood::Normal(Normal {
        means,
        variances: roots.iter().map(|root| 1.0 / (root * root)).collect(),
        priors,
        constants,
        features,
    }))
}

/// What does not depend on the row: the logarithm of the determinant, and of the unit of volume.
fn constant(roots: impl Iterator<Item = f64>, features: usize) -> f64 {
    roots.map(f64::ln).sum::<f64>() - 0.5 * count(features) * (2.0 * PI).ln()
}

fn sound(constants: &[f64]) -> Result<(), EngineError> {
    if constants.iter().all(|constant| constant.is_finite()) {
        return Ok(());
    }
    Err(malformed("a component without a spread"))
}

fn squared(size: usize, features: usize) -> Result<usize, EngineError> {
    let squared = size.checked_mul(features);
    squared.ok_or_else(|| malformed("too many features"))
}

#[expect(clippy::cast_precision_loss, reason = "columns are few")]
fn count(columns: usize) -> f64 {
    columns as f64
}

/// The derivative of the logarithm of the gamma function (Abramowitz and Stegun, 6.3.5 and 6.3.18).
fn digamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        if x <= 0.0 {
            return f64::NAN;
        }
        below -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32760.0,
        1.0 / 12.0,
    ];
    let tail = series
        .iter()
        .rev()
        .fold(0.0, |sum, term| (sum + term) * square);
    below + x.ln() - 0.5 / x - tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digamma_function_has_its_known_values() {
        // −γ, −γ − 2 ln 2, and scipy.special.digamma of the others.
        for (x, value) in [
            (1.0, -0.577_215_664_901_532_9),
            (0.5, -1.963_510_026_021_423_5),
            (3.7, 1.167_153_539_361_511_3),
            (250.25, 5.520_461_085_528_791),
        ] {
            assert!((digamma(x) - value).abs() < 1e-12, "{x} {}", digamma(x));
        }
        assert!(digamma(0.0).is_nan() && digamma(-1.5).is_nan());
    }
}
