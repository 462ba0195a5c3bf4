//! From sums of trees to answers, in the precision of the sums.

use serde::{Deserialize, Serialize};

use crate::kernel::head::{Answer, Gives};

/// How sums become answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Link {
    /// Values: the sums themselves.
    Identity,
    /// Values: e to the sum.
    Exp,
    /// Values: the logistic function of the sum.
    Sigmoid,
    /// Values: the square of the sum with its sign (LightGBM's `reg_sqrt`).
    Square,
    /// Values: ln(1 + e to the sum) (LightGBM's `cross_entropy_lambda`).
    SoftPlus,
    /// Two classes: the logistic function of `scale × sum` is the share of the second.
    Logistic { scale: f64, label: Label },
    /// Two classes without probabilities: the second if the sum is above 0.
    Hinge,
    /// As many classes as sums: their softmax.
    Softmax { label: Label },
    /// As many classes as sums: the logistic function of each `scale × sum`.
    OneVsRest { scale: f64 },
}

/// What decides the label, for it differs where probabilities are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Label {
    /// The largest probability.
    Probability,
    /// The largest sum; with one, whether it is above 0.
    Sum,
    /// The same, but a sum of 0 means the second class.
    SumOrZero,
}

/// A precision in which sums are made.
pub(crate) trait Real: Copy + PartialOrd + Into<f64> {
    /// The logistic function of `scale` times this.
    fn sigmoid(self, scale: f64) -> Self;
    /// e to this.
    fn exp(self) -> Self;
    /// e to this less `by`.
    fn exp_less(self, by: Self) -> Self;
    /// This divided by a sum.
    fn over(self, sum: f64) -> Self;
    /// One less this.
    fn rest(self) -> Self;
}

macro_rules! real {
    ($type:ty, $of:expr) => {
        impl Real for $type {
            #[inline]
            fn sigmoid(self, scale: f64) -> Self {
                1.0 / (1.0 + (-self * $of(scale)).exp())
            }

            #[inline]
            fn exp(self) -> Self {
                self.exp()
            }

            #[inline]
            fn exp_less(self, by: Self) -> Self {
                (self - by).exp()
            }

            #[inline]
            fn over(self, sum: f64) -> Self {
                self / $of(sum)
            }

            #[inline]
            fn rest(self) -> Self {
                1.0 - self
            }
        }
    };
}

real!(f32, |x: f64| x as f32);
real!(f64, |x: f64| x);

impl Link {
    /// Whether it can make something of so many sums a row.
    pub(super) fn takes(self, sums: usize) -> bool {
        match self {
            Self::Logistic { .. } | Self::Hinge => sums == 1,
            Self::Softmax { .. } | Self::OneVsRest { .. } => sums >= 2,
            _ => sums >= 1,
        }
    }

    /// What it makes of so many sums a row.
    pub(super) fn gives(self, sums: usize) -> Gives {
        let classes = match self {
            Self::Logistic { .. } | Self::Hinge => 2,
            Self::Softmax { .. } | Self::OneVsRest { .. } => sums,
            _ => 0,
        };
        Gives {
            classes,
            probabilities: classes > 0 && self != Self::Hinge,
            values: if classes == 0 { sums } else { 0 },
            scores: sums,
        }
    }

    /// Appends the answers for rows of `width` sums.
    pub(super) fn answer<R: Real>(self, sums: &[R], width: usize, answer: &mut Answer) {
        let values = &mut answer.values;
        match self {
            Self::Identity => values.extend(sums.iter().map(|sum| (*sum).into())),
            Self::Exp => values.extend(sums.iter().map(|sum| sum.exp().into())),
            Self::Sigmoid => values.extend(sums.iter().map(|sum| sum.sigmoid(1.0).into())),
            Self::Square => values.extend(sums.iter().map(|sum| {
                let sum: f64 = (*sum).into();
                sum * sum.abs()
            })),
            Self::SoftPlus => values.extend(sums.iter().map(|sum| {
                let sum: f64 = (*sum).into();
                sum.exp().ln_1p()
            })),
            Self::Logistic { scale, label } => {
                for sum in sums {
                    logistic(*sum, scale, label, answer);
                }
            }
            Self::Hinge => {
                let labels = sums.iter().map(|sum| u32::from((*sum).into() > 0.0));
                answer.labels.extend(labels);
            }
            Self::Softmax { label } => {
                for sums in sums.chunks_exact(width) {
                    softmax(sums, label, answer);
                }
            }
            Self::OneVsRest { scale } => {
                for sums in sums.chunks_exact(width) {
                    one_vs_rest(sums, scale, answer);
                }
            }
        }
    }
}

