//! The name of one process start, and of the folder its segments lie in.

use std::fmt;
use std::str::FromStr;

use plimsoll_core::entropy::Entropy;
use plimsoll_core::time::Clock;
use ulid::Ulid;

/// One start of the process: a ULID, so later starts sort after earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(u128);

/// The text is not the name of a process start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a ULID of 26 upper-case characters")]
pub struct InvalidBoot;

impl BootId {
    /// A name for a process that starts now.
    pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        let millis = u64::try_from(clock.now().as_micros().div_euclid(1000)).unwrap_or(0);
        let mut random = [0; 16];
        entropy.fill(&mut random[..10]);
        Self((u128::from(millis) << 80) | u128::from_le_bytes(random))
    }

    /// The 128 bits behind the text.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The name with these 128 bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Ulid(self.0).array_to_str(&mut [0; ulid::ULID_LEN]))
    }
}

impl FromStr for BootId {
    type Err = InvalidBoot;

    fn from_str(text: &str) -> Result<Self, InvalidBoot> {
        let boot = Ulid::from_string(text).map_err(|_| InvalidBoot)?;
        let boot = Self(boot.0);
        if boot.to_string() == text {
            Ok(boot)
        } else {
            Err(InvalidBoot)
        }
    }
}
