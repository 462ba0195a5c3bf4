//! A whole model: steps that change rows, and a head that answers.

use serde::{Deserialize, Serialize};

use super::head::{Answer, Gives, Head};
use super::rows::{Rows, Scratch, Shape, Table, Unusable};
use super::step::Step;
use crate::EngineError;
use crate::reader::malformed;

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
        let mut made = None;
        let kernels = self.steps.iter().map(Step::kernel);
        for (takes, gives) in kernels.map(|kernel| (kernel.takes(), kernel.gives())) {
            if made.is_some_and(|made| made != takes) {
                return Err(malformed("the steps of a pipeline differ in width"));
            }
            made = Some(gives);
        }
        if made.is_some_and(|made| made != self.head.kernel().takes()) {
            return Err(malformed("the steps of a pipeline differ in width"));
        }
        Ok(())
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
    #[expect(
        dead_code,
        reason = "for estimators made of estimators, which are next"
    )]
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
        let done = then(made.rows(), scratch).map_err(Unusable::within);
        scratch.keep(made.numbers);
        done
    }
}

/// `rows` after all of `steps`, of which there is at least one.
pub(crate) fn apply_all<'t>(
    steps: &'t [Step],
    rows: Rows<'_, 't>,
    scratch: &mut Scratch,
) -> Result<Table<'t>, Unusable> {
    let mut made: Option<Table<'t>> = None;
    for step in steps {
        let kernel = step.kernel();
        let mut next = scratch.table(rows.count, kernel.gives());
        if let Some(before) = made.take() {
            let rows = before.rows();
            let applied = rows
                .refuse_unusable(kernel.accepts_missing())
                .and_then(|()| kernel.apply(rows, &mut next, scratch));
            scratch.keep(before.numbers);
            applied.map_err(Unusable::within)?;
        } else {
            rows.refuse_unusable(kernel.accepts_missing())?;
            kernel.apply(rows, &mut next, scratch)?;
        }
        made = Some(next);
    }
    Ok(made.unwrap_or_default())
}
