//! Branches over chosen columns: what each makes stands side by side.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::model::{MAX_WIDTH, apply_all, made_by};
use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable};
use crate::kernel::sparse::Sparse;
use crate::kernel::step::{Step, Transform};
use crate::reader::{malformed, too_large};

/// Branches, side by side.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Columns {
    takes: Shape,
    gives: Shape,
    branches: Vec<Branch>,
    /// Whether each branch takes its numbers in the order of the rows, as selections do.
    in_order: bool,
    /// Whether a branch makes sparse rows of rows that are not.
    sparse: bool,
}

/// Some columns of the rows, and the steps they go through.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Branch {
    /// Places of its numbers among the numbers of the rows.
    pub(crate) numbers: Vec<usize>,
    /// Places of its texts among the texts of the rows.
    pub(crate) texts: Vec<usize>,
    /// What changes them; nothing hands them on as they are.
    pub(crate) steps: Vec<Step>,
    /// What the numbers it makes are multiplied by.
    pub(crate) weight: Option<f64>,
}

impl Columns {
    /// Branches over rows of the shape `takes`.
    pub(crate) fn new(takes: Shape, branches: Vec<Branch>) -> Result<Self, EngineError> {
        let mut gives = Shape::default();
        for branch in &branches {
            let inside = branch.numbers.iter().all(|place| *place < takes.numbers)
                && branch.texts.iter().all(|place| *place < takes.texts);
            if !inside {
                return Err(malformed("a column that the rows do not have"));
            }
            let made = made_by(&branch.steps, branch.takes())?;
            gives.numbers += made.numbers;
            gives.texts += made.texts;
        }
        if gives.numbers.max(gives.texts) > MAX_WIDTH {
            return Err(too_large(format!(
                "a step that makes {} columns",
                gives.numbers
            )));
        }
        let rising = |branch: &Branch| branch.numbers.is_sorted_by(|a, b| a < b);
        Ok(Self {
            takes,
            gives,
            in_order: takes.texts == 0 && branches.iter().all(rising),
            sparse: branches.iter().any(Branch::makes_sparse),
            branches,
        })
    }

    /// Puts what the branches make side by side as sparse rows.
    fn join<'t>(&self, parts: &[Table<'t>], made: &mut Table<'t>, scratch: &mut Scratch) {
        let joined = made.sparse.insert(scratch.sparse());
        let mut entries = Vec::new();
        for row in 0..made.count {
            entries.clear();
            let mut at = 0;
            for part in parts {
                let each = part.rows().row(row).entries();
                entries.extend(each.map(|(column, x)| (column + at, x)));
                at += part.shape.numbers as u32;
            }
            joined.push(entries.iter().copied());
        }
        made.texts.resize(made.count * self.gives.texts, None);
        let mut at = 0;
        for part in parts {
            let width = part.shape.texts;
            put(&mut made.texts, self.gives.texts, at, &part.texts, width);
            at += width;
        }
    }
}

impl Branch {
    fn takes(&self) -> Shape {
        Shape {
            numbers: self.numbers.len(),
            texts: self.texts.len(),
        }
    }

    fn gives(&self) -> Shape {
        let last = self.steps.last();
        last.map_or_else(|| self.takes(), |step| step.kernel().gives())
    }

    /// Whether it makes sparse rows of rows that are not.
    fn makes_sparse(&self) -> bool {
        let made = |sparse, step: &Step| {
            let kernel = step.kernel();
            kernel.makes_sparse(sparse && kernel.takes_sparse())
        };
        self.steps.iter().fold(false, made)
    }

    /// Its columns of sparse rows, which it takes in their order.
    fn selected(&self, rows: &Sparse, mut selected: Sparse) -> Sparse {
        for row in rows.rows() {
            selected.push(row.iter().filter_map(|(column, x)| {
                let place = self.numbers.binary_search(&(*column as usize)).ok()?;
                Some((place as u32, *x))
            }));
        }
        selected
    }

