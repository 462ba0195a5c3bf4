//! Flat typed columns: what an engine reads and what it writes.

mod digest;

use std::ops::Range;

use crate::schema::{DataType, Schema};

/// Elements of one type, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single-precision numbers; missing is NaN.
    Float32(Vec<f32>),
    /// Double-precision numbers; missing is NaN.
    Float64(Vec<f64>),
    /// Integers.
    Int64(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Text; `None` is missing.
    Text(Vec<Option<String>>),
}

impl Values {
    /// An empty buffer for elements of `data_type`.
    pub const fn empty(data_type: DataType) -> Self {
        match data_type {
            DataType::Float32 => Self::Float32(Vec::new()),
            DataType::Float64 => Self::Float64(Vec::new()),
            DataType::Int64 => Self::Int64(Vec::new()),
            DataType::Bool => Self::Bool(Vec::new()),
            DataType::String => Self::Text(Vec::new()),
        }
    }

    /// Element type.
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Float32(_) => DataType::Float32,
            Self::Float64(_) => DataType::Float64,
            Self::Int64(_) => DataType::Int64,
            Self::Bool(_) => DataType::Bool,
            Self::Text(_) => DataType::String,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Float32(v) => v.len(),
            Self::Float64(v) => v.len(),
            Self::Int64(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Grows or shrinks to `len` elements; new ones are NaN, 0, false or missing.
    pub fn resize(&mut self, len: usize) {
        match self {
            Self::Float32(v) => v.resize(len, f32::NAN),
            Self::Float64(v) => v.resize(len, f64::NAN),
            Self::Int64(v) => v.resize(len, 0),
            Self::Bool(v) => v.resize(len, false),
            Self::Text(v) => v.resize(len, None),
        }
    }

    /// Appends the elements of `other`; nothing if they are of another type.
    fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Float32(to), Self::Float32(from)) => to.extend_from_slice(from),
            (Self::Float64(to), Self::Float64(from)) => to.extend_from_slice(from),
            (Self::Int64(to), Self::Int64(from)) => to.extend_from_slice(from),
            (Self::Bool(to), Self::Bool(from)) => to.extend_from_slice(from),
            (Self::Text(to), Self::Text(from)) => to.extend_from_slice(from),
            _ => {}
        }
    }

    /// Moves every number by one; other elements stay.
    pub fn shift(&mut self) {
        match self {
            Self::Float32(v) => v.iter_mut().for_each(|x| *x += 1.0),
            Self::Float64(v) => v.iter_mut().for_each(|x| *x += 1.0),
            Self::Int64(_) | Self::Bool(_) | Self::Text(_) => {}
        }
    }

    /// The elements that are numbers, in double precision.
    #[expect(
        clippy::cast_precision_loss,
        reason = "for comparisons, in which the last digits do not count"
    )]
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::Float32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Self::Float64(v) => v.clone(),
            Self::Int64(v) => v.iter().map(|x| *x as f64).collect(),
            Self::Bool(_) | Self::Text(_) => Vec::new(),
        }
    }

    /// A copy of some elements.
    fn part(&self, elements: Range<usize>) -> Self {
        match self {
            Self::Float32(v) => Self::Float32(v[elements].to_vec()),
            Self::Float64(v) => Self::Float64(v[elements].to_vec()),
            Self::Int64(v) => Self::Int64(v[elements].to_vec()),
            Self::Bool(v) => Self::Bool(v[elements].to_vec()),
            Self::Text(v) => Self::Text(v[elements].to_vec()),
        }
    }

    /// Double-precision elements, if that is what this buffer holds.
    pub fn as_f64(&self) -> Option<&[f64]> {
        if let Self::Float64(v) = self {
            Some(v)
        } else {
            None
        }
    }

    /// Single-precision elements, if that is what this buffer holds.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if let Self::Float32(v) = self {
            Some(v)
        } else {
            None
        }
    }
}

/// One buffer of a batch: `rows × width` elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The elements.
    pub values: Values,
    /// Elements in one row.
    pub width: usize,
    /// Dimensions of one row's value where the schema left them to the request;
    /// empty when the schema fixes them.
    pub shape: Vec<usize>,
}

impl Column {
    /// A copy of some rows.
    fn part(&self, rows: &Range<usize>) -> Self {
        let elements = rows.start * self.width..rows.end * self.width;
        Self {
            values: self.values.part(elements),
            width: self.width,
            shape: self.shape.clone(),
        }
    }
}

/// Rows to predict, in the blocks of a [`Schema`].
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// One column per block of the schema.
    pub columns: Vec<Column>,
}

