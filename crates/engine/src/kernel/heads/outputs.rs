//! A member for each of several outputs, side by side or one after the other.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::member::{Member, common, cost};
use crate::kernel::model::{MAX_WIDTH, Model};
use crate::kernel::rows::{Rows, Scratch, Shape, Table, Unusable};
use crate::reader::{malformed, too_large};

/// Members that do not know of each other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SideBySide {
    takes: Shape,
    members: Vec<Member>,
    width: usize,
}

/// Members that each see the rows and what those before them said.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Chain {
    features: usize,
    links: Vec<Link>,
    /// For each output, the link that answers it.
    order: Vec<usize>,
}

/// A member of a chain.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Asked for what is answered: one number.
    pub(crate) answers: Member,
    /// What the members after it see.
    pub(crate) hands_on: HandsOn,
}

/// What the members of a chain see of those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HandsOn {
    /// The answer.
    Answer,
    /// The probability of the second of two classes.
    Probability,
    /// The score of two classes.
    Score,
}

impl SideBySide {
    /// Members over the same columns.
    pub(crate) fn new(members: Vec<Member>) -> Result<Self, EngineError> {
        Ok(Self {
            takes: common(members.iter().map(Member::takes))?,
            width: members.iter().map(Member::width).sum(),
            members,
        })
    }
}

impl Answering for SideBySide {
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
        let mut at = 0;
        for member in &self.members {
            let mut numbers = scratch.numbers();
            member.ask(rows, &mut numbers, scratch)?;
            let width = member.width();
            let into = answer.values[start..].chunks_exact_mut(self.width);
            for (into, numbers) in into.zip(numbers.chunks_exact(width)) {
                into[at..at + width].copy_from_slice(numbers);
            }
            at += width;
            scratch.keep(numbers);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost(self.members.iter().map(Member::model)).0
    }

    fn nanos_per_row(&self) -> usize {
        cost(self.members.iter().map(Member::model)).1
    }
}

impl Link {
    /// Appends what it answers and what it hands on, one number a row each.
    fn ask(
        &self,
        rows: Rows<'_, '_>,
        (answers, handed): (&mut Vec<f64>, &mut Vec<f64>),
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let start = answers.len();
        self.answers.ask(rows, answers, scratch)?;
        let model = self.answers.model();
        match self.hands_on {
            HandsOn::Answer => handed.extend_from_slice(&answers[start..]),
            HandsOn::Score => model.decide(rows, handed, scratch)?,
            HandsOn::Probability => {
                let mut answer = scratch.answer();
                model.predict(rows, &mut answer, scratch)?;
                let pairs = answer.probabilities.as_chunks::<2>().0;
                handed.extend(pairs.iter().map(|[_, positive]| positive));
                scratch.keep_answer(answer);
            }
        }
        Ok(())
    }

    fn fits(&self, takes: usize) -> bool {
        let gives = self.answers.model().gives();
        self.answers.takes() == Shape::numbers(takes)
            && self.answers.width() == 1
            && match self.hands_on {
                HandsOn::Answer => true,
                HandsOn::Probability => gives.probabilities && gives.classes == 2,
                HandsOn::Score => gives.scores == 1,
            }
    }
}

impl Chain {
    /// Links over rows of `features` numbers; `order` names the output of each.
    pub(crate) fn new(
        features: usize,
        links: Vec<Link>,
        order: &[usize],
    ) -> Result<Self, EngineError> {
        if features.saturating_add(links.len()) > MAX_WIDTH {
            return Err(too_large("a chain of too many members"));
        }
        let mut fits = (features..).zip(&links);
        if links.is_empty() || !fits.all(|(takes, link)| link.fits(takes)) {
            return Err(malformed("the members of a chain do not fit each other"));
        }
        let mut places = vec![None; links.len()];
        for (link, output) in order.iter().enumerate() {
            if let Some(place) = places.get_mut(*output) {
                *place = Some(link);
            }
        }
        // Every output has a link of its own only if the order is a permutation.
        let places: Option<Vec<usize>> = places.into_iter().collect();
        let places = places.filter(|places| places.len() == order.len());
        Ok(Self {
            features,
            order: places.ok_or_else(|| malformed("the order of a chain is none"))?,
            links,
        })
    }

    fn models(&self) -> impl Iterator<Item = &Model> {
        self.links.iter().map(|link| link.answers.model())
    }
}

/// The rows, and behind each of them what was handed on.
fn augmented<'t>(rows: Rows<'_, '_>, handed: &[f64], scratch: &mut Scratch) -> Table<'t> {
    let links = handed.len() / rows.count.max(1);
    let shape = Shape::numbers(rows.shape.numbers + links);
    let mut table = scratch.table(rows.count, shape);
    for (row, numbers) in rows.each().enumerate() {
        table.numbers.extend_from_slice(numbers);
        let handed = handed.iter().skip(row).step_by(rows.count);
        table.numbers.extend(handed);
    }
    table
}

impl Answering for Chain {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Gives {
        Gives {
            values: self.links.len(),
            ..Gives::default()
        }
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let (mut answers, mut handed) = (scratch.numbers(), scratch.numbers());
        for link in &self.links {
            let table = augmented(rows, &handed, scratch);
            let asked = link.ask(table.rows(), (&mut answers, &mut handed), scratch);
            scratch.keep(table.numbers);
            asked?;
        }
        for row in 0..rows.count {
            let links = self.order.iter();
            let values = links.map(|link| answers[link * rows.count + row]);
            answer.values.extend(values);
        }
        scratch.keep(answers);
        scratch.keep(handed);
        Ok(())
    }

    fn bytes(&self) -> usize {
        cost(self.models()).0
    }

    fn nanos_per_row(&self) -> usize {
        cost(self.models()).1 + 2 * self.links.len() * self.features
    }
}
