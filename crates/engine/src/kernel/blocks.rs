//! The blocks of a batch as the rows of a model: numbers and texts, row-major.

use std::ops::Range;

use plimsoll_core::column::{Batch, Column, Values};
use plimsoll_core::schema::{DataType, Field, Schema};

use super::rows::{Column as Place, Shape};
use crate::EngineError;

/// Integers up to this are exact in `f64`: 2^53.
const LARGEST_EXACT: u64 = 1 << 53;

/// Which blocks hold numbers, and which hold texts, in the order of the model's columns.
#[derive(Debug)]
pub(crate) struct Blocks {
    numbers: Vec<Part>,
    texts: Vec<Part>,
}

/// A block, and how many columns it has.
#[derive(Clone, Copy, Debug)]
struct Part {
    block: usize,
    width: usize,
}

impl Blocks {
    /// The blocks of a schema; `None` if a width is left to the request.
    pub(crate) fn of(schema: &Schema) -> Option<Self> {
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for (block, kind) in schema.blocks().iter().enumerate() {
            let part = Part {
                block,
                width: kind.width?,
            };
            match kind.data_type {
                DataType::String => texts.push(part),
                _ => numbers.push(part),
            }
        }
        Some(Self { numbers, texts })
    }

    /// Columns of the rows.
    pub(crate) fn shape(&self) -> Shape {
        let width = |parts: &[Part]| parts.iter().map(|part| part.width).sum();
        Shape {
            numbers: width(&self.numbers),
            texts: width(&self.texts),
        }
    }

    /// Refuses a batch whose blocks have other lengths than its rows need.
    pub(crate) fn check(&self, batch: &Batch) -> Result<(), EngineError> {
        let mut parts = self.numbers.iter().chain(&self.texts);
        let whole = parts.all(|part| {
            let length = batch.columns.get(part.block).map(|c| c.values.len());
            length.is_some() && length == batch.rows.checked_mul(part.width)
        });
        if whole {
            return Ok(());
        }
        let Shape { numbers, texts } = self.shape();
        let (rows, width) = (batch.rows, numbers + texts);
        Err(EngineError::Input {
            detail: format!("the batch is not {rows} rows of {width}"),
        })
    }

    /// The numbers of some rows of a checked batch: as they lie there, or gathered in `made`.
    pub(crate) fn numbers<'b>(
        &self,
        batch: &'b Batch,
        rows: Range<usize>,
        made: &'b mut Vec<f64>,
    ) -> Result<&'b [f64], Inexact> {
        if let [part] = self.numbers[..]
            && let Values::Float64(numbers) = &batch.columns[part.block].values
        {
            return Ok(&numbers[part.of(&rows)]);
        }
        made.clear();
        if let [part] = self.numbers[..] {
            append(&batch.columns[part.block], part.of(&rows), made)?;
            return Ok(made);
        }
        for row in rows {
            for part in &self.numbers {
                append(&batch.columns[part.block], part.of(&(row..row + 1)), made)?;
            }
        }
        Ok(made)
    }

    /// The texts of some rows of a checked batch.
    pub(crate) fn texts<'b>(
        &self,
        batch: &'b Batch,
        rows: Range<usize>,
        made: &mut Vec<Option<&'b str>>,
    ) {
        made.clear();
        if self.texts.is_empty() {
            return;
        }
        for row in rows {
            for part in &self.texts {
                if let Values::Text(texts) = &batch.columns[part.block].values {
                    let texts = &texts[part.of(&(row..row + 1))];
                    made.extend(texts.iter().map(Option::as_deref));
                }
            }
        }
    }

    /// The field a column belongs to.
    pub(crate) fn field<'s>(&self, schema: &'s Schema, column: Place) -> Option<&'s Field> {
        let (parts, mut index) = match column {
            Place::Number(index) => (&self.numbers, index),
            Place::Text(index) => (&self.texts, index),
        };
        for part in parts {
            if index < part.width {
                let mut fields = schema.inputs().iter().zip(schema.slots());
                let found =
                    fields.rfind(|(_, slot)| slot.block == part.block && slot.offset <= index);
                return found.map(|(field, _)| field);
            }
            index -= part.width;
        }
        None
    }
}

impl Part {
    /// Where the values of `rows` lie in the block.
    fn of(self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.width..rows.end * self.width
    }
}

/// An integer that `f64` has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inexact(pub(crate) i64);

#[expect(clippy::cast_precision_loss, reason = "larger integers are refused")]
fn append(column: &Column, range: Range<usize>, made: &mut Vec<f64>) -> Result<(), Inexact> {
    match &column.values {
        Values::Float32(values) => made.extend(values[range].iter().map(|x| f64::from(*x))),
        Values::Float64(values) => made.extend_from_slice(&values[range]),
        Values::Bool(values) => made.extend(values[range].iter().map(|x| f64::from(u8::from(*x)))),
        Values::Int64(values) => {
            let is_exact = |x: &&i64| x.unsigned_abs() > LARGEST_EXACT;
            if let Some(large) = values[range.clone()].iter().find(is_exact) {
                return Err(Inexact(*large));
            }
            made.extend(values[range].iter().map(|x| *x as f64));
        }
        Values::Text(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: Values, width: usize) -> Column {
        Column {
            values,
            width,
            shape: Vec::new(),
        }
    }

    #[test]
    fn blocks_of_several_types_lie_side_by_side() {
        let mut pair = Field::scalar("pair", DataType::Float32);
        pair.shape = vec![Some(2)];
        let fields = vec![
            Field::scalar("count", DataType::Int64),
            Field::scalar("city", DataType::String),
            pair,
        ];
        let schema = Schema::separate(fields).unwrap();
        let blocks = Blocks::of(&schema).unwrap();
        assert_eq!((blocks.shape().numbers, blocks.shape().texts), (3, 1));
        let mut batch = Batch {
            rows: 2,
            columns: vec![
                column(Values::Int64(vec![7, -8]), 1),
                column(Values::Text(vec![None, Some("x".to_owned())]), 1),
                column(Values::Float32(vec![0.5, 1.5, 2.5, 3.5]), 2),
            ],
        };
        blocks.check(&batch).unwrap();
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        let numbers = blocks.numbers(&batch, 0..2, &mut numbers).unwrap();
        assert_eq!(numbers, [7.0, 0.5, 1.5, -8.0, 2.5, 3.5]);
        blocks.texts(&batch, 1..2, &mut texts);
        assert_eq!(texts, [Some("x")]);
        let name = |place| blocks.field(&schema, place).map(|field| &field.name[..]);
        assert_eq!(name(Place::Number(2)), Some("pair"));
        assert_eq!(name(Place::Text(0)), Some("city"));

        let large = i64::MAX - 1;
        batch.columns[0] = column(Values::Int64(vec![0, large]), 1);
        let mut made = Vec::new();
        assert_eq!(blocks.numbers(&batch, 0..2, &mut made), Err(Inexact(large)));
        batch.columns[2].values.resize(3);
        assert!(blocks.check(&batch).is_err());
    }
}
