//! Gaps filled from the training rows nearest to a row, as scikit-learn's `KNNImputer` does.

use serde::{Deserialize, Serialize};

use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable};
use crate::kernel::step::Transform;

/// Training rows, and how gaps are filled from them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Nearest {
    /// Row-major, `features` numbers each; missing ones are NaN.
    pub(crate) points: Vec<f64>,
    /// Columns of a row.
    pub(crate) features: usize,
    /// Rows that a gap is filled from.
    pub(crate) count: usize,
    /// Whether near rows count more.
    pub(crate) by_distance: bool,
    /// Columns that are handed on, and what fills gaps where no row is near: NaN for columns that had nothing
    /// but gaps, which become zeros.
    pub(crate) columns: Vec<(usize, f64)>,
}

impl Nearest {
    /// Fills `distances` with the squared distance to each point over the columns that both have,
    /// scaled to all columns; NaN if they share none (`sklearn/metrics/pairwise.py`, `nan_euclidean_distances`).
    fn measure(&self, row: &[f64], distances: &mut Vec<f64>) {
        distances.clear();
        let points = self.points.chunks_exact(self.features);
        distances.extend(points.map(|point| {
            let (mut sum, mut shared) = (0.0, 0.0);
            for (x, p) in row.iter().zip(point) {
                let difference = x - p;
                if !difference.is_nan() {
                    sum += difference * difference;
                    shared += 1.0;
                }
            }
            // 0 / 0 is NaN.
            sum / shared * self.features as f64
        }));
    }

    /// What fills the gap of a row in `column`; `near` is memory.
    fn fill(&self, column: usize, distances: &[f64], near: &mut Vec<(f64, f64)>) -> Option<f64> {
        near.clear();
        let donors = self.points.iter().skip(column).step_by(self.features);
        let donors = distances.iter().copied().zip(donors.copied());
        near.extend(donors.filter(|(distance, donor)| !distance.is_nan() && !donor.is_nan()));
        if near.is_empty() {
            return None;
        }
        let count = self.count.min(near.len());
        near.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0));
        near.truncate(count);
        let on_it = near.iter().any(|(distance, _)| *distance == 0.0);
        let weight = |distance: f64| match (self.by_distance, on_it) {
            (false, _) => 1.0,
            // Where a row was seen in training, nothing else counts.
            (true, true) => f64::from(u8::from(distance == 0.0)),
            (true, false) => 1.0 / distance.sqrt(),
        };
        let weights: f64 = near.iter().map(|(distance, _)| weight(*distance)).sum();
        let each = near.iter();
        let sum: f64 = each
            .map(|(distance, donor)| weight(*distance) * donor)
            .sum();
        Some(sum / weights)
    }
}

impl Transform for Nearest {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.columns.len())
    }

    fn accepts_missing(&self) -> bool {
        true
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let (mut distances, mut near) = (scratch.numbers(), Vec::new());
        for row in rows.each() {
            distances.clear();
            for (column, mean) in &self.columns {
                let x = row[*column];
                made.numbers.push(if mean.is_nan() {
                    0.0
                } else if x.is_nan() {
                    if distances.is_empty() {
                        self.measure(row, &mut distances);
                    }
                    let filled = self.fill(*column, &distances, &mut near);
                    filled.unwrap_or(*mean)
                } else {
                    x
                });
            }
        }
        scratch.keep(distances);
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        match made {
            Column::Number(place) => Some(Column::Number(self.columns[place].0)),
            Column::Text(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        8 * self.points.len() + 16 * self.columns.len()
    }

    fn nanos_per_row(&self) -> usize {
        2 * self.points.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_means_of_near_rows_or_of_the_column() {
        let nan = f64::NAN;
        let step = Nearest {
            points: vec![0.0, 10.0, 1.0, 20.0, 9.0, 60.0, nan, 70.0],
            features: 2,
            count: 2,
            by_distance: false,
            columns: vec![(0, 3.0), (1, 40.0)],
        };
        let mut made = Table::default();
        let numbers = [0.4, nan, nan, nan, 5.0, 6.0];
        let rows = Rows::of_numbers(&numbers, 2);
        step.apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert_eq!(made.numbers, [0.4, 15.0, 3.0, 40.0, 5.0, 6.0]);
    }
}
