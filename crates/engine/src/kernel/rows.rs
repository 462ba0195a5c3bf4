//! Rows on their way through a model: numbers and texts side by side.
//!
//! Both are row-major. A column keeps its place among the columns of its own
//! kind, so the third column of a table may be its second number. Numbers most of
//! which are zero, as counts of words are, may be [`Sparse`] instead.

use serde::{Deserialize, Serialize};

use super::functions::dot;
use super::head::Answer;
use super::sparse::{Entry, Sparse};
use super::step::Transform;

/// Rows worked on at a time: their copy stays in the first-level cache.
pub(crate) const BLOCK_ROWS: usize = 64;

/// Numbers of a block of rows that are wide: a megabyte or so.
pub(crate) const BLOCK_NUMBERS: usize = 1 << 17;

/// Columns of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Columns of numbers.
    pub(crate) numbers: usize,
    /// Columns of texts.
    pub(crate) texts: usize,
}

/// A block of rows, borrowed. Texts live as long as the request and the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, 't> {
    /// Number of rows.
    pub(crate) count: usize,
    /// Columns of a row.
    pub(crate) shape: Shape,
    /// `count × shape.numbers` values; missing is NaN. None if they are sparse.
    pub(crate) numbers: &'a [f64],
    /// The numbers, if they are sparse. Only parts that take such rows are given them.
    pub(crate) sparse: Option<&'a Sparse>,
    /// `count × shape.texts` values.
    pub(crate) texts: &'a [Option<&'t str>],
}

/// The numbers of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    /// All of them.
    Dense(&'a [f64]),
    /// Those that are not zero.
    Sparse(&'a [Entry]),
}

/// A block of rows that a step made.
#[derive(Debug, Default)]
pub(crate) struct Table<'t> {
    /// Number of rows.
    pub(crate) count: usize,
    /// Columns of a row.
    pub(crate) shape: Shape,
    /// `count × shape.numbers` values; none if they are sparse.
    pub(crate) numbers: Vec<f64>,
    /// The numbers, if they are sparse.
    pub(crate) sparse: Option<Sparse>,
    /// `count × shape.texts` values.
    pub(crate) texts: Vec<Option<&'t str>>,
}

/// Buffers that outlive a block: predicting allocates nothing once they have grown.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    free: Vec<Vec<f64>>,
    free_sparse: Vec<Sparse>,
    answers: Vec<Answer>,
    /// Empty: only its memory is kept.
    registers: Vec<Vec<f64>>,
    /// Rows narrowed to `f32`, for kernels that see them so.
    pub(crate) narrowed: Vec<f32>,
}

/// A value a model cannot use, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// Row within the block.
    pub(crate) row: usize,
    /// Column of the input; `None` if a step made the value.
    pub(crate) column: Option<Column>,
    /// What is wrong with the value.
    pub(crate) why: Why,
}

/// A column, by its place among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Column {
    /// Among the numbers.
    Number(usize),
    /// Among the texts.
    Text(usize),
}

/// Why a value cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is missing.
    Missing,
    /// It is infinite.
    Infinite,
    /// It is infinite once it is narrowed to `f32`.
    TooLarge,
    /// It is zero or negative where only positive numbers are.
    NotPositive,
    /// It is none of the values the model was trained on.
    Unknown,
}

impl Shape {
    /// So many numbers, and nothing else.
    pub(crate) const fn numbers(numbers: usize) -> Self {
        Self { numbers, texts: 0 }
    }
}

impl<'a, 't> Rows<'a, 't> {
    /// Rows of numbers alone.
    #[cfg(test)]
    pub(crate) fn of_numbers(numbers: &'a [f64], width: usize) -> Self {
        Self {
            count: numbers.len() / width.max(1),
            shape: Shape::numbers(width),
            numbers,
            sparse: None,
            texts: &[],
        }
    }

