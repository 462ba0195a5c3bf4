//! A member for each of several outputs: `MultiOutputRegressor`, `MultiOutputClassifier`, and chains.

use plimsoll_core::schema::{ClassLabel, DataType, Field, Task};

use super::members::{self, Joined, Member};
use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::plan::{Answers, HeadPlan, Missing, Need};
use crate::kernel::head::Head;
use crate::kernel::heads::outputs::{Chain, HandsOn, Link, SideBySide};
use crate::kernel::member::{self, Question};
use crate::kernel::model::Model;
use crate::reader::malformed;

/// `MultiOutputRegressor`.
pub(super) fn regressor(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let members = members::of(estimator, "estimators_")?;
    members.iter().try_for_each(Member::check_numbers)?;
    side_by_side(estimator, members, |_, _| Ok(Question::Values))
}

/// `MultiOutputClassifier`.
pub(super) fn classifier(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let members = members::of(estimator, "estimators_")?;
    side_by_side(estimator, members, |member, field| {
        label_question(member.estimator, member.classes()?, field)
    })
}

/// A classifier asked for the labels of a field: indexes of texts, or the numbers themselves.
fn label_question(
    estimator: Estimator<'_>,
    classes: &[ClassLabel],
    field: &Field,
) -> Result<Question, EngineError> {
    match &field.categories {
        Some(known) => Ok(Question::Labels(
            (0_u32..).take(known.len()).map(f64::from).collect(),
        )),
        None => members::label_numbers(estimator, classes).map(Question::Labels),
    }
}

/// A classifier that answers several labels itself: a head for each output, and the classes of it.
pub(in crate::formats::sklearn) fn labels_side_by_side(
    estimator: Estimator<'_>,
    heads: Vec<(Head, Vec<ClassLabel>)>,
    needs: Vec<Need>,
) -> Result<HeadPlan<'_>, EngineError> {
    let (mut fields, mut each) = (Vec::new(), Vec::new());
    for (at, (head, classes)) in heads.into_iter().enumerate() {
        let field = label_field(at, estimator, &classes)?;
        let question = label_question(estimator, &classes, &field)?;
        let model = Model::new(Vec::new(), head)?;
        each.push(member::Member::new(model, question)?);
        fields.push(field);
    }
    Ok(HeadPlan {
        from: estimator,
        head: Head::SideBySide(SideBySide::new(each)?),
        needs,
        answers: Answers::Values(Task::Classification, fields),
    })
}

fn side_by_side<'r>(
    estimator: Estimator<'r>,
    members: Vec<Member<'r>>,
    question: impl Fn(&Member<'r>, &Field) -> Result<Question, EngineError>,
) -> Result<HeadPlan<'r>, EngineError> {
    let answers = answers(&members)?;
    let Answers::Values(_, fields) = &answers else {
        return Err(malformed("members that answer no values"));
    };
    let labels = fields.len() == members.len();
    let questions = members.iter().enumerate().map(|(at, member)| {
        let field = if labels { &fields[at] } else { &fields[0] };
        question(member, field)
    });
    let questions: Vec<Question> = questions.collect::<Result<_, _>>()?;
    let Joined {
        models,
        needs,
        from,
    } = members::join(estimator, members)?;
    let each = models.into_iter().zip(questions);
    let each = each.map(|(model, question)| member::Member::new(model, question));
    Ok(HeadPlan {
        from,
        head: Head::SideBySide(SideBySide::new(each.collect::<Result<_, _>>()?)?),
        needs,
        answers,
    })
}

