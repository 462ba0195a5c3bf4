//! One classifier for each pair of classes: the votes are counted.

use serde::{Deserialize, Serialize};

use super::{Rival, Sides, cost_of, of_row, shape_of};
use crate::EngineError;
use crate::kernel::argmax;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// One rival for each pair of classes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OneVsOne {
    takes: Shape,
    rivals: Vec<Rival>,
    classes: usize,
    /// What a score of two classes must pass.
    threshold: f64,
}

impl OneVsOne {
    /// One rival for each pair of `classes`, in the order (0, 1), (0, 2), … (1, 2), …
    pub(crate) fn new(rivals: Vec<Rival>, classes: usize) -> Result<Self, EngineError> {
        let takes = shape_of(&rivals)?;
        let pairs = classes.checked_mul(classes.saturating_sub(1));
        let two_sided =
            |rival: &Rival| rival.model().is_none_or(|model| model.gives().classes == 2);
        if pairs != Some(2 * rivals.len()) || !rivals.iter().all(two_sided) {
            return Err(malformed(
                "there is not one classifier for each pair of classes",
            ));
        }
        // `_threshold_for_binary_predict` of the first rival.
        let by_probability = rivals.first().is_some_and(|rival| {
            matches!(
                rival,
                Rival::Member {
                    is_probability: true,
                    ..
                }
            )
        });
        Ok(Self {
            takes,
            rivals,
            classes,
            threshold: if by_probability { 0.5 } else { 0.0 },
        })
    }

    /// Votes, and what decides between equal ones (`_ovr_decision_function`).
    fn sums(&self, rows: Rows<'_, '_>, scratch: &mut Scratch) -> Result<Vec<f64>, Unusable> {
        let sides = Sides::of(&self.rivals, rows, scratch)?;
        let mut votes = scratch.numbers();
        votes.resize(rows.count * self.classes, 0.0);
        let mut trust = scratch.numbers();
        for row in 0..rows.count {
            let votes = &mut votes[row * self.classes..][..self.classes];
            trust.clear();
            trust.resize(self.classes, 0.0);
            let pairs = (0..self.classes).flat_map(|i| (i + 1..self.classes).map(move |j| (i, j)));
            let said = of_row(&sides.labels, row, rows.count);
            let sure = of_row(&sides.scores, row, rows.count);
            for ((i, j), (label, score)) in pairs.zip(said.zip(sure)) {
                trust[i] -= score;
                trust[j] += score;
                votes[if label == 0.0 { i } else { j }] += 1.0;
            }
            for (vote, trust) in votes.iter_mut().zip(&trust) {
                *vote += trust / (3.0 * (trust.abs() + 1.0));
            }
        }
        scratch.keep(trust);
        sides.keep(scratch);
        Ok(votes)
    }
}

impl Answering for OneVsOne {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            classes: self.classes,
            scores: if self.classes == 2 { 1 } else { self.classes },
            ..Gives::default()
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
        let votes = self.sums(rows, scratch)?;
        let labels = votes.chunks_exact(self.classes).map(|votes| match votes {
            [_, positive] => u32::from(*positive > self.threshold),
            votes => argmax(votes),
        });
        answer.labels.extend(labels);
        scratch.keep(votes);
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let votes = self.sums(rows, scratch)?;
        if self.classes == 2 {
            let pairs = votes.as_chunks::<2>().0;
            scores.extend(pairs.iter().map(|[_, positive]| positive));
        } else {
            scores.extend_from_slice(&votes);
        }
        scratch.keep(votes);
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost_of(&self.rivals).0
    }

    fn nanos_per_row(&self) -> usize {
        cost_of(&self.rivals).1 + 5 * self.rivals.len()
    }
}