    /// The numbers of a row, however they are kept.
    pub(crate) fn row(&self, index: usize) -> Row<'a> {
        let width = self.shape.numbers;
        match self.sparse {
            Some(sparse) => Row::Sparse(sparse.row(index)),
            None => Row::Dense(&self.numbers[index * width..(index + 1) * width]),
        }
    }

    /// The numbers of each row, however they are kept.
    pub(crate) fn each_row(&self) -> impl Iterator<Item = Row<'a>> + use<'a, 't> {
        let rows = *self;
        (0..rows.count).map(move |index| rows.row(index))
    }

    /// Hands on the same rows, which are spread out first if they are sparse and `sparse` ones are not taken.
    pub(crate) fn as_taken<R>(
        self,
        sparse: bool,
        scratch: &mut Scratch,
        then: impl FnOnce(Rows<'_, 't>, &mut Scratch) -> R,
    ) -> R {
        let Some(kept) = self.sparse.filter(|_| !sparse) else {
            return then(self, scratch);
        };
        let mut numbers = scratch.numbers();
        kept.spread(self.shape.numbers, &mut numbers);
        let dense = Rows {
            numbers: &numbers,
            sparse: None,
            ..self
        };
        let done = then(dense, scratch);
        scratch.keep(numbers);
        done
    }

    /// The texts of each row.
    pub(crate) fn each_texts(&self) -> impl ExactSizeIterator<Item = &'a [Option<&'t str>]> {
        let width = self.shape.texts;
        let texts = self.texts;
        (0..self.count).map(move |row| &texts[row * width..(row + 1) * width])
    }

    /// The numbers of each row.
    pub(crate) fn each(&self) -> impl ExactSizeIterator<Item = &'a [f64]> + use<'a, 't> {
        let width = self.shape.numbers;
        let numbers = self.numbers;
        (0..self.count).map(move |row| &numbers[row * width..(row + 1) * width])
    }

    /// Refuses infinity, and NaN unless `missing` values are welcome.
    pub(crate) fn refuse_unusable(&self, missing: bool) -> Result<(), Unusable> {
        if let Some(sparse) = self.sparse {
            return sparse.refuse_unusable(missing);
        }
        // A sum of zeros, unless something is infinite or NaN: one pass without branches.
        // Sums side by side, because each waits for the one before it.
        let (chunks, rest) = self.numbers.as_chunks::<8>();
        let mut sums = [0.0; 8];
        for chunk in chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x * 0.0;
            }
        }
        let zeros: f64 = sums.iter().chain(rest).map(|x| x * 0.0).sum();
        if zeros == 0.0 {
            return Ok(());
        }
        let unusable = |x: &f64| x.is_infinite() || (x.is_nan() && !missing);
        let Some(index) = self.numbers.iter().position(unusable) else {
            return Ok(());
        };
        let why = if self.numbers[index].is_nan() {
            Why::Missing
        } else {
            Why::Infinite
        };
        Err(self.unusable(index, why))
    }

    /// The refusal of the number at `index` of the block.
    pub(crate) fn unusable(&self, index: usize, why: Why) -> Unusable {
        Unusable {
            row: index / self.shape.numbers,
            column: Some(Column::Number(index % self.shape.numbers)),
            why,
        }
    }
}

impl<'a> Row<'a> {
    /// Its numbers that are not zero, by column.
    pub(crate) fn entries(self) -> impl Iterator<Item = Entry> + use<'a> {
        let (dense, sparse): (&[f64], &[Entry]) = match self {
            Self::Dense(numbers) => (numbers, &[]),
            Self::Sparse(entries) => (&[], entries),
        };
        let dense = (0..).zip(dense.iter().copied()).filter(|(_, x)| *x != 0.0);
        dense.chain(sparse.iter().copied())
    }

    /// Its product with as many `weights` as there are columns.
    pub(crate) fn dot(self, weights: &[f64]) -> f64 {
        match self {
            Self::Dense(numbers) => dot(numbers, weights),
            Self::Sparse(entries) => {
                let each = entries.iter();
                each.map(|(column, x)| x * weights[*column as usize]).sum()
            }
        }
    }
}

