//! A whole model: steps that change rows, and a head that answers.

use serde::{Deserialize, Serialize};

use super::head::{Answer, Answering, Gives, Head};
use super::rows::{BLOCK_NUMBERS, BLOCK_ROWS, Rows, Scratch, Shape, Table, Unusable};
use super::step::{Step, Transform};
use crate::EngineError;
use crate::reader::{malformed, too_large};

/// Most columns a step may make of a row.
pub(crate) const MAX_WIDTH: usize = 1 << 22;

/// A guess of what a part costs that takes a sparse row, whatever its width.
const SPARSE_NANOS: usize = 2000;

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
        self.after_steps(rows, scratch, |head, rows, scratch| {
            head.predict(rows, answer, scratch)
        })
    }

    /// Appends the decision scores of each row.
    pub(crate) fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        self.after_steps(rows, scratch, |head, rows, scratch| {
            head.decide(rows, scores, scratch)
        })
    }

    /// Rows worked on at a time: fewer of those that are wide.
    pub(crate) fn block_rows(&self) -> usize {
        let own = self.head.kernel().widest();
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
        let (mut nanos, mut sparse) = (0, false);
        for step in &self.steps {
            let kernel = step.kernel();
            sparse &= kernel.takes_sparse();
            nanos += if sparse {
                SPARSE_NANOS
            } else {
                kernel.nanos_per_row()
            };
            sparse = kernel.makes_sparse(sparse);
        }
        let head = self.head.kernel();
        let own = head.nanos_per_row();
        nanos
            + if sparse && head.takes_sparse() {
                own.min(SPARSE_NANOS)
            } else {
                own
            }
    }

    /// Hands `rows`, as the steps leave them and once they were checked, to `then`.
    fn after_steps(
        &self,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
        then: impl FnOnce(&dyn Answering, Rows<'_, '_>, &mut Scratch) -> Result<(), Unusable>,
    ) -> Result<(), Unusable> {
        let head = self.head.kernel();
        let answer = |rows: Rows<'_, '_>, scratch: &mut Scratch| {
            rows.as_taken(head.takes_sparse(), scratch, |rows, scratch| {
                head.check(rows)?;
                then(head, rows, scratch)
            })
        };
        if self.steps.is_empty() {
            return answer(rows, scratch);
        }
        let made = apply_all(&self.steps, rows, scratch)?;
        let done = answer(made.rows(), scratch);
        scratch.keep_table(made);
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
    let Some((first, others)) = steps.split_first() else {
        return Ok(Table::default());
    };
    let mut made = apply(first.kernel(), rows, scratch)?;
    for (before, step) in others.iter().enumerate() {
        let next = apply(step.kernel(), made.rows(), scratch);
        scratch.keep_table(made);
        made = next.map_err(|unusable| traced(unusable, &steps[..=before]))?;
    }
    Ok(made)
}

fn apply<'t>(
    kernel: &'t dyn Transform,
    rows: Rows<'_, 't>,
    scratch: &mut Scratch,
) -> Result<Table<'t>, Unusable> {
    let mut made = scratch.table(rows.count, kernel.gives());
    rows.as_taken(kernel.takes_sparse(), scratch, |rows, scratch| {
        rows.refuse_unusable(kernel.accepts_missing())?;
        kernel.apply(rows, &mut made, scratch)
    })?;
    Ok(made)
}

/// A refusal of a value that `steps` made, by the column that went into them.
pub(crate) fn traced(unusable: Unusable, steps: &[Step]) -> Unusable {
    let steps = steps.iter().rev();
    steps.fold(unusable, |unusable, step| unusable.within(step.kernel()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::kernel::heads::linear::{Linear, LinearRegression};
    use crate::kernel::steps::terms::{Accents, Cut, Unit};
    use crate::kernel::steps::words::{Weights, WordColumns, Words};

    /// What `HashingVectorizer` makes by default, before a sum of all columns.
    fn hashed() -> Model {
        let width = 1 << 20;
        let words = Words {
            cut: Cut {
                lowercase: true,
                accents: Accents::Stay,
                unit: Unit::Words,
                shortest: 2,
                left_out: HashSet::new(),
                terms: (1, 1),
            },
            columns: WordColumns::Hashed {
                width,
                signed: false,
            },
            binary: false,
            weights: Weights::default(),
        };
        let scores = Linear {
            weights: vec![1.0; width],
            intercepts: vec![0.5],
            features: width,
        };
        let head = LinearRegression {
            scores,
            exponential: false,
        };
        Model::new(vec![Step::Words(words)], Head::LinearRegression(head)).unwrap()
    }

    #[test]
    fn a_million_columns_cost_what_the_words_of_a_text_do() {
        let (model, mut scratch) = (hashed(), Scratch::default());
        let texts = [Some("to be or not to be"), Some("")];
        let rows = Rows {
            count: 2,
            shape: model.takes(),
            numbers: &[],
            sparse: None,
            texts: &texts,
        };
        let mut answer = Answer::default();
        model.predict(rows, &mut answer, &mut scratch).unwrap();
        assert_eq!(answer.values, [6.5, 0.5]);
        assert!(model.nanos_per_row() < 10_000);
        // No buffer has grown to the width of the rows.
        while let Some(buffer) = scratch.spare() {
            assert!(buffer.capacity() < 1 << 16);
        }
    }
}
