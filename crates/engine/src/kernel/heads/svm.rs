//! Support vector machines, as libsvm answers (`sklearn/svm/src/libsvm/svm.cpp`).

use serde::{Deserialize, Serialize};

use crate::kernel::argmax;
use crate::kernel::functions::{balance, dot};
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};

/// What compares a row with a support vector (`Kernel::k_function`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Similarity {
    /// `x · v`
    Linear,
    /// `(gamma · x·v + constant)^degree`
    Polynomial {
        gamma: f64,
        constant: f64,
        degree: u32,
    },
    /// `exp(−gamma · |x − v|²)`
    Radial { gamma: f64 },
    /// `tanh(gamma · x·v + constant)`
    Sigmoid { gamma: f64, constant: f64 },
}

/// Support vectors, and how rows are compared with them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Vectors {
    /// Row-major, `features` numbers each.
    pub(crate) points: Vec<f64>,
    /// Columns of a row, at least one.
    pub(crate) features: usize,
    /// How they are compared.
    pub(crate) similarity: Similarity,
}

/// A weighted sum of similarities: a regression, or the search for outliers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SupportSum {
    /// What rows are compared with.
    pub(crate) vectors: Vectors,
    /// One for each vector.
    pub(crate) coefficients: Vec<f64>,
    /// What is added.
    pub(crate) intercept: f64,
    /// Whether the sign of the sum tells outliers.
    pub(crate) outliers: bool,
}

/// A classifier that lets each pair of classes vote.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SupportClassifier {
    /// What rows are compared with, class by class.
    pub(crate) vectors: Vectors,
    /// How many vectors each class has, at least two classes.
    pub(crate) counts: Vec<usize>,
    /// `classes − 1` rows of one coefficient for each vector.
    pub(crate) coefficients: Vec<f64>,
    /// One for each pair of classes: (0, 1), (0, 2), … (1, 2), …
    pub(crate) intercepts: Vec<f64>,
    /// Platt's A and B for each pair, if there are probabilities.
    pub(crate) platt: Option<Vec<[f64; 2]>>,
    /// How scores are made of what the pairs decide.
    pub(crate) scores: PairScores,
    /// Whether the largest score decides, instead of the votes alone.
    pub(crate) break_ties: bool,
}

/// What `decision_function` of a classifier gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PairScores {
    /// One score for each class.
    Classes,
    /// One score for each pair of classes.
    Pairs,
}

impl Similarity {
    fn of(self, x: &[f64], vector: &[f64]) -> f64 {
        match self {
            Self::Linear => dot(x, vector),
            Self::Polynomial {
                gamma,
                constant,
                degree,
            } => power(gamma * dot(x, vector) + constant, degree),
            Self::Radial { gamma } => {
                let each = x.iter().zip(vector).map(|(x, v)| (x - v) * (x - v));
                (-gamma * each.sum::<f64>()).exp()
            }
            Self::Sigmoid { gamma, constant } => (gamma * dot(x, vector) + constant).tanh(),
        }
    }
}

/// By squaring, as libsvm's `powi`.
fn power(base: f64, exponent: u32) -> f64 {
    let (mut square, mut result, mut left) = (base, 1.0, exponent);
    while left > 0 {
        if left % 2 == 1 {
            result *= square;
        }
        square *= square;
        left /= 2;
    }
    result
}

impl Vectors {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn count(&self) -> usize {
        self.points.len() / self.features
    }

    /// The similarity of a row to each vector, in place of what `similar` held.
    fn compare(&self, row: &[f64], similar: &mut Vec<f64>) {
        let vectors = self.points.chunks_exact(self.features);
        similar.clear();
        similar.extend(vectors.map(|vector| self.similarity.of(row, vector)));
    }

    fn nanos(&self) -> usize {
        self.points.len() + 20 * self.count()
    }
}

impl Answering for SupportSum {
    fn takes(&self) -> Shape {
        self.vectors.takes()
    }

