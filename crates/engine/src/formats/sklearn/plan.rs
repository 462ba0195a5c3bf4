//! What the readers of classes make: parts of a model, and what they need and answer.

use plimsoll_core::schema::{ClassLabel, DataType, Field, Task};

use super::estimator::Estimator;
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::rows::Shape;
use crate::kernel::step::Step;
use crate::kernel::steps::columns::{Branch, Columns};

/// What a part needs one column of its rows to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Whether the column holds texts; numbers otherwise.
    pub(super) text: bool,
    /// What becomes of missing values.
    pub(super) missing: Missing,
    /// The values it was trained on, if it knows no others.
    pub(super) categories: Option<Vec<String>>,
}

/// What a part does with missing values in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It refuses them.
    Refused,
    /// It hands them on: whether they are welcome depends on what follows.
    Kept,
    /// It makes something of them.
    Used,
    /// It does not look at the column at all.
    Unseen,
}

/// A part that changes rows.
pub(super) struct StepPlan<'r> {
    /// The estimator it was read from.
    pub(super) from: Estimator<'r>,
    /// Its kernel.
    pub(super) step: Step,
    /// One entry for each column it takes, in the order they were fitted in.
    pub(super) needs: Vec<Need>,
}

/// A part that answers.
pub(super) struct HeadPlan<'r> {
    /// The estimator it was read from.
    pub(super) from: Estimator<'r>,
    /// Its kernel.
    pub(super) head: Head,
    /// One entry for each column it takes, in the order they were fitted in.
    pub(super) needs: Vec<Need>,
    /// What the answers mean.
    pub(super) answers: Answers,
}

/// What the answers of a head mean.
#[derive(Clone, Debug)]
pub(super) enum Answers {
    /// Labels, and probabilities if the head gives them.
    Classes(Vec<ClassLabel>),
    /// Numbers, as the fields say.
    Values(Task, Vec<Field>),
}

impl Default for Need {
    /// A column nobody looks at.
    fn default() -> Self {
        Self {
            text: false,
            missing: Missing::Unseen,
            categories: None,
        }
    }
}

impl Need {
    /// `count` numbers alike.
    pub(super) fn numbers(count: usize, missing: Missing) -> Vec<Self> {
        let number = Self {
            text: false,
            missing,
            categories: None,
        };
        vec![number; count]
    }

    /// What satisfies both; `None` if nothing does.
    pub(super) fn and(self, other: &Self) -> Option<Self> {
        if self.missing == Missing::Unseen {
            return Some(other.clone());
        }
        if other.missing == Missing::Unseen {
            return Some(self);
        }
        let categories = match (self.categories, &other.categories) {
            (Some(mut known), Some(others)) => {
                known.retain(|value| others.contains(value));
                Some(known)
            }
            (known, others) => known.or_else(|| others.clone()),
        };
        let either = |missing| self.missing == missing || other.missing == missing;
        let missing = match () {
            () if either(Missing::Refused) => Missing::Refused,
            () if either(Missing::Kept) => Missing::Kept,
            () => Missing::Used,
        };
        (self.text == other.text).then_some(Self {
            text: self.text,
            missing,
            categories: categories.filter(|known| !known.is_empty()),
        })
    }

    /// How many columns there are of each kind, and the place of each among those of its kind.
    pub(super) fn places(needs: &[Self]) -> (Shape, Vec<usize>) {
        let mut shape = Shape::default();
        let places = needs.iter().map(|need| {
            let count = if need.text {
                &mut shape.texts
            } else {
                &mut shape.numbers
            };
            *count += 1;
            *count - 1
        });
        let places = places.collect();
        (shape, places)
    }

    /// The type of the column in the schema.
    pub(super) fn data_type(&self) -> DataType {
        if self.text {
            DataType::String
        } else {
            DataType::Float64
        }
    }
}

impl StepPlan<'_> {
    /// The same, and another step after it.
    pub(super) fn followed_by(self, step: Step) -> Result<Self, EngineError> {
        let (takes, _) = Need::places(&self.needs);
        let branch = Branch {
            numbers: (0..takes.numbers).collect(),
            texts: (0..takes.texts).collect(),
            steps: vec![self.step, step],
            weight: None,
        };
        Ok(Self {
            step: Step::Columns(Columns::new(takes, vec![branch])?),
            ..self
        })
    }
}

impl Answers {
    /// One number for each row, or as many as there are outputs.
    pub(super) fn regression(outputs: usize) -> Self {
        let mut field = Field::scalar("prediction", DataType::Float64);
        if outputs != 1 {
            field.shape = vec![Some(outputs)];
        }
        Self::Values(Task::Regression, vec![field])
    }

    /// 1 for what is normal and −1 for what is not, and the score that decides.
    pub(super) fn outlier() -> Self {
        let side = Field::scalar("prediction", DataType::Int64);
        let score = Field::scalar("score", DataType::Float64);
        Self::Values(Task::Outlier, vec![side, score])
    }

    /// The number of the group a row belongs to.
    pub(super) fn cluster() -> Self {
        let cluster = Field::scalar("cluster", DataType::Int64);
        Self::Values(Task::Clustering, vec![cluster])
    }

    /// The rows themselves, of so many columns.
    pub(super) fn rows(columns: usize) -> Self {
        let mut field = Field::scalar("transformed", DataType::Float64);
        field.shape = vec![Some(columns)];
        Self::Values(Task::Other, vec![field])
    }
}
