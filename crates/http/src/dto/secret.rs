//! Secrets on the wire, in both directions.

use plimsoll_core::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A password or token in a request; it never prints.
#[derive(Clone, Debug)]
pub(crate) struct SecretText(pub Secret<String>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// A token or key in an answer: the one place where it is written out.
#[derive(Debug)]
pub(crate) struct RevealedOnce(pub Secret<String>);

impl Serialize for RevealedOnce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}