    fn gives(&self) -> Gives {
        Gives {
            values: 1 + usize::from(self.outliers),
            scores: usize::from(self.outliers),
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut sums = scratch.numbers();
        self.decide(rows, &mut sums, scratch)?;
        if self.outliers {
            let sides = sums.iter().map(|sum| if *sum > 0.0 { 1.0 } else { -1.0 });
            let pairs = sides.zip(&sums).flat_map(|(side, sum)| [side, *sum]);
            answer.values.extend(pairs);
        } else {
            answer.values.extend_from_slice(&sums);
        }
        scratch.keep(sums);
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut similar = scratch.numbers();
        for row in rows.each() {
            self.vectors.compare(row, &mut similar);
            scores.push(dot(&self.coefficients, &similar) + self.intercept);
        }
        scratch.keep(similar);
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.vectors.points.len() + self.coefficients.len()) * 8
    }

    fn nanos_per_row(&self) -> usize {
        self.vectors.nanos()
    }
}

impl Answering for SupportClassifier {
    fn takes(&self) -> Shape {
        self.vectors.takes()
    }

    fn gives(&self) -> Gives {
        let classes = self.counts.len();
        Gives {
            classes,
            probabilities: self.platt.is_some(),
            values: 0,
            scores: match (classes, self.scores) {
                (2, _) => 1,
                (_, PairScores::Classes) => classes,
                (_, PairScores::Pairs) => self.intercepts.len(),
            },
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let (mut pairs, mut sums) = (scratch.numbers(), scratch.numbers());
        self.decide_pairs(rows, &mut pairs, scratch);
        for pairs in pairs.chunks_exact(self.intercepts.len()) {
            sums.clear();
            if self.break_ties && self.counts.len() > 2 {
                self.score_classes(pairs, &mut sums);
            } else {
                self.vote(pairs, &mut sums);
            }
            answer.labels.push(argmax(&sums));
            if let Some(platt) = &self.platt {
                self.couple(platt, pairs, (&mut sums, &mut answer.probabilities));
            }
        }
        scratch.keep(pairs);
        scratch.keep(sums);
        Ok(())
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut pairs = scratch.numbers();
        self.decide_pairs(rows, &mut pairs, scratch);
        match (self.counts.len(), self.scores) {
            // libsvm decides for the first class of a pair, scikit-learn for the second of two classes.
            (2, _) => scores.extend(pairs.iter().map(|score| -score)),
            (_, PairScores::Pairs) => scores.extend_from_slice(&pairs),
            (_, PairScores::Classes) => {
                for pairs in pairs.chunks_exact(self.intercepts.len()) {
                    self.score_classes(pairs, scores);
                }
            }
        }
        scratch.keep(pairs);
        Ok(())
    }

    fn bytes(&self) -> usize {
        let pairs = self.intercepts.len() * 3 + self.counts.len();
        (self.vectors.points.len() + self.coefficients.len() + pairs) * 8
    }

    fn nanos_per_row(&self) -> usize {
        let coupling = 10 * self.intercepts.len() * usize::from(self.platt.is_some());
        self.vectors.nanos() + self.coefficients.len() + coupling
    }
}

impl SupportClassifier {
    /// Appends what each pair of classes decides for each row; above 0 for the first
    /// (`svm_predict_values`).
    fn decide_pairs(&self, rows: Rows<'_, '_>, pairs: &mut Vec<f64>, scratch: &mut Scratch) {
        let mut similar = scratch.numbers();
        let count = self.vectors.count();
        for row in rows.each() {
            self.vectors.compare(row, &mut similar);
            let (mut pair, mut first) = (0, 0);
            for (i, of_first) in self.counts.iter().enumerate() {
                let firsts = first..first + of_first;
                let mut second = firsts.end;
                for (j, of_second) in self.counts.iter().enumerate().skip(i + 1) {
                    let seconds = second..second + of_second;
                    second = seconds.end;
                    let against = &self.coefficients[(j - 1) * count..j * count];
                    let toward = &self.coefficients[i * count..(i + 1) * count];
                    let sum = dot(&against[firsts.clone()], &similar[firsts.clone()])
                        + dot(&toward[seconds.clone()], &similar[seconds]);
                    pairs.push(sum + self.intercepts[pair]);
                    pair += 1;
                }
                first = firsts.end;
            }
        }
        scratch.keep(similar);
    }

