//! Models within a model: what they are asked, and how their answers are laid out.

use serde::{Deserialize, Serialize};

use super::model::Model;
use super::rows::{Rows, Scratch, Shape, Unusable};
use crate::EngineError;
use crate::reader::malformed;

/// A whole model that a larger one asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    model: Model,
    question: Question,
}

/// What a member is asked, in scikit-learn's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Question {
    /// `predict_proba`: a number for each class.
    Probabilities,
    /// `predict_proba` without its first column.
    Positive,
    /// `decision_function`.
    Scores,
    /// `predict` of a classifier: the number that stands for the class.
    Labels(Vec<f64>),
    /// `predict` of a regressor.
    Values,
}

impl Member {
    /// A member that can answer its question.
    pub(crate) fn new(model: Model, question: Question) -> Result<Self, EngineError> {
        let gives = model.gives();
        let can = match &question {
            Question::Probabilities | Question::Positive => gives.probabilities,
            Question::Scores => gives.scores > 0,
            Question::Labels(numbers) => gives.classes > 0 && numbers.len() == gives.classes,
            Question::Values => gives.values > 0 && gives.classes == 0,
        };
        if can {
            return Ok(Self { model, question });
        }
        Err(malformed("a member cannot answer what it is asked"))
    }

    /// Columns it takes.
    pub(crate) fn takes(&self) -> Shape {
        self.model.takes()
    }

    /// Numbers it answers for a row.
    pub(crate) fn width(&self) -> usize {
        let gives = self.model.gives();
        match &self.question {
            Question::Probabilities => gives.classes,
            Question::Positive => gives.classes - 1,
            Question::Scores => gives.scores,
            Question::Labels(_) => 1,
            Question::Values => gives.values,
        }
    }

    /// Its model.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// What it is asked.
    pub(crate) fn question(&self) -> &Question {
        &self.question
    }

    /// Appends what it answers for each of `rows`, [`Member::width`] numbers a row.
    pub(crate) fn ask(
        &self,
        rows: Rows<'_, '_>,
        numbers: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        if self.question == Question::Scores {
            return self.model.decide(rows, numbers, scratch);
        }
        let mut answer = scratch.answer();
        let predicted = self.model.predict(rows, &mut answer, scratch);
        match &self.question {
            Question::Probabilities => numbers.extend_from_slice(&answer.probabilities),
            Question::Positive => {
                let classes = self.model.gives().classes;
                let each = answer.probabilities.chunks_exact(classes);
                numbers.extend(each.flat_map(|row| &row[1..]));
            }
            Question::Labels(values) => {
                let labels = answer.labels.iter();
                numbers.extend(labels.map(|label| values[*label as usize]));
            }
            Question::Values | Question::Scores => numbers.extend_from_slice(&answer.values),
        }
        scratch.keep_answer(answer);
        predicted
    }
}

/// The columns that all of `shapes` take.
pub(crate) fn common(mut shapes: impl Iterator<Item = Shape>) -> Result<Shape, EngineError> {
    let first = shapes
        .next()
        .ok_or_else(|| malformed("a model without members"))?;
    if shapes.all(|shape| shape == first) {
        return Ok(first);
    }
    Err(malformed("the members of a model take different columns"))
}

/// Bytes and nanoseconds a row of several models together.
pub(crate) fn cost<'m>(models: impl Iterator<Item = &'m Model>) -> (usize, usize) {
    models.fold((0, 0), |(bytes, nanos), model| {
        (
            bytes + model.bytes() + 64,
            nanos + model.nanos_per_row() + 20,
        )
    })
}
