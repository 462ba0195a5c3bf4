//! One classifier for each digit of a code: the nearest code wins.

use serde::{Deserialize, Serialize};

use super::{Rival, cost_of, of_row, shape_of};
use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// The class whose code is nearest to the scores.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OutputCode {
    takes: Shape,
    rivals: Vec<Rival>,
    /// One row for each class.
    codes: Vec<f64>,
}

impl OutputCode {
    /// One rival for each digit of the codes, one row of digits for each class.
    pub(crate) fn new(rivals: Vec<Rival>, codes: Vec<f64>) -> Result<Self, EngineError> {
        let takes = shape_of(&rivals)?;
        if codes.is_empty() || !codes.len().is_multiple_of(rivals.len()) {
            return Err(malformed("the codes of classes are of another length"));
        }
        Ok(Self {
            takes,
            rivals,
            codes,
        })
    }

    /// The class whose code is nearest; the first of equals.
    fn nearest(&self, scores: &[f64]) -> u32 {
        let mut best = (0, f64::INFINITY);
        for (class, code) in (0..).zip(self.codes.chunks_exact(self.rivals.len())) {
            let squares = code.iter().zip(scores).map(|(a, b)| (a - b) * (a - b));
            let distance: f64 = squares.sum();
            if distance < best.1 {
                best = (class, distance);
            }
        }
        best.0
    }
}

impl Answering for OutputCode {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            classes: self.codes.len() / self.rivals.len(),
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
        let mut numbers = scratch.numbers();
        for rival in &self.rivals {
            rival.scores(rows, &mut numbers, scratch)?;
        }
        let mut scores = scratch.numbers();
        for row in 0..rows.count {
            scores.clear();
            scores.extend(of_row(&numbers, row, rows.count));
            answer.labels.push(self.nearest(&scores));
        }
        scratch.keep(scores);
        scratch.keep(numbers);
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost_of(&self.rivals).0 + 8 * self.codes.len()
    }

    fn nanos_per_row(&self) -> usize {
        cost_of(&self.rivals).1 + self.codes.len()
    }
}