    /// Pairs of classes, in the order of their decisions.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let classes = self.counts.len();
        (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
    }

    /// Fills `votes` with the number of pairs each class wins.
    fn vote(&self, pairs: &[f64], votes: &mut Vec<f64>) {
        votes.resize(self.counts.len(), 0.0);
        for ((i, j), decision) in self.pairs().zip(pairs) {
            votes[if *decision > 0.0 { i } else { j }] += 1.0;
        }
    }

    /// Appends a score for each class: votes, and confidences between them
    /// (`sklearn/utils/multiclass.py`, `_ovr_decision_function`).
    fn score_classes(&self, pairs: &[f64], scores: &mut Vec<f64>) {
        let start = scores.len();
        scores.resize(start + self.counts.len(), 0.0);
        let scores = &mut scores[start..];
        for ((i, j), decision) in self.pairs().zip(pairs) {
            scores[i] += decision;
            scores[j] -= decision;
        }
        for score in scores.iter_mut() {
            *score /= 3.0 * (score.abs() + 1.0);
        }
        for ((i, j), decision) in self.pairs().zip(pairs) {
            scores[if *decision < 0.0 { j } else { i }] += 1.0;
        }
    }

    /// Appends the probabilities that agree best with those of the pairs
    /// (`svm_predict_probability`, `multiclass_probability`; Wu, Lin and Weng, JMLR 5, 2004, section 4).
    fn couple(
        &self,
        platt: &[[f64; 2]],
        pairs: &[f64],
        (work, probabilities): (&mut Vec<f64>, &mut Vec<f64>),
    ) {
        let classes = self.counts.len();
        work.clear();
        work.resize(classes * classes + classes, 0.0);
        let (matrix, product) = work.split_at_mut(classes * classes);
        for (((i, j), decision), [a, b]) in self.pairs().zip(pairs).zip(platt) {
            let first = sigmoid(decision * a + b).clamp(1e-7, 1.0 - 1e-7);
            let second = 1.0 - first;
            matrix[j * classes + j] += first * first;
            matrix[i * classes + i] += second * second;
            matrix[i * classes + j] = -second * first;
            matrix[j * classes + i] = -second * first;
        }
        let start = probabilities.len();
        probabilities.resize(start + classes, 1.0 / classes as f64);
        balance(matrix, product, &mut probabilities[start..]);
    }
}

/// `1 / (1 + exp(x))`, without cancellation where it is small.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        (-x).exp() / (1.0 + (-x).exp())
    } else {
        1.0 / (1.0 + x.exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "small integers are exact")]
    fn a_power_is_a_product() {
        assert_eq!(power(3.0, 0), 1.0);
        assert_eq!(power(-2.0, 5), -32.0);
    }

    #[test]
    fn coupled_probabilities_follow_the_pairs() {
        let machine = SupportClassifier {
            vectors: Vectors {
                points: vec![0.0; 3],
                features: 1,
                similarity: Similarity::Linear,
            },
            counts: vec![1; 3],
            coefficients: vec![0.0; 6],
            intercepts: vec![1.0, 1.0, 1.0],
            platt: Some(vec![[-2.0, 0.0]; 3]),
            scores: PairScores::Classes,
            break_ties: false,
        };
        let mut answer = Answer::default();
        let rows = Rows::of_numbers(&[0.0], 1);
        machine
            .predict(rows, &mut answer, &mut Scratch::default())
            .unwrap();
        let sum: f64 = answer.probabilities.iter().sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert!(answer.probabilities[0] > answer.probabilities[1]);
        assert!(answer.probabilities[1] > answer.probabilities[2]);
        assert_eq!(answer.labels, [0]);
    }
}
