//! Typed ids: a short prefix and a ULID (`mdl_01J…`), ordered by creation time.
//!
//! A ULID is 48 bits of milliseconds and 80 further bits. Within one process
//! those 80 bits start at a random value and count up, so ids are unique,
//! cost no system call, and sort in the order they were made.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::entropy::Entropy;
use crate::time::{Clock, Timestamp};

/// The text is not an id of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that starts with {prefix}_")]
pub struct InvalidId {
    /// The prefix the id should have had.
    pub prefix: &'static str,
}

/// An id as text: three letters, an underscore, and 26 of the ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdText([u8; 4 + ulid::ULID_LEN]);

impl IdText {
    fn new(prefix: &[u8], bits: u128) -> Self {
        let mut text = [0; 4 + ulid::ULID_LEN];
        text[..4].copy_from_slice(prefix);
        let letters = text
            .last_chunk_mut()
            .expect("invariant: longer than a ULID");
        Ulid(bits).array_to_str(letters);
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: an id is ASCII")
    }
}

/// Declares one id type with its prefix.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, later than all ids this source gave before.
            pub fn new(ids: &IdSource) -> Self {
                Self::new_at(ids, ids.inner.clock.now())
            }

            /// The same where the time is known already.
            pub fn new_at(ids: &IdSource, now: Timestamp) -> Self {
                Self(ids.next(now))
            }

            /// The 128 bits behind the text.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// The id with these 128 bits.
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// The id as text, without asking for memory.
            pub fn text(self) -> IdText {
                IdText::new(concat!($prefix, "_").as_bytes(), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text().as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(|ulid| Self(ulid.0))
                    .filter(|id| id.to_string() == text)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.text().as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// A person or the installation's administrator.
    UserId, "usr"
}
id! {
    /// An API key (its row, not its secret).
    KeyId, "key"
}
id! {
    /// A named model.
    ModelId, "mdl"
}
id! {
    /// One immutable version of a model.
    VersionId, "ver"
}
id! {
    /// One answered prediction request.
    PredictionId, "prd"
}
id! {
    /// One HTTP request, also the name under which it is logged.
    RequestId, "req"
}
id! {
    /// One entry of the promotion ledger.
    PromotionId, "pro"
}
id! {
    /// An endpoint.
    EndpointId, "end"
}
id! {
    /// One entry of an endpoint's ledger.
    DeploymentId, "dep"
}
id! {
    /// A family of refresh tokens: everything that grew from one sign-in.
    FamilyId, "fam"
}
id! {
    /// One piece of long work.
    JobId, "job"
}
id! {
    /// One run of the program, as far as it takes jobs.
    WorkerId, "wrk"
}

/// Gives out ids that are unique in the installation and ordered in the process.
#[derive(Debug, Clone)]
pub struct IdSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    /// Random start of the lower 80 bits; two processes never share it in practice.
    start: u128,
    counter: AtomicU64,
}

const LOW_80_BITS: u128 = (1 << 80) - 1;

impl IdSource {
    /// A source that reads milliseconds from `clock` and starts at a random point.
    pub fn new(clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        let mut start = [0; 16];
        entropy.fill(&mut start[..8]);
        // The top bits stay clear so that counting up never wraps in practice.
        let start = u128::from_le_bytes(start) << 15;
        Self {
            inner: Arc::new(Inner {
                clock,
                start: start & LOW_80_BITS,
                counter: AtomicU64::new(0),
            }),
        }
    }

    fn next(&self, now: Timestamp) -> u128 {
        let millis = now.as_micros().div_euclid(1000);
        let millis = u128::from(u64::try_from(millis).unwrap_or(0));
        let count = u128::from(self.inner.counter.fetch_add(1, Ordering::Relaxed));
        (millis << 80) | ((self.inner.start + count) & LOW_80_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::time::ManualClock;

    fn source() -> IdSource {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
            1_700_000_000_000_000,
        )));
        IdSource::new(clock, &SeededEntropy::new(1))
    }

    #[test]
    fn ids_round_trip_through_text_and_grow() {
        let ids = source();
        let (a, b) = (ModelId::new(&ids), ModelId::new(&ids));
        assert!(a < b);
        assert!(a.to_string() < b.to_string());
        assert_eq!(a.to_string().parse(), Ok(a));
        assert_eq!(a.to_string().len(), "mdl_".len() + 26);
    }

    #[test]
    fn another_kind_of_id_is_refused() {
        let id = UserId::new(&source()).to_string();
        assert_eq!(id.parse::<ModelId>(), Err(InvalidId { prefix: "mdl" }));
        assert_eq!(
            id.to_lowercase().parse::<UserId>(),
            Err(InvalidId { prefix: "usr" })
        );
        assert!("mdl_".parse::<ModelId>().is_err());
    }
}
