//! Estimators and pipelines of them, translated into whole models.

use super::classes::{self, Class, Reader};
use super::estimator::Estimator;
use super::globals;
use super::plan::{Answers, HeadPlan, Missing, Need, StepPlan};
use crate::EngineError;
use crate::kernel::head::{Head, RowsThemselves};
use crate::kernel::model::Model;
use crate::kernel::rows::Column;
use crate::kernel::step::Step;
use crate::kernel::steps::columns::Spread;
use crate::reader::malformed;
use crate::reader::pickle::{Node, NodeId};

pub(super) const CLASSES: &[Class] = &[
    ("sklearn.pipeline", "Pipeline", Reader::Pipeline),
    ("imblearn.pipeline", "Pipeline", Reader::Pipeline),
];

/// Steps of one model, those that do nothing included.
const MAX_STEPS: usize = 64;

/// A model, and what is known of its rows and answers.
pub(super) struct Translated<'r> {
    /// Names of classes, as they nest: `Pipeline(StandardScaler, LogisticRegression)`.
    pub(super) algorithm: String,
    /// The kernels.
    pub(super) model: Model,
    /// One entry for each column of its rows.
    pub(super) needs: Vec<Need>,
    /// The first estimator that looks at the rows.
    pub(super) first: Estimator<'r>,
    /// What the answers mean.
    pub(super) answers: Answers,
}

/// The parts of an estimator or a pipeline, in order.
#[derive(Default)]
pub(super) struct Parts<'r> {
    /// Names of classes, as they nest.
    pub(super) algorithm: String,
    /// What changes rows.
    pub(super) steps: Vec<StepPlan<'r>>,
    /// What answers, if anything does.
    pub(super) head: Option<HeadPlan<'r>>,
    /// Steps seen, of whatever kind: shared pipelines must not multiply.
    seen: usize,
}

