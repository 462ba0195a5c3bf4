//! Classifiers whose scores are made into probabilities (`sklearn/calibration.py`).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::argmax;
use crate::kernel::functions::{softmax, to_shares};
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::member::{Member, Question, common, cost};
use crate::kernel::model::Model;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// What is added to a probability before its logarithm is taken (`_convert_to_logits`).
const TINY: f64 = 1e-12;

/// The mean of calibrated classifiers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Calibrated {
    takes: Shape,
    members: Vec<Calibration>,
    classes: usize,
}

/// A classifier, and what makes its scores probabilities.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Calibration {
    member: Member,
    by: Calibrator,
}

/// How scores become probabilities.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Calibrator {
    /// A curve for each class, or the one of the second of two.
    Curves(Vec<Curve>),
    /// Softmax of scores times this.
    Temperature(f64),
}

/// A curve from a score to a probability.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Curve {
    /// `1 / (1 + exp(a·x + b))`.
    Sigmoid {
        /// Slope.
        a: f64,
        /// Intercept.
        b: f64,
    },
    /// Straight lines between points, level outside of them.
    Isotonic(Points),
}

/// Points of a curve, at ascending places.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Points {
    x: Vec<f64>,
    y: Vec<f64>,
    /// Whether scores are narrowed to `f32`, as they were when the points were found.
    narrow: bool,
}

impl Points {
    /// Points at ascending `x`, at least one.
    pub(crate) fn new(x: Vec<f64>, y: Vec<f64>, narrow: bool) -> Result<Self, EngineError> {
        let ascending = x.windows(2).all(|pair| pair[0] <= pair[1]);
        if x.is_empty() || x.len() != y.len() || !ascending {
            return Err(malformed("the points of a calibration are out of order"));
        }
        Ok(Self { x, y, narrow })
    }

    /// From the first point to the last. A single point stands for all places.
    pub(super) fn span(&self) -> RangeInclusive<f64> {
        match self.x.as_slice() {
            [first, .., last] => *first..=*last,
            _ => f64::NEG_INFINITY..=f64::INFINITY,
        }
    }

    /// Bytes of memory kept.
    pub(super) fn bytes(&self) -> usize {
        16 * self.x.len()
    }

    /// `numpy.interp` of `at`, which is moved between the first and the last point.
    pub(super) fn at(&self, at: f64) -> f64 {
        let at = if self.narrow {
            f64::from(at as f32)
        } else {
            at
        };
        let last = self.x.len() - 1;
        let at = at.max(self.x[0]).min(self.x[last]);
        let above = self.x.partition_point(|x| *x <= at);
        if above > last {
            return self.y[last];
        }
        // The first point is not above `at`, unless that is NaN.
        let below = above.saturating_sub(1);
        let slope = (self.y[above] - self.y[below]) / (self.x[above] - self.x[below]);
        let value = slope * (at - self.x[below]) + self.y[below];
        if self.narrow {
            f64::from(value as f32)
        } else {
            value
        }
    }
}

impl Curve {
    fn at(&self, score: f64) -> f64 {
        match self {
            Self::Sigmoid { a, b } => 1.0 / (1.0 + (a * score + b).exp()),
            Self::Isotonic(points) => points.at(score),
        }
    }
}

impl Calibration {
    /// A classifier over `classes` that is asked for its scores, or for its
    /// probabilities where it has none.
    pub(crate) fn new(model: Model, by: Calibrator) -> Result<Self, EngineError> {
        let gives = model.gives();
        let question = match (gives.scores, gives.classes) {
            (0, 2) => Question::Positive,
            (0, _) => Question::Probabilities,
            _ => Question::Scores,
        };
        let member = Member::new(model, question)?;
        let scores = if gives.classes == 2 { 1 } else { gives.classes };
        let curves = match &by {
            Calibrator::Curves(curves) => curves.len(),
            Calibrator::Temperature(_) => scores,
        };
        if member.width() != scores || curves != scores {
            return Err(malformed(
                "a calibration has other classes than its classifier",
            ));
        }
        Ok(Self { member, by })
    }

