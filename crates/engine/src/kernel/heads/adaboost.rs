//! `AdaBoost`: members that were fitted one after the other, each with a weight.
//!
//! Sources: `sklearn/ensemble/_weight_boosting.py` of 1.2 to 1.9; Zhu, Zou, Rosset
//! and Hastie, "Multi-class AdaBoost", 2009 (SAMME and SAMME.R); Drucker,
//! "Improving Regressors using Boosting Techniques", 1997 (weighted median).

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::argmax;
use crate::kernel::functions::softmax;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::member::{Member, Question, common, cost};
use crate::kernel::model::Model;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// How the answer of a member becomes a score for each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rule {
    /// SAMME: the weight for its class, and its negative share for the others.
    Symmetric,
    /// SAMME until 1.2: the weight for its class, nothing for the others.
    OneSided,
    /// SAMME.R: logarithms of probabilities about their mean.
    Real,
}

/// `AdaBoostClassifier`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AdaBoost {
    takes: Shape,
    members: Vec<Member>,
    weights: Vec<f64>,
    /// What sums of scores are divided by: the sum of all weights, those of no member included.
    divisor: f64,
    classes: usize,
    rule: Rule,
}

/// `AdaBoostRegressor`: the weighted median of its members' answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Median {
    takes: Shape,
    members: Vec<Member>,
    weights: Vec<f64>,
}

impl AdaBoost {
    /// Members over the same classes, one weight for each.
    pub(crate) fn new(
        models: Vec<Model>,
        weights: Vec<f64>,
        divisor: f64,
        rule: Rule,
    ) -> Result<Self, EngineError> {
        let takes = common(models.iter().map(Model::takes))?;
        let classes = models.first().map_or(0, |model| model.gives().classes);
        let alike = models.iter().all(|model| model.gives().classes == classes);
        if !alike || classes < 2 || weights.len() != models.len() || divisor == 0.0 {
            return Err(malformed(
                "the members of an AdaBoost do not fit each other",
            ));
        }
        let places: Vec<f64> = (0..classes).map(|place| place as f64).collect();
        let question = match rule {
            Rule::Real => Question::Probabilities,
            Rule::Symmetric | Rule::OneSided => Question::Labels(places),
        };
        let members = models
            .into_iter()
            .map(|model| Member::new(model, question.clone()));
        Ok(Self {
            takes,
            members: members.collect::<Result<_, _>>()?,
            weights,
            divisor,
            classes,
            rule,
        })
    }

    /// Adds what one member says of a row.
    fn count(&self, said: &[f64], weight: f64, sums: &mut [f64]) {
        let others = match self.rule {
            Rule::Real => return add_logarithms(said, sums),
            Rule::Symmetric => -1.0 / (self.classes - 1) as f64 * weight,
            Rule::OneSided => 0.0,
        };
        // Members are asked for places among the classes.
        #[expect(clippy::cast_sign_loss, reason = "places are not negative")]
        let chosen = said.first().map(|place| *place as usize);
        for (class, sum) in sums.iter_mut().enumerate() {
            *sum += if chosen == Some(class) {
                weight
            } else {
                others
            };
        }
    }

    /// A score for each class of each row.
    fn sums(&self, rows: Rows<'_, '_>, scratch: &mut Scratch) -> Result<Vec<f64>, Unusable> {
        let mut sums = scratch.numbers();
        sums.resize(rows.count * self.classes, 0.0);
        for (member, weight) in self.members.iter().zip(&self.weights) {
            let mut said = scratch.numbers();
            member.ask(rows, &mut said, scratch)?;
            let each = said.chunks_exact(member.width());
            for (said, sums) in each.zip(sums.chunks_exact_mut(self.classes)) {
                self.count(said, *weight, sums);
            }
            scratch.keep(said);
        }
        for sum in &mut sums {
            *sum /= self.divisor;
        }
        Ok(sums)
    }
}

