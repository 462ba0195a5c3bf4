//! Members that vote, and members whose answers are averaged.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::argmax;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::member::{Member, Question, common, cost};
use crate::kernel::model::Model;
use crate::kernel::rows::{Rows, Scratch, Shape, Unusable};
use crate::reader::malformed;

/// Classifiers that vote: with the probabilities they give, or each with one vote for its label.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Vote {
    takes: Shape,
    ballots: Vec<Ballot>,
    /// Classes of the whole.
    classes: usize,
    /// What sums of votes are divided by.
    divisor: f64,
    /// Whether shares of votes are probabilities; they only make labels otherwise.
    answers_shares: bool,
    /// Numbers of the mean of the members' scores; 0 if they have none.
    scores: usize,
}

/// What a vote answers besides the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VoteRules {
    /// Whether shares of votes are probabilities.
    pub(crate) answers_shares: bool,
    /// Whether the mean of the members' scores is a score of the whole.
    pub(crate) decides: bool,
}

/// One member of a vote.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ballot {
    /// Asked for probabilities, or for the place of its label among its classes.
    member: Member,
    /// What its votes count.
    weight: f64,
    /// The class of the whole that each of its classes is.
    classes: Vec<u32>,
}

/// Numbers of members, averaged.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Mean {
    takes: Shape,
    members: Vec<(Member, f64)>,
    divisor: f64,
    width: usize,
}

impl Vote {
    /// A vote over `classes`, whose sums are divided by `divisor`.
    pub(crate) fn new(
        ballots: Vec<Ballot>,
        classes: usize,
        divisor: f64,
        rules: VoteRules,
    ) -> Result<Self, EngineError> {
        let takes = common(ballots.iter().map(|ballot| ballot.member.takes()))?;
        for ballot in &ballots {
            let known = ballot
                .classes
                .iter()
                .all(|class| (*class as usize) < classes);
            let gives = ballot.member.model().gives().classes;
            if !known || ballot.classes.len() != gives {
                return Err(malformed("a member votes for classes that are not there"));
            }
        }
        let scores = ballots
            .first()
            .map_or(0, |first| first.member.model().gives().scores);
        let alike = |ballot: &Ballot| ballot.member.model().gives().scores == scores;
        Ok(Self {
            takes,
            classes,
            divisor: usable(divisor)?,
            answers_shares: rules.answers_shares,
            scores: if rules.decides && ballots.iter().all(alike) {
                scores
            } else {
                0
            },
            ballots,
        })
    }
}

fn usable(divisor: f64) -> Result<f64, EngineError> {
    if divisor.is_finite() && divisor != 0.0 {
        return Ok(divisor);
    }
    Err(malformed("the weights of the members add up to nothing"))
}

impl Ballot {
    /// A member that votes with its probabilities, or with its label alone.
    pub(crate) fn new(
        model: Model,
        by_label: bool,
        weight: f64,
        classes: Vec<u32>,
    ) -> Result<Self, EngineError> {
        let places = (0..classes.len()).map(|place| place as f64);
        let question = if by_label {
            Question::Labels(places.collect())
        } else {
            Question::Probabilities
        };
        Ok(Self {
            member: Member::new(model, question)?,
            weight,
            classes,
        })
    }

    /// Adds the votes of the member for a row to `sums`.
    fn count(&self, votes: &[f64], sums: &mut [f64]) {
        if let ([place], false) = (votes, self.classes.len() == 1) {
            // A place is a whole number below the number of its classes.
            #[expect(clippy::cast_sign_loss, reason = "places are not negative")]
            let class = self.classes[*place as usize];
            sums[class as usize] += self.weight;
            return;
        }
        for (class, vote) in self.classes.iter().zip(votes) {
            sums[*class as usize] += vote * self.weight;
        }
    }
}

impl Answering for Vote {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            classes: self.classes,
            probabilities: self.answers_shares,
            values: 0,
            scores: self.scores,
        }
    }

    /// The members look for themselves.
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
        let mut sums = scratch.numbers();
        sums.resize(rows.count * self.classes, 0.0);
        for ballot in &self.ballots {
            let mut votes = scratch.numbers();
            ballot.member.ask(rows, &mut votes, scratch)?;
            let each = votes.chunks_exact(ballot.member.width());
            for (votes, sums) in each.zip(sums.chunks_exact_mut(self.classes)) {
                ballot.count(votes, sums);
            }
            scratch.keep(votes);
        }
        for sum in &mut sums {
            *sum /= self.divisor;
        }
        answer
            .labels
            .extend(sums.chunks_exact(self.classes).map(argmax));
        if self.answers_shares {
            answer.probabilities.extend_from_slice(&sums);
        }
        scratch.keep(sums);
        Ok(())
    }

    /// The mean of the members' scores (`sklearn/ensemble/_bagging.py`, `decision_function`).
    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let start = scores.len();
        scores.resize(start + rows.count * self.scores, 0.0);
        for ballot in &self.ballots {
            let mut each = scratch.numbers();
            ballot.member.model().decide(rows, &mut each, scratch)?;
            let sums = scores[start..].iter_mut();
            sums.zip(&each).for_each(|(sum, score)| *sum += score);
            scratch.keep(each);
        }
        for sum in &mut scores[start..] {
            *sum /= self.divisor;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost(self.ballots.iter().map(|ballot| ballot.member.model())).0
    }

    fn nanos_per_row(&self) -> usize {
        cost(self.ballots.iter().map(|ballot| ballot.member.model())).1
    }
}

impl Mean {
    /// The mean of members' numbers, each with its weight, divided by `divisor`.
    pub(crate) fn new(members: Vec<(Member, f64)>, divisor: f64) -> Result<Self, EngineError> {
        let takes = common(members.iter().map(|(member, _)| member.takes()))?;
        let width = members.first().map_or(0, |(member, _)| member.width());
        if width == 0 || members.iter().any(|(member, _)| member.width() != width) {
            return Err(malformed("the members of a mean answer different numbers"));
        }
        Ok(Self {
            takes,
            members,
            divisor: usable(divisor)?,
            width,
        })
    }
}

impl Answering for Mean {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        Gives {
            values: self.width,
            ..Gives::default()
        }
    }

    /// The members look for themselves.
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
        answer.values.resize(start + rows.count * self.width, 0.0);
        for (member, weight) in &self.members {
            let mut numbers = scratch.numbers();
            member.ask(rows, &mut numbers, scratch)?;
            let sums = answer.values[start..].iter_mut();
            sums.zip(&numbers)
                .for_each(|(sum, number)| *sum += number * weight);
            scratch.keep(numbers);
        }
        for sum in &mut answer.values[start..] {
            *sum /= self.divisor;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost(self.members.iter().map(|(member, _)| member.model())).0
    }

    fn nanos_per_row(&self) -> usize {
        cost(self.members.iter().map(|(member, _)| member.model())).1
    }
}