    /// Its columns of `rows`.
    fn gathered<'t>(&self, rows: Rows<'_, 't>, scratch: &mut Scratch) -> Table<'t> {
        let mut table = scratch.table(rows.count, self.takes());
        if let Some(sparse) = rows.sparse {
            table.sparse = Some(self.selected(sparse, scratch.sparse()));
            return table;
        }
        for row in rows.each() {
            let numbers = self.numbers.iter().map(|place| row[*place]);
            table.numbers.extend(numbers);
        }
        if !self.texts.is_empty() {
            table.texts.reserve(rows.count * self.texts.len());
            for row in rows.each_texts() {
                table
                    .texts
                    .extend(self.texts.iter().map(|place| row[*place]));
            }
        }
        table
    }

    /// What it makes of `rows`.
    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        scratch: &mut Scratch,
    ) -> Result<Table<'t>, Unusable> {
        let gathered = self.gathered(rows, scratch);
        let mut made = if self.steps.is_empty() {
            gathered
        } else {
            let made = apply_all(&self.steps, gathered.rows(), scratch);
            scratch.keep_table(gathered);
            made.map_err(|unusable| Unusable {
                column: unusable.column.map(|column| self.source(column)),
                ..unusable
            })?
        };
        if let Some(weight) = self.weight {
            made.numbers.iter_mut().for_each(|number| *number *= weight);
            let sparse = made.sparse.iter_mut().flat_map(Sparse::values_mut);
            sparse.for_each(|number| *number *= weight);
        }
        Ok(made)
    }

    /// Where a column of the branch stands in the rows.
    fn source(&self, column: Column) -> Column {
        match column {
            Column::Number(place) => Column::Number(self.numbers[place]),
            Column::Text(place) => Column::Text(self.texts[place]),
        }
    }

    /// The column of the rows that a column it makes is made of.
    fn origin(&self, made: Column) -> Option<Column> {
        let mut steps = self.steps.iter().rev();
        let gathered = steps.try_fold(made, |column, step| step.kernel().origin(column));
        gathered.map(|column| self.source(column))
    }
}

impl Transform for Columns {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Shape {
        self.gives
    }

    /// Each step of a branch says so for itself.
    fn accepts_missing(&self) -> bool {
        true
    }

    fn takes_sparse(&self) -> bool {
        self.in_order
    }

    fn makes_sparse(&self, of_sparse: bool) -> bool {
        of_sparse || self.sparse
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        if self.makes_sparse(rows.sparse.is_some()) {
            let parts = self.branches.iter();
            let parts = parts.map(|branch| branch.apply(rows, scratch));
            let parts: Vec<Table<'t>> = parts.collect::<Result<_, _>>()?;
            self.join(&parts, made, scratch);
            for part in parts {
                scratch.keep_table(part);
            }
            return Ok(());
        }
        let width = self.gives;
        made.numbers.resize(rows.count * width.numbers, 0.0);
        made.texts.resize(rows.count * width.texts, None);
        let mut at = Shape::default();
        for branch in &self.branches {
            let part = branch.apply(rows, scratch)?;
            put(
                &mut made.numbers,
                width.numbers,
                at.numbers,
                &part.numbers,
                part.shape.numbers,
            );
            put(
                &mut made.texts,
                width.texts,
                at.texts,
                &part.texts,
                part.shape.texts,
            );
            at.numbers += part.shape.numbers;
            at.texts += part.shape.texts;
            scratch.keep_table(part);
        }
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        let mut at = Shape::default();
        for branch in &self.branches {
            let gives = branch.gives();
            let within = match made {
                Column::Number(place) => {
                    (place < at.numbers + gives.numbers).then(|| Column::Number(place - at.numbers))
                }
                Column::Text(place) => {
                    (place < at.texts + gives.texts).then(|| Column::Text(place - at.texts))
                }
            };
            if let Some(column) = within {
                return branch.origin(column);
            }
            at.numbers += gives.numbers;
            at.texts += gives.texts;
        }
        None
    }

    fn widest(&self) -> usize {
        let own = self.takes.numbers.max(self.gives.numbers);
        let steps = self.branches.iter().flat_map(|branch| &branch.steps);
        steps
            .map(|step| step.kernel().widest())
            .fold(own, usize::max)
    }

