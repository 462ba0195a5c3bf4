//! What travels over the wire: one type per request and answer, apart from the
//! types of the domain so that renaming a field here is a visible decision.

pub(crate) mod account;
pub(crate) mod key;
pub(crate) mod model;
pub(crate) mod page;
pub(crate) mod predict;
pub(crate) mod secret;

use serde::{Deserialize, Deserializer};

/// For fields in which absent (keep) and `null` (remove) differ.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
