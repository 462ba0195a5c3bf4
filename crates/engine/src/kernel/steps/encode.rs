//! Categories as numbers, as scikit-learn's encoders make them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable, Why};
use crate::kernel::step::Transform;
use crate::reader::malformed;

/// The categories of one column: each has an index.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Categories {
    known: Known,
    /// Index of the category of what is missing.
    missing: Option<usize>,
    count: usize,
}

#[derive(Debug, Serialize, Deserialize)]
enum Known {
    /// Numbers in rising order, with their indexes.
    Numbers(Vec<(f64, usize)>),
    Texts(HashMap<String, usize>),
}

/// One column, encoded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Encoded {
    /// The column of the input.
    pub(crate) column: Column,
    /// What it may hold.
    pub(crate) categories: Categories,
    /// What becomes of each category.
    pub(crate) code: Code,
}

/// What becomes of categories.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Code {
    /// One of `width` columns is 1, and the others 0.
    Hot {
        /// Columns made.
        width: usize,
        /// Which is 1 for each category; `None` for none of them.
        places: Vec<Option<usize>>,
        /// The same for a value that is no category.
        unknown: Unknown<Option<usize>>,
    },
    /// `width` numbers stand for a category.
    Values {
        /// Columns made.
        width: usize,
        /// The numbers of each category, one category after the other.
        values: Vec<f64>,
        /// The numbers of a value that is no category.
        unknown: Unknown<Vec<f64>>,
    },
}

/// What is done with a value that is no category.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Unknown<T> {
    /// It is refused.
    Refused,
    /// This is what becomes of it.
    Becomes(T),
}

/// Columns, encoded side by side.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Encoder {
    takes: Shape,
    columns: Vec<Encoded>,
}

impl Categories {
    /// Categories that are numbers, `missing` among them by its index.
    pub(crate) fn numbers(numbers: &[f64], missing: Option<usize>) -> Self {
        let each = numbers.iter().enumerate();
        // Negative zero equals zero.
        let mut known: Vec<_> = each.map(|(index, number)| (number + 0.0, index)).collect();
        known.retain(|(number, index)| !number.is_nan() && Some(*index) != missing);
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            known: Known::Numbers(known),
            missing,
            count: numbers.len(),
        }
    }

    /// Categories that are texts, of which one may stand for what is missing.
    pub(crate) fn texts(texts: Vec<Option<String>>) -> Self {
        let missing = texts.iter().position(Option::is_none);
        let count = texts.len();
        let each = texts.into_iter().enumerate();
        let known = each.filter_map(|(index, text)| Some((text?, index)));
        Self {
            known: Known::Texts(known.collect()),
            missing,
            count,
        }
    }

    /// Number of categories.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn index(&self, rows: Rows<'_, '_>, row: usize, column: Column) -> Option<usize> {
        match (&self.known, column) {
            (Known::Numbers(known), Column::Number(at)) => {
                let number = rows.numbers[row * rows.shape.numbers + at] + 0.0;
                if number.is_nan() {
                    return self.missing;
                }
                let found = known.binary_search_by(|(known, _)| known.total_cmp(&number));
                found.ok().map(|place| known[place].1)
            }
            (Known::Texts(known), Column::Text(at)) => {
                match rows.texts[row * rows.shape.texts + at] {
                    None => self.missing,
                    Some(text) => known.get(text).copied(),
                }
            }
            _ => None,
        }
    }
}

impl Code {
    fn width(&self) -> usize {
        match self {
            Self::Hot { width, .. } | Self::Values { width, .. } => *width,
        }
    }

    /// Whether it says what becomes of each of `count` categories, and fits its width.
    fn fits(&self, count: usize) -> bool {
        match self {
            Self::Hot {
                width,
                places,
                unknown,
            } => {
                let fits = |place: &Option<usize>| place.is_none_or(|place| place < *width);
                let unknown = match unknown {
                    Unknown::Refused => true,
                    Unknown::Becomes(place) => fits(place),
                };
                places.len() == count && places.iter().all(fits) && unknown
            }
            Self::Values {
                width,
                values,
                unknown,
            } => {
                let unknown = match unknown {
                    Unknown::Refused => true,
                    Unknown::Becomes(values) => values.len() == *width,
                };
                count.checked_mul(*width) == Some(values.len()) && unknown
            }
        }
    }

    /// Writes what becomes of the category `index` into `made`, which is zeros;
    /// false if the value is refused.
    fn write(&self, index: Option<usize>, made: &mut [f64]) -> bool {
        match self {
            Self::Hot {
                places, unknown, ..
            } => {
                let place = match (index, unknown) {
                    (Some(index), _) => places[index],
                    (None, Unknown::Becomes(place)) => *place,
                    (None, Unknown::Refused) => return false,
                };
                if let Some(place) = place {
                    made[place] = 1.0;
                }
            }
            Self::Values {
                width,
                values,
                unknown,
            } => match (index, unknown) {
                (Some(index), _) => made.copy_from_slice(&values[index * width..][..*width]),
                (None, Unknown::Becomes(values)) => made.copy_from_slice(values),
                (None, Unknown::Refused) => return false,
            },
        }
        true
    }
}