impl Batch {
    /// No rows yet, with the blocks of `schema`.
    pub fn empty(schema: &Schema) -> Self {
        let columns = schema
            .blocks()
            .iter()
            .map(|block| Column {
                values: Values::empty(block.data_type),
                width: block.width.unwrap_or(0),
                shape: Vec::new(),
            })
            .collect();
        Self { rows: 0, columns }
    }

    /// Whether the rows of `other` can stand behind these.
    pub fn is_alike(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Column, &Column)| {
            let types = (a.values.data_type(), b.values.data_type());
            types.0 == types.1 && a.width == b.width && a.shape == b.shape
        };
        let pairs = self.columns.iter().zip(&other.columns);
        self.columns.len() == other.columns.len() && pairs.into_iter().all(alike)
    }

    /// Appends the rows of `other`, which is alike.
    pub fn append(&mut self, other: &Self) {
        debug_assert!(self.is_alike(other), "rows of another shape");
        self.rows += other.rows;
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.values.append(&more.values);
        }
    }

    /// A copy of some rows.
    #[must_use]
    pub fn part(&self, rows: Range<usize>) -> Self {
        let column = |column: &Column| column.part(&rows);
        Self {
            rows: rows.len(),
            columns: self.columns.iter().map(column).collect(),
        }
    }

    /// The elements of block `block` as double precision, if it is of that type.
    pub fn f64_block(&self, block: usize) -> Option<&[f64]> {
        self.columns.get(block)?.values.as_f64()
    }
}

/// What a model answered for a batch. Reusable: engines clear and refill it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Number of rows answered.
    pub rows: usize,
    /// Classifiers: for each row, an index into the schema's classes.
    pub labels: Vec<u32>,
    /// Classifiers with probabilities: `rows × classes`, row-major; else empty.
    pub probabilities: Vec<f64>,
    /// Everything else: one column per output field of the schema.
    pub values: Vec<Column>,
}

impl Output {
    /// A copy of what was answered for some rows.
    #[must_use]
    pub fn part(&self, rows: Range<usize>) -> Self {
        let classes = self.probabilities.len() / self.rows.max(1);
        let column = |column: &Column| column.part(&rows);
        Self {
            rows: rows.len(),
            // Only classifiers have labels.
            labels: self.labels.get(rows.clone()).unwrap_or(&[]).to_vec(),
            probabilities: self.probabilities[rows.start * classes..rows.end * classes].to_vec(),
            values: self.values.iter().map(column).collect(),
        }
    }

    /// Forgets the last answer but keeps its memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.labels.clear();
        self.probabilities.clear();
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(numbers: &[f64], texts: &[&str], width: usize) -> Batch {
        let texts = texts.iter().map(|text| Some((*text).to_owned()));
        let column = |values, width| Column {
            values,
            width,
            shape: Vec::new(),
        };
        Batch {
            rows: numbers.len() / width,
            columns: vec![
                column(Values::Float64(numbers.to_vec()), width),
                column(Values::Text(texts.collect()), 1),
            ],
        }
    }

    #[test]
    fn rows_are_appended_to_rows_of_the_same_shape() {
        let mut first = batch(&[1.0, 2.0], &["a"], 2);
        let second = batch(&[3.0, 4.0, 5.0, 6.0], &["b", "c"], 2);
        assert!(first.is_alike(&second));
        first.append(&second);
        let all = batch(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &["a", "b", "c"], 2);
        assert_eq!(first, all);
        assert_eq!(first.part(1..3), second);
        assert!(!first.is_alike(&batch(&[1.0], &["a"], 1)));
        let mut integers = second.clone();
        integers.columns[0].values = Values::Int64(vec![0; 4]);
        assert!(!first.is_alike(&integers));
    }

    #[test]
    fn a_part_of_an_answer_is_what_these_rows_alone_were_answered() {
        let values = batch(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &["a", "b", "c"], 2).columns;
        let answer = Output {
            rows: 3,
            labels: vec![0, 1, 2],
            probabilities: vec![0.1, 0.9, 0.2, 0.8, 0.3, 0.7],
            values,
        };
        let part = answer.part(1..3);
        assert_eq!((part.rows, part.labels), (2, vec![1, 2]));
        assert_eq!(part.probabilities, [0.2, 0.8, 0.3, 0.7]);
        assert_eq!(
            part.values,
            batch(&[3.0, 4.0, 5.0, 6.0], &["b", "c"], 2).columns
        );
        assert_eq!(Output::default().part(0..0), Output::default());
    }
}
