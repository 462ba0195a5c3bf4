//! Rows on other axes, and rows of length one.

use serde::{Deserialize, Serialize};

use crate::kernel::rows::{Row, Rows, Scratch, Shape, Table, Unusable};
use crate::kernel::sparse::Entry;
use crate::kernel::step::Transform;

/// `(x − mean) · axis` for each axis, then divided by its scale.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Projection {
    /// Columns of a row.
    pub(crate) features: usize,
    /// What is subtracted first; empty for nothing.
    pub(crate) mean: Vec<f64>,
    /// The axes, one after the other.
    pub(crate) axes: Vec<f64>,
    /// What each coordinate is divided by; empty for nothing.
    pub(crate) scale: Vec<f64>,
}

impl Transform for Projection {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.axes.len() / self.features.max(1))
    }

    fn takes_sparse(&self) -> bool {
        self.mean.is_empty()
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut centred = scratch.numbers();
        for row in rows.each_row() {
            let row = match row {
                Row::Dense(row) if !self.mean.is_empty() => {
                    centred.clear();
                    centred.extend(row.iter().zip(&self.mean).map(|(x, mean)| x - mean));
                    Row::Dense(&centred)
                }
                row => row,
            };
            let axes = self.axes.chunks_exact(self.features);
            made.numbers.extend(axes.map(|axis| row.dot(axis)));
        }
        scratch.keep(centred);
        if !self.scale.is_empty() {
            for row in made.numbers.chunks_exact_mut(self.scale.len()) {
                let coordinates = row.iter_mut().zip(&self.scale);
                coordinates.for_each(|(x, scale)| *x /= scale);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        8 * (self.mean.len() + self.axes.len() + self.scale.len())
    }

    fn nanos_per_row(&self) -> usize {
        10 + self.axes.len() / 2
    }
}

/// How the length of a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Norm {
    /// Sum of absolute values.
    L1,
    /// Root of the sum of squares.
    L2,
    /// Largest absolute value.
    Max,
}

impl Norm {
    /// The length of a row.
    pub(crate) fn length(self, row: impl Iterator<Item = f64>) -> f64 {
        let absolute = row.map(f64::abs);
        match self {
            Self::L1 => absolute.sum(),
            Self::L2 => absolute.map(|x| x * x).sum::<f64>().sqrt(),
            Self::Max => absolute.fold(0.0, f64::max),
        }
    }

    /// Divides a row by its length, unless that is zero.
    pub(crate) fn normalize(self, row: &mut [f64]) {
        let length = self.length(row.iter().copied());
        // Lengths this small count as none (`_handle_zeros_in_scale`).
        if length >= 10.0 * f64::EPSILON {
            for x in row {
                *x /= length;
            }
        }
    }

    /// The same for a row that is sparse, where any length counts
    /// (`sklearn/utils/sparsefuncs_fast.pyx`, `inplace_csr_row_normalize_l2`).
    pub(crate) fn normalize_entries(self, row: &mut [Entry]) {
        let length = self.length(row.iter().map(|(_, x)| *x));
        if length > 0.0 {
            for (_, x) in row {
                *x /= length;
            }
        }
    }
}

/// Rows divided by their length.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Normalizer {
    /// Columns of a row.
    pub(crate) features: usize,
    /// What counts as length.
    pub(crate) norm: Norm,
}

impl Transform for Normalizer {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn makes_sparse(&self, of_sparse: bool) -> bool {
        of_sparse
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        if let Some(sparse) = rows.sparse {
            let made = made.sparse.insert(scratch.sparse());
            sparse.rows().for_each(|row| made.push(row.iter().copied()));
            made.rows_mut()
                .for_each(|row| self.norm.normalize_entries(row));
            return Ok(());
        }
        made.numbers.extend_from_slice(rows.numbers);
        let rows = made.numbers.chunks_exact_mut(self.features.max(1));
        rows.for_each(|row| self.norm.normalize(row));
        Ok(())
    }

    fn bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_on_other_axes() {
        let projection = Projection {
            features: 5,
            mean: vec![1.0; 5],
            axes: [[1.0; 5], [0.0, 0.0, 0.0, 0.0, 2.0]].concat(),
            scale: vec![1.0, 4.0],
        };
        let mut made = Table::default();
        let rows = Rows::of_numbers(&[1.0, 2.0, 3.0, 4.0, 5.0], 5);
        projection
            .apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert_eq!(made.numbers, [10.0, 2.0]);
    }

    #[test]
    fn a_row_of_zeros_has_no_length_to_divide_by() {
        for (norm, expected) in [
            (Norm::L1, [3.0 / 7.0, -4.0 / 7.0]),
            (Norm::L2, [0.6, -0.8]),
            (Norm::Max, [0.75, -1.0]),
        ] {
            let (mut row, mut zeros) = ([3.0, -4.0], [0.0; 2]);
            norm.normalize(&mut row);
            norm.normalize(&mut zeros);
            assert_eq!((row, zeros), (expected, [0.0; 2]));
        }
    }
}
