//! A curve over one column that only rises, or only falls.

use serde::{Deserialize, Serialize};

use super::calibrated::Points;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Column, Rows, Scratch, Shape, Unusable, Why};

/// Straight lines between points.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Isotonic {
    /// The points.
    pub(crate) points: Points,
    /// What is answered outside of them.
    pub(crate) beyond: Beyond,
}

/// What is answered for what is not between the first point and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Beyond {
    /// What the nearest point says.
    Level,
    /// A missing value.
    Missing,
    /// It is refused.
    Refused,
}

impl Answering for Isotonic {
    fn takes(&self) -> Shape {
        Shape::numbers(1)
    }

    fn gives(&self) -> Gives {
        Gives {
            values: 1,
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        for (row, x) in rows.numbers.iter().enumerate() {
            let inside = self.points.span().contains(x);
            answer.values.push(match self.beyond {
                Beyond::Missing if !inside => f64::NAN,
                Beyond::Refused if !inside => {
                    return Err(Unusable {
                        row,
                        column: Some(Column::Number(0)),
                        why: Why::Unknown,
                    });
                }
                _ => self.points.at(*x),
            });
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.points.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        30
    }
}
