//! Forests: trees whose leaves are averaged.

use serde::{Deserialize, Serialize};

use crate::kernel::argmax;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::kernel::trees::{Single, Trees, narrow};

/// A forest that classifies by the shares of its leaves, or answers their mean.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Grove {
    /// The trees; their width is the number of classes, or of values.
    pub(crate) trees: Trees<Single, f64>,
    /// Whether leaves hold shares of classes.
    pub(crate) classifies: bool,
    /// Whether missing values go down the trees.
    pub(crate) accepts_missing: bool,
}

impl Grove {
    /// Appends the mean over trees of each of `rows`.
    fn average(&self, count: usize, rows: &[f32], missing: bool, means: &mut Vec<f64>) {
        let start = means.len();
        means.resize(start + count * self.trees.sums(), 0.0);
        let sums = &mut means[start..];
        self.trees.add(rows, missing, sums);
        let trees = self.trees.count() as f64;
        for sum in sums {
            *sum /= trees;
        }
    }
}

impl Answering for Grove {
    fn takes(&self) -> Shape {
        Shape::numbers(self.trees.features())
    }

    fn gives(&self) -> Gives {
        if self.classifies {
            return Gives {
                classes: self.trees.sums(),
                probabilities: true,
                ..Gives::default()
            };
        }
        Gives {
            values: self.trees.sums(),
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
        // scikit-learn's trees see X as float32 (`sklearn/tree/_classes.py`, `_validate_X_predict`).
        let narrowed = &mut scratch.narrowed;
        let missing = narrow(rows, narrowed, self.accepts_missing)?;
        if !self.classifies {
            self.average(rows.count, narrowed, missing, &mut answer.values);
            return Ok(());
        }
        let start = answer.probabilities.len();
        self.average(rows.count, narrowed, missing, &mut answer.probabilities);
        let shares = answer.probabilities[start..].chunks_exact(self.trees.sums());
        answer.labels.extend(shares.map(argmax));
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.trees.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.trees.nanos_per_row()
    }
}
