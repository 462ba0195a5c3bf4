//! The members of an estimator: whole models over columns of its rows.

use plimsoll_core::schema::ClassLabel;

use crate::EngineError;
use crate::formats::sklearn::estimator::Estimator;
use crate::formats::sklearn::pipeline;
use crate::formats::sklearn::plan::{Answers, Missing, Need};
use crate::kernel::head::Head;
use crate::kernel::model::Model;
use crate::kernel::step::Step;
use crate::kernel::steps::columns::{Branch, Columns, Spread};
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

/// The whole numbers that `f64` holds exactly.
const MAX_WHOLE: i64 = 1 << 53;

/// A member, before it is known what the others need.
pub(super) struct Member<'r> {
    /// The estimator it was read from.
    pub(super) estimator: Estimator<'r>,
    /// What its answers mean.
    pub(super) answers: Answers,
    /// The first estimator that looks at the rows.
    first: Estimator<'r>,
    /// Columns of the input, in the order it takes them; all of them if `None`.
    columns: Option<Vec<usize>>,
    needs: Vec<Need>,
    steps: Vec<Step>,
    head: Head,
}

/// Members over the same rows.
pub(super) struct Joined<'r> {
    /// Their models, in their order.
    pub(super) models: Vec<Model>,
    /// What all of them need together.
    pub(super) needs: Vec<Need>,
    /// The estimator that knows the names of the columns.
    pub(super) from: Estimator<'r>,
}

/// The members in the list `name` of `estimator`.
pub(super) fn of<'r>(estimator: Estimator<'r>, name: &str) -> Result<Vec<Member<'r>>, EngineError> {
    let list = estimator.list(name)?;
    let each = list.iter().map(|id| member(estimator, *id, None));
    each.collect()
}

/// The member at `id`, over `columns` of the rows of `estimator` or over all.
pub(super) fn member(
    estimator: Estimator<'_>,
    id: NodeId,
    columns: Option<Vec<usize>>,
) -> Result<Member<'_>, EngineError> {
    let child = estimator.child(id)?;
    let parts = pipeline::parts(child)?;
    let (Some(needs), Some(first)) = (parts.needs(), parts.first()) else {
        return Err(child.unserved("without steps"));
    };
    let Some(head) = parts.head else {
        return Err(child.unserved("as a member that predicts nothing"));
    };
    if columns
        .as_ref()
        .is_some_and(|columns| columns.len() != needs.len())
    {
        return Err(malformed("a member takes other columns than it is given"));
    }
    Ok(Member {
        estimator: child,
        answers: head.answers,
        first,
        columns,
        needs,
        steps: parts.steps.into_iter().map(|plan| plan.step).collect(),
        head: head.head,
    })
}

impl Member<'_> {
    /// Its classes, which a classifier has.
    pub(super) fn classes(&self) -> Result<&[ClassLabel], EngineError> {
        match &self.answers {
            Answers::Classes(classes) => Ok(classes),
            Answers::Values(..) => Err(self.estimator.unserved("among classifiers")),
        }
    }

    /// Refuses anything but numbers of a regressor.
    pub(super) fn check_numbers(&self) -> Result<(), EngineError> {
        match &self.answers {
            Answers::Values(_, fields) if fields.len() == 1 => Ok(()),
            _ => Err(self.estimator.unserved("among regressors")),
        }
    }

    /// For each of its classes, its place among `classes`.
    pub(super) fn places_among(&self, classes: &[ClassLabel]) -> Result<Vec<u32>, EngineError> {
        let own = self.classes()?.iter();
        let places: Option<Vec<u32>> = own.map(|class| place_of(classes, class)).collect();
        places.ok_or_else(|| malformed("a member knows a class that the others do not"))
    }

    /// The same where members were fitted on the numbers of `count` classes, 0, 1, ….
    pub(super) fn places_of_numbers(&self, count: usize) -> Result<Vec<u32>, EngineError> {
        let numbers = label_numbers(self.estimator, self.classes()?)?;
        let each = numbers.into_iter().map(|number| whole(number, count));
        let places: Option<Vec<u32>> = each.collect();
        places.ok_or_else(|| malformed("a member knows a class that the others do not"))
    }

    /// Refuses a member whose kernel has no scores where the library has them, or
    /// the other way round: what is asked of members depends on it.
    pub(super) fn check_scores(&self) -> Result<(), EngineError> {
        if decides(self.estimator)? == (self.head.kernel().gives().scores > 0) {
            return Ok(());
        }
        Err(self
            .estimator
            .unserved("whose decision function is not served"))
    }
}

/// Whether the library's object has a `decision_function`.
pub(super) fn decides(estimator: Estimator<'_>) -> Result<bool, EngineError> {
    const WITH_SCORES: &[&str] = &[
        "AdaBoostClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LinearDiscriminantAnalysis",
        "LinearSVC",
        "LogisticRegression",
        "LogisticRegressionCV",
        "NuSVC",
        "OneVsOneClassifier",
        "PassiveAggressiveClassifier",
        "Perceptron",
        "QuadraticDiscriminantAnalysis",
        "RidgeClassifier",
        "RidgeClassifierCV",
        "SGDClassifier",
        "SVC",
    ];
    let inner = match estimator.class {
        "Pipeline" => {
            let step = estimator.list("steps")?.last();
            step.and_then(|step| estimator.arena().members(*step)?.last())
        }
        "BaggingClassifier" | "OneVsRestClassifier" => estimator.list("estimators_")?.first(),
        "StackingClassifier" => return at(estimator, "final_estimator_"),
        "FrozenEstimator" => return at(estimator, "estimator"),
        "FixedThresholdClassifier" | "TunedThresholdClassifierCV" => {
            return at(estimator, "estimator_");
        }
        search if search.ends_with("SearchCV") => return at(estimator, "best_estimator_"),
        class => return Ok(WITH_SCORES.contains(&class)),
    };
    let inner = inner.ok_or_else(|| malformed("an estimator without members"))?;
    decides(estimator.child(*inner)?)
}

