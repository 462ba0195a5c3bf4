//! `StackingClassifier` and `StackingRegressor` (`sklearn/ensemble/_stacking.py`).

use super::members::{self, Joined, Member};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::names;
use crate::formats::sklearn::plan::{Answers, HeadPlan};
use crate::kernel::head::Head;
use crate::kernel::heads::stack::Stack;
use crate::kernel::member::{self, Question};
use crate::reader::malformed;

/// `StackingClassifier`: the last model was fitted on the numbers of the classes.
pub(super) fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let last = members::member(estimator, estimator.fitted("final_estimator_")?, None)?;
    let places = last.places_of_numbers(classes.len())?;
    if !places.iter().copied().eq((0..).take(classes.len())) {
        return Err(malformed("the last model of a stack knows other classes"));
    }
    stacked(estimator, last, Answers::Classes(classes))
}

/// `StackingRegressor`.
pub(super) fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let last = members::member(estimator, estimator.fitted("final_estimator_")?, None)?;
    last.check_numbers()?;
    let answers = last.answers.clone();
    stacked(estimator, last, answers)
}

fn stacked<'r>(
    estimator: Estimator<'r>,
    last: Member<'r>,
    answers: Answers,
) -> Result<HeadPlan<'r>, EngineError> {
    let members = members::of(estimator, "estimators_")?;
    let methods = estimator.list("stack_method_")?;
    if methods.len() != members.len() {
        return Err(malformed("a stack does not say what its members are asked"));
    }
    let each = members.iter().zip(methods);
    let questions = each.map(|(member, method)| {
        let method = estimator.arena().text(*method).unwrap_or_default();
        question(estimator, member, method, &answers)
    });
    let questions: Vec<Question> = questions.collect::<Result<_, _>>()?;
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let asked = models.into_iter().zip(questions);
    let asked = asked.map(|(model, question)| member::Member::new(model, question));
    let passes_rows = estimator.flag("passthrough", false)?;
    if passes_rows && needs.iter().any(|need| need.text) {
        return Err(estimator.unserved("with passthrough of texts"));
    }
    let asked = asked.collect::<Result<_, _>>()?;
    Ok(HeadPlan {
        from,
        head: Head::Stack(Stack::new(asked, passes_rows, last.alone()?)?),
        needs,
        answers,
    })
}

/// What a member is asked by the name of `stack_method_`. Of two classes only
/// the second probability is looked at (`_concatenate_predictions`).
fn question(
    estimator: Estimator<'_>,
    member: &Member<'_>,
    method: &str,
    answers: &Answers,
) -> Result<Question, EngineError> {
    let two = matches!(answers, Answers::Classes(classes) if classes.len() == 2);
    match (method, &member.answers) {
        ("predict_proba", Answers::Classes(_)) if two => Ok(Question::Positive),
        ("predict_proba", Answers::Classes(_)) => Ok(Question::Probabilities),
        ("decision_function", Answers::Classes(_)) => {
            member.check_scores()?;
            Ok(Question::Scores)
        }
        ("predict", Answers::Classes(classes)) => {
            members::label_numbers(member.estimator, classes).map(Question::Labels)
        }
        ("predict", Answers::Values(..)) => {
            member.check_numbers()?;
            Ok(Question::Values)
        }
        _ => Err(estimator.unserved(&format!("that asks {}", member.estimator.class))),
    }
}
