//! What an operation of a graph does.

use serde::{Deserialize, Serialize};

use super::dictionary::Dictionary;
use super::plain::{Arithmetic, Function, Norm, dense, normalize, replaced, scaled, select};
use super::scores::{Transform, first_largest, pair};
use super::trees::TreeSums;
use super::{Frame, Place};
use crate::kernel::rows::{Column, Scratch, Unusable, Why};

/// An operation. It takes registers, and makes one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// These columns, in this order.
    Select(Vec<usize>),
    /// Everything side by side.
    Join,
    /// Numbers become `f32`.
    Narrow,
    /// `f32` become integers, towards zero.
    Truncate,
    /// `(x − offset) × scale`, column by column.
    Scale { offset: Vec<f64>, scale: Vec<f64> },
    /// Two numbers become one.
    Compute(Arithmetic),
    /// Each number becomes a function of itself.
    Map(Function),
    /// Rows become as long as each other.
    Normalize(Norm),
    /// Whether a number is above another one; missing numbers are not, or are refused.
    Above { limit: f64, refuses: bool },
    /// What equals a number (or is missing, if that is NaN) is replaced, column by column.
    Replace { wanted: f64, by: Vec<f64> },
    /// Dense: one row of `inputs` weights for each output, and its bias.
    Dense {
        weights: Vec<f64>,
        biases: Vec<f64>,
        inputs: usize,
    },
    /// Scores become probabilities, row by row.
    Transform(Transform),
    /// One score `s` becomes `1 − s` and `s`, or what stands for both classes.
    Pair(Transform),
    /// The index of the largest number of a row, or of the smallest; the first of equals.
    Extreme { smallest: bool },
    /// Each value becomes the number a dictionary has for it.
    Look(Dictionary),
    /// Each value becomes a row of zeros with a one at its code.
    OneHot {
        codes: Dictionary,
        categories: usize,
        refuses: bool,
    },
    /// Sums over trees.
    Trees(TreeSums),
}

impl Operation {
    /// Columns it makes of values of these `widths` and so many columns of texts, if it can.
    pub(super) fn makes(&self, widths: &[usize], texts: usize) -> Option<usize> {
        let one = match widths {
            [width] => Some(*width),
            _ => None,
        };
        match self {
            Self::Join => (!widths.is_empty()).then(|| widths.iter().sum()),
            Self::Compute(arithmetic) => arithmetic.makes(widths),
            Self::Look(dictionary) => dictionary.takes(one, widths.len(), texts),
            Self::OneHot {
                codes, categories, ..
            } => {
                let fits = *categories > 0 && codes.values_below(*categories);
                let taken = codes.takes(one, widths.len(), texts)?;
                fits.then(|| taken.checked_mul(*categories)).flatten()
            }
            Self::Select(columns) => {
                let fits = columns.iter().all(|column| Some(*column) < one);
                fits.then_some(columns.len())
            }
            Self::Scale { offset, scale } => {
                one.filter(|width| offset.len() == *width && scale.len() == *width)
            }
            Self::Replace { by, .. } => one.filter(|width| by.len() == *width),
            Self::Dense {
                weights,
                biases,
                inputs,
            } => {
                let fits = *inputs > 0
                    && one == Some(*inputs)
                    && inputs.checked_mul(biases.len()) == Some(weights.len());
                fits.then_some(biases.len())
            }
            Self::Pair(_) => one.filter(|width| *width == 1).map(|_| 2),
            Self::Extreme { .. } => one.filter(|width| *width > 0).map(|_| 1),
            Self::Trees(trees) => trees.makes(one?),
            Self::Narrow
            | Self::Truncate
            | Self::Map(_)
            | Self::Normalize(_)
            | Self::Above { .. }
            | Self::Transform(_) => one,
        }
    }