impl<'t> Table<'t> {
    /// The rows of the table.
    pub(crate) fn rows(&self) -> Rows<'_, 't> {
        Rows {
            count: self.count,
            shape: self.shape,
            numbers: &self.numbers,
            sparse: self.sparse.as_ref(),
            texts: &self.texts,
        }
    }
}

impl Unusable {
    /// The same refusal, of a value that `step` made: a value that is no
    /// category, or is missing, is named by the column it was made of.
    pub(crate) fn within(self, step: &dyn Transform) -> Self {
        let column = match self.why {
            Why::Missing | Why::Unknown => self.column.and_then(|column| step.origin(column)),
            Why::Infinite | Why::TooLarge | Why::NotPositive => None,
        };
        Self { column, ..self }
    }
}

impl Scratch {
    /// An empty table for `count` rows of `shape`, whose numbers have memory from earlier ones.
    pub(crate) fn table<'t>(&mut self, count: usize, shape: Shape) -> Table<'t> {
        Table {
            count,
            shape,
            numbers: self.numbers(),
            sparse: None,
            texts: Vec::new(),
        }
    }

    /// Rows without numbers as yet, with memory from earlier ones.
    pub(crate) fn sparse(&mut self) -> Sparse {
        let mut sparse = self.free_sparse.pop().unwrap_or_default();
        sparse.clear();
        sparse
    }

    /// Keeps the memory of a table that is done with.
    pub(crate) fn keep_table(&mut self, table: Table<'_>) {
        self.keep(table.numbers);
        self.free_sparse.extend(table.sparse);
    }

    /// An empty buffer with memory from earlier use.
    pub(crate) fn numbers(&mut self) -> Vec<f64> {
        let mut numbers = self.free.pop().unwrap_or_default();
        numbers.clear();
        numbers
    }

    /// No registers as yet.
    pub(crate) fn registers(&mut self) -> Vec<Vec<f64>> {
        std::mem::take(&mut self.registers)
    }

    /// Keeps the memory of registers that are done with.
    pub(crate) fn keep_registers(&mut self, mut registers: Vec<Vec<f64>>) {
        self.free.append(&mut registers);
        self.registers = registers;
    }

    /// An empty answer with memory from earlier use.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.answers.pop().unwrap_or_default();
        answer.clear();
        answer
    }

    /// A buffer that waits for use.
    #[cfg(test)]
    pub(crate) fn spare(&mut self) -> Option<Vec<f64>> {
        self.free.pop()
    }

    /// Keeps the memory of an answer that is done with.
    pub(crate) fn keep_answer(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    /// Keeps the memory of a buffer that is done with.
    pub(crate) fn keep(&mut self, numbers: Vec<f64>) {
        self.free.push(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unusable_value_is_named_by_its_place() {
        let cases = [
            (f64::NAN, false, Err(Why::Missing)),
            (f64::NAN, true, Ok(())),
            (f64::NEG_INFINITY, true, Err(Why::Infinite)),
            (1e300, false, Ok(())),
        ];
        for (value, missing, expected) in cases {
            let numbers = [0.0, 1.0, 2.0, value, 3.0, f64::MAX];
            let found = Rows::of_numbers(&numbers, 2).refuse_unusable(missing);
            assert_eq!(found.map_err(|unusable| unusable.why), expected, "{value}");
            if let Err(unusable) = found {
                assert_eq!(
                    (unusable.row, unusable.column),
                    (1, Some(Column::Number(1)))
                );
            }
        }
    }

    #[test]
    fn a_buffer_is_empty_however_it_was_left() {
        let mut scratch = Scratch::default();
        scratch.keep(vec![1.0, 2.0]);
        assert!(scratch.numbers().is_empty());
    }
}
