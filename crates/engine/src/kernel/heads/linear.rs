//! Linear models: regression and logistic regression.

use serde::{Deserialize, Serialize};

use crate::kernel::argmax;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};

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

/// How scores become probabilities (`sklearn/linear_model/_logistic.py`, `predict_proba`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Link {
    /// Logistic function; several scores are then divided by their sum.
    Logistic,
    /// Softmax; a single score `d` stands for the two scores `−d` and `d`.
    Softmax,
}

/// A linear classifier with probabilities.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Logistic {
    /// One score for two classes, else one score for each class.
    pub(crate) scores: Linear,
    /// How scores become probabilities.
    pub(crate) link: Link,
}

impl Linear {
    fn score(&self, row: &[f64], index: usize) -> f64 {
        let weights = &self.weights[index * self.features..(index + 1) * self.features];
        dot(row, weights) + self.intercepts[index]
    }

    /// Appends the scores of one row.
    fn scores(&self, row: &[f64], scores: &mut Vec<f64>) {
        let indexes = 0..self.intercepts.len();
        scores.extend(indexes.map(|index| self.score(row, index)));
    }
}

impl Answering for Linear {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Gives {
        Gives {
            values: self.intercepts.len(),
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        rows.each()
            .for_each(|row| self.scores(row, &mut answer.values));
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.weights.len() + self.intercepts.len()) * 8
    }

    fn nanos_per_row(&self) -> usize {
        self.weights.len()
    }
}

impl Answering for Logistic {
    fn takes(&self) -> Shape {
        self.scores.takes()
    }

    fn gives(&self) -> Gives {
        let scores = self.scores.intercepts.len();
        Gives {
            classes: scores.max(2),
            probabilities: true,
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
        rows.each().for_each(|row| self.answer(row, answer));
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        rows.each().for_each(|row| self.scores.scores(row, scores));
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.scores.bytes()
    }

    fn nanos_per_row(&self) -> usize {
        self.scores.weights.len() + 20 * self.scores.intercepts.len()
    }
}

impl Logistic {
    /// Appends label and probabilities of one row.
    fn answer(&self, row: &[f64], answer: &mut Answer) {
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
            Link::Logistic => normalised_logistic(scores),
            Link::Softmax => softmax(scores),
        }
    }

    fn two_classes(&self, score: f64) -> [f64; 2] {
        match self.link {
            Link::Logistic => {
                let positive = logistic(score);
                [1.0 - positive, positive]
            }
            Link::Softmax => {
                let mut pair = [-score, score];
                softmax(&mut pair);
                pair
            }
        }
    }
}

/// Four sums side by side: the additions do not wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<4>();
    let (b_chunks, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

fn normalised_logistic(scores: &mut [f64]) {
    for score in scores.iter_mut() {
        *score = logistic(*score);
    }
    let sum: f64 = scores.iter().sum();
    if sum == 0.0 {
        // All scores underflowed: every class is as likely as any other
        // (`sklearn/linear_model/_base.py`, `_predict_proba_lr`).
        scores.fill(1.0 / scores.len() as f64);
        return;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
}

fn softmax(scores: &mut [f64]) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
    }
    let sum: f64 = scores.iter().sum();
    for score in scores.iter_mut() {
        *score /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(link: Link, intercepts: Vec<f64>) -> Logistic {
        let weights = vec![1.0; intercepts.len()];
        let scores = Linear {
            weights,
            intercepts,
            features: 1,
        };
        Logistic { scores, link }
    }

    fn predict(model: &Logistic, x: f64) -> Answer {
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
    #[expect(clippy::float_cmp, reason = "small integers are exact")]
    fn a_dot_product_takes_every_element() {
        for length in 0..11 {
            let ones = vec![1.0; length];
            assert_eq!(dot(&ones, &ones), length as f64);
        }
    }

    #[test]
    fn probabilities_add_up_to_one_for_every_link() {
        for link in [Link::Logistic, Link::Softmax] {
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
        let none = predict(&model(Link::Logistic, vec![-800.0; 4]), 0.0);
        assert_eq!(none.probabilities, [0.25; 4]);
        let one = predict(&model(Link::Logistic, vec![-800.0]), 0.0);
        assert_eq!((one.labels[0], one.probabilities[0]), (0, 1.0));
    }

    #[test]
    fn a_score_of_exactly_zero_is_the_first_class() {
        assert_eq!(predict(&model(Link::Logistic, vec![0.0]), 0.0).labels, [0]);
    }
}
