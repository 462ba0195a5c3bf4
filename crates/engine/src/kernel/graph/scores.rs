//! From scores to probabilities, in the words of ONNX (`post_transform`).
//!
//! The arithmetic is that of onnxruntime/core/providers/cpu/ml/ml_common.h
//! (`ComputeLogistic`, `ComputeSoftmax`, `ComputeSoftmaxZero`, `write_scores`), in `f32`.

use serde::{Deserialize, Serialize};

/// What becomes of the scores of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transform {
    /// They stay.
    Nothing,
    /// Each goes through the logistic function.
    Logistic,
    /// Their softmax.
    Softmax,
    /// The softmax of those that are not zero.
    SoftmaxZero,
    /// For one score of two classes only: `1 − s` and `s`.
    Complement,
}

/// Scores nearer to zero than this are zero to [`Transform::SoftmaxZero`].
const NEAR_ZERO: f32 = 1e-7;

impl Transform {
    /// Changes the scores of a row.
    pub(super) fn apply(self, row: &mut [f64]) {
        match self {
            Self::Nothing | Self::Complement => {}
            Self::Logistic => row.iter_mut().for_each(|x| *x = logistic(*x)),
            Self::Softmax => softmax(row, |_| false),
            Self::SoftmaxZero => softmax(row, |x| x.abs() <= NEAR_ZERO),
        }
    }
}

/// What one score says of two classes.
pub(super) fn pair(transform: Transform, score: f64) -> [f64; 2] {
    match transform {
        Transform::Complement => [f64::from(1.0 - score as f32), score],
        Transform::Logistic => [logistic(-score), logistic(score)],
        Transform::Nothing | Transform::Softmax | Transform::SoftmaxZero => [-score, score],
    }
}

/// Index of the largest number, or of the smallest; the first of equals.
pub(super) fn first_largest(row: &[f64], smallest: bool) -> u32 {
    let mut best = 0;
    for (index, x) in row.iter().enumerate().skip(1) {
        let is_better = if smallest {
            *x < row[best]
        } else {
            *x > row[best]
        };
        if is_better {
            best = index;
        }
    }
    best as u32
}

fn logistic(x: f64) -> f64 {
    let x = x as f32;
    let share = 1.0 / (1.0 + (-x.abs()).exp());
    f64::from(if x < 0.0 { 1.0 - share } else { share })
}

/// The softmax of those that are not `skipped`, which are scaled alone.
fn softmax(row: &mut [f64], skipped: impl Fn(f32) -> bool) {
    let largest = row.iter().map(|x| *x as f32).fold(f32::MIN, f32::max);
    let mut sum = 0.0_f32;
    for x in row.iter_mut() {
        let score = *x as f32;
        let share = if skipped(score) {
            score * (-largest).exp()
        } else {
            let share = (score - largest).exp();
            sum += share;
            share
        };
        *x = f64::from(share);
    }
    for x in row.iter_mut() {
        *x = f64::from(*x as f32 / sum);
    }
}
