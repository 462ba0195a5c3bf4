//! Several classes by classifiers of two (`sklearn/multiclass.py`, 1.2 to 1.9).

mod codes;
mod pairs;
mod rest;

pub(crate) use codes::OutputCode;
pub(crate) use pairs::OneVsOne;
pub(crate) use rest::{OneVsRest, Rules};

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::member::{Member, Question, common, cost};
use crate::kernel::model::Model;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// What says how much a row belongs to one side.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Rival {
    /// Asked for its score (`_predict_binary`), and for its probability if it has one.
    Member {
        /// One number a row.
        score: Box<Member>,
        /// Whether the score is the probability of the second class.
        is_probability: bool,
    },
    /// Always the same (`_ConstantPredictor`).
    Constant(f64),
}

impl Rival {
    /// A model of two classes, or of one number.
    pub(crate) fn new(model: Model) -> Result<Self, EngineError> {
        let gives = model.gives();
        let question = match (gives.classes, gives.scores) {
            (0, _) => Question::Values,
            (_, 0) => Question::Positive,
            _ => Question::Scores,
        };
        let is_probability = question == Question::Positive;
        let score = Box::new(Member::new(model, question)?);
        if score.width() == 1 {
            return Ok(Self::Member {
                score,
                is_probability,
            });
        }
        Err(malformed(
            "a classifier of two sides answers several numbers",
        ))
    }

    /// Its model, unless it is constant.
    pub(crate) fn model(&self) -> Option<&Model> {
        match self {
            Self::Member { score, .. } => Some(score.model()),
            Self::Constant(_) => None,
        }
    }

    fn scores(
        &self,
        rows: Rows<'_, '_>,
        numbers: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        match self {
            Self::Member { score, .. } => score.ask(rows, numbers, scratch),
            Self::Constant(value) => {
                numbers.resize(numbers.len() + rows.count, *value);
                Ok(())
            }
        }
    }

    /// Appends the score and, from the same walk where that is possible, the
    /// label (0 or 1) and the probability of the second side.
    fn answers(
        &self,
        rows: Rows<'_, '_>,
        sides: &mut Sides,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let (model, is_probability) = match self {
            Self::Constant(value) => {
                sides.labels.resize(sides.labels.len() + rows.count, *value);
                sides.shares.resize(sides.shares.len() + rows.count, *value);
                return self.scores(rows, &mut sides.scores, scratch);
            }
            Self::Member {
                score,
                is_probability,
            } => (score.model(), *is_probability),
        };
        let mut answer = scratch.answer();
        model.predict(rows, &mut answer, scratch)?;
        sides
            .labels
            .extend(answer.labels.iter().map(|label| f64::from(*label)));
        let pairs = answer.probabilities.as_chunks::<2>().0;
        sides
            .shares
            .extend(pairs.iter().map(|[_, positive]| positive));
        if is_probability {
            sides
                .scores
                .extend(pairs.iter().map(|[_, positive]| positive));
        } else if model.gives().classes == 0 {
            sides.scores.extend_from_slice(&answer.values);
        } else {
            model.decide(rows, &mut sides.scores, scratch)?;
        }
        scratch.keep_answer(answer);
        Ok(())
    }
}

/// What rivals answer, one after the other, a block of rows each.
#[derive(Default)]
struct Sides {
    scores: Vec<f64>,
    labels: Vec<f64>,
    shares: Vec<f64>,
}

impl Sides {
    fn of(rivals: &[Rival], rows: Rows<'_, '_>, scratch: &mut Scratch) -> Result<Self, Unusable> {
        let mut sides = Self {
            scores: scratch.numbers(),
            labels: scratch.numbers(),
            shares: scratch.numbers(),
        };
        for rival in rivals {
            rival.answers(rows, &mut sides, scratch)?;
        }
        Ok(sides)
    }

    fn keep(self, scratch: &mut Scratch) {
        for buffer in [self.scores, self.labels, self.shares] {
            scratch.keep(buffer);
        }
    }
}

/// The numbers of one row, where each rival's numbers stand together.
fn of_row(numbers: &[f64], row: usize, count: usize) -> impl Iterator<Item = f64> {
    numbers.iter().skip(row).step_by(count).copied()
}

fn shape_of(rivals: &[Rival]) -> Result<Shape, EngineError> {
    common(rivals.iter().filter_map(Rival::model).map(Model::takes))
}

fn cost_of(rivals: &[Rival]) -> (usize, usize) {
    cost(rivals.iter().filter_map(Rival::model))
}
