//! Missing values filled in and marked, as scikit-learn's imputers do.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable, Why};
use crate::kernel::step::Transform;
use crate::reader::malformed;

/// What counts as missing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Marker {
    /// NaN among numbers, nothing among texts.
    Missing,
    /// This number; NaN is refused.
    Number(f64),
    /// This text.
    Text(String),
}

/// Columns with their gaps filled, and columns that mark the gaps.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Imputer {
    /// Columns taken.
    pub(crate) takes: Shape,
    /// What is filled in.
    pub(crate) marker: Marker,
    /// Places of the numbers that are made, and what is filled in.
    pub(crate) numbers: Vec<(usize, f64)>,
    /// Places of the texts that are made, and what is filled in.
    pub(crate) texts: Vec<(usize, String)>,
    /// Columns whose gaps are marked by 1 in a column of their own, after the others.
    pub(crate) marked: Vec<Column>,
    /// Columns that must not have gaps.
    pub(crate) whole: Vec<Column>,
}

impl Imputer {
    /// Refuses places that are not there.
    pub(crate) fn checked(self) -> Result<Self, EngineError> {
        let inside = |column: &Column| match column {
            Column::Number(place) => *place < self.takes.numbers,
            Column::Text(place) => *place < self.takes.texts,
        };
        let numbers = self.numbers.iter().map(|(place, _)| Column::Number(*place));
        let texts = self.texts.iter().map(|(place, _)| Column::Text(*place));
        let marks = self.marked.iter().chain(&self.whole).copied();
        if numbers
            .chain(texts)
            .chain(marks)
            .all(|column| inside(&column))
        {
            return Ok(self);
        }
        Err(malformed("a column that the rows do not have"))
    }

    fn gap(&self, number: f64) -> bool {
        match &self.marker {
            Marker::Missing => number.is_nan(),
            #[expect(clippy::float_cmp, reason = "the library compares so")]
            Marker::Number(marker) => number == *marker,
            Marker::Text(_) => false,
        }
    }

    fn text_gap(&self, text: Option<&str>) -> bool {
        match &self.marker {
            Marker::Missing => text.is_none(),
            Marker::Text(marker) => text == Some(marker),
            Marker::Number(_) => false,
        }
    }

    fn gap_in(&self, numbers: &[f64], texts: &[Option<&str>], column: Column) -> bool {
        match column {
            Column::Number(place) => self.gap(numbers[place]),
            Column::Text(place) => self.text_gap(texts[place]),
        }
    }
}

impl Transform for Imputer {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Shape {
        Shape {
            numbers: self.numbers.len() + self.marked.len(),
            texts: self.texts.len(),
        }
    }

    fn accepts_missing(&self) -> bool {
        matches!(self.marker, Marker::Missing)
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        for (row, (numbers, texts)) in rows.each().zip(rows.each_texts()).enumerate() {
            let mut whole = self.whole.iter();
            if let Some(column) = whole.find(|column| self.gap_in(numbers, texts, **column)) {
                return Err(Unusable {
                    row,
                    column: Some(*column),
                    why: Why::Missing,
                });
            }
            let filled = self.numbers.iter().map(|(place, value)| {
                let number = numbers[*place];
                if self.gap(number) { *value } else { number }
            });
            made.numbers.extend(filled);
            let marks = self.marked.iter();
            let marks = marks.map(|column| self.gap_in(numbers, texts, *column));
            made.numbers
                .extend(marks.map(|gap| f64::from(u8::from(gap))));
            let filled = self.texts.iter().map(|(place, value)| {
                let text = texts[*place];
                if self.text_gap(text) {
                    Some(value.as_str())
                } else {
                    text
                }
            });
            made.texts.extend(filled);
        }
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        match made {
            Column::Number(place) => {
                let filled = self.numbers.get(place);
                filled.map(|(place, _)| Column::Number(*place))
            }
            Column::Text(place) => self.texts.get(place).map(|(place, _)| Column::Text(*place)),
        }
    }

    fn bytes(&self) -> usize {
        let texts = self.texts.iter().map(|(_, text)| 32 + text.len());
        16 * (self.numbers.len() + self.marked.len() + self.whole.len()) + texts.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imputer(marker: Marker) -> Imputer {
        Imputer {
            takes: Shape {
                numbers: 2,
                texts: 1,
            },
            marker,
            numbers: vec![(1, 7.0)],
            texts: vec![(0, "none".to_owned())],
            marked: vec![Column::Number(1), Column::Text(0)],
            whole: vec![Column::Number(0)],
        }
    }

    #[test]
    fn a_column_that_is_not_there_is_refused() {
        assert!(imputer(Marker::Missing).checked().is_ok());
        let narrow = Imputer {
            takes: Shape::numbers(2),
            ..imputer(Marker::Missing)
        };
        assert!(narrow.checked().is_err());
        let beyond = Imputer {
            numbers: vec![(2, 0.0)],
            ..imputer(Marker::Missing)
        };
        assert!(beyond.checked().is_err());
    }

    #[test]
    fn gaps_are_filled_marked_and_refused_where_they_are_new() {
        let numbers = [1.0, f64::NAN, 1.0, 2.0];
        let rows = Rows {
            count: 2,
            shape: Shape {
                numbers: 2,
                texts: 1,
            },
            numbers: &numbers,
            sparse: None,
            texts: &[None, Some("a")],
        };
        let mut made = Table::default();
        let filled = imputer(Marker::Missing);
        filled
            .apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert_eq!(made.numbers, [7.0, 1.0, 1.0, 2.0, 0.0, 0.0]);
        assert_eq!(made.texts, [Some("none"), Some("a")]);
        let ones = imputer(Marker::Number(1.0));
        let refused = ones.apply(rows, &mut Table::default(), &mut Scratch::default());
        assert_eq!(refused.map_err(|unusable| unusable.why), Err(Why::Missing));
    }
}