    /// The probabilities of a row, from the scores of its classifier.
    fn probabilities(&self, scores: &[f64], made: &mut [f64]) {
        let from_scores = *self.member.question() == Question::Scores;
        match (&self.by, scores, &mut *made) {
            (Calibrator::Curves(curves), [score], [negative, positive]) => {
                *positive = curves[0].at(*score);
                *negative = 1.0 - *positive;
            }
            (Calibrator::Curves(curves), scores, made) => {
                let each = curves.iter().zip(scores);
                let each = each.map(|(curve, score)| curve.at(*score));
                made.iter_mut().zip(each).for_each(|(made, p)| *made = p);
                to_shares(made);
            }
            (Calibrator::Temperature(beta), [score], [negative, positive]) => {
                (*negative, *positive) = if from_scores {
                    (beta * -score, beta * score)
                } else {
                    (beta * (1.0 - score + TINY).ln(), beta * (score + TINY).ln())
                };
                softmax(made);
            }
            (Calibrator::Temperature(beta), scores, made) => {
                for (made, score) in made.iter_mut().zip(scores) {
                    let logit = if from_scores {
                        *score
                    } else {
                        (score + TINY).ln()
                    };
                    *made = beta * logit;
                }
                softmax(made);
            }
        }
        // Rounding may leave a probability a little above 1.
        let above = made.iter_mut().filter(|p| **p > 1.0 && **p <= 1.0 + 1e-5);
        above.for_each(|p| *p = 1.0);
    }
}

impl Calibrated {
    /// The mean of `members`, all over the same classes.
    pub(crate) fn new(members: Vec<Calibration>) -> Result<Self, EngineError> {
        let takes = common(members.iter().map(|each| each.member.takes()))?;
        let mut counts = members
            .iter()
            .map(|each| each.member.model().gives().classes);
        let classes = counts.next().unwrap_or(0);
        if classes < 2 || counts.any(|count| count != classes) {
            return Err(malformed("calibrated classifiers of different classes"));
        }
        Ok(Self {
            takes,
            members,
            classes,
        })
    }

    fn models(&self) -> impl Iterator<Item = &Model> {
        self.members.iter().map(|each| each.member.model())
    }
}

impl Answering for Calibrated {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            classes: self.classes,
            probabilities: true,
            ..Gives::default()
        }
    }

    /// The classifiers look for themselves.
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
        let start = answer.probabilities.len();
        answer
            .probabilities
            .resize(start + rows.count * self.classes, 0.0);
        let mut made = scratch.numbers();
        made.resize(self.classes, 0.0);
        for each in &self.members {
            let mut scores = scratch.numbers();
            each.member.ask(rows, &mut scores, scratch)?;
            let sums = answer.probabilities[start..].chunks_exact_mut(self.classes);
            for (scores, sums) in scores.chunks_exact(each.member.width()).zip(sums) {
                each.probabilities(scores, &mut made);
                sums.iter_mut().zip(&made).for_each(|(sum, p)| *sum += p);
            }
            scratch.keep(scores);
        }
        scratch.keep(made);
        let count = self.members.len() as f64;
        let means = &mut answer.probabilities[start..];
        for sum in means.iter_mut() {
            *sum /= count;
        }
        answer
            .labels
            .extend(means.chunks_exact(self.classes).map(argmax));
        Ok(())
    }

    fn bytes(&self) -> usize {
        let points = self.members.iter().map(|each| match &each.by {
            Calibrator::Temperature(_) => 8,
            Calibrator::Curves(curves) => {
                let each = curves.iter().map(|curve| match curve {
                    Curve::Sigmoid { .. } => 16,
                    Curve::Isotonic(points) => points.bytes(),
                });
                each.sum()
            }
        });
        points.sum::<usize>() + cost(self.models()).0
    }

    fn nanos_per_row(&self) -> usize {
        cost(self.models()).1 + 20 * self.classes * self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "halves are exact")]
    fn a_curve_is_level_outside_of_its_points() {
        let points = Points::new(vec![0.0, 1.0, 3.0], vec![0.0, 0.5, 1.0], false).unwrap();
        for (at, expected) in [
            (-9.0, 0.0),
            (0.5, 0.25),
            (1.0, 0.5),
            (2.0, 0.75),
            (9.0, 1.0),
        ] {
            assert_eq!(points.at(at), expected, "{at}");
        }
        let single = Points::new(vec![2.0], vec![0.5], false).unwrap();
        assert_eq!(single.at(f64::NAN), 0.5);
        assert!(Points::new(vec![2.0, 1.0], vec![0.0, 1.0], false).is_err());
    }
}
