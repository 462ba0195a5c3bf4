//! A linear booster: weights instead of trees, in single precision.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::reader::malformed;

/// Weights of XGBoost's `gblinear` (`src/gbm/gblinear_model.h`): row-major by feature, the biases last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Weights {
    values: Vec<f32>,
    features: usize,
    sums: usize,
}

impl Weights {
    /// `(features + 1) × sums` weights, which must be finite.
    pub(crate) fn new(weights: &[f64], features: usize, sums: usize) -> Result<Self, EngineError> {
        let expected = (features + 1).checked_mul(sums);
        if expected != Some(weights.len()) || !weights.iter().all(|weight| weight.is_finite()) {
            return Err(malformed("its weights are not those of its columns"));
        }
        Ok(Self {
            values: weights.iter().map(|weight| *weight as f32).collect(),
            features,
            sums,
        })
    }

    /// Columns of a row.
    pub(super) fn features(&self) -> usize {
        self.features
    }

    /// Sums of each row.
    pub(super) fn sums(&self) -> usize {
        self.sums
    }

    /// Bytes of memory kept.
    pub(super) fn bytes(&self) -> usize {
        4 * self.values.len()
    }

    /// Adds to the sums of each row; what is missing adds nothing (`gblinear.cc`, `Pred`).
    pub(super) fn add(&self, rows: &[f32], sums: &mut [f32]) {
        let (weights, biases) = self.values.split_at(self.features * self.sums);
        let each = rows.chunks_exact(self.features);
        for (row, sums) in each.zip(sums.chunks_exact_mut(self.sums)) {
            for (sum, bias) in sums.iter_mut().zip(biases) {
                *sum += *bias;
            }
            let columns = row.iter().zip(weights.chunks_exact(self.sums));
            for (x, weights) in columns.filter(|(x, _)| !x.is_nan()) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += *x * *weight;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn weights_of_each_sum_stand_side_by_side_and_the_biases_last() {
        let weights = Weights::new(&[1.0, 2.0, 3.0, 4.0, 10.0, 20.0], 2, 2).unwrap();
        let mut sums = [0.5, 0.0, 0.0, 0.0];
        weights.add(&[1.0, 1.0, f32::NAN, 2.0], &mut sums);
        assert_eq!(sums, [14.5, 26.0, 16.0, 28.0]);
        assert!(Weights::new(&[1.0, 2.0, f64::NAN], 2, 1).is_err());
        assert!(Weights::new(&[1.0, 2.0], 2, 1).is_err());
    }
}
