//! Selection of columns. What was selected is stored, or follows from stored scores.

#![expect(
    clippy::cast_precision_loss,
    reason = "columns are counted, of which there are few"
)]

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::importances;
use super::plan::{Missing, Need, StepPlan};
use super::version::Version;
use crate::EngineError;
use crate::kernel::rows::Shape;
use crate::kernel::step::Step;
use crate::kernel::steps::columns::{Branch, Columns};
use crate::reader::malformed;

const UNIVARIATE: &str = "sklearn.feature_selection._univariate_selection";

pub(super) const CLASSES: &[Class] = &[
    (UNIVARIATE, "SelectKBest", Reader::Step(univariate)),
    (UNIVARIATE, "SelectPercentile", Reader::Step(univariate)),
    (UNIVARIATE, "SelectFpr", Reader::Step(univariate)),
    (UNIVARIATE, "SelectFdr", Reader::Step(univariate)),
    (UNIVARIATE, "SelectFwe", Reader::Step(univariate)),
    (
        UNIVARIATE,
        "GenericUnivariateSelect",
        Reader::Step(univariate),
    ),
    (
        "sklearn.feature_selection._variance_threshold",
        "VarianceThreshold",
        Reader::Step(variance),
    ),
    (
        "sklearn.feature_selection._rfe",
        "RFE",
        Reader::Step(stored),
    ),
    (
        "sklearn.feature_selection._rfe",
        "RFECV",
        Reader::Step(stored),
    ),
    (
        "sklearn.feature_selection._sequential",
        "SequentialFeatureSelector",
        Reader::Step(stored),
    ),
    (
        "sklearn.feature_selection._from_model",
        "SelectFromModel",
        Reader::Step(from_model),
    ),
];

/// Functions that score columns. They are named in the file; nothing is scored here.
pub(super) fn is_score(module: &str, name: &str) -> bool {
    let names: &[&str] = match module {
        UNIVARIATE => &["chi2", "f_classif", "f_regression", "r_regression"],
        "sklearn.feature_selection._mutual_info" => {
            &["mutual_info_classif", "mutual_info_regression"]
        }
        _ => &[],
    };
    names.contains(&name)
}

/// The step that keeps the columns of which `mask` is true.
fn selection<'r>(
    estimator: Estimator<'r>,
    mask: &[bool],
    missing: Missing,
) -> Result<StepPlan<'r>, EngineError> {
    let kept = (0..mask.len()).filter(|column| mask[*column]);
    let branch = Branch {
        numbers: kept.collect(),
        ..Branch::default()
    };
    if branch.numbers.is_empty() {
        return Err(estimator.unserved("that keeps no column"));
    }
    let takes = Shape::numbers(mask.len());
    Ok(StepPlan {
        from: estimator,
        step: Step::Columns(Columns::new(takes, vec![branch])?),
        needs: Need::numbers(mask.len(), missing),
    })
}

/// `RFE`, `RFECV`, `SequentialFeatureSelector`: `support_`.
fn stored(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let support = estimator.numbers_of("support_", features)?;
    let mask: Vec<bool> = support.iter().map(|kept| *kept != 0.0).collect();
    selection(estimator, &mask, Missing::Refused)
}

/// `VarianceThreshold`. A column of one value and gaps has no variance: NaN is not above the threshold.
fn variance(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let variances = estimator.array("variances_")?.f64s()?;
    let threshold = estimator.number("threshold")?;
    if variances.len() != estimator.features()? {
        return Err(malformed("variances_ does not fit the columns"));
    }
    let mask: Vec<bool> = variances.iter().map(|v| *v > threshold).collect();
    selection(estimator, &mask, Missing::Kept)
}

/// The selectors that look at one column at a time (`_univariate_selection.py`).
fn univariate(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let (mode, parameter) = match estimator.class {
        "SelectKBest" => ("k_best", "k"),
        "SelectPercentile" => ("percentile", "percentile"),
        "SelectFpr" => ("fpr", "alpha"),
        "SelectFdr" => ("fdr", "alpha"),
        "SelectFwe" => ("fwe", "alpha"),
        _ => (estimator.text("mode").unwrap_or("percentile"), "param"),
    };
    let mask = match mode {
        "k_best" => {
            let count = match estimator.text(parameter) {
                Some("all") => usize::MAX,
                _ => estimator.size(parameter)?,
            };
            best(&scores(estimator)?, count)
        }
        "percentile" => percentile(&scores(estimator)?, estimator.number(parameter)?),
        "fpr" | "fdr" | "fwe" => {
            let values = estimator.array("pvalues_")?.f64s()?;
            significant(&values, mode, estimator.number(parameter)?)
        }
        other => return Err(estimator.unserved(&format!("with mode={other:?}"))),
    };
    if mask.len() != estimator.features()? {
        return Err(malformed("the scores do not fit the columns"));
    }
    selection(estimator, &mask, Missing::Refused)
}