/// One vector of numbers for regressors; a field `y0`, `y1`, … for each classifier.
fn answers(members: &[Member<'_>]) -> Result<Answers, EngineError> {
    if members
        .iter()
        .all(|member| matches!(member.answers, Answers::Values(..)))
    {
        return Ok(Answers::regression(members.len()));
    }
    let fields = members.iter().enumerate();
    let fields = fields.map(|(at, member)| label_field(at, member.estimator, member.classes()?));
    Ok(Answers::Values(
        Task::Classification,
        fields.collect::<Result<_, _>>()?,
    ))
}

/// The field of a classifier's labels, in the type they were trained with.
fn label_field(
    at: usize,
    estimator: Estimator<'_>,
    classes: &[ClassLabel],
) -> Result<Field, EngineError> {
    let mut field = Field::scalar(format!("y{at}"), DataType::Int64);
    field.data_type = match classes.first() {
        Some(ClassLabel::Bool(_)) => DataType::Bool,
        Some(ClassLabel::Float(_)) => DataType::Float64,
        Some(ClassLabel::Text(_)) => DataType::String,
        Some(ClassLabel::Int(_)) | None => DataType::Int64,
    };
    if field.data_type == DataType::String {
        let texts = classes.iter().map(|class| match class {
            ClassLabel::Text(text) => Some(text.clone()),
            _ => None,
        });
        let texts: Option<Vec<String>> = texts.collect();
        let mixed = || estimator.unserved("with labels of several types");
        field.categories = Some(texts.ok_or_else(mixed)?);
    }
    Ok(field)
}

/// `RegressorChain` and `ClassifierChain` (`sklearn/multioutput.py`, `_get_predictions`).
pub(super) fn chain(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let members = members::of(estimator, "estimators_")?;
    let order = order(estimator)?;
    // Classifiers handed on their labels until 1.4, and regressors always do.
    let hands_on = match estimator.text("chain_method_") {
        Some("predict") | None => HandsOn::Answer,
        Some("predict_proba") => HandsOn::Probability,
        Some("decision_function") => HandsOn::Score,
        Some(_) => return Err(estimator.unserved("with another chain method")),
    };
    let answers = chained(&members, &order)?;
    let from = if estimator.attribute("feature_names_in_").is_some() {
        estimator
    } else {
        members.first().map_or(estimator, |first| first.estimator)
    };
    let links = members.into_iter().map(|member| link(member, hands_on));
    let links = links.collect::<Result<_, _>>()?;
    Ok(HeadPlan {
        from: if from.features()? == features {
            from
        } else {
            estimator
        },
        head: Head::Chain(Chain::new(features, links, &order)?),
        needs: Need::numbers(features, Missing::Refused),
        answers,
    })
}

fn link(member: Member<'_>, hands_on: HandsOn) -> Result<Link, EngineError> {
    let question = match &member.answers {
        Answers::Values(..) => {
            member.check_numbers()?;
            Question::Values
        }
        Answers::Classes(classes) => {
            if hands_on == HandsOn::Score {
                member.check_scores()?;
            }
            Question::Labels(members::label_numbers(member.estimator, classes)?)
        }
    };
    let answers = member::Member::new(member.alone()?, question)?;
    Ok(Link { answers, hands_on })
}

/// What a chain answers, in the order of the outputs.
fn chained(members: &[Member<'_>], order: &[usize]) -> Result<Answers, EngineError> {
    let mut answers = answers(members)?;
    if let Answers::Values(Task::Classification, fields) = &mut answers {
        let labels: Vec<Field> = fields.clone();
        for (link, output) in order.iter().enumerate() {
            if let (Some(field), Some(label)) = (fields.get_mut(*output), labels.get(link)) {
                field.data_type = label.data_type;
            }
        }
    }
    Ok(answers)
}

/// `order_`: for each link of the chain, the output it was fitted on.
fn order(estimator: Estimator<'_>) -> Result<Vec<usize>, EngineError> {
    let id = estimator.fitted("order_")?;
    let places: Option<Vec<usize>> = match estimator.arena().members(id) {
        None => {
            let numbers = estimator.numbers("order_")?;
            let each = numbers
                .iter()
                .map(|number| members::whole(*number, numbers.len()));
            each.map(|place| place.map(|place| place as usize))
                .collect()
        }
        Some(list) => {
            let each = list.iter().map(|id| estimator.arena().size(*id).ok());
            each.map(|place| place.filter(|place| *place < list.len()))
                .collect()
        }
    };
    places.ok_or_else(|| estimator.wrong("order_", id))
}
