//! A model of kernels as a [`Predictor`]: batches in blocks of rows, answers in columns.

use std::cell::RefCell;

use plimsoll_core::column::{Batch, Column, Output, Values};
use plimsoll_core::schema::{DataType, Field, Schema};

use super::blocks::{Blocks, Inexact};
use super::head::Answer;
use super::model::Model;
use super::rows::{Rows, Scratch, Unusable, Why};
use crate::reader::malformed;
use crate::{Control, Cost, Description, EngineError, Predictor, flat};

/// A model over rows of numbers and texts.
#[derive(Debug)]
pub(crate) struct Native {
    schema: Schema,
    model: Model,
    blocks: Blocks,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Native {
    /// A model that takes and answers what `schema` says: numbers and texts of known
    /// widths, and outputs whose widths add up to what the head gives.
    pub(crate) fn new(schema: Schema, model: Model) -> Result<Self, EngineError> {
        let blocks = Blocks::of(&schema).filter(|blocks| blocks.shape() == model.takes());
        let blocks =
            blocks.ok_or_else(|| malformed("the model takes other columns than it names"))?;
        let gives = model.gives();
        let values: Option<usize> = schema.outputs.iter().map(Field::width).sum();
        if gives.classes != schema.classes.len() || values != Some(gives.values) {
            return Err(malformed("the model answers other values than it names"));
        }
        Ok(Self {
            schema,
            model,
            blocks,
        })
    }

    fn predict_blocks(
        &self,
        batch: &Batch,
        answer: &mut Answer,
        (scratch, control): (&mut Scratch, &Control<'_>),
    ) -> Result<(), EngineError> {
        self.blocks.check(batch)?;
        let (mut gathered, mut texts) = (scratch.numbers(), Vec::new());
        let block_rows = self.model.block_rows();
        let mut starts = (0..batch.rows).step_by(block_rows);
        let predicted = starts.try_for_each(|first| {
            if let Some(stop) = control.stop() {
                return Err(EngineError::Stopped(stop));
            }
            let part = first..(first + block_rows).min(batch.rows);
            self.blocks.texts(batch, part.clone(), &mut texts);
            let numbers = self
                .blocks
                .numbers(batch, part.clone(), &mut gathered)
                .map_err(beyond_f64)?;
            let rows = Rows {
                count: part.len(),
                shape: self.model.takes(),
                numbers,
                sparse: None,
                texts: &texts,
            };
            let predicted = self.model.predict(rows, answer, scratch);
            predicted.map_err(|unusable| self.refusal(first, unusable))
        });
        scratch.keep(gathered);
        predicted
    }

    fn refusal(&self, first: usize, unusable: Unusable) -> EngineError {
        let row = first + unusable.row;
        let what = match unusable.why {
            Why::Missing => "is missing",
            Why::Infinite => "is infinite or too large for float64",
            Why::TooLarge => "is infinite or too large for float32",
            Why::NotPositive => "must be above zero for this model",
            Why::Unknown => "is none of the values the model was trained on",
        };
        let column = unusable.column;
        let field = column.and_then(|column| self.blocks.field(&self.schema, column));
        let place = match field {
            Some(field) => format!("{:?} in row {row}", field.name),
            None => format!("a value that the model makes of row {row}"),
        };
        EngineError::Input {
            detail: format!("{place} {what}"),
        }
    }

    /// Cuts the values of an answer into the columns of the schema's outputs.
    fn columns(&self, values: &mut Vec<f64>, rows: usize) -> Vec<Column> {
        let fields = &self.schema.outputs;
        let column = |field: &Field, values| Column {
            values,
            width: field.width().unwrap_or(1),
            shape: Vec::new(),
        };
        if let [field] = fields.as_slice()
            && field.data_type == DataType::Float64
        {
            return vec![column(field, Values::Float64(std::mem::take(values)))];
        }
        let total = self.model.gives().values;
        let mut start = 0;
        let cut = fields.iter().map(|field| {
            let width = field.width().unwrap_or(1);
            let part = start..start + width;
            start += width;
            let each = (0..rows).flat_map(|row| &values[row * total..][part.clone()]);
            column(field, typed(field, each))
        });
        cut.collect()
    }
}

fn beyond_f64(Inexact(value): Inexact) -> EngineError {
    EngineError::Input {
        detail: format!("the integer {value} is beyond 2^53, which this model cannot tell apart"),
    }
}

/// Values in the type of their field. Whole numbers stand for integers, and
/// indexes for the known values of a text field.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "heads give whole numbers where the schema says so"
)]
fn typed<'v>(field: &Field, values: impl Iterator<Item = &'v f64>) -> Values {
    match field.data_type {
        DataType::Float32 => Values::Float32(values.map(|value| *value as f32).collect()),
        DataType::Float64 => Values::Float64(values.copied().collect()),
        DataType::Int64 => Values::Int64(values.map(|value| *value as i64).collect()),
        DataType::Bool => Values::Bool(values.map(|value| *value != 0.0).collect()),
        DataType::String => {
            let known = field.categories.as_deref().unwrap_or(&[]);
            Values::Text(values.map(|v| known.get(*v as usize).cloned()).collect())
        }
    }
}

impl Predictor for Native {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn cost(&self) -> Cost {
        let names = self.schema.inputs().iter().map(|f| 160 + 2 * f.name.len());
        Cost {
            resident_bytes: (self.model.bytes() + names.sum::<usize>()) as u64,
            nanos_per_row: (100 + self.model.nanos_per_row()) as u64,
        }
    }

    fn flat(&self, description: &Description) -> Option<Vec<u8>> {
        flat::write(description, &self.schema, &self.model)
    }

    fn predict(
        &self,
        batch: &Batch,
        output: &mut Output,
        control: &Control<'_>,
    ) -> Result<(), EngineError> {
        // The buffers of the output are filled, and given back on every way out.
        let mut answer = Answer {
            labels: std::mem::take(&mut output.labels),
            probabilities: std::mem::take(&mut output.probabilities),
            values: first_buffer(output),
        };
        answer.clear();
        output.clear();
        let predicted = SCRATCH
            .with_borrow_mut(|scratch| self.predict_blocks(batch, &mut answer, (scratch, control)));
        output.labels = answer.labels;
        output.probabilities = answer.probabilities;
        predicted?;
        output.rows = batch.rows;
        output.values = self.columns(&mut answer.values, batch.rows);
        Ok(())
    }
}

/// The memory of the first column of numbers in `output`.
fn first_buffer(output: &mut Output) -> Vec<f64> {
    match output.values.first_mut().map(|column| &mut column.values) {
        Some(Values::Float64(held)) => std::mem::take(held),
        _ => Vec::new(),
    }
}
