//! Linear models: regressions, classifiers, and the search for outliers.

use serde::{Deserialize, Serialize};

use crate::kernel::argmax;
use crate::kernel::functions::{logistic, softmax, to_shares};
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Row, Rows, Scratch, Shape, Unusable};

/// `weights · x + intercept`, once or several times over the same row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Linear {
    /// One row of `features` weights for each score, row-major.
    pub(crate) weights: Vec<f64>,
    /// One intercept for each score.
    pub(crate) intercepts: Vec<f64>,
    /// Columns of a row.
    pub(crate) features: usize,
}

/// A linear regression, perhaps generalised by a link function.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LinearRegression {
    /// One score for each output.
    pub(crate) scores: Linear,
    /// Whether the outputs are the exponentials of the scores.
    pub(crate) exponential: bool,
}

/// How scores become probabilities (`sklearn/linear_model/_logistic.py` and
/// `_stochastic_gradient.py`, `predict_proba`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Link {
    /// Logistic function; several scores are then divided by their sum.
    Logistic,
    /// Softmax; a single score `d` stands for the two scores `−d` and `d`.
    Softmax,
    /// Scores from −1 to 1 become 0 to 1; several are then divided by their sum.
    ModifiedHuber,
    /// They do not: there are labels alone.
    Nothing,
}

/// A linear classifier.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LinearClassifier {
    /// One score for two classes, else one score for each class.
    pub(crate) scores: Linear,
    /// How scores become probabilities.
    pub(crate) link: Link,
}

/// A plane between what is normal and what is not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LinearOutlier {
    /// One score, negative on the side of outliers.
    pub(crate) scores: Linear,
}

impl Linear {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn score(&self, row: Row<'_>, index: usize) -> f64 {
        let weights = &self.weights[index * self.features..(index + 1) * self.features];
        row.dot(weights) + self.intercepts[index]
    }

    /// Appends the scores of one row.
    pub(super) fn scores(&self, row: Row<'_>, scores: &mut Vec<f64>) {
        let indexes = 0..self.intercepts.len();
        scores.extend(indexes.map(|index| self.score(row, index)));
    }

    fn bytes(&self) -> usize {
        (self.weights.len() + self.intercepts.len()) * 8
    }
}

