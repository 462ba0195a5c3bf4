//! One classifier for each class: the surest one wins.

use serde::{Deserialize, Serialize};

use super::{Rival, Sides, cost_of, of_row, shape_of};
use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// One rival for each class, or one for two classes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OneVsRest {
    takes: Shape,
    rivals: Vec<Rival>,
    rules: Rules,
}

/// How the answers of rivals are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a version or an option of its own"
)]
pub(crate) struct Rules {
    /// Whether the rivals know probabilities.
    pub(crate) probabilities: bool,
    /// Whether the rivals know scores.
    pub(crate) scores: bool,
    /// Whether the last of equal scores wins (until 1.7).
    pub(crate) last_wins: bool,
    /// Whether a row that nobody claims keeps probabilities of 0 (since 1.7), and not NaN.
    pub(crate) zero_stays: bool,
}

impl OneVsRest {
    /// One rival for each class, or one for two; at least one is no constant.
    pub(crate) fn new(rivals: Vec<Rival>, rules: Rules) -> Result<Self, EngineError> {
        let takes = shape_of(&rivals)?;
        for model in rivals.iter().filter_map(Rival::model) {
            let gives = model.gives();
            if rules.probabilities && !(gives.probabilities && gives.classes == 2) {
                return Err(malformed("one of several classifiers has no probabilities"));
            }
            if rules.scores && gives.scores != 1 {
                return Err(malformed("one of several classifiers has no scores"));
            }
        }
        Ok(Self {
            takes,
            rivals,
            rules,
        })
    }

    fn classes(&self) -> usize {
        self.rivals.len().max(2)
    }

    fn label(&self, scores: impl Iterator<Item = f64>) -> u32 {
        if self.rivals.len() == 1 {
            let threshold = if self.rules.scores { 0.0 } else { 0.5 };
            return scores.map(|score| u32::from(score > threshold)).sum();
        }
        let mut best = (0, f64::NEG_INFINITY);
        for (class, score) in (0..).zip(scores) {
            if score > best.1 || (self.rules.last_wins && score >= best.1) {
                best = (class, score);
            }
        }
        best.0
    }

    fn shares(&self, shares: impl Iterator<Item = f64>, probabilities: &mut Vec<f64>) {
        let start = probabilities.len();
        if self.rivals.len() == 1 {
            probabilities.extend(shares.flat_map(|share| [1.0 - share, share]));
        } else {
            probabilities.extend(shares);
        }
        let row = &mut probabilities[start..];
        let sum: f64 = row.iter().sum();
        if sum != 0.0 || !self.rules.zero_stays {
            for share in row.iter_mut() {
                *share /= sum;
            }
        }
    }
}

impl Answering for OneVsRest {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            classes: self.classes(),
            probabilities: self.rules.probabilities,
            values: 0,
            scores: if self.rules.scores {
                self.rivals.len()
            } else {
                0
            },
        }
    }

    /// The rivals look for themselves.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let sides = Sides::of(&self.rivals, rows, scratch)?;
        for row in 0..rows.count {
            let scores = of_row(&sides.scores, row, rows.count);
            answer.labels.push(self.label(scores));
            if self.rules.probabilities {
                let shares = of_row(&sides.shares, row, rows.count);
                self.shares(shares, &mut answer.probabilities);
            }
        }
        sides.keep(scratch);
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut numbers = scratch.numbers();
        for rival in &self.rivals {
            rival.scores(rows, &mut numbers, scratch)?;
        }
        for row in 0..rows.count {
            scores.extend(of_row(&numbers, row, rows.count));
        }
        scratch.keep(numbers);
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost_of(&self.rivals).0
    }

    fn nanos_per_row(&self) -> usize {
        cost_of(&self.rivals).1
    }
}
