//! Rows of cells into the blocks of a schema.

use super::coerce::{Cell, Mismatch, expected, store};
use crate::column::{Batch, Values};
use crate::schema::Schema;

/// Rows on their way into the blocks of a schema.
///
/// A row is begun, its fields are set in any order (scalars with
/// [`set`](Self::set), tensors with [`push`](Self::push) and
/// [`end_tensor`](Self::end_tensor)), then it is ended or discarded.
#[derive(Debug)]
pub struct BatchBuilder<'s> {
    schema: &'s Schema,
    batch: Batch,
    /// Blocks that hold scalars and are grown row by row.
    scalar_blocks: Vec<usize>,
    /// For each field the number of the last begun row that set it, counted from 1.
    set_in: Vec<usize>,
    begun: usize,
    set_count: usize,
}

/// One row of a schema that is nothing but numbers of one type, in schema order.
pub(super) enum Numbers<'a> {
    /// In double precision.
    Float64(&'a mut [f64]),
    /// In single precision.
    Float32(&'a mut [f32]),
}

impl<'s> BatchBuilder<'s> {
    /// No rows yet.
    pub fn new(schema: &'s Schema) -> Self {
        let fields = schema.inputs().iter().zip(schema.slots());
        // The scalar at offset 0 stands for its whole block.
        let scalar_blocks = fields
            .filter(|(field, slot)| slot.offset == 0 && field.is_scalar())
            .map(|(_, slot)| slot.block)
            .collect();
        Self {
            schema,
            batch: Batch::empty(schema),
            scalar_blocks,
            set_in: vec![0; schema.inputs().len()],
            begun: 0,
            set_count: 0,
        }
    }

    /// The schema the rows are for.
    pub fn schema(&self) -> &'s Schema {
        self.schema
    }

    /// Rows ended so far.
    pub fn rows(&self) -> usize {
        self.batch.rows
    }

    /// Begins a row: makes room for its scalars.
    pub fn begin_row(&mut self) {
        self.begun += 1;
        self.set_count = 0;
        let rows = self.batch.rows + 1;
        for block in &self.scalar_blocks {
            let column = &mut self.batch.columns[*block];
            column.values.resize(rows * column.width);
        }
    }

    /// Sets a scalar field of the row.
    ///
    /// A field that was refused counts as set: it is wrong, not missing.
    pub fn set<'a>(&mut self, field: usize, cell: impl Into<Cell<'a>>) -> Result<(), Mismatch> {
        let first = self.mark(field);
        let (slot, definition) = (self.schema.slots()[field], &self.schema.inputs()[field]);
        if !definition.is_scalar() {
            return Err(Mismatch::new(
                "wrong-type",
                "array",
                cell.into().json_name(),
            ));
        }
        let column = &mut self.batch.columns[slot.block];
        let at = self.batch.rows * column.width + slot.offset;
        store(&mut column.values, at, cell.into(), definition)?;
        first
    }

    /// The place of the begun row, if the schema is nothing but numbers of one type.
    pub(super) fn numbers(&mut self) -> Option<Numbers<'_>> {
        let [column] = self.batch.columns.as_mut_slice() else {
            return None;
        };
        let inputs = self.schema.inputs();
        // Scalars of one type share a block in their order; a tensor has its own.
        if inputs.len() != column.width || !inputs.first()?.is_scalar() {
            return None;
        }
        let start = self.batch.rows * column.width;
        match &mut column.values {
            Values::Float64(values) => values.get_mut(start..).map(Numbers::Float64),
            Values::Float32(values) => values.get_mut(start..).map(Numbers::Float32),
            Values::Int64(_) | Values::Bool(_) | Values::Text(_) => None,
        }
    }

    /// Counts each field of the row as set.
    pub(super) fn set_all(&mut self) {
        self.set_in.fill(self.begun);
        self.set_count = self.set_in.len();
    }

    /// Counts a field as set though its value is of no use: `got` is a JSON type
    /// that is no cell, `array` for a scalar field for instance.
    pub fn refuse(&mut self, field: usize, got: &'static str) -> Mismatch {
        if let Err(twice) = self.mark(field) {
            return twice;
        }
        let definition = &self.schema.inputs()[field];
        let expected = if definition.is_scalar() {
            expected(definition)
        } else {
            "array".into()
        };
        Mismatch::new("wrong-type", expected, got)
    }

    /// Appends one element to a tensor field of the row, in row-major order.
    pub fn push<'a>(&mut self, field: usize, cell: impl Into<Cell<'a>>) -> Result<(), Mismatch> {
        let slot = self.schema.slots()[field];
        let values = &mut self.batch.columns[slot.block].values;
        let at = values.len();
        values.resize(at + 1);
        store(values, at, cell.into(), &self.schema.inputs()[field])
    }

    /// Ends a tensor field: its elements have been pushed and have this shape.
    ///
    /// A flat shape is accepted where the schema leaves at most one dimension open.
    pub fn end_tensor(&mut self, field: usize, shape: &[usize]) -> Result<(), Mismatch> {
        let first = self.mark(field);
        let slot = self.schema.slots()[field];
        let definition = &self.schema.inputs()[field];
        let column = &mut self.batch.columns[slot.block];
        let open = definition.shape.iter().any(Option::is_none);
        // Rows before this one had to be complete, so they tell where it starts.
        let pushed = column.values.len() - self.batch.rows * column.width;
        let Some(dims) = resolve_shape(&definition.shape, shape, pushed) else {
            return Err(Mismatch::new(
                "wrong-length",
                format!("shape {}", Shape(&definition.shape)),
                format!(
                    "shape {}",
                    Shape(&shape.iter().copied().map(Some).collect::<Vec<_>>())
                ),
            ));
        };
        if open && self.batch.rows == 0 {
            column.width = pushed;
            column.shape = dims;
        } else if open && column.shape != dims {
            return Err(Mismatch::new(
                "wrong-length",
                format!("shape {:?}, as in the first row", column.shape),
                format!("shape {dims:?}"),
            ));
        }
        first
    }

    /// Ends the row if each field was set; answers whether it was.
    pub fn end_row(&mut self) -> bool {
        let complete = self.set_count == self.set_in.len();
        self.batch.rows += usize::from(complete);
        complete
    }

    /// Fields the row has not set yet.
    pub fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        let unset = |(field, row): (usize, &usize)| (*row != self.begun).then_some(field);
        self.set_in.iter().enumerate().filter_map(unset)
    }

    /// Forgets the row that was begun.
    pub fn discard_row(&mut self) {
        for column in &mut self.batch.columns {
            column.values.resize(self.batch.rows * column.width);
        }
    }

    /// The rows that were ended.
    pub fn finish(mut self) -> Batch {
        self.discard_row();
        self.batch
    }

    fn mark(&mut self, field: usize) -> Result<(), Mismatch> {
        if self.set_in[field] == self.begun {
            return Err(Mismatch::new(
                "duplicate-field",
                "one value",
                "a second value",
            ));
        }
        self.set_in[field] = self.begun;
        self.set_count += 1;
        Ok(())
    }
}