/// The whole model that `estimator` is.
pub(super) fn translate(estimator: Estimator<'_>) -> Result<Translated<'_>, EngineError> {
    let mut parts = parts(estimator)?;
    parts.answer_after_selector()?;
    let needs = parts.needs();
    let first = parts.first();
    let (Some(needs), Some(first)) = (needs, first) else {
        return Err(estimator.unserved("without steps"));
    };
    let Parts {
        algorithm,
        steps,
        head,
        ..
    } = parts;
    let mut steps: Vec<Step> = steps.into_iter().map(|plan| plan.step).collect();
    let (head, answers) = match head {
        Some(plan) => (plan.head, plan.answers),
        None => rows_themselves(estimator, &steps)?,
    };
    spread_unseen(&needs, first, &mut steps);
    Ok(Translated {
        algorithm,
        model: Model::new(steps, head)?,
        needs,
        first,
        answers,
    })
}

/// Fills in the columns that get no field: those that have a name and are not
/// looked at. The library does not ask for them either.
fn spread_unseen(needs: &[Need], first: Estimator<'_>, steps: &mut Vec<Step>) {
    let unseen = |need: &Need| need.missing == Missing::Unseen;
    if first.attribute("feature_names_in_").is_none() || !needs.iter().any(unseen) {
        return;
    }
    let (shape, _) = Need::places(needs);
    let numbers = needs.iter().filter(|need| !need.text);
    let kept: Vec<bool> = numbers.map(|need| !unseen(need)).collect();
    steps.insert(0, Step::Spread(Spread::new(&kept, shape.texts)));
}

/// The parts `estimator` consists of.
pub(super) fn parts(estimator: Estimator<'_>) -> Result<Parts<'_>, EngineError> {
    let mut parts = Parts::default();
    parts.add(estimator)?;
    Ok(parts)
}

/// The head of a model that only changes rows.
fn rows_themselves(
    estimator: Estimator<'_>,
    steps: &[Step],
) -> Result<(Head, Answers), EngineError> {
    let made = steps.last().map(|step| step.kernel().gives());
    match made {
        Some(made) if made.texts == 0 => {
            let columns = made.numbers;
            Ok((Head::Rows(RowsThemselves(columns)), Answers::rows(columns)))
        }
        _ => Err(estimator.unserved("that answers texts")),
    }
}

impl<'r> Parts<'r> {
    /// What each column of the rows must be; `None` if nothing looks at them.
    pub(super) fn needs(&self) -> Option<Vec<Need>> {
        let head = self.head.iter().map(|head| (&head.needs, None));
        let steps = self.steps.iter().rev();
        let steps = steps.map(|plan| (&plan.needs, Some(&plan.step)));
        let mut needs: Option<Vec<Need>> = None;
        // From the last part to the first: what is kept must be welcome further on.
        for (part, step) in head.chain(steps) {
            let welcome = needs
                .as_ref()
                .is_none_or(|needs| needs.iter().all(|need| need.missing != Missing::Refused));
            let resolved = part.iter().map(|need| match need.missing {
                Missing::Kept if !welcome => Need {
                    missing: Missing::Refused,
                    ..need.clone()
                },
                _ => need.clone(),
            });
            let mut resolved: Vec<Need> = resolved.collect();
            if let (Some(step), Some(after)) = (step, &needs) {
                know_texts(&mut resolved, step, after);
            }
            needs = Some(resolved);
        }
        needs
    }

    /// The first estimator that looks at the rows.
    pub(super) fn first(&self) -> Option<Estimator<'r>> {
        let step = self.steps.first().map(|step| step.from);
        step.or(self.head.as_ref().map(|head| head.from))
    }

    /// A recursive elimination at the end answers with the estimator it selected columns for.
    fn answer_after_selector(&mut self) -> Result<(), EngineError> {
        let last = self.steps.last().map(|step| step.from);
        let selector = last.filter(|last| matches!(last.class, "RFE" | "RFECV"));
        if let (Some(selector), None) = (selector, &self.head) {
            self.algorithm.push_str(" and ");
            self.add(selector.child(selector.fitted("estimator_")?)?)?;
        }
        Ok(())
    }

    fn add(&mut self, estimator: Estimator<'r>) -> Result<(), EngineError> {
        let reader = classes::reader(estimator.class);
        if let Some(Reader::Delegates(attribute)) = reader {
            return self.add(estimator.child(estimator.fitted(attribute)?)?);
        }
        self.algorithm.push_str(estimator.class);
        if let (Some(head), false) = (&self.head, matches!(reader, Some(Reader::Pipeline))) {
            return Err(head.from.unserved("that is not the last step"));
        }
        match reader {
            Some(Reader::Pipeline) => return self.add_steps(estimator),
            Some(Reader::Step(read)) => {
                let plan = read(estimator)?;
                estimator.graph.budget.spend_bytes(plan.needs.len())?;
                self.steps.push(plan);
            }
            Some(Reader::Head(read)) => {
                let plan = read(estimator)?;
                estimator.graph.budget.spend_bytes(plan.needs.len())?;
                self.head = Some(plan);
            }
            Some(Reader::Delegates(_) | Reader::Part) | None => {
                return Err(malformed(format!(
                    "{} where an estimator was expected",
                    estimator.class
                )));
            }
        }
        Ok(())
    }

    fn add_steps(&mut self, pipeline: Estimator<'r>) -> Result<(), EngineError> {
        let list = pipeline.fitted("steps")?;
        let steps = pipeline.arena().members(list);
        let steps = steps.ok_or_else(|| pipeline.wrong("steps", list))?;
        self.seen = self.seen.saturating_add(steps.len());
        if self.seen > MAX_STEPS {
            return Err(pipeline.unserved(&format!("of more than {MAX_STEPS} steps")));
        }
        self.algorithm.push('(');
        for (index, step) in steps.iter().enumerate() {
            if index > 0 {
                self.algorithm.push_str(", ");
            }
            match pipeline.arena().members(*step) {
                Some(&[_, step]) => self.add_step(pipeline, step)?,
                _ => return Err(malformed("a step of a pipeline is no pair")),
            }
        }
        self.algorithm.push(')');
        Ok(())
    }

    fn add_step(&mut self, pipeline: Estimator<'r>, step: NodeId) -> Result<(), EngineError> {
        if passes_through(pipeline, step) {
            self.algorithm.push_str("passthrough");
        } else if let Some(sampler) = sampler(pipeline, step) {
            self.algorithm.push_str(sampler);
        } else {
            self.add(pipeline.child(step)?)?;
        }
        Ok(())
    }
}

/// Gives texts that `step` hands on the known values that are asked for `after` it.
fn know_texts(needs: &mut [Need], step: &Step, after: &[Need]) {
    let texts: Vec<usize> = (0..needs.len()).filter(|at| needs[*at].text).collect();
    let asked = after.iter().filter(|need| need.text).enumerate();
    for (place, need) in asked {
        let origin = match step.kernel().origin(Column::Text(place)) {
            Some(Column::Text(origin)) => texts.get(origin),
            _ => None,
        };
        if let Some(at) = origin
            && needs[*at].categories.is_none()
        {
            needs[*at].categories.clone_from(&need.categories);
        }
    }
}

/// The name of the sampler that a step is, if it is one: they change the rows of a fit alone.
fn sampler(pipeline: Estimator<'_>, step: NodeId) -> Option<&str> {
    let class = pipeline.arena().class(step)?;
    globals::is_sampler(&class.module, &class.name).then_some(class.name.as_ref())
}

/// Whether a step is `"passthrough"` or `None`.
pub(super) fn passes_through(pipeline: Estimator<'_>, step: NodeId) -> bool {
    match pipeline.arena().get(step) {
        Node::None => true,
        Node::Text(text) => text == "passthrough",
        _ => false,
    }
}
