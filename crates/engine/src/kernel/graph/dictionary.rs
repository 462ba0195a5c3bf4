//! Values that have numbers: the codes of categories, and what labels become.

use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::kernel::rows::Rows;
use crate::reader::malformed;

/// What values are looked up, and the number each has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub(crate) struct Dictionary {
    codes: Codes,
    values: Vec<f64>,
    otherwise: f64,
}

/// The values that are known, sorted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Codes {
    /// Numbers of a register; NaN is the greatest and equals itself.
    Numbers(Vec<f64>),
    /// Texts in these columns of the rows.
    Texts {
        columns: Vec<usize>,
        known: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Unchecked {
    codes: Codes,
    values: Vec<f64>,
    otherwise: f64,
}

impl TryFrom<Unchecked> for Dictionary {
    type Error = EngineError;

    fn try_from(read: Unchecked) -> Result<Self, EngineError> {
        Self::sorted(read.codes, read.values, read.otherwise)
    }
}

impl Dictionary {
    /// Numbers in a register and what they become; others become `otherwise`.
    /// Of equal keys the first counts.
    pub(crate) fn of_numbers(
        mut pairs: Vec<(f64, f64)>,
        otherwise: f64,
    ) -> Result<Self, EngineError> {
        // Zero has two signs and one meaning.
        for (key, _) in &mut pairs {
            *key = comparable(*key);
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        pairs.dedup_by(|later, first| later.0.total_cmp(&first.0).is_eq());
        let (keys, values) = pairs.into_iter().unzip();
        Self::sorted(Codes::Numbers(keys), values, otherwise)
    }

    /// The same for texts, in these columns of the rows.
    pub(crate) fn of_texts(
        columns: Vec<usize>,
        mut pairs: Vec<(String, f64)>,
        otherwise: f64,
    ) -> Result<Self, EngineError> {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, first| later.0 == first.0);
        let (known, values) = pairs.into_iter().unzip();
        Self::sorted(Codes::Texts { columns, known }, values, otherwise)
    }

    fn sorted(codes: Codes, values: Vec<f64>, otherwise: f64) -> Result<Self, EngineError> {
        let (length, is_sorted) = match &codes {
            Codes::Numbers(keys) => {
                let sorted = keys.is_sorted_by(|a, b| a.total_cmp(b).is_lt());
                (keys.len(), sorted)
            }
            Codes::Texts { known, .. } => (known.len(), known.is_sorted_by(|a, b| a < b)),
        };
        if length == values.len() && is_sorted {
            return Ok(Self {
                codes,
                values,
                otherwise,
            });
        }
        Err(malformed("a dictionary is not sorted"))
    }

    /// Values in each row it looks up, given the one register it takes or none and the texts.
    pub(super) fn takes(
        &self,
        width: Option<usize>,
        registers: usize,
        texts: usize,
    ) -> Option<usize> {
        match &self.codes {
            Codes::Numbers(_) => width,
            Codes::Texts { columns, .. } => {
                let fits = registers == 0 && columns.iter().all(|column| *column < texts);
                fits.then_some(columns.len())
            }
        }
    }

    /// Whether its numbers are indexes below `limit`, or negative for none.
    pub(super) fn values_below(&self, limit: usize) -> bool {
        let numbers = self.values.iter().chain([&self.otherwise]);
        numbers
            .into_iter()
            .all(|value| *value < limit as f64 && value.fract() == 0.0)
    }

    /// Values it looks up in each of `rows`, of a register of so many numbers.
    pub(super) fn width(&self, numbers: usize, rows: Rows<'_, '_>) -> usize {
        match &self.codes {
            Codes::Numbers(_) => numbers / rows.count.max(1),
            Codes::Texts { columns, .. } => columns.len(),
        }
    }

    /// The column of texts its value at `index` of a row is in.
    pub(super) fn text_column(&self, index: usize) -> Option<usize> {
        match &self.codes {
            Codes::Numbers(_) => None,
            Codes::Texts { columns, .. } => columns.get(index).copied(),
        }
    }

    /// Hands the number of each value to `then`, with the place of the value.
    pub(super) fn each(&self, x: &[f64], rows: Rows<'_, '_>, mut then: impl FnMut(f64, usize)) {
        match &self.codes {
            Codes::Numbers(keys) => {
                for (at, x) in x.iter().enumerate() {
                    let x = comparable(*x);
                    then(
                        self.value(keys.binary_search_by(|key| key.total_cmp(&x))),
                        at,
                    );
                }
            }
            Codes::Texts { columns, known } => {
                let texts = rows.each_texts();
                let texts = texts.flat_map(|row| columns.iter().map(|column| row[*column]));
                for (at, text) in texts.enumerate() {
                    let text = text.unwrap_or("");
                    then(
                        self.value(known.binary_search_by(|key| key.as_str().cmp(text))),
                        at,
                    );
                }
            }
        }
    }

    fn value(&self, found: Result<usize, usize>) -> f64 {
        found.map_or(self.otherwise, |at| self.values[at])
    }

    pub(super) fn bytes(&self) -> usize {
        let keys = match &self.codes {
            Codes::Numbers(keys) => 8 * keys.len(),
            Codes::Texts { known, .. } => known.iter().map(|key| 24 + key.len()).sum(),
        };
        keys + 8 * self.values.len()
    }
}

/// A number that compares with others as they are equal: one zero, one NaN.
fn comparable(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x + 0.0 }
}
