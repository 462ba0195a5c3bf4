//! Isolation forests: what is reached in few steps is an outlier.

use serde::{Deserialize, Serialize};

use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::kernel::trees::{Single, Trees, narrow};

/// Trees whose leaves hold the steps to them, and what steps mean
/// (`sklearn/ensemble/_iforest.py`, `_compute_score_samples`).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Isolation {
    /// Trees of one value: steps to the leaf and those expected below it.
    pub(crate) trees: Trees<Single, f64>,
    /// The steps that make a score of one half, of all trees together.
    pub(crate) expected: f64,
    /// The score at and above which a row is no outlier.
    pub(crate) offset: f64,
    /// Whether missing values go down the trees.
    pub(crate) accepts_missing: bool,
}

impl Isolation {
    /// Hands the decision score of each row to `then`.
    fn score(
        &self,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
        mut then: impl FnMut(f64),
    ) -> Result<(), Unusable> {
        let missing = narrow(rows, &mut scratch.narrowed, self.accepts_missing)?;
        let mut sums = scratch.numbers();
        sums.resize(rows.count, 0.0);
        self.trees.add(&scratch.narrowed, missing, &mut sums);
        for steps in &sums {
            let ratio = if self.expected == 0.0 {
                1.0
            } else {
                steps / self.expected
            };
            then(-(-ratio).exp2() - self.offset);
        }
        scratch.keep(sums);
        Ok(())
    }
}

impl Answering for Isolation {
    fn takes(&self) -> Shape {
        Shape::numbers(self.trees.features())
    }

    fn gives(&self) -> Gives {
        Gives {
            values: 2,
            scores: 1,
            ..Gives::default()
        }
    }

    /// Values are looked at once they are narrowed.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        self.score(rows, scratch, |score| {
            let label = if score < 0.0 { -1.0 } else { 1.0 };
            answer.values.extend([label, score]);
        })
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        self.score(rows, scratch, |score| scores.push(score))
    }

    fn bytes(&self) -> usize {
        self.trees.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.trees.nanos_per_row()
    }
}
