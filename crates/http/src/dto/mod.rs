//! What travels over the wire: one type per request and answer, apart from the
//! types of the domain so that renaming a field here is a visible decision.

pub(crate) mod about;
pub(crate) mod account;
pub(crate) mod analytics;
pub(crate) mod audit;
pub(crate) mod capture;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod key_usage;
pub(crate) mod limit;
pub(crate) mod load;
pub(crate) mod mode;
pub(crate) mod model;
pub(crate) mod page;
pub(crate) mod predict;
pub(crate) mod prediction;
pub(crate) mod secret;
pub(crate) mod version;

use serde::{Deserialize, Deserializer};

/// A field for which absent (keep) and `null` (remove) differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Patch<T> {
    /// Left out: as it is.
    #[default]
    Keep,
    /// This, or nothing.
    Set(Option<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::Set)
    }
}

impl<T> From<Patch<T>> for Option<Option<T>> {
    fn from(patch: Patch<T>) -> Self {
        match patch {
            Patch::Keep => None,
            Patch::Set(value) => Some(value),
        }
    }
}