fn at(estimator: Estimator<'_>, attribute: &str) -> Result<bool, EngineError> {
    decides(estimator.child(estimator.fitted(attribute)?)?)
}

/// The members as models over the same rows.
pub(super) fn join<'r>(
    estimator: Estimator<'r>,
    members: Vec<Member<'r>>,
) -> Result<Joined<'r>, EngineError> {
    let Some(first) = members.first() else {
        return Err(malformed(format!("{} without members", estimator.class)));
    };
    let named = estimator.attribute("feature_names_in_").is_some() || first.columns.is_some();
    let from = if named { estimator } else { first.first };
    let features = match first.columns {
        Some(_) => estimator.features()?,
        None => first.needs.len(),
    };
    let needs = merged(estimator, &members, features)?;
    let models = members.into_iter().map(|member| member.over(&needs));
    Ok(Joined {
        models: models.collect::<Result<_, _>>()?,
        needs,
        from,
    })
}

/// What all members need of each of `features` columns.
fn merged(
    estimator: Estimator<'_>,
    members: &[Member<'_>],
    features: usize,
) -> Result<Vec<Need>, EngineError> {
    let mut needs = vec![Need::default(); features];
    for member in members {
        if member.columns.is_none() && member.needs.len() != features {
            return Err(malformed("the members of a model take different columns"));
        }
        for (own, need) in member.needs.iter().enumerate() {
            let column = member.columns.as_ref().map_or(own, |columns| columns[own]);
            let slot = needs.get_mut(column);
            let slot = slot.ok_or_else(|| malformed("a column that the rows do not have"))?;
            *slot = std::mem::take(slot).and(need).ok_or_else(|| {
                estimator.unserved("with a column that is a text here and a number there")
            })?;
        }
    }
    Ok(needs)
}

impl Member<'_> {
    /// The model, over rows of its own.
    pub(super) fn alone(self) -> Result<Model, EngineError> {
        let needs = self.needs.clone();
        self.over(&needs)
    }

    /// The model, over rows that are what `needs` says.
    fn over(self, needs: &[Need]) -> Result<Model, EngineError> {
        let (shape, places) = Need::places(needs);
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for (own, need) in self.needs.iter().enumerate() {
            let column = self.columns.as_ref().map_or(own, |columns| columns[own]);
            match (need.text, needs[column].text) {
                (false, false) => numbers.push(places[column]),
                (true, true) => texts.push(places[column]),
                // What it does not look at is missing to it.
                (false, true) if need.missing == Missing::Unseen => numbers.push(shape.numbers),
                _ => return Err(malformed("a column that is a text here and a number there")),
            }
        }
        let mut steps = Vec::new();
        let missing = numbers.contains(&shape.numbers);
        let in_order = |places: &[usize], count: usize| places.iter().copied().eq(0..count);
        if missing || !in_order(&numbers, shape.numbers) || !in_order(&texts, shape.texts) {
            let mut takes = shape;
            if missing {
                let mut kept = vec![true; shape.numbers];
                kept.push(false);
                steps.push(Step::Spread(Spread::new(&kept, shape.texts)));
                takes.numbers += 1;
            }
            let branch = Branch {
                numbers,
                texts,
                ..Branch::default()
            };
            steps.push(Step::Columns(Columns::new(takes, vec![branch])?));
        }
        steps.extend(self.steps);
        Model::new(steps, self.head)
    }
}

/// The numbers that stand for `classes`.
pub(super) fn label_numbers(
    estimator: Estimator<'_>,
    classes: &[ClassLabel],
) -> Result<Vec<f64>, EngineError> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "whole numbers up to 2^53 are exact"
    )]
    let number = |class: &ClassLabel| match class {
        ClassLabel::Bool(label) => Some(f64::from(u8::from(*label))),
        ClassLabel::Int(label) if label.abs() <= MAX_WHOLE => Some(*label as f64),
        ClassLabel::Float(label) => Some(*label),
        ClassLabel::Int(_) | ClassLabel::Text(_) => None,
    };
    let numbers: Option<Vec<f64>> = classes.iter().map(number).collect();
    numbers.ok_or_else(|| estimator.unserved("with labels that are no numbers"))
}

/// The whole number that `number` is, if it is one below `limit`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not come back the same is none"
)]
pub(super) fn whole(number: f64, limit: usize) -> Option<u32> {
    let place = number as u32;
    let is_whole = f64::from(place).total_cmp(&number).is_eq();
    (is_whole && (place as usize) < limit).then_some(place)
}

/// The place of `class` among `classes`.
pub(super) fn place_of(classes: &[ClassLabel], class: &ClassLabel) -> Option<u32> {
    let found = classes.iter().position(|other| same(other, class));
    found.and_then(|place| u32::try_from(place).ok())
}

/// Whether two labels mean the same class: 1, 1.0 and true do, as in Python.
fn same(a: &ClassLabel, b: &ClassLabel) -> bool {
    let number = |label: &ClassLabel| match label {
        ClassLabel::Bool(label) => Some(f64::from(u8::from(*label))),
        #[expect(clippy::cast_precision_loss, reason = "equal labels stay equal")]
        ClassLabel::Int(label) => Some(*label as f64),
        ClassLabel::Float(label) => Some(*label),
        ClassLabel::Text(_) => None,
    };
    a == b || number(a).is_some_and(|a| Some(a) == number(b))
}
