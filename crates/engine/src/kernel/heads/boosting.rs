//! Boosted trees: leaves added to a base, and a link from the sums to the answer.

use serde::{Deserialize, Serialize};

use super::first::First;
use super::link::Link;
use super::weights::Weights;
use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::kernel::trees::{Columns, Double, Single, Trees, Value, narrow};
use crate::reader::malformed;

/// Trees that add up, and what their sums mean.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Boosting {
    ensemble: Ensemble,
    /// What the sums of each row begin with.
    base: Vec<f64>,
    /// What a sum is divided by.
    divisor: f64,
    link: Link,
    /// Whether missing values go down the trees.
    accepts_missing: bool,
    /// Where the columns of the trees come from, if not simply from the rows.
    columns: Option<Columns>,
    /// What sums begin with in place of the base, where that depends on the row.
    first: Option<Box<First>>,
}

/// Trees in the precisions their library computes in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ensemble {
    /// Rows of f32, sums of f64: scikit-learn's gradient boosting, CatBoost.
    Mixed(Trees<Single, f64>),
    /// Rows and sums of f32: XGBoost.
    Single(Trees<Single, f32>),
    /// Rows and sums of f64: histogram gradient boosting, LightGBM.
    Double(Trees<Double, f64>),
    /// A weight for each column instead of trees: XGBoost's linear booster.
    Weights(Weights),
}

impl Ensemble {
    fn features(&self) -> usize {
        match self {
            Self::Mixed(trees) => trees.features(),
            Self::Single(trees) => trees.features(),
            Self::Double(trees) => trees.features(),
            Self::Weights(weights) => weights.features(),
        }
    }

    fn sums(&self) -> usize {
        match self {
            Self::Mixed(trees) => trees.sums(),
            Self::Single(trees) => trees.sums(),
            Self::Double(trees) => trees.sums(),
            Self::Weights(weights) => weights.sums(),
        }
    }
}

impl Boosting {
    /// A model whose sums begin with `base` and take no missing values.
    pub(crate) fn new(ensemble: Ensemble, base: Vec<f64>, link: Link) -> Result<Self, EngineError> {
        let sums = ensemble.sums();
        if base.len() != sums || !link.takes(sums) {
            return Err(malformed("the trees add up to other sums than it answers"));
        }
        if !base.iter().all(|base| base.is_finite()) {
            return Err(malformed("the base of the sums is not finite"));
        }
        Ok(Self {
            ensemble,
            base,
            divisor: 1.0,
            link,
            accepts_missing: false,
            columns: None,
            first: None,
        })
    }

    /// The same, with missing values going down the trees.
    pub(crate) fn accepting_missing(mut self) -> Self {
        self.accepts_missing = true;
        self
    }

    /// The same, with sums divided by `divisor`, which is not zero.
    pub(crate) fn divided_by(mut self, divisor: f64) -> Self {
        self.divisor = divisor;
        self
    }

    /// The same, with sums that begin with what `first` answers.
    pub(crate) fn beginning_with(mut self, first: First) -> Self {
        self.first = Some(Box::new(first));
        self
    }

    /// Takes other rows, whose `columns` become those of the trees.
    pub(crate) fn over(&mut self, columns: Columns) -> Result<(), EngineError> {
        if columns.count() != self.ensemble.features() {
            return Err(malformed("the trees were grown on other columns"));
        }
        self.columns = Some(columns);
        Ok(())
    }

    /// Classes it tells apart; 0 if it answers values.
    pub(crate) fn classes(&self) -> usize {
        self.gives().classes
    }

    /// Columns of the trees.
    pub(crate) fn features(&self) -> usize {
        self.ensemble.features()
    }

