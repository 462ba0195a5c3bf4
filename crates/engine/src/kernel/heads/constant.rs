//! The same answer for every row: baselines to compare models with.

use serde::{Deserialize, Serialize};

use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};

/// An answer that does not depend on the row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Constant {
    /// Columns of a row.
    pub(crate) features: usize,
    /// What is answered.
    pub(crate) same: Same,
}

/// What is answered for every row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Same {
    /// A class, and the probability of each.
    Class(u32, Vec<f64>),
    /// Numbers.
    Values(Vec<f64>),
}

impl Answering for Constant {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Gives {
        match &self.same {
            Same::Class(_, probabilities) => Gives {
                classes: probabilities.len(),
                probabilities: true,
                ..Gives::default()
            },
            Same::Values(values) => Gives {
                values: values.len(),
                ..Gives::default()
            },
        }
    }

    /// Nothing is looked at.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        for _ in 0..rows.count {
            match &self.same {
                Same::Class(label, probabilities) => {
                    answer.labels.push(*label);
                    answer.probabilities.extend_from_slice(probabilities);
                }
                Same::Values(values) => answer.values.extend_from_slice(values),
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        match &self.same {
            Same::Class(_, numbers) | Same::Values(numbers) => numbers.len() * 8,
        }
    }

    fn nanos_per_row(&self) -> usize {
        2
    }
}
