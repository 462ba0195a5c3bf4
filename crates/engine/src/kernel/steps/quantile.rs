//! Values by their place in a distribution: quantiles and bins.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable};
use crate::kernel::step::Transform;
use crate::kernel::steps::normal::quantile;
use crate::reader::malformed;

/// How near a bound of the quantiles a value is taken for the bound
/// (`BOUNDS_THRESHOLD` of `sklearn/preprocessing/_data.py`).
const NEAR: f64 = 1e-7;

/// Each value becomes the share of the training values below it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    features: usize,
    /// For each column, its quantiles in rising order; then all of them negated, in rising order.
    rising: Vec<f64>,
    negated: Vec<f64>,
    /// The shares that belong to the quantiles, and the same negated.
    shares: Vec<f64>,
    negated_shares: Vec<f64>,
    /// Whether the shares then become values of a normal distribution.
    normal: bool,
}

impl Quantiles {
    /// `quantiles` has a row for each of `shares` and a column for each feature.
    pub(crate) fn new(
        quantiles: &[f64],
        shares: Vec<f64>,
        normal: bool,
    ) -> Result<Self, EngineError> {
        let count = shares.len();
        if count == 0 || quantiles.is_empty() || !quantiles.len().is_multiple_of(count) {
            return Err(malformed("the quantiles do not fit their shares"));
        }
        let features = quantiles.len() / count;
        let column =
            |feature: usize| (0..count).map(move |row| quantiles[row * features + feature]);
        let rising: Vec<f64> = (0..features).flat_map(column).collect();
        let negated = |values: &[f64]| values.iter().rev().map(|value| -value).collect::<Vec<_>>();
        Ok(Self {
            features,
            negated: rising.chunks_exact(count).flat_map(negated).collect(),
            negated_shares: negated(&shares),
            rising,
            shares,
            normal,
        })
    }

    fn share(&self, feature: usize, x: f64) -> f64 {
        let part = feature * self.shares.len()..(feature + 1) * self.shares.len();
        let rising = &self.rising[part.clone()];
        let (least, most) = (rising[0], rising[rising.len() - 1]);
        let (low, high) = if self.normal {
            (x - NEAR < least, x + NEAR > most)
        } else {
            #[expect(clippy::float_cmp, reason = "the library compares so")]
            (x == least, x == most)
        };
        if low {
            return 0.0;
        }
        if high {
            return 1.0;
        }
        // From both sides: between equal quantiles the middle of their shares is right.
        let from_below = interpolated(x, rising, &self.shares);
        let from_above = interpolated(-x, &self.negated[part], &self.negated_shares);
        0.5 * (from_below - from_above)
    }
}

/// `numpy.interp` of one value (`compiled_base.c`, `arr_interp`).
fn interpolated(x: f64, xs: &[f64], ys: &[f64]) -> f64 {
    let after = xs.partition_point(|known| *known <= x);
    if after == 0 {
        return ys[0];
    }
    let at = after - 1;
    #[expect(clippy::float_cmp, reason = "the library compares so")]
    if after == xs.len() || xs[at] == x {
        return ys[at];
    }
    let slope = (ys[after] - ys[at]) / (xs[after] - xs[at]);
    slope * (x - xs[at]) + ys[at]
}

/// The value of a share that is neither 0 nor 1 to 1e-7.
fn bounded_normal(share: f64) -> f64 {
    let least = NEAR - f64::EPSILON;
    if share.is_nan() {
        return share;
    }
    quantile(share.clamp(least, 1.0 - least))
}

impl Transform for Quantiles {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn accepts_missing(&self) -> bool {
        true
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        for row in rows.each() {
            let shares = row.iter().enumerate().map(|(feature, x)| {
                if x.is_nan() {
                    return *x;
                }
                let share = self.share(feature, *x);
                if self.normal {
                    bounded_normal(share)
                } else {
                    share
                }
            });
            made.numbers.extend(shares);
        }
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        Some(made)
    }

    fn bytes(&self) -> usize {
        16 * (self.rising.len() + self.shares.len())
    }

    fn nanos_per_row(&self) -> usize {
        100 * self.features
    }
}

/// Values by the bin they fall into.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bins {
    /// For each column the edges between its bins, in rising order.
    pub(crate) edges: Vec<Vec<f64>>,
    /// Whether a bin is a column that is 1; its number otherwise.
    pub(crate) hot: bool,
}

impl Transform for Bins {
    fn takes(&self) -> Shape {
        Shape::numbers(self.edges.len())
    }

    fn gives(&self) -> Shape {
        if self.hot {
            Shape::numbers(self.edges.iter().map(|edges| edges.len() + 1).sum())
        } else {
            self.takes()
        }
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        for row in rows.each() {
            for (x, edges) in row.iter().zip(&self.edges) {
                let bin = edges.partition_point(|edge| edge <= x);
                if self.hot {
                    let start = made.numbers.len();
                    made.numbers.resize(start + edges.len() + 1, 0.0);
                    made.numbers[start + bin] = 1.0;
                } else {
                    made.numbers.push(bin as f64);
                }
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.edges.iter().map(|edges| 24 + 8 * edges.len()).sum()
    }

    fn nanos_per_row(&self) -> usize {
        10 * self.edges.len() + self.gives().numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "small fractions are exact")]
    fn equal_quantiles_share_the_middle() {
        let quantiles = Quantiles::new(
            &[0.0, 1.0, 1.0, 1.0, 2.0],
            vec![0.0, 0.25, 0.5, 0.75, 1.0],
            false,
        );
        let quantiles = quantiles.unwrap();
        for (x, share) in [
            (-1.0, 0.0),
            (0.5, 0.125),
            (1.0, 0.5),
            (1.5, 0.875),
            (9.0, 1.0),
        ] {
            assert_eq!(quantiles.share(0, x), share, "{x}");
        }
        assert!(Quantiles::new(&[0.0; 5], vec![0.0; 2], false).is_err());
        assert!(Quantiles::new(&[], vec![], false).is_err());
    }

    #[test]
    fn an_edge_belongs_to_the_bin_above_it() {
        let bins = Bins {
            edges: vec![vec![1.0, 2.0]],
            hot: true,
        };
        let mut made = Table::default();
        let rows = Rows::of_numbers(&[0.0, 1.0, 5.0], 1);
        bins.apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert_eq!(made.numbers, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