impl Encoder {
    /// Encodes `columns` of rows of the shape `takes`.
    pub(crate) fn new(takes: Shape, columns: Vec<Encoded>) -> Result<Self, EngineError> {
        for column in &columns {
            let inside = match (column.column, &column.categories.known) {
                (Column::Number(at), Known::Numbers(_)) => at < takes.numbers,
                (Column::Text(at), Known::Texts(_)) => at < takes.texts,
                _ => false,
            };
            if !inside || !column.code.fits(column.categories.count) {
                return Err(malformed("the codes of a column do not fit its categories"));
            }
        }
        Ok(Self { takes, columns })
    }
}

impl Transform for Encoder {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.columns.iter().map(|column| column.code.width()).sum())
    }

    /// What is missing may be a category.
    fn accepts_missing(&self) -> bool {
        true
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        made.numbers.resize(rows.count * self.gives().numbers, 0.0);
        let mut rest = made.numbers.as_mut_slice();
        for row in 0..rows.count {
            for Encoded {
                column,
                categories,
                code,
            } in &self.columns
            {
                let (cells, after) = rest.split_at_mut(code.width());
                rest = after;
                if !code.write(categories.index(rows, row, *column), cells) {
                    return Err(Unusable {
                        row,
                        column: Some(*column),
                        why: Why::Unknown,
                    });
                }
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let each = self.columns.iter().map(|column| {
            let known = match &column.categories.known {
                Known::Numbers(known) => 16 * known.len(),
                Known::Texts(known) => known.keys().map(|text| 56 + text.len()).sum(),
            };
            let code = match &column.code {
                Code::Hot { places, .. } => 16 * places.len(),
                Code::Values { values, .. } => 8 * values.len(),
            };
            known + code
        });
        each.sum()
    }

    fn nanos_per_row(&self) -> usize {
        30 * self.columns.len() + self.gives().numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hot(width: usize, places: &[usize], unknown: Unknown<Option<usize>>) -> Code {
        let places = places.iter().map(|place| Some(*place)).collect();
        Code::Hot {
            width,
            places,
            unknown,
        }
    }

    fn letters(code: Code) -> Encoded {
        let texts = ["a", "b"].map(|text| Some(text.to_owned()));
        Encoded {
            column: Column::Text(0),
            categories: Categories::texts(texts.to_vec()),
            code,
        }
    }

    const TAKES: Shape = Shape {
        numbers: 0,
        texts: 1,
    };

    #[test]
    fn codes_that_do_not_fit_their_categories_are_refused() {
        let values = |values: usize, unknown: usize| Code::Values {
            width: 2,
            values: vec![0.0; values],
            unknown: Unknown::Becomes(vec![0.0; unknown]),
        };
        for (code, sound) in [
            (hot(2, &[0, 1], Unknown::Refused), true),
            (hot(2, &[0, 2], Unknown::Refused), false),
            (hot(2, &[0], Unknown::Refused), false),
            (hot(2, &[0, 1], Unknown::Becomes(Some(2))), false),
            (values(4, 2), true),
            (values(3, 2), false),
            (values(4, 1), false),
        ] {
            assert_eq!(Encoder::new(TAKES, vec![letters(code)]).is_ok(), sound);
        }
        let code = hot(2, &[0, 1], Unknown::Refused);
        assert!(Encoder::new(Shape::numbers(1), vec![letters(code)]).is_err());
    }

    #[test]
    fn a_value_that_is_no_category_is_refused_or_becomes_what_was_said() {
        let rows = Rows {
            count: 2,
            shape: TAKES,
            numbers: &[],
            sparse: None,
            texts: &[Some("b"), Some("c")],
        };
        let apply = |unknown| {
            let code = hot(2, &[0, 1], unknown);
            let encoder = Encoder::new(TAKES, vec![letters(code)]).unwrap();
            let mut made = Table::default();
            let done = encoder.apply(rows, &mut made, &mut Scratch::default());
            done.map(|()| made.numbers)
        };
        let expected = Unusable {
            row: 1,
            column: Some(Column::Text(0)),
            why: Why::Unknown,
        };
        assert_eq!(apply(Unknown::Refused), Err(expected));
        let zeros = apply(Unknown::Becomes(None)).unwrap();
        assert_eq!(zeros, [0.0, 1.0, 0.0, 0.0]);
        let infrequent = apply(Unknown::Becomes(Some(0))).unwrap();
        assert_eq!(infrequent, [0.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn negative_zero_is_zero_and_nan_is_missing() {
        let categories = Categories::numbers(&[-0.0, 3.0, f64::NAN], Some(2));
        let rows = Rows::of_numbers(&[0.0, -0.0, 3.0, f64::NAN, 4.0], 1);
        let found: Vec<_> = (0..5)
            .map(|row| categories.index(rows, row, Column::Number(0)))
            .collect();
        assert_eq!(found, [Some(0), Some(0), Some(1), Some(2), None]);
    }
}
