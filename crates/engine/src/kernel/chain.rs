//! A whole model: steps that change rows, and a head that answers.

use std::cell::RefCell;

use plimsoll_core::column::{Batch, Column, Output, Values};
use plimsoll_core::schema::Schema;

use super::forest::Forest;
use super::linear::{Linear, Logistic};
use super::scale::Scaler;
use crate::{Control, Cost, EngineError, Predictor};

/// Rows worked on at a time: their narrowed copy stays in the first-level cache.
pub(crate) const BLOCK_ROWS: usize = 64;

/// The part of a model that answers.
#[derive(Debug)]
pub(crate) enum Head {
    /// The rows themselves, after the steps.
    Rows,
    /// A linear regression.
    Linear(Linear),
    /// A logistic regression.
    Logistic(Logistic),
    /// The mean of class shares over trees.
    ForestClasses(Forest),
    /// The mean of values over trees.
    ForestMean(Forest),
}

/// A model over rows of `f64` features.
#[derive(Debug)]
pub(crate) struct Chain {
    schema: Schema,
    features: usize,
    steps: Vec<Scaler>,
    head: Head,
    accepts_missing: bool,
}

/// What is being answered. The values wait beside the output until they are complete.
struct Answer<'o> {
    output: &'o mut Output,
    values: Vec<f64>,
}

/// Copies of a block of rows, kept by each thread from call to call.
#[derive(Default)]
struct Scratch {
    stepped: Vec<f64>,
    narrowed: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Chain {
    /// A model over one block of `features` columns of type `f64`, all of them
    /// of the width that every step and the head expect.
    pub(crate) fn new(
        schema: Schema,
        steps: Vec<Scaler>,
        head: Head,
        accepts_missing: bool,
    ) -> Self {
        Self {
            features: schema.inputs().len(),
            schema,
            steps,
            head,
            accepts_missing,
        }
    }

    fn predict_block(
        &self,
        first_row: usize,
        rows: &[f64],
        answer: &mut Answer<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), EngineError> {
        let Scratch { stepped, narrowed } = scratch;
        let rows = if self.steps.is_empty() {
            rows
        } else {
            stepped.clear();
            stepped.extend_from_slice(rows);
            self.steps.iter().for_each(|step| step.apply(stepped));
            stepped
        };
        let (Head::ForestClasses(forest) | Head::ForestMean(forest)) = &self.head else {
            self.refuse_unusable(first_row, rows)?;
            match &self.head {
                Head::Linear(linear) => linear.predict(rows, &mut answer.values),
                Head::Logistic(logistic) => logistic.predict(rows, answer.output),
                _ => answer.values.extend_from_slice(rows),
            }
            return Ok(());
        };
        // scikit-learn's trees see X as float32 (`sklearn/tree/_classes.py`, `_validate_X_predict`).
        narrowed.clear();
        narrowed.extend(rows.iter().map(|x| *x as f32));
        let missing = self.refuse_unusable_narrow(first_row, narrowed)?;
        if matches!(self.head, Head::ForestClasses(_)) {
            forest.classify(narrowed, missing, answer.output);
        } else {
            forest.average(narrowed, missing, &mut answer.values);
        }
        Ok(())
    }

    /// Refuses infinity, and NaN where the model cannot use it.
    fn refuse_unusable(&self, first_row: usize, rows: &[f64]) -> Result<(), EngineError> {
        let unusable = |x: &f64| x.is_infinite() || (x.is_nan() && !self.accepts_missing);
        match rows.iter().position(unusable) {
            None => Ok(()),
            Some(index) => Err(self.unusable(first_row, index, rows[index].is_nan(), "float64")),
        }
    }

    /// The same after narrowing; tells whether any value is missing.
    fn refuse_unusable_narrow(&self, first_row: usize, rows: &[f32]) -> Result<bool, EngineError> {
        // A sum of zeros, unless something is infinite or NaN: one pass without branches.
        let zeros: f32 = rows.iter().map(|x| x * 0.0).sum();
        if zeros == 0.0 {
            return Ok(false);
        }
        let unusable = |x: &f32| x.is_infinite() || (x.is_nan() && !self.accepts_missing);
        match rows.iter().position(unusable) {
            None => Ok(true),
            Some(index) => Err(self.unusable(first_row, index, rows[index].is_nan(), "float32")),
        }
    }

    fn unusable(&self, first_row: usize, index: usize, missing: bool, width: &str) -> EngineError {
        let row = first_row + index / self.features;
        let field = &self.schema.inputs()[index % self.features].name;
        let what = if missing {
            "is missing".to_owned()
        } else {
            format!("is infinite or too large for {width}")
        };
        EngineError::Input {
            detail: format!("{field:?} in row {row} {what}"),
        }
    }

    /// Elements of one row's answer in the column of values; zero for classifiers.
    fn value_width(&self) -> usize {
        match &self.head {
            Head::Rows => self.features,
            Head::Linear(_) | Head::ForestMean(_) => 1,
            Head::Logistic(_) | Head::ForestClasses(_) => 0,
        }
    }
}

impl<'o> Answer<'o> {
    /// Clears `output` but keeps the memory of its buffers.
    fn begin(output: &'o mut Output) -> Self {
        output.rows = 0;
        output.labels.clear();
        output.probabilities.clear();
        let mut values = Vec::new();
        for column in output.values.drain(..) {
            if let Values::Float64(held) = column.values {
                values = held;
                values.clear();
            }
        }
        Self { output, values }
    }

    fn finish(self, rows: usize, value_width: usize) {
        self.output.rows = rows;
        if value_width > 0 {
            self.output.values.push(Column {
                values: Values::Float64(self.values),
                width: value_width,
                shape: Vec::new(),
            });
        }
    }
}

impl Predictor for Chain {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn cost(&self) -> Cost {
        let (head_bytes, head_nanos) = match &self.head {
            Head::Rows => (0, 0),
            Head::Linear(linear) => (linear.bytes(), linear.weights.len()),
            Head::Logistic(logistic) => {
                let scores = &logistic.scores;
                (
                    scores.bytes(),
                    scores.weights.len() + 20 * scores.intercepts.len(),
                )
            }
            Head::ForestClasses(forest) | Head::ForestMean(forest) => {
                (forest.bytes(), forest.nanos_per_row())
            }
        };
        let step_bytes: usize = self.steps.iter().map(Scaler::bytes).sum();
        let names: usize = self
            .schema
            .inputs()
            .iter()
            .map(|f| 160 + 2 * f.name.len())
            .sum();
        Cost {
            resident_bytes: (head_bytes + step_bytes + names) as u64,
            nanos_per_row: (100 + head_nanos + 2 * self.features * self.steps.len()) as u64,
        }
    }

    fn predict(
        &self,
        batch: &Batch,
        output: &mut Output,
        control: &Control<'_>,
    ) -> Result<(), EngineError> {
        let mut answer = Answer::begin(output);
        let rows = batch.f64_block(0).unwrap_or(&[]);
        if rows.len() != batch.rows.saturating_mul(self.features) {
            return Err(EngineError::Input {
                detail: format!("the batch is not {} rows of {}", batch.rows, self.features),
            });
        }
        SCRATCH.with_borrow_mut(|scratch| {
            for (index, block) in rows.chunks(BLOCK_ROWS * self.features).enumerate() {
                if let Some(stop) = control.stop() {
                    return Err(EngineError::Stopped(stop));
                }
                self.predict_block(index * BLOCK_ROWS, block, &mut answer, scratch)?;
            }
            Ok(())
        })?;
        answer.finish(batch.rows, self.value_width());
        Ok(())
    }
}