    fn bytes(&self) -> usize {
        let each = self.branches.iter().map(|branch| {
            let steps = branch.steps.iter().map(|step| step.kernel().bytes());
            8 * (branch.numbers.len() + branch.texts.len()) + steps.sum::<usize>()
        });
        each.sum()
    }

    fn nanos_per_row(&self) -> usize {
        let steps = self.branches.iter().flat_map(|branch| &branch.steps);
        let steps = steps.map(|step| step.kernel().nanos_per_row());
        2 * (self.takes.numbers + self.gives.numbers) + steps.sum::<usize>()
    }
}

/// Copies a block of rows of `width` into rows of `into_width`, from column `at` on.
fn put<T: Copy>(into: &mut [T], into_width: usize, at: usize, part: &[T], width: usize) {
    if width == 0 {
        return;
    }
    let rows = into.chunks_exact_mut(into_width);
    for (into, part) in rows.zip(part.chunks_exact(width)) {
        into[at..at + width].copy_from_slice(part);
    }
}

/// Rows whose columns without a field are filled in as missing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    takes: Shape,
    /// For each number that is made, its place among those taken.
    numbers: Vec<Option<usize>>,
}

impl Spread {
    /// Rows of `texts` texts, and of the numbers of which `kept` is true.
    pub(crate) fn new(kept: &[bool], texts: usize) -> Self {
        let mut taken = 0;
        let places = kept.iter().map(|kept| {
            let place = kept.then_some(taken);
            taken += usize::from(*kept);
            place
        });
        let numbers = places.collect();
        Self {
            takes: Shape {
                numbers: taken,
                texts,
            },
            numbers,
        }
    }
}

impl Transform for Spread {
    fn takes(&self) -> Shape {
        self.takes
    }

    fn gives(&self) -> Shape {
        Shape {
            numbers: self.numbers.len(),
            ..self.takes
        }
    }

    fn accepts_missing(&self) -> bool {
        true
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        for row in rows.each() {
            let numbers = self.numbers.iter();
            let numbers = numbers.map(|place| place.map_or(f64::NAN, |place| row[place]));
            made.numbers.extend(numbers);
        }
        made.texts.extend_from_slice(rows.texts);
        Ok(())
    }

    fn origin(&self, made: Column) -> Option<Column> {
        match made {
            Column::Number(place) => self.numbers[place].map(Column::Number),
            Column::Text(_) => Some(made),
        }
    }

    fn bytes(&self) -> usize {
        16 * self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_over_a_column_that_is_not_there_is_refused() {
        let takes = Shape {
            numbers: 2,
            texts: 1,
        };
        for (numbers, texts, sound) in [
            (vec![1], vec![0], true),
            (vec![2], vec![], false),
            (vec![], vec![1], false),
        ] {
            let branch = Branch {
                numbers,
                texts,
                ..Branch::default()
            };
            assert_eq!(Columns::new(takes, vec![branch]).is_ok(), sound);
        }
    }

    #[test]
    fn branches_stand_side_by_side_and_know_their_columns() {
        let branch = |numbers: &[usize], weight| Branch {
            numbers: numbers.to_vec(),
            weight,
            ..Branch::default()
        };
        let branches = vec![branch(&[2], None), branch(&[0, 2], Some(10.0))];
        let columns = Columns::new(Shape::numbers(3), branches).unwrap();
        let rows = Rows::of_numbers(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
        let mut made = Table::default();
        columns
            .apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert_eq!(made.numbers, [3.0, 10.0, 30.0, 6.0, 40.0, 60.0]);
        assert_eq!(columns.origin(Column::Number(1)), Some(Column::Number(0)));
        assert_eq!(columns.origin(Column::Number(3)), None);
    }

    #[test]
    fn columns_without_a_field_are_missing() {
        let spread = Spread::new(&[true, false, true], 0);
        let mut made = Table::default();
        let rows = Rows::of_numbers(&[1.0, 2.0], 2);
        spread
            .apply(rows, &mut made, &mut Scratch::default())
            .unwrap();
        assert!(made.numbers[1].is_nan());
        assert_eq!(spread.origin(Column::Number(2)), Some(Column::Number(1)));
    }
}
