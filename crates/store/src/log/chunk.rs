//! The text of a multi-row insert, made once for each number of rows.
//!
//! The one place where SQL is not written by hand: a constant head, then the
//! same group of placeholders again and again. No value ever gets into it. The
//! texts live as long as the program, so that each is prepared once per
//! connection.

use std::sync::OnceLock;

use super::row::columns;

/// Columns of the table, hence placeholders of a row.
pub(super) const COLUMNS: usize = 21;

/// Rows of a full chunk; smaller ones have a power of two.
///
/// 21 × 128 placeholders stay below the limits of both databases (32,766 and
/// 65,535); chunks of 32 to 512 rows cost the same.
pub(super) const FULL: usize = 1 << LOG2_FULL;
const LOG2_FULL: usize = 7;

/// How a database writes placeholders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholders {
    /// `?`. SQLite finds the name of a named one by walking a list of all, which
    /// makes a row of a full chunk eight times as expensive.
    Anonymous,
    /// `$1`, `$2`, …
    Numbered,
}

/// Splits `rows` into chunks that [`insert_text`] has a text for.
pub(super) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let log2 = rows.len().checked_ilog2()?;
        let (chunk, rest) = rows.split_at(FULL.min(1 << log2));
        rows = rest;
        Some(chunk)
    })
}

/// The insert of `rows` rows, a power of two up to [`FULL`]. Rows whose id is
/// there already are skipped.
pub(super) fn insert_text(placeholders: Placeholders, rows: usize) -> &'static str {
    static TEXTS: [[OnceLock<String>; LOG2_FULL + 1]; 2] =
        [const { [const { OnceLock::new() }; LOG2_FULL + 1] }; 2];
    debug_assert!(rows.is_power_of_two(), "{rows} rows");
    let log2 = rows.trailing_zeros() as usize;
    let text = &TEXTS[usize::from(placeholders == Placeholders::Numbered)][log2];
    text.get_or_init(|| build(placeholders, rows))
}

fn build(placeholders: Placeholders, rows: usize) -> String {
    let mut text = String::from(concat!(
        "insert into predictions (",
        columns!(),
        ") values "
    ));
    for index in 0..rows * COLUMNS {
        text.push_str(match index {
            0 => "(",
            _ if index % COLUMNS == 0 => "), (",
            _ => ", ",
        });
        match placeholders {
            Placeholders::Anonymous => text.push('?'),
            Placeholders::Numbered => {
                text.push('$');
                text.push_str(&(index + 1).to_string());
            }
        }
    }
    text.push_str(") on conflict (id) do nothing");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_rows_falls_into_known_chunks() {
        for (rows, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (7, vec![4, 2, 1]),
            (128, vec![128]),
            (1000, vec![128, 128, 128, 128, 128, 128, 128, 64, 32, 8]),
        ] {
            let all: Vec<usize> = (0..rows).collect();
            let lengths: Vec<usize> = chunks(&all).map(<[_]>::len).collect();
            assert_eq!(lengths, expected, "{rows}");
            assert_eq!(chunks(&all).collect::<Vec<_>>().concat(), all);
        }
    }

    #[test]
    fn a_text_has_one_placeholder_for_each_column_of_each_row() {
        assert_eq!(columns!().split(", ").count(), COLUMNS);
        let text = insert_text(Placeholders::Anonymous, 2);
        assert_eq!(text.matches('?').count(), 2 * COLUMNS);
        assert!(text.contains("?), (?"), "{text}");
        let text = insert_text(Placeholders::Numbered, 2);
        assert!(
            text.contains("($1, $2,") && text.contains("$21), ($22,"),
            "{text}"
        );
        assert!(text.ends_with("$42) on conflict (id) do nothing"), "{text}");
        assert!(std::ptr::eq(text, insert_text(Placeholders::Numbered, 2)));
    }
}
