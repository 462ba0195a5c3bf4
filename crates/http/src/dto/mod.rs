//! What travels over the wire: one type per request and answer, apart from the
//! types of the domain so that renaming a field here is a visible decision.

pub(crate) mod about;
pub(crate) mod account;
pub(crate) mod analytics;
pub(crate) mod audit;
pub(crate) mod capture;
pub(crate) mod deployment;
pub(crate) mod endpoint;
pub(crate) mod health;
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

use plimsoll_core::model::VersionRef;
use serde::{Deserialize, Deserializer};

/// A version as a body names it: a string or an integer.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string or an integer")]
pub(crate) enum VersionName {
    /// By its number.
    Number(u32),
    /// By a number, a label, an id, `latest` or `production`.
    Text(String),
}

impl From<VersionName> for VersionRef {
    fn from(name: VersionName) -> Self {
        match name {
            VersionName::Number(number) => Self::Number(number.into()),
            VersionName::Text(text) => Self::from(text.as_str()),
        }
    }
}

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