/// `scores_`, NaN being the worst.
fn scores(estimator: Estimator<'_>) -> Result<Vec<f64>, EngineError> {
    let scores = estimator.array("scores_")?.f64s()?;
    let clean = |score: f64| if score.is_nan() { f64::MIN } else { score };
    Ok(scores.into_iter().map(clean).collect())
}

/// The `count` largest scores; of equals the last.
fn best(scores: &[f64], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut mask = vec![false; scores.len()];
    for column in order.into_iter().rev().take(count) {
        mask[column] = true;
    }
    mask
}

/// The scores above a percentile; of those equal to it as many as there is room for.
fn percentile(scores: &[f64], percent: f64) -> Vec<bool> {
    if percent >= 100.0 {
        return vec![true; scores.len()];
    }
    if percent <= 0.0 || scores.is_empty() {
        return vec![false; scores.len()];
    }
    let threshold = quantile(scores, (100.0 - percent) / 100.0);
    let mut mask: Vec<bool> = scores.iter().map(|score| *score > threshold).collect();
    #[expect(clippy::float_cmp, reason = "the library compares so")]
    let ties: Vec<usize> = (0..scores.len())
        .filter(|column| scores[*column] == threshold)
        .collect();
    let above = mask.iter().filter(|kept| **kept).count();
    let room = count(scores.len() as f64 * percent / 100.0);
    // A Python slice: what is missing is taken from the end.
    let kept = if room >= above {
        room - above
    } else {
        ties.len().saturating_sub(above - room)
    };
    for column in ties.into_iter().take(kept) {
        mask[column] = true;
    }
    mask
}

/// `numpy.quantile` of at least one value (`numpy/lib/_function_base_impl.py`, `_lerp`).
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 * share;
    let below = count(place).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    let (a, b, part) = (sorted[below], sorted[above], place - place.floor());
    if part >= 0.5 {
        b - (b - a) * (1.0 - part)
    } else {
        a + (b - a) * part
    }
}

/// The whole part of a count that is neither negative nor large.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is not negative, and at most the number of columns"
)]
fn count(value: f64) -> usize {
    value.floor() as usize
}

/// The columns whose p-values are small enough, by column, by rank or for all together.
fn significant(values: &[f64], mode: &str, alpha: f64) -> Vec<bool> {
    let columns = values.len() as f64;
    match mode {
        "fpr" => values.iter().map(|p| *p < alpha).collect(),
        "fwe" => values.iter().map(|p| *p < alpha / columns).collect(),
        _ => {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            let ranked = sorted.iter().enumerate();
            let within = ranked.filter(|(rank, p)| **p <= alpha / columns * (*rank as f64 + 1.0));
            let largest = within.map(|(_, p)| *p).next_back();
            let kept = values.iter().map(|p| largest.is_some_and(|l| *p <= l));
            kept.collect()
        }
    }
}

/// `SelectFromModel`: the columns whose coefficients or importances are large enough.
fn from_model(estimator: Estimator<'_>) -> Result<StepPlan<'_>, EngineError> {
    let id = estimator.fitted("estimator_")?;
    let model = estimator.child(id)?;
    let getter = estimator.text("importance_getter").unwrap_or("");
    let by_coefficients = model.attribute("coef_").is_some();
    let importances = match (getter, by_coefficients) {
        ("auto" | "coef_", true) => importances(estimator, model)?,
        ("auto" | "feature_importances_", false) => importances::of_trees(estimator, model)?,
        _ => return Err(estimator.unserved("with an importance_getter of its own")),
    };
    let threshold = threshold(estimator, model, &importances)?;
    let mut mask = vec![true; importances.len()];
    if estimator.attribute("max_features").is_some() {
        let resolved = estimator.attribute("max_features_").is_some();
        let name = if resolved {
            "max_features_"
        } else {
            "max_features"
        };
        mask = largest(&importances, estimator.size(name)?);
    }
    for (kept, importance) in mask.iter_mut().zip(&importances) {
        *kept &= *importance >= threshold;
    }
    selection(estimator, &mask, Missing::Refused)
}

/// The `count` largest importances; of equals the first.
fn largest(importances: &[f64], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..importances.len()).collect();
    order.sort_by(|a, b| importances[*b].total_cmp(&importances[*a]));
    let mut mask = vec![false; importances.len()];
    for column in order.into_iter().take(count) {
        mask[column] = true;
    }
    mask
}

