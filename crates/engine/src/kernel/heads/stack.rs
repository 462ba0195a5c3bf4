//! A model over the answers of its members.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::head::{Answer, Answering, Gives};
use crate::kernel::member::{Member, common, cost};
use crate::kernel::model::{MAX_WIDTH, Model};
use crate::kernel::rows::{Rows, Scratch, Shape, Table, Unusable};
use crate::reader::{malformed, too_large};

/// Members, and the model that sees their answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stack {
    takes: Shape,
    members: Vec<Member>,
    /// Whether the last model also sees the rows, after the answers.
    passes_rows: bool,
    last: Box<Model>,
}

impl Stack {
    /// A stack whose last model takes what the members answer.
    pub(crate) fn new(
        members: Vec<Member>,
        passes_rows: bool,
        last: Model,
    ) -> Result<Self, EngineError> {
        let takes = common(members.iter().map(Member::takes))?;
        if passes_rows && takes.texts > 0 {
            return Err(malformed(
                "texts cannot stand beside the answers of members",
            ));
        }
        let answers: usize = members.iter().map(Member::width).sum();
        let rows = if passes_rows { takes.numbers } else { 0 };
        let width = answers.saturating_add(rows);
        if width > MAX_WIDTH {
            return Err(too_large(format!("members that answer {width} numbers")));
        }
        if last.takes() != Shape::numbers(width) {
            return Err(malformed("the last model of a stack takes other columns"));
        }
        Ok(Self {
            takes,
            members,
            passes_rows,
            last: Box::new(last),
        })
    }

    /// The rows that the last model sees.
    fn answers<'t>(
        &self,
        rows: Rows<'_, '_>,
        scratch: &mut Scratch,
    ) -> Result<Table<'t>, Unusable> {
        let mut made = scratch.table(rows.count, self.last.takes());
        let width = made.shape.numbers;
        made.numbers.resize(rows.count * width, 0.0);
        let mut at = 0;
        for member in &self.members {
            let mut numbers = scratch.numbers();
            member.ask(rows, &mut numbers, scratch)?;
            at = put(&mut made, at, &numbers, member.width());
            scratch.keep(numbers);
        }
        if self.passes_rows {
            put(&mut made, at, rows.numbers, self.takes.numbers);
        }
        Ok(made)
    }
}

/// Copies columns into a table, from column `at` on; tells where the next ones begin.
fn put(made: &mut Table<'_>, at: usize, numbers: &[f64], width: usize) -> usize {
    let into = made.numbers.chunks_exact_mut(made.shape.numbers);
    for (into, numbers) in into.zip(numbers.chunks_exact(width)) {
        into[at..at + width].copy_from_slice(numbers);
    }
    at + width
}

/// A refusal of a value that the members made.
fn inside(unusable: Unusable) -> Unusable {
    Unusable {
        column: None,
        ..unusable
    }
}

impl Answering for Stack {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Gives {
        self.last.gives()
    }

    /// The members look for themselves.
    fn check(&self, _: Rows<'_, '_>) -> Result<(), Unusable> {
        Ok(())
    }

    fn takes_sparse(&self) -> bool {
        !self.passes_rows
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let made = self.answers(rows, scratch)?;
        let predicted = self.last.predict(made.rows(), answer, scratch);
        scratch.keep(made.numbers);
        predicted.map_err(inside)
    }

    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let made = self.answers(rows, scratch)?;
        let decided = self.last.decide(made.rows(), scores, scratch);
        scratch.keep(made.numbers);
        decided.map_err(inside)
    }

    fn bytes(&self) -> usize {
        self.last.bytes() + cost(self.members.iter().map(Member::model)).0
    }

    fn nanos_per_row(&self) -> usize {
        self.last.nanos_per_row() + cost(self.members.iter().map(Member::model)).1
    }
}
