//! How much may be made of a file.

use std::cell::Cell;

use crate::EngineError;
use crate::reader::malformed;

/// Least bytes of an estimator in a file.
const MIN_ESTIMATOR_BYTES: usize = 32;
/// Times a reader may look at all the bytes of a file.
const LOOKS: usize = 16;
/// What a file may always make, however small it is.
const FREE: usize = 1 << 20;

/// What may still be made of a file. In a pickle one value can stand in many
/// places: without an account, a small file could become a huge model.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: Cell<usize>,
    estimators: Cell<usize>,
}

impl Budget {
    /// The budget of a file of so many bytes.
    pub(crate) fn of(bytes: usize) -> Self {
        Self {
            bytes: Cell::new(bytes.saturating_mul(LOOKS).saturating_add(FREE)),
            estimators: Cell::new(bytes / MIN_ESTIMATOR_BYTES + 64),
        }
    }

    /// Takes account of array bytes that are looked at.
    pub(crate) fn spend_bytes(&self, bytes: usize) -> Result<(), EngineError> {
        spend(&self.bytes, bytes)
    }

    /// Takes account of an estimator.
    pub(crate) fn spend_estimator(&self) -> Result<(), EngineError> {
        spend(&self.estimators, 1)
    }
}

fn spend(left: &Cell<usize>, amount: usize) -> Result<(), EngineError> {
    let rest = left.get().checked_sub(amount);
    left.set(rest.unwrap_or(0));
    rest.map(drop)
        .ok_or_else(|| malformed("its parts are used more often than a file of its size can mean"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_spent_stays_spent() {
        let budget = Budget::of(64);
        assert!(budget.spend_bytes(FREE).is_ok());
        assert!(budget.spend_bytes(64 * LOOKS + 1).is_err());
        assert!(budget.spend_bytes(1).is_err());
        assert!(budget.spend_estimator().is_ok());
    }
}
