//! The steps of a model: each turns rows into other rows.

use serde::{Deserialize, Serialize};

use super::rows::{Column, Rows, Scratch, Shape, Table, Unusable};
use super::steps::columns::{Columns, Spread};
use super::steps::elementwise::Elementwise;
use super::steps::encode::Encoder;
use super::steps::impute::Imputer;
use super::steps::nearest::Nearest;
use super::steps::polynomial::Polynomial;
use super::steps::project::{Normalizer, Projection};
use super::steps::quantile::{Bins, Quantiles};
use super::steps::scale::Scaler;
use super::steps::spline::Splines;
use super::steps::words::{Weighed, Words};

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

    /// Whether it takes sparse rows as they are; it is given all their zeros otherwise.
    fn takes_sparse(&self) -> bool {
        false
    }

    /// Whether it makes sparse rows, of rows that are sparse or are not.
    fn makes_sparse(&self, of_sparse: bool) -> bool {
        let _ = of_sparse;
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

    /// The column it takes that the column `made` is made of, if it is one alone.
    fn origin(&self, made: Column) -> Option<Column> {
        let _ = made;
        None
    }

    /// Numbers of the widest rows it works with.
    fn widest(&self) -> usize {
        self.takes().numbers.max(self.gives().numbers)
    }

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
    /// Branches over columns, side by side.
    Columns(Columns),
    /// Columns without a field are filled in.
    Spread(Spread),
    /// Missing values are filled in and marked.
    Impute(Imputer),
    /// Missing values are filled in from rows that are near.
    Nearest(Nearest),
    /// Categories become numbers.
    Encode(Encoder),
    /// Values change one by one.
    Elementwise(Elementwise),
    /// Values become shares of a distribution.
    Quantiles(Quantiles),
    /// Values become bins.
    Bins(Bins),
    /// Columns become values of splines.
    Splines(Splines),
    /// Columns are multiplied.
    Polynomial(Polynomial),
    /// Rows are seen from other axes.
    Project(Projection),
    /// Rows become as long as each other.
    Normalize(Normalizer),
    /// Texts become counts of their words.
    Words(Words),
    /// Counts of words are weighed.
    Weigh(Weighed),
}

impl Step {
    /// What the step does.
    pub(crate) fn kernel(&self) -> &dyn Transform {
        match self {
            Self::Scale(kernel) => kernel,
            Self::Columns(kernel) => kernel,
            Self::Spread(kernel) => kernel,
            Self::Impute(kernel) => kernel,
            Self::Nearest(kernel) => kernel,
            Self::Encode(kernel) => kernel,
            Self::Elementwise(kernel) => kernel,
            Self::Quantiles(kernel) => kernel,
            Self::Bins(kernel) => kernel,
            Self::Splines(kernel) => kernel,
            Self::Polynomial(kernel) => kernel,
            Self::Project(kernel) => kernel,
            Self::Normalize(kernel) => kernel,
            Self::Words(kernel) => kernel,
            Self::Weigh(kernel) => kernel,
        }
    }
}