/// The norm of each column of `coef_` (`feature_selection/_base.py`, `_get_feature_importances`).
fn importances(estimator: Estimator<'_>, model: Estimator<'_>) -> Result<Vec<f64>, EngineError> {
    let features = model.features()?;
    let coefficients = model.numbers("coef_")?;
    let shape = model.array("coef_")?.shape;
    if shape.last() != Some(&features) || shape.len() > 2 {
        return Err(malformed("coef_ does not fit the columns"));
    }
    if shape.len() == 1 {
        return Ok(coefficients.iter().map(|x| x.abs()).collect());
    }
    let order = estimator.number("norm_order")?;
    let column = |feature: usize| {
        let column = coefficients[feature..].iter().step_by(features);
        let absolute = column.map(|x| x.abs());
        match order {
            f64::INFINITY => absolute.fold(0.0, f64::max),
            f64::NEG_INFINITY => absolute.fold(f64::INFINITY, f64::min),
            _ if (order - 1.0).abs() < f64::EPSILON => absolute.sum(),
            _ => absolute
                .map(|x| x.powf(order))
                .sum::<f64>()
                .powf(1.0 / order),
        }
    };
    Ok((0..features).map(column).collect())
}

/// What an importance must reach (`_from_model.py`, `_calculate_threshold`).
fn threshold(
    estimator: Estimator<'_>,
    model: Estimator<'_>,
    importances: &[f64],
) -> Result<f64, EngineError> {
    let Some(id) = estimator.attribute("threshold") else {
        let sparse = is_sparse(model)?;
        return Ok(if sparse { 1e-5 } else { mean(importances) });
    };
    let Some(text) = estimator.arena().text(id) else {
        return estimator.number("threshold");
    };
    let (factor, reference) = match text.split_once('*') {
        Some((factor, reference)) => (factor.trim().parse::<f64>().ok(), reference.trim()),
        None => (Some(1.0), text),
    };
    let reference = match reference {
        "mean" => mean(importances),
        "median" => quantile(importances, 0.5),
        _ => return Err(estimator.wrong("threshold", id)),
    };
    let factor = factor.ok_or_else(|| estimator.wrong("threshold", id))?;
    Ok(factor * reference)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Whether a model drops columns by itself, so that any coefficient counts.
fn is_sparse(model: Estimator<'_>) -> Result<bool, EngineError> {
    let ratio = match model.class {
        "ElasticNet" => Some("l1_ratio"),
        "ElasticNetCV" => Some("l1_ratio_"),
        "LogisticRegression" if model.version >= Version(1, 8) => Some("l1_ratio"),
        _ => None,
    };
    let by_ratio = match ratio {
        Some(name) if model.attribute(name).is_some() => (model.number(name)? - 1.0).abs() <= 1e-5,
        _ => false,
    };
    Ok(by_ratio || model.text("penalty") == Some("l1") || model.class.contains("Lasso"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_last_are_the_best() {
        assert_eq!(
            best(&[1.0, 2.0, 2.0, f64::MIN], 1),
            [false, false, true, false]
        );
        assert_eq!(best(&[1.0, 2.0], usize::MAX), [true, true]);
    }

    #[test]
    fn ties_at_a_percentile_fill_the_room_there_is() {
        let scores = [3.0, 1.0, 3.0, 3.0];
        assert_eq!(percentile(&scores, 50.0), [true, false, true, false]);
        assert_eq!(percentile(&scores, 100.0), [true; 4]);
        assert_eq!(percentile(&[], 50.0), [false; 0]);
    }

    #[test]
    fn p_values_are_held_against_their_rank() {
        let values = [0.04, 0.001, 0.02, 0.9];
        assert_eq!(
            significant(&values, "fdr", 0.05),
            [false, true, true, false]
        );
        assert_eq!(
            significant(&values, "fwe", 0.05),
            [false, true, false, false]
        );
        assert_eq!(significant(&values, "fpr", 0.05), [true, true, true, false]);
    }
}
