//! Texts as counts of words, as scikit-learn's vectorizers make them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::project::Norm;
use super::terms::Cut;
use crate::EngineError;
use crate::kernel::rows::{Column, Rows, Scratch, Shape, Table, Unusable, Why};
use crate::kernel::sparse::Entry;
use crate::kernel::step::Transform;
use crate::reader::malformed;

/// One column of texts, as counts of its words.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Words {
    /// How a text becomes words.
    pub(crate) cut: Cut,
    /// Which column a word counts in.
    pub(crate) columns: WordColumns,
    /// Whether a word counts once however often it stands there.
    pub(crate) binary: bool,
    /// How the counts are weighed.
    pub(crate) weights: Weights,
}

/// Which column a term counts in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WordColumns {
    /// That of the vocabulary; other terms do not count.
    Known(HashMap<String, usize>),
    /// One by the hash of the term.
    Hashed {
        /// Number of columns.
        width: usize,
        /// Whether half of the terms count negative.
        signed: bool,
    },
}

/// How counts become weights (`TfidfTransformer`).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Weights {
    /// Whether a count becomes one more than its logarithm.
    pub(crate) sublinear: bool,
    /// What each column is multiplied by; empty for nothing.
    pub(crate) factors: Vec<f64>,
    /// What each row is divided by.
    pub(crate) norm: Option<Norm>,
}

/// MurmurHash3 of 32 bits with seed 0 (Appleby, `MurmurHash3_x86_32`), as a signed number.
fn murmur(bytes: &[u8]) -> i32 {
    let mixed = |word: u32| {
        word.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = 0_u32;
    for word in words {
        hash ^= mixed(u32::from_le_bytes(*word));
        hash = hash
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    let fold = |word: u32, byte: &u8| word << 8 | u32::from(*byte);
    hash ^= mixed(rest.iter().rev().fold(0, fold));
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16).cast_signed()
}

impl WordColumns {
    fn width(&self) -> usize {
        match self {
            Self::Known(columns) => columns.len(),
            Self::Hashed { width, .. } => *width,
        }
    }

    /// The column of a term, and what it counts there.
    fn of(&self, term: &str) -> Option<Entry> {
        match self {
            Self::Known(columns) => columns.get(term).map(|column| (*column as u32, 1.0)),
            Self::Hashed { width, signed } => {
                let hash = murmur(term.as_bytes());
                // The library writes the absolute value of the least integer so (`_hashing_fast.pyx`).
                let column = if hash == i32::MIN {
                    (i32::MAX as usize).saturating_sub(width - 1) % width
                } else {
                    hash.unsigned_abs() as usize % width
                };
                let count = if *signed && hash < 0 { -1.0 } else { 1.0 };
                Some((column as u32, count))
            }
        }
    }
}

impl Words {
    /// Refuses columns that are not there, and weights of other columns.
    pub(crate) fn checked(self) -> Result<Self, EngineError> {
        let width = self.columns.width();
        let inside = match &self.columns {
            WordColumns::Known(columns) => columns.values().all(|column| *column < width),
            WordColumns::Hashed { .. } => true,
        };
        let weighed = self.weights.factors.is_empty() || self.weights.factors.len() == width;
        let (shortest, longest) = self.cut.terms;
        if inside && weighed && width > 0 && shortest > 0 && shortest <= longest {
            return Ok(self);
        }
        Err(malformed(
            "the words of a vectorizer do not fit its columns",
        ))
    }

    /// Counts the terms of `text` into a row that is empty.
    fn count(&self, text: &str, row: &mut Vec<Entry>) {
        self.cut
            .terms(text, |term| row.extend(self.columns.of(term)));
        row.sort_unstable_by_key(|(column, _)| *column);
        row.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        if self.binary {
            for (_, count) in row {
                *count = 1.0;
            }
        }
    }
}

impl Weights {
    /// Weighs the entries of a row; its other columns are zero.
    fn weigh(&self, row: &mut [Entry]) {
        if self.sublinear {
            // Counts of different signs may have met at zero.
            let counted = row.iter_mut().filter(|(_, count)| *count != 0.0);
            counted.for_each(|(_, count)| *count = count.ln() + 1.0);
        }
        if !self.factors.is_empty() {
            for (column, count) in row.iter_mut() {
                *count *= self.factors[*column as usize];
            }
        }
        if let Some(norm) = self.norm {
            norm.normalize_entries(row);
        }
    }
}

impl Transform for Words {
    fn takes(&self) -> Shape {
        Shape {
            numbers: 0,
            texts: 1,
        }
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.columns.width())
    }

    fn makes_sparse(&self, _: bool) -> bool {
        true
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let made = made.sparse.insert(scratch.sparse());
        let mut counted = Vec::new();
        for (row, text) in rows.texts.iter().enumerate() {
            let text = text.ok_or(Unusable {
                row,
                column: Some(Column::Text(0)),
                why: Why::Missing,
            })?;
            counted.clear();
            self.count(text, &mut counted);
            self.weights.weigh(&mut counted);
            made.push(counted.iter().copied());
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let known = match &self.columns {
            WordColumns::Known(columns) => columns.keys().map(|term| 48 + term.len()).sum(),
            WordColumns::Hashed { .. } => 0,
        };
        known + 8 * self.weights.factors.len()
    }

    fn nanos_per_row(&self) -> usize {
        4000
    }
}

/// Rows of counts, weighed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Weighed {
    /// Columns of a row.
    pub(crate) features: usize,
    /// How; there is a factor for each column, or none.
    pub(crate) weights: Weights,
}

impl Transform for Weighed {
    fn takes(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn gives(&self) -> Shape {
        Shape::numbers(self.features)
    }

    fn takes_sparse(&self) -> bool {
        true
    }

    fn makes_sparse(&self, _: bool) -> bool {
        true
    }

    fn apply<'t>(
        &'t self,
        rows: Rows<'_, 't>,
        made: &mut Table<'t>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let made = made.sparse.insert(scratch.sparse());
        let mut weighed = Vec::new();
        for row in rows.each_row() {
            weighed.clear();
            weighed.extend(row.entries());
            self.weights.weigh(&mut weighed);
            made.push(weighed.iter().copied());
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        8 * self.weights.factors.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::kernel::steps::terms::{Accents, Unit};

    fn cut(terms: (usize, usize)) -> Cut {
        Cut {
            lowercase: true,
            accents: Accents::Stay,
            shortest: 2,
            unit: Unit::Words,
            left_out: HashSet::new(),
            terms,
        }
    }

    #[test]
    fn hashes_are_those_of_scikit_learn() {
        // sklearn.utils.murmurhash3_32(text, seed=0)
        for (text, hash) in [("", 0), ("a", 1_009_084_850), ("hello", 613_153_351)] {
            assert_eq!(murmur(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn a_vocabulary_that_points_beyond_itself_is_refused() {
        let words = |column: usize, factors: usize, terms: (usize, usize)| Words {
            cut: cut(terms),
            columns: WordColumns::Known(HashMap::from([("ab".to_owned(), column)])),
            binary: false,
            weights: Weights {
                factors: vec![1.0; factors],
                ..Weights::default()
            },
        };
        assert!(words(0, 1, (1, 1)).checked().is_ok());
        assert!(words(1, 1, (1, 1)).checked().is_err());
        assert!(words(0, 2, (1, 1)).checked().is_err());
        assert!(words(0, 1, (0, 1)).checked().is_err());
        assert!(words(0, 1, (2, 1)).checked().is_err());
    }
}
