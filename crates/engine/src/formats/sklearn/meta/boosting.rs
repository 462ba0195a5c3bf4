//! `AdaBoostClassifier` and `AdaBoostRegressor` (`sklearn/ensemble/_weight_boosting.py`).

use super::members::{self, Joined, Member};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::names;
use crate::formats::sklearn::plan::{Answers, HeadPlan, Missing, Need};
use crate::formats::sklearn::version::Version;
use crate::kernel::head::Head;
use crate::kernel::heads::adaboost::{AdaBoost, Median, Rule};
use crate::kernel::member::{self, Question};
use crate::reader::malformed;

/// `AdaBoostClassifier`: its members were fitted on the classes themselves.
pub(super) fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let rule = match estimator.text("algorithm") {
        // The only algorithm since 1.8, and what "deprecated" means in 1.6 and 1.7.
        _ if estimator.version >= Version(1, 6) => Rule::Symmetric,
        Some("SAMME") if estimator.version >= Version(1, 3) => Rule::Symmetric,
        Some("SAMME") => Rule::OneSided,
        Some("SAMME.R") => Rule::Real,
        _ => return Err(estimator.unserved("with another algorithm")),
    };
    let members = members::of(estimator, "estimators_")?;
    for member in &members {
        let places = member.places_among(&classes)?;
        if !places.iter().copied().eq((0..).take(classes.len())) {
            return Err(malformed("a member knows other classes than the whole"));
        }
    }
    let (weights, divisor) = weights(estimator, members.len())?;
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let boosted = AdaBoost::new(models, weights, divisor, rule)?;
    Ok(HeadPlan {
        from,
        head: Head::AdaBoost(boosted),
        needs: refusing_missing(needs),
        answers: Answers::Classes(classes),
    })
}

/// `AdaBoostRegressor`.
pub(super) fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let members = members::of(estimator, "estimators_")?;
    members.iter().try_for_each(Member::check_numbers)?;
    let (weights, _) = weights(estimator, members.len())?;
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let each = models
        .into_iter()
        .map(|model| member::Member::new(model, Question::Values));
    let median = Median::new(each.collect::<Result<_, _>>()?, weights)?;
    Ok(HeadPlan {
        from,
        head: Head::Median(median),
        needs: refusing_missing(needs),
        answers: Answers::regression(1),
    })
}

/// The weights of the members, and the sum of all: there may be more where fitting ended early.
fn weights(estimator: Estimator<'_>, count: usize) -> Result<(Vec<f64>, f64), EngineError> {
    let mut weights = estimator.numbers("estimator_weights_")?;
    let sum = weights.iter().sum();
    if weights.len() < count {
        return Err(malformed(format!(
            "{} weights for {count} members",
            weights.len()
        )));
    }
    weights.truncate(count);
    Ok((weights, sum))
}

/// `_check_X` refuses missing values before any member sees them.
fn refusing_missing(mut needs: Vec<Need>) -> Vec<Need> {
    for need in &mut needs {
        need.missing = Missing::Refused;
    }
    needs
}
