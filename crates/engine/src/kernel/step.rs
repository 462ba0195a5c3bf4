//! The steps of a model: each turns rows into other rows.

use serde::{Deserialize, Serialize};

use super::rows::{Rows, Scratch, Shape, Table, Unusable};
use super::steps::scale::Scaler;

/// What every step can do.
pub(crate) trait Transform {
    /// Columns it takes.
    fn takes(&self) -> Shape;

    /// Columns it makes.
    fn gives(&self) -> Shape;

    /// Whether it can do with missing numbers; it refuses them otherwise.
    fn accepts_missing(&self) -> bool {
        false
    }

    /// Fills `made`, which is empty and has the shape of [`Transform::gives`],
    /// with one row for each of `rows`.
    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable>;

    /// Bytes of memory kept.
    fn bytes(&self) -> usize;

    /// A rough guess of the nanoseconds one row takes.
    fn nanos_per_row(&self) -> usize {
        2 * (self.takes().numbers + self.gives().numbers)
    }
}

/// A step of a model.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Columns are moved and scaled.
    Scale(Scaler),
}

impl Step {
    /// What the step does.
    pub(crate) fn kernel(&self) -> &dyn Transform {
        match self {
            Self::Scale(kernel) => kernel,
        }
    }
}
