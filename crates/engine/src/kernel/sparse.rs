//! Rows of numbers most of which are zero: what is done with one costs what is in it, however wide it is.

use super::rows::{Column, Unusable, Why};

/// A column and the number in it.
pub(crate) type Entry = (u32, f64);

/// Rows of which only the numbers that are not zero are kept.
#[derive(Debug, Default)]
pub(crate) struct Sparse {
    /// The entries of one row after the other, by rising column.
    entries: Vec<Entry>,
    /// Where the entries of each row end.
    ends: Vec<usize>,
}

impl Sparse {
    /// Appends a row: its entries by rising column.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Entry>) {
        self.entries.extend(row);
        self.ends.push(self.entries.len());
    }

    /// The entries of a row.
    pub(crate) fn row(&self, index: usize) -> &[Entry] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[index]]
    }

    /// The entries of each row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[Entry]> {
        (0..self.ends.len()).map(|index| self.row(index))
    }

    /// The entries of each row, to change their numbers.
    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [Entry]> {
        let mut rest = self.entries.as_mut_slice();
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let (row, others) = std::mem::take(&mut rest).split_at_mut(end - start);
            (rest, start) = (others, *end);
            row
        })
    }

    /// The numbers of all rows.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Forgets the rows but keeps their memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
    }

    /// Appends the rows with all their zeros, `width` numbers each.
    pub(crate) fn spread(&self, width: usize, numbers: &mut Vec<f64>) {
        for row in self.rows() {
            let start = numbers.len();
            numbers.resize(start + width, 0.0);
            for (column, value) in row {
                numbers[start + *column as usize] = *value;
            }
        }
    }

    /// Refuses infinity, and NaN unless `missing` values are welcome.
    pub(crate) fn refuse_unusable(&self, missing: bool) -> Result<(), Unusable> {
        for (index, row) in self.rows().enumerate() {
            let unusable = |(_, x): &&Entry| x.is_infinite() || (x.is_nan() && !missing);
            if let Some((column, x)) = row.iter().find(unusable) {
                return Err(Unusable {
                    row: index,
                    column: Some(Column::Number(*column as usize)),
                    why: if x.is_nan() {
                        Why::Missing
                    } else {
                        Why::Infinite
                    },
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_their_zeros_back() {
        let mut sparse = Sparse::default();
        sparse.push([(1, 2.0), (2, 3.0)]);
        sparse.push([]);
        sparse.push([(0, f64::NAN)]);
        let mut numbers = Vec::new();
        sparse.spread(3, &mut numbers);
        assert_eq!(numbers[..6], [0.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
        assert!(numbers[6].is_nan() && numbers[7..] == [0.0, 0.0]);
        assert!(sparse.refuse_unusable(true).is_ok());
        let refused = sparse.refuse_unusable(false).unwrap_err();
        let place = (refused.row, refused.column, refused.why);
        assert_eq!(place, (2, Some(Column::Number(0)), Why::Missing));
    }
}
