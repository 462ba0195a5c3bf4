//! Arithmetic of a graph's columns, rounded to `f32` as ONNX Runtime computes.

use serde::{Deserialize, Serialize};

use super::operation::narrowed;
use super::{Frame, Place};
use crate::kernel::functions::{dot, logistic};

/// Two numbers become one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Arithmetic {
    pub(crate) kind: Kind,
    pub(crate) left: Operand,
    pub(crate) right: Operand,
}

/// What becomes of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// One side of arithmetic.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Operand {
    /// The next of the registers; of one column, it goes with every column of the other side.
    Next,
    /// The same for every row: one number, or one for each column.
    Constant(Vec<f64>),
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Function {
    Exponential,
    Logistic,
    Negative,
    Reciprocal,
    Relu,
    Root,
    Tanh,
}

/// What the length of a row is (onnxruntime/core/providers/cpu/ml/normalizer.cc).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Norm {
    /// Its largest number, not its largest absolute one.
    Max,
    /// The sum of absolute numbers.
    L1,
    /// The root of the sum of squares.
    L2,
}

impl Kind {
    fn of(self, left: f64, right: f64) -> f64 {
        narrowed(match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
        })
    }
}

/// One side as numbers: a row of them after the other, or the same for all rows.
struct Side<'s> {
    numbers: &'s [f64],
    width: usize,
    /// Numbers from one row to the next.
    stride: usize,
}

impl Side<'_> {
    #[inline]
    fn at(&self, row: usize, column: usize) -> f64 {
        let column = if self.width == 1 { 0 } else { column };
        self.numbers[row * self.stride + column]
    }
}

impl Arithmetic {
    /// Columns it makes of the registers of these `widths`, if they fit.
    pub(super) fn makes(&self, widths: &[usize]) -> Option<usize> {
        let mut next = widths.iter();
        let mut side = |operand: &Operand| match operand {
            Operand::Next => next.next().copied(),
            Operand::Constant(numbers) => Some(numbers.len()),
        };
        let (left, right) = (side(&self.left)?, side(&self.right)?);
        let fits = left.min(right) > 0 && (left == right || left.min(right) == 1);
        (fits && next.next().is_none() && !widths.is_empty()).then(|| left.max(right))
    }

    pub(super) fn apply(&self, from: &[Place], frame: &Frame<'_, '_>, made: &mut Vec<f64>) {
        let mut next = from.iter();
        let mut side = |operand| Self::side(operand, &mut next, frame);
        let (left, right) = (side(&self.left), side(&self.right));
        let width = left.width.max(right.width);
        for row in 0..frame.rows.count {
            made.extend((0..width).map(|at| self.kind.of(left.at(row, at), right.at(row, at))));
        }
    }

    fn side<'s>(
        operand: &'s Operand,
        next: &mut std::slice::Iter<'_, Place>,
        frame: &Frame<'s, '_>,
    ) -> Side<'s> {
        match operand {
            Operand::Constant(numbers) => Side {
                numbers,
                width: numbers.len(),
                stride: 0,
            },
            Operand::Next => {
                let place = next.next().copied().unwrap_or(Place::Rows);
                let width = frame.width(place);
                Side {
                    numbers: frame.numbers(place),
                    width,
                    stride: width,
                }
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let bytes = |operand: &Operand| match operand {
            Operand::Next => 0,
            Operand::Constant(numbers) => 8 * numbers.len(),
        };
        bytes(&self.left) + bytes(&self.right)
    }
}

impl Function {
    pub(super) fn of(self, x: f64) -> f64 {
        narrowed(match self {
            Self::Exponential => x.exp(),
            Self::Logistic => logistic(x),
            Self::Negative => -x,
            Self::Reciprocal => 1.0 / x,
            // NaN stays NaN, unlike with `f64::max`.
            Self::Relu if x < 0.0 => 0.0,
            Self::Relu => x,
            Self::Root => x.sqrt(),
            Self::Tanh => x.tanh(),
        })
    }
}

/// Appends columns of each row.
pub(super) fn select(x: &[f64], width: usize, columns: &[usize], made: &mut Vec<f64>) {
    for row in x.chunks_exact(width) {
        made.extend(columns.iter().map(|column| row[*column]));
    }
}

/// Appends `(x − offset) × scale`, column by column.
pub(super) fn scaled(x: &[f64], offset: &[f64], scale: &[f64], made: &mut Vec<f64>) {
    for row in x.chunks_exact(offset.len().max(1)) {
        let columns = row.iter().zip(offset).zip(scale);
        made.extend(columns.map(|((x, o), s)| narrowed(narrowed(narrowed(*x) - o) * s)));
    }
}

/// Appends numbers, of which those that equal `wanted`, or are NaN as it is, are replaced.
#[expect(
    clippy::float_cmp,
    reason = "the number that stands for missing is written down"
)]
pub(super) fn replaced(x: &[f64], wanted: f64, by: &[f64], made: &mut Vec<f64>) {
    let is_wanted = |x: f64| x == wanted || (x.is_nan() && wanted.is_nan());
    for row in x.chunks_exact(by.len().max(1)) {
        let columns = row.iter().zip(by);
        made.extend(columns.map(|(x, by)| if is_wanted(*x) { *by } else { *x }));
    }
}

/// Appends the product of each row with each of the weights, plus a bias. The runtime adds in an
/// order of its own (a matrix product of its library), so sums are made in `f64`, nearer to both.
pub(super) fn dense(
    x: &[f64],
    inputs: usize,
    (weights, biases): (&[f64], &[f64]),
    made: &mut Vec<f64>,
) {
    for row in x.chunks_exact(inputs) {
        let neurons = weights.chunks_exact(inputs).zip(biases);
        made.extend(neurons.map(|(weights, bias)| narrowed(dot(row, weights) + bias)));
    }
}

/// Appends a row divided by its length, as it is if that is zero.
pub(super) fn normalize(norm: Norm, row: &[f64], made: &mut Vec<f64>) {
    let numbers = row.iter().map(|x| *x as f32);
    let length = match norm {
        Norm::Max => numbers
            .clone()
            .fold(f32::MIN, |max, x| if max < x { x } else { max }),
        Norm::L1 => numbers.clone().map(f32::abs).fold(0.0, |sum, x| sum + x),
        Norm::L2 => numbers.clone().map(|x| x * x).fold(0.0, |sum, x| sum + x),
    };
    if length == 0.0 {
        made.extend_from_slice(row);
        return;
    }
    let scaled = numbers.map(|x| match norm {
        Norm::Max | Norm::L1 => x / length,
        Norm::L2 => {
            let share = (x * x / length).sqrt();
            if x < 0.0 { -share } else { share }
        }
    });
    made.extend(scaled.map(f64::from));
}
