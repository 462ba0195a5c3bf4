//! Flat typed columns: what an engine reads and what it writes.

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
    /// Forgets the last answer but keeps its memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.labels.clear();
        self.probabilities.clear();
        self.values.clear();
    }
}
