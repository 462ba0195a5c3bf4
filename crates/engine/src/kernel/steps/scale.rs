//! Moving and scaling columns, as scikit-learn's scalers do.

use serde::{Deserialize, Serialize};

use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable};
use crate::kernel::sparse::{Entry, Sparse};
use crate::kernel::step::Transform;

/// `(x − mean) / scale`, column by column, in that order of operations.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scaler {
    /// Columns of a row.
    pub(crate) features: usize,
    /// What is subtracted from each column; `None` for nothing.
    pub(crate) mean: Option<Vec<f64>>,
    /// What each column is then divided by; `None` for nothing.
    pub(crate) scale: Option<Vec<f64>>,
}

impl Scaler {
    /// Sparse rows, scaled, in the memory of `made`; their zeros stay zero.
    fn scaled(&self, rows: &Sparse, mut made: Sparse) -> Sparse {
        let scaled = |(column, x): &Entry| match &self.scale {
            Some(scale) => (*column, x / scale[*column as usize]),
            None => (*column, *x),
        };
        for row in rows.rows() {
            made.push(row.iter().map(scaled));
        }
        made
    }
}

impl Transform for Scaler {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.features)
    }

    /// Missing values stay missing.
    fn accepts_missing(&self) -> bool {
        true
    }

    fn takes_sparse(&self) -> bool {
        self.mean.is_none()
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
            made.sparse = Some(self.scaled(sparse, scratch.sparse()));
            return Ok(());
        }
        made.numbers.extend_from_slice(rows.numbers);
        if let Some(mean) = &self.mean {
            for row in made.numbers.chunks_exact_mut(mean.len()) {
                row.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
            }
        }
        if let Some(scale) = &self.scale {
            for row in made.numbers.chunks_exact_mut(scale.len()) {
                row.iter_mut().zip(scale).for_each(|(x, scale)| *x /= scale);
            }
        }
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        Some(made)
    }

    fn bytes(&self) -> usize {
        let parts = [&self.mean, &self.scale];
        parts
            .iter()
            .map(|part| part.as_ref().map_or(0, |p| p.len() * 8))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "small integers are exact")]
    fn columns_are_centred_before_they_are_scaled() {
        let scaler = Scaler {
            features: 2,
            mean: Some(vec![1.0, 2.0]),
            scale: Some(vec![2.0, 4.0]),
        };
        let mut made = Table::default();
        let rows = Rows::of_numbers(&[3.0, 10.0, f64::NAN, 2.0], 2);
        scaler
            .apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert_eq!(made.numbers[..2], [1.0, 2.0]);
        assert!(made.numbers[2].is_nan());
        assert_eq!(made.numbers[3], 0.0);
    }
}