fn logistic<R: Real>(sum: R, scale: f64, label: Label, answer: &mut Answer) {
    let share = sum.sigmoid(scale);
    let (second, first) = (share.into(), share.rest().into());
    let sum: f64 = sum.into();
    let is_second = match label {
        Label::Probability => second > first,
        Label::Sum => sum > 0.0,
        Label::SumOrZero => sum >= 0.0,
    };
    answer.labels.push(is_second.into());
    answer.probabilities.extend([first, second]);
}

fn softmax<R: Real>(sums: &[R], label: Label, answer: &mut Answer) {
    let mut largest = sums[0];
    for sum in sums {
        if *sum > largest {
            largest = *sum;
        }
    }
    let start = answer.probabilities.len();
    let mut total = 0.0;
    for sum in sums {
        total += sum.exp_less(largest).into();
    }
    let shares = sums
        .iter()
        .map(|sum| sum.exp_less(largest).over(total).into());
    answer.probabilities.extend(shares);
    let chosen = match label {
        Label::Probability => first_largest(&answer.probabilities[start..]),
        Label::Sum | Label::SumOrZero => first_largest(sums),
    };
    answer.labels.push(chosen);
}

fn one_vs_rest<R: Real>(sums: &[R], scale: f64, answer: &mut Answer) {
    let start = answer.probabilities.len();
    let shares = sums.iter().map(|sum| sum.sigmoid(scale).into());
    answer.probabilities.extend(shares);
    answer
        .labels
        .push(first_largest(&answer.probabilities[start..]));
}

/// Index of the largest value; the first of equals.
fn first_largest<R: PartialOrd>(values: &[R]) -> u32 {
    let mut best = 0;
    for (index, value) in values.iter().enumerate().skip(1) {
        if *value > values[best] {
            best = index;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(link: Link, sums: &[f64], width: usize) -> Answer {
        let mut answer = Answer::default();
        link.answer(sums, width, &mut answer);
        answer
    }

    #[test]
    fn an_even_sum_is_the_class_its_library_says() {
        for (label, expected) in [
            (Label::Probability, 0),
            (Label::Sum, 0),
            (Label::SumOrZero, 1),
        ] {
            let answer = answer(Link::Logistic { scale: 1.0, label }, &[0.0], 1);
            assert_eq!(answer.labels, [expected]);
            assert_eq!(answer.probabilities, [0.5, 0.5]);
        }
    }

    #[test]
    fn a_softmax_of_large_sums_stays_finite() {
        let link = Link::Softmax {
            label: Label::Probability,
        };
        let answer = answer(link, &[1000.0, 1000.0, -1000.0], 3);
        assert_eq!(answer.probabilities, [0.5, 0.5, 0.0]);
        assert_eq!(answer.labels, [0]);
    }

    #[test]
    fn values_go_through_their_function() {
        assert_eq!(answer(Link::Square, &[-3.0, 2.0], 1).values, [-9.0, 4.0]);
        assert_eq!(answer(Link::Exp, &[0.0], 1).values, [1.0]);
        assert_eq!(answer(Link::Hinge, &[-0.1, 0.0, 0.1], 1).labels, [0, 0, 1]);
    }

    #[test]
    fn a_link_takes_the_sums_it_can_use() {
        let label = Label::Sum;
        assert!(!Link::Logistic { scale: 1.0, label }.takes(2));
        assert!(!Link::Softmax { label }.takes(1));
        assert!(Link::Identity.takes(3));
    }
}
