//! A regressor that was fitted on a changed target: its answers are changed back.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::member::{Member, Question};
use crate::kernel::model::Model;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::kernel::steps::elementwise::Function;
use crate::reader::malformed;

/// A regressor, and what is done to its answers, in this order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    member: Box<Member>,
    back: Vec<Back>,
}

/// What is done to an answer. Lists have one entry for each number of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Back {
    /// `x · factor + shift`.
    Stretch(Vec<(f64, f64)>),
    /// `(x − shift) / factor`.
    Shrink(Vec<(f64, f64)>),
    /// A function of numpy.
    Function(Function),
    /// The inverse of Box and Cox (1964), section 3: the exponents.
    BoxCox(Vec<f64>),
    /// The inverse of Yeo and Johnson (2000), section 3: the exponents.
    YeoJohnson(Vec<f64>),
}

impl Back {
    /// Entries of its list, if it has one.
    fn width(&self) -> Option<usize> {
        match self {
            Self::Stretch(list) | Self::Shrink(list) => Some(list.len()),
            Self::BoxCox(list) | Self::YeoJohnson(list) => Some(list.len()),
            Self::Function(_) => None,
        }
    }

    fn change(&self, answer: &mut [f64]) {
        let each = answer.iter_mut();
        match self {
            Self::Stretch(list) => {
                let each = each.zip(list);
                each.for_each(|(x, (factor, shift))| *x = *x * factor + shift);
            }
            Self::Shrink(list) => {
                let each = each.zip(list);
                each.for_each(|(x, (factor, shift))| *x = (*x - shift) / factor);
            }
            Self::Function(function) => each.for_each(|x| *x = function.of(*x)),
            Self::BoxCox(list) => each
                .zip(list)
                .for_each(|(x, power)| *x = box_cox(*x, *power)),
            Self::YeoJohnson(list) => {
                each.zip(list)
                    .for_each(|(x, power)| *x = yeo_johnson(*x, *power));
            }
        }
    }
}

/// `scipy.special.inv_boxcox`.
fn box_cox(x: f64, power: f64) -> f64 {
    if power == 0.0 {
        x.exp()
    } else {
        ((power * x).ln_1p() / power).exp()
    }
}

/// `sklearn/preprocessing/_data.py`, `_yeo_johnson_inverse_transform`.
fn yeo_johnson(x: f64, power: f64) -> f64 {
    if x >= 0.0 {
        if power.abs() < f64::EPSILON {
            x.exp() - 1.0
        } else {
            (x * power + 1.0).powf(1.0 / power) - 1.0
        }
    } else if (power - 2.0).abs() > f64::EPSILON {
        1.0 - (-(2.0 - power) * x + 1.0).powf(1.0 / (2.0 - power))
    } else {
        1.0 - (-x).exp()
    }
}

impl Target {
    /// A regressor whose answers keep their width on the way back.
    pub(crate) fn new(model: Model, back: Vec<Back>) -> Result<Self, EngineError> {
        let member = Box::new(Member::new(model, Question::Values)?);
        let width = member.width();
        let mut widths = back.iter().filter_map(Back::width);
        if widths.all(|of| of == width) {
            return Ok(Self { member, back });
        }
        Err(malformed("a target is changed back into another shape"))
    }
}

impl Answering for Target {
    fn takes(&self) -> Shape {
        self.member.takes()
    }

    fn gives(&self) -> Gives {
        self.member.model().gives()
    }

    /// The regressor looks for itself.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let start = answer.values.len();
        self.member.ask(rows, &mut answer.values, scratch)?;
        for answer in answer.values[start..].chunks_exact_mut(self.member.width()) {
            self.back.iter().for_each(|back| back.change(answer));
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let lists = self.back.iter().filter_map(Back::width);
        self.member.model().bytes() + 16 * lists.sum::<usize>()
    }

    fn nanos_per_row(&self) -> usize {
        self.member.model().nanos_per_row() + 10 * self.member.width() * self.back.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_taken_back() {
        // Yeo and Johnson of 3 with the power 0.5 is (4^0.5 - 1) / 0.5 = 2.
        assert!((yeo_johnson(2.0, 0.5) - 3.0).abs() < 1e-12);
        assert!((yeo_johnson(-1.0, 2.0) - (1.0 - 1_f64.exp())).abs() < 1e-12);
        // Box and Cox of 4 with the power 0.5 is (4^0.5 - 1) / 0.5 = 2.
        assert!((box_cox(2.0, 0.5) - 4.0).abs() < 1e-12);
        assert!((box_cox(1.0, 0.0) - 1_f64.exp()).abs() < 1e-12);
    }
}
