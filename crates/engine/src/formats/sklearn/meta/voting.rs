//! Members that vote or are averaged: `VotingClassifier`, `BaggingClassifier` and their regressors.

use super::members::{self, Joined, Member};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::names;
use crate::formats::sklearn::plan::{Answers, HeadPlan};
use crate::kernel::head::Head;
use crate::kernel::heads::vote::{Ballot, Mean, Vote, VoteRules};
use crate::kernel::member::{self, Question};
use crate::reader::{malformed, numpy};

/// `VotingClassifier`: its members were fitted on the numbers of the classes.
pub(super) fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let by_label = match estimator.text("voting") {
        Some("hard") | None => true,
        Some("soft") => false,
        Some(other) => return Err(estimator.unserved(&format!("voting {other:?}"))),
    };
    let rules = VoteRules {
        answers_shares: !by_label,
        decides: false,
    };
    let members = members::of(estimator, "estimators_")?;
    let weights = weights(estimator, members.len())?;
    let divisor = if by_label { 1.0 } else { weights.iter().sum() };
    let places = places(&members, classes.len())?;
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let each = models.into_iter().zip(weights).zip(places);
    let ballots =
        each.map(|((model, weight), places)| Ballot::new(model, by_label, weight, places));
    let ballots = ballots.collect::<Result<_, _>>()?;
    Ok(HeadPlan {
        from,
        head: Head::Vote(Vote::new(ballots, classes.len(), divisor, rules)?),
        needs,
        answers: Answers::Classes(classes),
    })
}

/// `VotingRegressor`.
pub(super) fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let members = members::of(estimator, "estimators_")?;
    let weights = weights(estimator, members.len())?;
    let divisor = weights.iter().sum();
    averaged(estimator, members, weights, divisor)
}

/// `BaggingClassifier`: members without probabilities have one vote each.
pub(super) fn bagging_classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let members = bagged(estimator)?;
    let decides = match members.first() {
        Some(first) => members::decides(first.estimator)?,
        None => false,
    };
    if decides {
        members.iter().try_for_each(Member::check_scores)?;
    }
    let places = places(&members, classes.len())?;
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let each = models.into_iter().zip(places);
    let ballots = each.map(|(model, places)| {
        let by_label = !model.gives().probabilities;
        Ballot::new(model, by_label, 1.0, places)
    });
    let ballots: Vec<Ballot> = ballots.collect::<Result<_, _>>()?;
    let rules = VoteRules {
        answers_shares: true,
        decides,
    };
    let divisor = estimator.number("n_estimators")?;
    Ok(HeadPlan {
        from,
        head: Head::Vote(Vote::new(ballots, classes.len(), divisor, rules)?),
        needs,
        answers: Answers::Classes(classes),
    })
}

/// `BaggingRegressor`.
pub(super) fn bagging_regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let members = bagged(estimator)?;
    let weights = vec![1.0; members.len()];
    averaged(
        estimator,
        members,
        weights,
        estimator.number("n_estimators")?,
    )
}

fn averaged<'r>(
    estimator: Estimator<'r>,
    members: Vec<Member<'r>>,
    weights: Vec<f64>,
    divisor: f64,
) -> Result<HeadPlan<'r>, EngineError> {
    members.iter().try_for_each(Member::check_numbers)?;
    let answers = members.first().map(|member| member.answers.clone());
    let answers = answers.ok_or_else(|| malformed("a mean of no members"))?;
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let each = models.into_iter().zip(weights).map(|(model, weight)| {
        member::Member::new(model, Question::Values).map(|member| (member, weight))
    });
    Ok(HeadPlan {
        from,
        head: Head::Mean(Mean::new(each.collect::<Result<_, _>>()?, divisor)?),
        needs,
        answers,
    })
}

/// The members of a bagging, each over its columns (`estimators_features_`).
fn bagged(estimator: Estimator<'_>) -> Result<Vec<Member<'_>>, EngineError> {
    let list = estimator.list("estimators_")?;
    let columns = estimator.list("estimators_features_")?;
    if list.len() != columns.len() {
        return Err(malformed(
            "a bagging does not say which columns its members take",
        ));
    }
    let features = estimator.features()?;
    let each = list.iter().zip(columns).map(|(id, columns)| {
        let columns = estimator
            .array_at("estimators_features_", *columns)?
            .f64s()?;
        let each = columns
            .iter()
            .map(|column| members::whole(*column, features));
        let places = each.map(|place| place.map(|place| place as usize));
        let places: Option<Vec<usize>> = places.collect();
        let places = places.ok_or_else(|| malformed("a column that the rows do not have"))?;
        let all = places.iter().copied().eq(0..features);
        members::member(estimator, *id, (!all).then_some(places))
    });
    each.collect()
}

/// For each member, which of `count` numbered classes its classes are.
fn places(members: &[Member<'_>], count: usize) -> Result<Vec<Vec<u32>>, EngineError> {
    let each = members.iter().map(|member| member.places_of_numbers(count));
    each.collect()
}

/// The weights of the members that were not dropped (`_weights_not_none`).
fn weights(estimator: Estimator<'_>, count: usize) -> Result<Vec<f64>, EngineError> {
    let Some(weights) = estimator.attribute("weights") else {
        return Ok(vec![1.0; count]);
    };
    let weights = match estimator.arena().members(weights) {
        None => estimator.numbers("weights")?,
        Some(list) => {
            let each = list.iter().map(|id| {
                let value = numpy::value(estimator.arena(), *id)?;
                let number = value.and_then(|value| value.as_f64());
                let number = number.filter(|number| number.is_finite());
                number.ok_or_else(|| estimator.wrong("weights", *id))
            });
            each.collect::<Result<_, _>>()?
        }
    };
    let named = estimator.list("estimators")?;
    let dropped = |id| {
        let pair = estimator.arena().members(id);
        let member = pair.and_then(|pair| estimator.arena().text(*pair.last()?));
        member == Some("drop")
    };
    let kept = named.iter().zip(weights).filter(|(id, _)| !dropped(**id));
    let kept: Vec<f64> = kept.map(|(_, weight)| weight).collect();
    if kept.len() == count {
        return Ok(kept);
    }
    Err(malformed(format!(
        "{} weights for {count} members",
        kept.len()
    )))
}