    /// Hands the sums of `rows` to `then`, in the precision they are made in.
    fn sum<T>(
        &self,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
        then: impl FnOnce(Sums<'_>) -> T,
    ) -> Result<T, Unusable> {
        if matches!(self.ensemble, Ensemble::Single(_) | Ensemble::Weights(_)) {
            return self.sum_single(rows, scratch, then);
        }
        let mut sums = scratch.numbers();
        let filled = self.sum_double(rows, scratch, &mut sums);
        let done = filled.map(|()| then(Sums::Double(&sums)));
        scratch.keep(sums);
        done
    }

    fn sum_single<T>(
        &self,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
        then: impl FnOnce(Sums<'_>) -> T,
    ) -> Result<T, Unusable> {
        let narrowed = &mut scratch.narrowed;
        let missing = narrow(rows, narrowed, self.accepts_missing)?;
        // The sums follow the rows in one buffer.
        let length = narrowed.len();
        self.begin(rows.count, narrowed);
        let (rows, sums) = narrowed.split_at_mut(length);
        match &self.ensemble {
            Ensemble::Single(trees) => trees.add(rows, missing, sums),
            Ensemble::Weights(weights) => weights.add(rows, sums),
            Ensemble::Mixed(_) | Ensemble::Double(_) => {}
        }
        Ok(then(Sums::Single(sums)))
    }

    fn sum_double(
        &self,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
        sums: &mut Vec<f64>,
    ) -> Result<(), Unusable> {
        match &self.first {
            Some(first) => first.begin(rows, sums, scratch)?,
            None => self.begin(rows.count, sums),
        }
        match &self.ensemble {
            Ensemble::Mixed(trees) => {
                let missing = narrow(rows, &mut scratch.narrowed, self.accepts_missing)?;
                trees.add(&scratch.narrowed, missing, sums);
            }
            Ensemble::Double(trees) => {
                self.add_double(trees, rows, scratch, sums)?;
            }
            Ensemble::Single(_) | Ensemble::Weights(_) => {}
        }
        if self.divisor.to_bits() != 1.0_f64.to_bits() {
            for sum in sums {
                *sum /= self.divisor;
            }
        }
        Ok(())
    }

    fn add_double(
        &self,
        trees: &Trees<Double, f64>,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
        sums: &mut [f64],
    ) -> Result<(), Unusable> {
        let Some(columns) = &self.columns else {
            rows.refuse_unusable(self.accepts_missing)?;
            trees.add(rows.numbers, is_missing(rows.numbers), sums);
            return Ok(());
        };
        let mut made = scratch.numbers();
        columns.fill(rows, &mut made);
        trees.add(&made, is_missing(&made), sums);
        scratch.keep(made);
        Ok(())
    }

    /// Appends the base of so many rows.
    fn begin<V: Value>(&self, count: usize, sums: &mut Vec<V>) {
        for _ in 0..count {
            sums.extend(self.base.iter().map(|base| V::of(*base)));
        }
    }
}

/// Sums of rows, in the precision they were made in.
enum Sums<'s> {
    Single(&'s [f32]),
    Double(&'s [f64]),
}

/// Whether any value is missing: one pass without branches.
fn is_missing(values: &[f64]) -> bool {
    let zeros: f64 = values.iter().map(|x| x * 0.0).sum();
    zeros.is_nan()
}

impl Answering for Boosting {
    fn takes(&self) -> Shape {
        match &self.columns {
            Some(columns) => columns.takes(),
            None => Shape::numbers(self.ensemble.features()),
        }
    }

    fn gives(&self) -> Gives {
        self.link.gives(self.ensemble.sums())
    }

    /// Values are looked at where they are used.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let width = self.ensemble.sums();
        self.sum(rows, scratch, |sums| match sums {
            Sums::Single(sums) => self.link.answer(sums, width, answer),
            Sums::Double(sums) => self.link.answer(sums, width, answer),
        })
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        self.sum(rows, scratch, |sums| match sums {
            Sums::Single(sums) => scores.extend(sums.iter().map(|sum| f64::from(*sum))),
            Sums::Double(sums) => scores.extend_from_slice(sums),
        })
    }

    fn bytes(&self) -> usize {
        let columns = self.columns.as_ref().map_or(0, Columns::bytes);
        let first = self.first.as_ref().map_or(0, |first| first.model().bytes());
        first
            + columns
            + match &self.ensemble {
                Ensemble::Mixed(trees) => trees.bytes(),
                Ensemble::Single(trees) => trees.bytes(),
                Ensemble::Double(trees) => trees.bytes(),
                Ensemble::Weights(weights) => weights.bytes(),
            }
    }

    fn nanos_per_row(&self) -> usize {
        let trees = match &self.ensemble {
            Ensemble::Mixed(trees) => trees.nanos_per_row(),
            Ensemble::Single(trees) => trees.nanos_per_row(),
            Ensemble::Double(trees) => trees.nanos_per_row(),
            Ensemble::Weights(weights) => weights.features(),
        };
        let first = self.first.as_ref();
        let first = first.map_or(0, |first| first.model().nanos_per_row());
        first + trees + 10 * self.ensemble.sums() + self.ensemble.features()
    }
}