impl Answering for LinearRegression {
    fn takes(&self) -> Shape {
        self.scores.takes()
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn gives(&self) -> Gives {
        Gives {
            values: self.scores.intercepts.len(),
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        let start = answer.values.len();
        rows.each_row()
            .for_each(|row| self.scores.scores(row, &mut answer.values));
        if self.exponential {
            let values = answer.values[start..].iter_mut();
            values.for_each(|value| *value = value.exp());
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.scores.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.scores.weights.len()
    }
}

impl Answering for LinearClassifier {
    fn takes(&self) -> Shape {
        self.scores.takes()
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn gives(&self) -> Gives {
        let scores = self.scores.intercepts.len();
        Gives {
            classes: scores.max(2),
            probabilities: self.link != Link::Nothing,
            values: 0,
            scores,
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        rows.each_row().for_each(|row| self.answer(row, answer));
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        rows.each_row()
            .for_each(|row| self.scores.scores(row, scores));
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.scores.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.scores.weights.len() + 20 * self.scores.intercepts.len()
    }
}

impl LinearClassifier {
    /// Appends label and probabilities of one row.
    fn answer(&self, row: Row<'_>, answer: &mut Answer) {
        let start = answer.probabilities.len();
        if self.scores.intercepts.len() == 1 {
            let score = self.scores.score(row, 0);
            answer.labels.push(u32::from(score > 0.0));
            answer.probabilities.extend(self.two_classes(score));
            return;
        }
        self.scores.scores(row, &mut answer.probabilities);
        let scores = &mut answer.probabilities[start..];
        // The label comes from the scores, before rounding can make probabilities equal.
        answer.labels.push(argmax(scores));
        match self.link {
            Link::Softmax => softmax(scores),
            Link::Nothing => answer.probabilities.truncate(start),
            // Where all scores are as low as can be, every class is as likely as any other
            // (`sklearn/linear_model/_base.py`, `_predict_proba_lr`).
            Link::Logistic => shares(scores, logistic),
            Link::ModifiedHuber => shares(scores, clipped),
        }
    }

    fn two_classes(&self, score: f64) -> impl Iterator<Item = f64> + use<> {
        let pair = match self.link {
            Link::Logistic => Some([1.0 - logistic(score), logistic(score)]),
            Link::ModifiedHuber => Some([1.0 - clipped(score), clipped(score)]),
            Link::Softmax => {
                let mut pair = [-score, score];
                softmax(&mut pair);
                Some(pair)
            }
            Link::Nothing => None,
        };
        pair.into_iter().flatten()
    }
}

fn shares(scores: &mut [f64], share: fn(f64) -> f64) {
    for score in scores.iter_mut() {
        *score = share(*score);
    }
    to_shares(scores);
}

fn clipped(score: f64) -> f64 {
    f64::midpoint(score.clamp(-1.0, 1.0), 1.0)
}

impl Answering for LinearOutlier {
    fn takes(&self) -> Shape {
        self.scores.takes()
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn gives(&self) -> Gives {
        Gives {
            values: 2,
            scores: 1,
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        for row in rows.each_row() {
            let score = self.scores.score(row, 0);
            let side = if score >= 0.0 { 1.0 } else { -1.0 };
            answer.values.extend([side, score]);
        }
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        rows.each_row()
            .for_each(|row| self.scores.scores(row, scores));
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.scores.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.scores.weights.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(link: Link, intercepts: Vec<f64>) -> LinearClassifier {
        let weights = vec![1.0; intercepts.len()];
        let scores = Linear {
            weights,
            intercepts,
            features: 1,
        };
        LinearClassifier { scores, link }
    }

    fn predict(model: &LinearClassifier, x: f64) -> Answer {
        let mut answer = Answer::default();
        model
            .predict(
                Rows::of_numbers(&[x], 1),
                &mut answer,
                &mut Scratch::default(),
            )
            .unwrap();
        answer
    }

    #[test]
    fn probabilities_add_up_to_one_for_every_link() {
        for link in [Link::Logistic, Link::Softmax, Link::ModifiedHuber] {
            for intercepts in [vec![0.5], vec![0.5, -1.0, 2.0]] {
                let answer = predict(&model(link, intercepts), 0.25);
                let sum: f64 = answer.probabilities.iter().sum();
                assert!((sum - 1.0).abs() < 1e-15, "{link:?}");
            }
        }
    }

    #[test]
    fn scores_far_out_stay_finite() {
        let softmax = predict(&model(Link::Softmax, vec![800.0, -800.0, 0.0]), 0.0);
        assert_eq!(softmax.probabilities, [1.0, 0.0, 0.0]);
        for link in [Link::Logistic, Link::ModifiedHuber] {
            let none = predict(&model(link, vec![-800.0; 4]), 0.0);
            assert_eq!(none.probabilities, [0.25; 4]);
            let one = predict(&model(link, vec![-800.0]), 0.0);
            assert_eq!((one.labels[0], one.probabilities[0]), (0, 1.0));
        }
    }

    #[test]
    fn a_classifier_without_probabilities_answers_labels_alone() {
        for (intercepts, label) in [(vec![0.5], 1), (vec![0.5, -1.0, 2.0], 2)] {
            let answer = predict(&model(Link::Nothing, intercepts), 0.25);
            assert_eq!(answer.labels, [label]);
            assert!(answer.probabilities.is_empty());
        }
    }

    #[test]
    fn a_score_of_exactly_zero_is_the_first_class() {
        assert_eq!(predict(&model(Link::Logistic, vec![0.0]), 0.0).labels, [0]);
    }
}
