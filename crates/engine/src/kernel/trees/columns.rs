//! The columns trees were grown on, made of the columns of rows: moved, and categories as codes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::city::category_hash;
use crate::kernel::rows::{Rows, Shape};

/// Where each column of trees comes from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Columns {
    sources: Vec<Source>,
    takes: Shape,
}

/// Where one column comes from. What is no known category is missing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A number as it is.
    Number(usize),
    /// The code of a number, by number in order.
    Category(usize, Vec<(f64, f64)>),
    /// The code of a text.
    Text(usize, HashMap<String, f64>),
    /// A number in single precision.
    Single(usize),
    /// The code of a text by CatBoost's hash of it; −1 if that is not known.
    Hashed(usize, HashMap<u32, f64>),
}

impl Columns {
    /// Columns that are made of rows of `takes`; `None` if a source is not there.
    pub(crate) fn new(sources: Vec<Source>, takes: Shape) -> Option<Self> {
        let there = sources.iter().all(|source| match source {
            Source::Number(index) | Source::Single(index) | Source::Category(index, _) => {
                *index < takes.numbers
            }
            Source::Text(index, _) | Source::Hashed(index, _) => *index < takes.texts,
        });
        there.then_some(Self { sources, takes })
    }

    /// Columns made.
    pub(crate) fn count(&self) -> usize {
        self.sources.len()
    }

    /// Columns they are made of.
    pub(crate) fn takes(&self) -> Shape {
        self.takes
    }

    /// Appends the columns of each of `rows`.
    pub(crate) fn fill(&self, rows: Rows<'_, '_>, made: &mut Vec<f64>) {
        for row in 0..rows.count {
            let numbers = &rows.numbers[row * self.takes.numbers..][..self.takes.numbers];
            let texts = &rows.texts[row * self.takes.texts..][..self.takes.texts];
            made.extend(self.sources.iter().map(|source| match source {
                Source::Number(index) => numbers[*index],
                Source::Category(index, known) => code(known, numbers[*index]),
                Source::Text(index, known) => {
                    let code = texts[*index].and_then(|text| known.get(text));
                    code.copied().unwrap_or(f64::NAN)
                }
                Source::Single(index) => f64::from(numbers[*index] as f32),
                Source::Hashed(index, known) => texts[*index].map_or(f64::NAN, |text| {
                    let code = known.get(&category_hash(text));
                    code.copied().unwrap_or(-1.0)
                }),
            }));
        }
    }

    /// Bytes of memory kept.
    pub(crate) fn bytes(&self) -> usize {
        let each = self.sources.iter().map(|source| match source {
            Source::Number(_) | Source::Single(_) => 0,
            Source::Hashed(_, known) => 24 * known.len(),
            Source::Category(_, known) => 16 * known.len(),
            Source::Text(_, known) => known.keys().map(|text| 48 + text.len()).sum(),
        });
        each.sum::<usize>() + self.sources.len() * size_of::<Source>()
    }
}

/// The code of `x`; NaN if it is none of the known numbers.
fn code(known: &[(f64, f64)], x: f64) -> f64 {
    let found = known.binary_search_by(|(category, _)| category.total_cmp(&(x + 0.0)));
    found.map_or(f64::NAN, |index| known[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_moved_and_categories_become_codes() {
        let texts = HashMap::from([("red".to_owned(), 0.0), ("blue".to_owned(), 1.0)]);
        let sources = vec![
            Source::Text(0, texts),
            Source::Category(1, vec![(0.0, 0.0), (3.0, 1.0), (7.5, 2.0)]),
            Source::Number(0),
        ];
        let takes = Shape {
            numbers: 2,
            texts: 1,
        };
        let columns = Columns::new(sources, takes).unwrap();
        let rows = Rows {
            count: 3,
            shape: takes,
            numbers: &[1.5, 7.5, 2.5, -0.0, 3.5, 4.0],
            sparse: None,
            texts: &[Some("blue"), None, Some("green")],
        };
        let mut made = Vec::new();
        columns.fill(rows, &mut made);
        assert_eq!(made[..3], [1.0, 2.0, 1.5]);
        assert!(made[3].is_nan() && made[6].is_nan() && made[7].is_nan());
        assert_eq!(made[4..6], [0.0, 2.5]);
        assert!(Columns::new(vec![Source::Number(1)], Shape::numbers(1)).is_none());
    }
}
