//! What the sums of boosted trees begin with where that depends on the row.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::member::{Member, Question};
use crate::kernel::model::Model;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// A model whose answers are what sums begin with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct First {
    member: Member,
    /// How probabilities become sums; values are sums as they are.
    shares: Option<Shares>,
}

/// How probabilities become what a softmax or a logistic function makes them of
/// (`sklearn/ensemble/_gb.py`, `_init_raw_predictions`, and `_gb_losses.py` until 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shares {
    /// No probability counts as less, and none as more than the rest to 1.
    pub(crate) least: f64,
    /// Whether a sum of two classes is halved, as the exponential loss has it.
    pub(crate) half: bool,
    /// Whether sums of several classes add up to zero (`sklearn/_loss/link.py`, since 1.4).
    pub(crate) centred: bool,
}

impl Shares {
    /// Appends the sums for the probabilities of one row.
    pub(crate) fn begin(self, shares: &[f64], sums: &mut Vec<f64>) {
        let clipped = |share: &f64| share.clamp(self.least, 1.0 - self.least);
        if let [_, second] = shares {
            let second = clipped(second);
            let logit = (second / (1.0 - second)).ln();
            sums.push(if self.half { 0.5 * logit } else { logit });
            return;
        }
        let logs = shares.iter().map(|share| clipped(share).ln());
        let mean = if self.centred {
            logs.clone().sum::<f64>() / shares.len() as f64
        } else {
            0.0
        };
        sums.extend(logs.map(|log| log - mean));
    }
}

impl First {
    /// A model over `features` columns, of as many answers as there are `sums`.
    pub(crate) fn new(
        model: Model,
        shares: Option<Shares>,
        (features, sums): (usize, usize),
    ) -> Result<Self, EngineError> {
        let question = match shares {
            Some(_) => Question::Probabilities,
            None => Question::Values,
        };
        let member = Member::new(model, question)?;
        let width = match (shares, member.width()) {
            (Some(_), 2) => 1,
            (_, width) => width,
        };
        if width != sums || member.takes() != Shape::numbers(features) {
            return Err(malformed("the init estimator does not fit the trees"));
        }
        Ok(Self { member, shares })
    }

    /// Its model.
    pub(super) fn model(&self) -> &Model {
        self.member.model()
    }

    /// Appends what the sums of each of `rows` begin with; the rows are narrowed, as those of trees are.
    pub(super) fn begin(
        &self,
        rows: Rows<'_, '_>,
        sums: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let (mut narrowed, mut answers) = (scratch.numbers(), scratch.numbers());
        narrowed.extend(rows.numbers.iter().map(|x| f64::from(*x as f32)));
        let rows = Rows {
            numbers: &narrowed,
            ..rows
        };
        let asked = self.member.ask(rows, &mut answers, scratch);
        match self.shares {
            None => sums.extend_from_slice(&answers),
            Some(shares) => {
                let each = answers.chunks_exact(self.member.width());
                each.for_each(|row| shares.begin(row, sums));
            }
        }
        scratch.keep(narrowed);
        scratch.keep(answers);
        asked
    }
}
