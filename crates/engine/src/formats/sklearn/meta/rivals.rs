//! Several classes by classifiers of two: `OneVsRestClassifier`, `OneVsOneClassifier`, `OutputCodeClassifier`.

use plimsoll_core::schema::{DataType, Field, Task};

use super::members::{self, Joined, Member};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::names;
use crate::formats::sklearn::plan::{Answers, HeadPlan, Need};
use crate::formats::sklearn::version::Version;
use crate::kernel::head::Head;
use crate::kernel::heads::outputs::SideBySide;
use crate::kernel::heads::rivals::{OneVsOne, OneVsRest, OutputCode, Rival, Rules};
use crate::kernel::member::{self, Question};
use crate::kernel::model::Model;
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

/// One of the estimators: a member, or always the same answer.
enum Found<'r> {
    Member(Box<Member<'r>>),
    Constant(f64),
}

/// `OneVsRestClassifier`, whose classes its binarizer keeps.
pub(super) fn one_vs_rest(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let binarizer = estimator.child(estimator.fitted("label_binarizer_")?)?;
    let kind = binarizer.text("y_type_").unwrap_or_default();
    if kind == "multilabel-indicator" {
        return several_labels(estimator);
    }
    let classes = names::classes(binarizer)?;
    let found = rivals(estimator)?;
    let expected = if kind == "binary" { 1 } else { classes.len() };
    if found.len() != expected || !matches!(kind, "binary" | "multiclass") {
        return Err(malformed(format!(
            "{} classifiers for {} classes",
            found.len(),
            classes.len()
        )));
    }
    let scores = decides_first(estimator)?;
    let (rivals, needs, from) = joined(estimator, found)?;
    let models = || rivals.iter().filter_map(Rival::model);
    let gives_both = |model: &Model| model.gives().probabilities && model.gives().classes == 2;
    let rules = Rules {
        probabilities: models().all(gives_both),
        scores,
        last_wins: estimator.version < Version(1, 8),
        zero_stays: estimator.version >= Version(1, 7),
    };
    Ok(HeadPlan {
        from,
        head: Head::OneVsRest(OneVsRest::new(rivals, rules)?),
        needs,
        answers: Answers::Classes(classes),
    })
}

/// Any number of labels at once: a 0 or 1 for each.
fn several_labels(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let found = rivals(estimator)?;
    let count = found.len();
    let members = found.into_iter().map(|found| match found {
        Found::Member(member) => Ok(*member),
        Found::Constant(_) => Err(estimator.unserved("with a label that every row has")),
    });
    let members: Vec<Member<'_>> = members.collect::<Result<_, _>>()?;
    for member in &members {
        let places = member.places_of_numbers(2)?;
        if places != [0, 1] {
            return Err(estimator.unserved("with a member of other labels than 0 and 1"));
        }
    }
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let each = models
        .into_iter()
        .map(|model| member::Member::new(model, Question::Labels(vec![0.0, 1.0])));
    let fields = (0..count).map(|at| Field::scalar(format!("y{at}"), DataType::Int64));
    Ok(HeadPlan {
        from,
        head: Head::SideBySide(SideBySide::new(each.collect::<Result<_, _>>()?)?),
        needs,
        answers: Answers::Values(Task::Classification, fields.collect()),
    })
}

/// `OneVsOneClassifier`.
pub(super) fn one_vs_one(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    if estimator.attribute("pairwise_indices_").is_some() {
        return Err(estimator.unserved("over a precomputed kernel"));
    }
    let classes = names::classes(estimator)?;
    let (rivals, needs, from) = joined(estimator, rivals(estimator)?)?;
    Ok(HeadPlan {
        from,
        head: Head::OneVsOne(OneVsOne::new(rivals, classes.len())?),
        needs,
        answers: Answers::Classes(classes),
    })
}

/// `OutputCodeClassifier`.
pub(super) fn output_code(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let classes = names::classes(estimator)?;
    let (rivals, needs, from) = joined(estimator, rivals(estimator)?)?;
    let count = classes.len().checked_mul(rivals.len());
    let codes = estimator.numbers_of("code_book_", count.unwrap_or(usize::MAX))?;
    Ok(HeadPlan {
        from,
        head: Head::OutputCode(OutputCode::new(rivals, codes)?),
        needs,
        answers: Answers::Classes(classes),
    })
}

fn rivals(estimator: Estimator<'_>) -> Result<Vec<Found<'_>>, EngineError> {
    let list = estimator.list("estimators_")?;
    list.iter().map(|id| rival(estimator, *id)).collect()
}

fn rival(estimator: Estimator<'_>, id: NodeId) -> Result<Found<'_>, EngineError> {
    let child = estimator.child(id)?;
    if child.class == "_ConstantPredictor" {
        let always = child.numbers("y_")?;
        return match always[..] {
            [value] => Ok(Found::Constant(value)),
            _ => Err(child.wrong("y_", id)),
        };
    }
    let member = members::member(estimator, id, None)?;
    match &member.answers {
        Answers::Classes(_) => member.check_scores()?,
        Answers::Values(..) => member.check_numbers()?,
    }
    Ok(Found::Member(Box::new(member)))
}

/// Whether the first estimator has scores, which says it for all of them.
fn decides_first(estimator: Estimator<'_>) -> Result<bool, EngineError> {
    let list = estimator.list("estimators_")?;
    for id in list {
        let child = estimator.child(*id)?;
        if child.class != "_ConstantPredictor" {
            return members::decides(child);
        }
    }
    Err(estimator.unserved("with nothing but constant members"))
}

/// The rivals over the same rows, what they need, and who knows the names.
fn joined<'r>(
    estimator: Estimator<'r>,
    found: Vec<Found<'r>>,
) -> Result<(Vec<Rival>, Vec<Need>, Estimator<'r>), EngineError> {
    let (mut members, mut constants) = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Found::Member(member) => {
                members.push(*member);
                constants.push(None);
            }
            Found::Constant(value) => constants.push(Some(value)),
        }
    }
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let mut models = models.into_iter();
    let rivals = constants.into_iter().map(|constant| match constant {
        Some(value) => Ok(Rival::Constant(value)),
        None => match models.next() {
            Some(model) => Rival::new(model),
            None => Err(malformed("a member is missing")),
        },
    });
    Ok((rivals.collect::<Result<_, _>>()?, needs, from))
}