/// Full shape of a row's value, or `None` if it does not fit the schema.
pub(super) fn resolve_shape(
    schema: &[Option<usize>],
    sent: &[usize],
    elements: usize,
) -> Option<Vec<usize>> {
    if product(sent.iter().copied())? != elements {
        return None;
    }
    let fits = |(wanted, got): (&Option<usize>, &usize)| wanted.is_none_or(|dim| dim == *got);
    if sent.len() == schema.len() {
        return schema.iter().zip(sent).all(fits).then(|| sent.to_vec());
    }
    let known = product(schema.iter().copied().flatten())?;
    let open = schema.iter().filter(|dim| dim.is_none()).count();
    let inferred = match (sent.len(), open) {
        (1, 0) if known == elements => 0,
        (1, 1) if known > 0 && elements.is_multiple_of(known) => elements / known,
        _ => return None,
    };
    Some(schema.iter().map(|dim| dim.unwrap_or(inferred)).collect())
}

fn product(mut dims: impl Iterator<Item = usize>) -> Option<usize> {
    dims.try_fold(1, |product: usize, dim| product.checked_mul(dim))
}

/// Prints `[3, ?, 224]`.
struct Shape<'a>(&'a [Option<usize>]);

impl std::fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match dim {
                Some(dim) => write!(f, "{dim}")?,
                None => f.write_str("?")?,
            }
        }
        f.write_str("]")
    }
}
