//! A whole model: steps that change rows, and a head that answers.

use serde::{Deserialize, Serialize};

use super::head::{Answer, Gives, Head};
use super::rows::{BLOCK_NUMBERS, BLOCK_ROWS, Rows, Scratch, Shape, Table, Unusable};
use super::step::Step;
use crate::EngineError;
use crate::reader::{malformed, too_large};
/// Most columns a step may make of a row.
pub(crate) const MAX_WIDTH: usize = 1 << 22;

/// Steps and a head whose shapes fit each other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    steps: Vec<Step>,
    head: Head,
}

impl Model {
    /// A model whose every part takes what the part before it makes.
    pub(crate) fn new(steps: Vec<Step>, head: Head) -> Result<Self, EngineError> {
        let model = Self { steps, head };
        model.check()?;
        Ok(model)
    }

    /// Refuses parts that do not fit each other.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if made_by(&self.steps, self.takes())? == self.head.kernel().takes() {
            return Ok(());
        }
        Err(malformed("the steps of a pipeline differ in width"))
    }

    /// Columns of the rows it takes.
    pub(crate) fn takes(&self) -> Shape {
        match self.steps.first() {
            Some(step) => step.kernel().takes(),
            None => self.head.kernel().takes(),
        }
    }

    /// What it answers.
    pub(crate) fn gives(&self) -> Gives {
        self.head.kernel().gives()
    }

    /// Appends the answer for each of at most [`super::rows::BLOCK_ROWS`] rows.
    pub(crate) fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        self.after_steps(rows, scratch, |rows, scratch| {
            self.head.kernel().check(rows)?;
            self.head.kernel().predict(rows, answer, scratch)
        })
    }

    /// Appends the decision scores of each row.
    pub(crate) fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        self.after_steps(rows, scratch, |rows, scratch| {
            self.head.kernel().check(rows)?;
            self.head.kernel().decide(rows, scores, scratch)
        })
    }
    /// Rows worked on at a time: fewer of those that are wide.
    pub(crate) fn block_rows(&self) -> usize {
        let own = self.head.kernel().takes().numbers;
        let steps = self.steps.iter().map(|step| step.kernel().widest());
        (BLOCK_NUMBERS / steps.fold(own, usize::max).max(1)).clamp(1, BLOCK_ROWS)
    }

    /// Bytes of memory kept.
    pub(crate) fn bytes(&self) -> usize {
        let steps = self.steps.iter().map(|step| step.kernel().bytes());
        self.head.kernel().bytes() + steps.sum::<usize>()
    }

    /// A rough guess of the nanoseconds one row takes.
    pub(crate) fn nanos_per_row(&self) -> usize {
        let steps = self.steps.iter().map(|step| step.kernel().nanos_per_row());
        self.head.kernel().nanos_per_row() + steps.sum::<usize>()
    }

    /// Hands `rows`, as the steps leave them, to `then`.
    fn after_steps(
        &self,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
        then: impl FnOnce(Rows<'_, '_>, &mut Scratch) -> Result<(), Unusable>,
    ) -> Result<(), Unusable> {
        if self.steps.is_empty() {
            return then(rows, scratch);
        }
        let made = apply_all(&self.steps, rows, scratch)?;
        let done = then(made.rows(), scratch);
        scratch.keep(made.numbers);
        done.map_err(|unusable| traced(unusable, &self.steps))
    }
}
/// What `steps` make of rows of the shape `taken`; each must take what the one before it makes.
pub(crate) fn made_by(steps: &[Step], taken: Shape) -> Result<Shape, EngineError> {
    let mut kernels = steps.iter().map(Step::kernel);
    kernels.try_fold(taken, |made, kernel| {
        if kernel.takes() != made {
            return Err(malformed("the steps of a pipeline differ in width"));
        }
        let gives = kernel.gives();
        if gives.numbers.max(gives.texts) > MAX_WIDTH {
            return Err(too_large(format!(
                "a step that makes {} columns",
                gives.numbers
            )));
        }
        Ok(gives)
    })
}

/// `rows` after all of `steps`, of which there is at least one.
pub(crate) fn apply_all<'t>(
    steps: &'t [Step],
    rows: Rows<'_, 't>,
    scratch: &mut Scratch,
) -> Result<Table<'t>, Unusable> {
    let mut made: Option<Table<'t>> = None;
    for (index, step) in steps.iter().enumerate() {
        let kernel = step.kernel();
        let mut next = scratch.table(rows.count, kernel.gives());
        if let Some(before) = made.take() {
            let rows = before.rows();
            let applied = rows
                .refuse_unusable(kernel.accepts_missing())
                .and_then(|()| kernel.apply(rows, &mut next, scratch));
            scratch.keep(before.numbers);
            applied.map_err(|unusable| traced(unusable, &steps[..index]))?;
        } else {
            rows.refuse_unusable(kernel.accepts_missing())?;
            kernel.apply(rows, &mut next, scratch)?;
        }
        made = Some(next);
    }
    Ok(made.unwrap_or_default())
}
/// A refusal of a value that `steps` made, by the column that went into them.
pub(crate) fn traced(unusable: Unusable, steps: &[Step]) -> Unusable {
    let steps = steps.iter().rev();
    steps.fold(unusable, |unusable, step| unusable.within(step.kernel()))
}
