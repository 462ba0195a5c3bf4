//! A head that is a graph: operations over columns, each taking what others made.
//!
//! This is how ONNX thinks of a model, and its numbers are `f32`: registers hold
//! `f64` so that rows, integers and texts' codes travel alike, but every operation
//! rounds to `f32` where ONNX Runtime does. Adding, multiplying and dividing two
//! `f32` in `f64` and rounding once gives what `f32` arithmetic gives.
//!
//! Operations are checked when the graph is built (and when it is read from a
//! flat file), so that running them cannot fail on them.

mod dictionary;
mod operation;
mod plain;
mod scores;
mod trees;

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::model::MAX_WIDTH;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::{malformed, too_large};
pub(crate) use dictionary::Dictionary;
pub(crate) use operation::Operation;
pub(crate) use plain::{Arithmetic, Function, Kind, Norm, Operand};
pub(crate) use scores::Transform;
pub(crate) use trees::TreeSums;

/// Operations one after the other, and which registers are the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub(crate) struct Graph(Parts);

/// What a graph is built from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    /// Columns of the rows.
    pub(crate) takes: Shape,
    /// Each fills the register of its own index.
    pub(crate) steps: Vec<Step>,
    /// What is answered.
    pub(crate) answers: Answers,
}

/// An operation and the registers it takes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) operation: Operation,
    pub(crate) from: Vec<Place>,
    /// Columns it makes.
    pub(crate) width: usize,
}

/// Where numbers are found: `count × width`, row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The numbers of the rows themselves.
    Rows,
    /// What a step made.
    Made(usize),
}

/// Which registers are the answer.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answers {
    /// Classes there are; 0 if there are no labels.
    pub(crate) classes: usize,
    /// One column: the index of the class.
    pub(crate) label: Option<Place>,
    /// One column for each class.
    pub(crate) probabilities: Option<Place>,
    /// Side by side.
    pub(crate) values: Vec<Place>,
}

/// What an operation may look at.
pub(super) struct Frame<'f, 't> {
    /// The rows that are predicted.
    pub(super) rows: Rows<'f, 't>,
    made: &'f [Vec<f64>],
    steps: &'f [Step],
}

impl<'f> Frame<'f, '_> {
    /// The numbers at a place.
    pub(super) fn numbers(&self, place: Place) -> &'f [f64] {
        match place {
            Place::Rows => self.rows.numbers,
            Place::Made(index) => &self.made[index],
        }
    }

    /// Columns at a place.
    pub(super) fn width(&self, place: Place) -> usize {
        match place {
            Place::Rows => self.rows.shape.numbers,
            Place::Made(index) => self.steps[index].width,
        }
    }
}

impl Parts {
    /// Columns at a place that the first `known` steps make.
    fn width(&self, place: Place, known: usize) -> Result<usize, EngineError> {
        match place {
            Place::Rows => Ok(self.takes.numbers),
            Place::Made(index) if index < known => Ok(self.steps[index].width),
            Place::Made(_) => Err(malformed("a graph takes a value before it is made")),
        }
    }

    fn check(&self) -> Result<(), EngineError> {
        for (index, step) in self.steps.iter().enumerate() {
            let widths = step.from.iter().map(|place| self.width(*place, index));
            let widths: Vec<usize> = widths.collect::<Result<_, _>>()?;
            if step.width == 0 || step.width > MAX_WIDTH {
                return Err(too_large(format!("a value of {} columns", step.width)));
            }
            if step.operation.makes(&widths, self.takes.texts) != Some(step.width) {
                return Err(malformed("an operation does not fit what it takes"));
            }
        }
        self.check_answers()
    }

    fn check_answers(&self) -> Result<(), EngineError> {
        let answers = &self.answers;
        let width = |place: Place| self.width(place, self.steps.len());
        let label = answers.label.map(width).transpose()?;
        let probabilities = answers.probabilities.map(width).transpose()?;
        for place in &answers.values {
            width(*place)?;
        }
        let fits = match answers.classes {
            0 => label.is_none() && probabilities.is_none(),
            classes => label == Some(1) && probabilities.is_none_or(|width| width == classes),
        };
        let texts_alone = self.takes.numbers == 0 && answers.values.contains(&Place::Rows);
        if fits && !texts_alone {
            return Ok(());
        }
        Err(malformed("a graph answers something else than it says"))
    }
}

impl TryFrom<Parts> for Graph {
    type Error = EngineError;

    fn try_from(parts: Parts) -> Result<Self, EngineError> {
        parts.check()?;
        Ok(Self(parts))
    }
}

impl Graph {
    fn run<'t>(
        &self,
        rows: Rows<'_, 't>,
        made: &mut Vec<Vec<f64>>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        for step in &self.0.steps {
            let mut next = scratch.numbers();
            let frame: Frame<'_, 't> = Frame {
                rows,
                made,
                steps: &self.0.steps,
            };
            let done = step.operation.apply(&step.from, &frame, &mut next, scratch);
            made.push(next);
            done?;
        }
        Ok(())
    }

    fn answer(&self, frame: &Frame<'_, '_>, answer: &mut Answer) {
        let answers = &self.0.answers;
        if let Some(place) = answers.label {
            let last = answers.classes.saturating_sub(1) as u32;
            #[expect(clippy::cast_sign_loss, reason = "it is an index")]
            let labels = frame.numbers(place).iter().map(|x| (*x as u32).min(last));
            answer.labels.extend(labels);
        }
        if let Some(place) = answers.probabilities {
            answer.probabilities.extend_from_slice(frame.numbers(place));
        }
        if let [only] = answers.values[..] {
            answer.values.extend_from_slice(frame.numbers(only));
            return;
        }
        for row in 0..frame.rows.count {
            for place in &answers.values {
                let width = frame.width(*place);
                let part = row * width..(row + 1) * width;
                answer
                    .values
                    .extend_from_slice(&frame.numbers(*place)[part]);
            }
        }
    }
}

impl Answering for Graph {
    fn takes(&self) -> Shape {
        self.0.takes
    }

    fn gives(&self) -> Gives {
        let answers = &self.0.answers;
        let widths = answers.values.iter().map(|place| match place {
            Place::Rows => self.0.takes.numbers,
            Place::Made(index) => self.0.steps[*index].width,
        });
        Gives {
            classes: answers.classes,
            probabilities: answers.probabilities.is_some(),
            values: widths.sum(),
            scores: 0,
        }
    }

    /// A graph says itself what it can use.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut made = scratch.registers();
        let done = self.run(rows, &mut made, scratch);
        if done.is_ok() {
            let frame = Frame {
                rows,
                made: &made,
                steps: &self.0.steps,
            };
            self.answer(&frame, answer);
        }
        scratch.keep_registers(made);
        done
    }

    fn widest(&self) -> usize {
        let widths = self.0.steps.iter().map(|step| step.width);
        widths.fold(self.0.takes.numbers, usize::max)
    }

    fn bytes(&self) -> usize {
        let steps = self.0.steps.iter();
        steps.map(|step| 64 + step.operation.bytes()).sum()
    }

    fn nanos_per_row(&self) -> usize {
        let steps = self.0.steps.iter();
        steps
            .map(|step| 2 * step.width + step.operation.nanos_per_row())
            .sum()
    }
}

#[cfg(test)]
mod tests;
