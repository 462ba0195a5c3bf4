//! Trees of a graph: `f32` features against `f32` thresholds, summed in `f32`.
//!
//! Leaves are added from zero in the order of the trees, and the base comes last
//! (onnxruntime/core/providers/cpu/ml/tree_ensemble_aggregator.h, `FinalizeScores`):
//! that order decides the last bit of a sum, and with it a label now and then.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::rows::Scratch;
use crate::kernel::trees::{Single, Trees};
use crate::reader::malformed;

/// Sums over trees.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub(crate) struct TreeSums {
    trees: Trees<Single, f32>,
    /// Sums are divided by this first, if it is not 1.
    divisor: f32,
    /// Added to the sums in the end: nothing, or one for each.
    base: Vec<f32>,
}

#[derive(Deserialize)]
struct Unchecked {
    trees: Trees<Single, f32>,
    divisor: f32,
    base: Vec<f32>,
}

impl TryFrom<Unchecked> for TreeSums {
    type Error = EngineError;

    fn try_from(read: Unchecked) -> Result<Self, EngineError> {
        Self::new(read.trees, read.divisor, read.base)
    }
}

impl TreeSums {
    /// Sums of `trees`, divided by `divisor`, plus `base`, which is empty or has one for each sum.
    pub(crate) fn new(
        trees: Trees<Single, f32>,
        divisor: f32,
        base: Vec<f32>,
    ) -> Result<Self, EngineError> {
        if !base.is_empty() && base.len() != trees.sums() {
            return Err(malformed("the base of the sums has another length"));
        }
        Ok(Self {
            trees,
            divisor,
            base,
        })
    }

    pub(super) fn makes(&self, width: usize) -> Option<usize> {
        (self.trees.features() == width).then(|| self.trees.sums())
    }

    #[expect(clippy::float_cmp, reason = "1 is written down as it is")]
    pub(super) fn apply(
        &self,
        x: &[f64],
        width: usize,
        made: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) {
        let narrowed = &mut scratch.narrowed;
        narrowed.clear();
        narrowed.extend(x.iter().map(|x| *x as f32));
        let missing = narrowed.iter().map(|x| x * 0.0).sum::<f32>().is_nan();
        let (features, sums) = (narrowed.len(), self.trees.sums());
        // The sums follow the rows in one buffer.
        narrowed.resize(features + features / width * sums, 0.0);
        let (rows, totals) = narrowed.split_at_mut(features);
        self.trees.add(rows, missing, totals);
        if self.divisor != 1.0 {
            for sum in totals.iter_mut() {
                *sum /= self.divisor;
            }
        }
        if !self.base.is_empty() {
            for totals in totals.chunks_exact_mut(sums) {
                totals
                    .iter_mut()
                    .zip(&self.base)
                    .for_each(|(sum, base)| *sum += base);
            }
        }
        made.extend(totals.iter().map(|sum| f64::from(*sum)));
    }

    pub(super) fn bytes(&self) -> usize {
        self.trees.bytes() + 4 * self.base.len()
    }

    pub(super) fn nanos_per_row(&self) -> usize {
        self.trees.nanos_per_row() + 4 * self.trees.sums()
    }
}