/// Algorithm 4, step 2 (c) of Zhu et al.: `_samme_proba`.
fn add_logarithms(probabilities: &[f64], sums: &mut [f64]) {
    let classes = probabilities.len() as f64;
    let logarithm = |p: &f64| p.max(f64::EPSILON).ln();
    let total: f64 = probabilities.iter().map(logarithm).sum();
    for (probability, sum) in probabilities.iter().zip(sums) {
        *sum += (classes - 1.0) * (logarithm(probability) - (1.0 / classes) * total);
    }
}

impl Answering for AdaBoost {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            classes: self.classes,
            probabilities: true,
            values: 0,
            scores: if self.classes == 2 { 1 } else { self.classes },
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let sums = self.sums(rows, scratch)?;
        for sums in sums.chunks_exact(self.classes) {
            let start = answer.probabilities.len();
            if let [negative, positive] = sums {
                let score = positive - negative;
                answer.labels.push(u32::from(score > 0.0));
                answer.probabilities.extend([-score / 2.0, score / 2.0]);
            } else {
                answer.labels.push(argmax(sums));
                let others = (self.classes - 1) as f64;
                answer
                    .probabilities
                    .extend(sums.iter().map(|sum| sum / others));
            }
            softmax(&mut answer.probabilities[start..]);
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
        let sums = self.sums(rows, scratch)?;
        if self.classes == 2 {
            let pairs = sums.as_chunks::<2>().0.iter();
            scores.extend(pairs.map(|[negative, positive]| positive - negative));
        } else {
            scores.extend_from_slice(&sums);
        }
        scratch.keep(sums);
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost(self.members.iter().map(Member::model)).0
    }

    fn nanos_per_row(&self) -> usize {
        cost(self.members.iter().map(Member::model)).1 + 20 * self.classes
    }
}

impl Median {
    /// Members that each answer one number, one weight for each.
    pub(crate) fn new(members: Vec<Member>, weights: Vec<f64>) -> Result<Self, EngineError> {
        let takes = common(members.iter().map(Member::takes))?;
        let single = members.iter().all(|member| member.width() == 1);
        if !single || weights.len() != members.len() {
            return Err(malformed(
                "the members of an AdaBoost do not fit each other",
            ));
        }
        Ok(Self {
            takes,
            members,
            weights,
        })
    }
}

/// The answer at which the weights, in order of the answers, reach half of their sum.
fn median(answers: &mut [(f64, f64)]) -> f64 {
    answers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = 0.0;
    for (_, weight) in answers.iter_mut() {
        sum += *weight;
        *weight = sum;
    }
    let reaches = |(_, below): &&(f64, f64)| *below >= 0.5 * sum;
    let found = answers.iter().find(reaches).or(answers.first());
    found.map_or(f64::NAN, |(answer, _)| *answer)
}

impl Answering for Median {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            values: 1,
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let mut numbers = scratch.numbers();
        for member in &self.members {
            member.ask(rows, &mut numbers, scratch)?;
        }
        let mut pairs = Vec::with_capacity(self.members.len());
        for row in 0..rows.count {
            pairs.clear();
            let answers = numbers.iter().skip(row).step_by(rows.count);
            pairs.extend(answers.copied().zip(self.weights.iter().copied()));
            answer.values.push(median(&mut pairs));
        }
        scratch.keep(numbers);
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost(self.members.iter().map(Member::model)).0
    }

    fn nanos_per_row(&self) -> usize {
        cost(self.members.iter().map(Member::model)).1 + 30 * self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "answers are picked, not computed")]
    fn the_median_is_where_half_of_the_weight_lies() {
        let mut answers = [(3.0, 1.0), (1.0, 1.0), (2.0, 5.0)];
        assert_eq!(median(&mut answers), 2.0);
        assert_eq!(median(&mut [(3.0, 1.0), (1.0, 1.0)]), 1.0);
    }
}
