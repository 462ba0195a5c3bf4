//! Secrets in request bodies.

use plimsoll_core::secret::Secret;
use serde::{Deserialize, Deserializer};

/// A password or token in a request; it never prints.
#[derive(Clone, Debug)]
pub(crate) struct SecretText(pub Secret<String>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}