    /// Fills `made`, which is empty.
    pub(super) fn apply(
        &self,
        from: &[Place],
        frame: &Frame<'_, '_>,
        made: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let first = from.first().copied().unwrap_or(Place::Rows);
        let (x, width) = (frame.numbers(first), frame.width(first).max(1));
        match self {
            Self::Select(columns) => select(x, width, columns, made),
            Self::Join => join(from, frame, made),
            Self::Narrow => made.extend(x.iter().map(|x| narrowed(*x))),
            Self::Truncate => made.extend(x.iter().map(|x| x.trunc())),
            Self::Scale { offset, scale } => scaled(x, offset, scale, made),
            Self::Compute(arithmetic) => arithmetic.apply(from, frame, made),
            Self::Map(function) => made.extend(x.iter().map(|x| function.of(*x))),
            Self::Normalize(norm) => {
                x.chunks_exact(width)
                    .for_each(|row| normalize(*norm, row, made));
            }
            Self::Above { limit, refuses } => {
                let missing = x.iter().position(|x| x.is_nan());
                if let Some(index) = missing.filter(|_| *refuses) {
                    return Err(unusable(index / width, Why::Missing));
                }
                made.extend(x.iter().map(|x| f64::from(u8::from(x > limit))));
            }
            Self::Replace { wanted, by } => replaced(x, *wanted, by, made),
            Self::Dense {
                weights, biases, ..
            } => dense(x, width, (weights, biases), made),
            Self::Transform(transform) => {
                made.extend_from_slice(x);
                made.chunks_exact_mut(width)
                    .for_each(|row| transform.apply(row));
            }
            Self::Pair(transform) => made.extend(x.iter().flat_map(|s| pair(*transform, *s))),
            Self::Extreme { smallest } => {
                let index = |row: &[f64]| f64::from(first_largest(row, *smallest));
                made.extend(x.chunks_exact(width).map(index));
            }
            Self::Look(dictionary) => dictionary.each(x, frame.rows, |value, _| made.push(value)),
            Self::OneHot {
                codes,
                categories,
                refuses,
            } => {
                return one_hot((codes, *categories, *refuses), x, frame, made);
            }
            Self::Trees(trees) => trees.apply(x, width, made, scratch),
        }
        Ok(())
    }

    /// Bytes of memory kept.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Select(columns) => 8 * columns.len(),
            Self::Scale { offset, .. } => 16 * offset.len(),
            Self::Replace { by, .. } => 8 * by.len(),
            Self::Dense {
                weights, biases, ..
            } => 8 * (weights.len() + biases.len()),
            Self::Compute(arithmetic) => arithmetic.bytes(),
            Self::Look(dictionary)
            | Self::OneHot {
                codes: dictionary, ..
            } => dictionary.bytes(),
            Self::Trees(trees) => trees.bytes(),
            _ => 0,
        }
    }

    /// A rough guess of the nanoseconds one row takes, besides filling its columns.
    pub(super) fn nanos_per_row(&self) -> usize {
        match self {
            Self::Dense { weights, .. } => weights.len(),
            Self::Trees(trees) => trees.nanos_per_row(),
            Self::Map(_) | Self::Transform(_) | Self::Pair(_) => 20,
            Self::Look(_) | Self::OneHot { .. } => 50,
            _ => 0,
        }
    }
}

/// The nearest `f32`.
pub(super) fn narrowed(x: f64) -> f64 {
    f64::from(x as f32)
}

fn unusable(row: usize, why: Why) -> Unusable {
    Unusable {
        row,
        column: None,
        why,
    }
}

fn join(from: &[Place], frame: &Frame<'_, '_>, made: &mut Vec<f64>) {
    for row in 0..frame.rows.count {
        for place in from {
            let width = frame.width(*place);
            made.extend_from_slice(&frame.numbers(*place)[row * width..(row + 1) * width]);
        }
    }
}

fn one_hot(
    (codes, categories, refuses): (&Dictionary, usize, bool),
    x: &[f64],
    frame: &Frame<'_, '_>,
    made: &mut Vec<f64>,
) -> Result<(), Unusable> {
    let mut unknown = None;
    let width = codes.width(x.len(), frame.rows);
    codes.each(x, frame.rows, |code, at| {
        let start = made.len();
        made.resize(start + categories, 0.0);
        #[expect(
            clippy::cast_sign_loss,
            reason = "codes are indexes; −1 stands for none"
        )]
        if code >= 0.0 {
            made[start + code as usize] = 1.0;
        } else if refuses && unknown.is_none() {
            unknown = Some(Unusable {
                row: at / width.max(1),
                column: codes.text_column(at % width.max(1)).map(Column::Text),
                why: Why::Unknown,
            });
        }
    });
    unknown.map_or(Ok(()), Err)
}
