//! How requests are spread over the versions of an endpoint.
//!
//! A request gets a ticket, 64 bits that are random or derived from who asks.
//! The share of the whole range that a version covers is its weight, in the
//! order of the list. So with a fixed ticket a caller stays with a version as
//! long as the weights stay, and moving a few percent moves few callers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::field::FieldError;
use crate::id::{EndpointId, VersionId};

/// Most versions behind one endpoint.
pub const MAX_SERVED: usize = 16;

/// What a version is to its endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers callers.
    #[default]
    Primary,
    /// Answers callers, on trial.
    Canary,
    /// Is asked as well; its answers are recorded and nobody gets them.
    Shadow,
}

impl Role {
    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Canary => "canary",
            Self::Shadow => "shadow",
        }
    }
}

/// One version and its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which version.
    pub version: VersionId,
    /// Percent of the requests: those it answers, or of a shadow, those it sees.
    pub weight: u8,
    /// What it is.
    pub role: Role,
}

/// What keeps a caller with one version; written `none`, `key` or `header:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Sticky {
    /// Nothing: every request is drawn anew.
    #[default]
    None,
    /// The API key, or the account where no key was used.
    Key,
    /// The value of a request header; requests without it are drawn anew.
    Header(String),
}

/// The text says nothing that callers could be kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected none, key, or header: with the name of a request header")]
pub struct InvalidSticky;

/// Longest header name accepted, in characters.
const MAX_HEADER: usize = 64;

impl FromStr for Sticky {
    type Err = InvalidSticky;

    fn from_str(text: &str) -> Result<Self, InvalidSticky> {
        // RFC 9110 section 5.6.2: a field name is a token.
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        match text {
            "none" => Ok(Self::None),
            "key" => Ok(Self::Key),
            _ => text
                .strip_prefix("header:")
                .filter(|name| (1..=MAX_HEADER).contains(&name.len()))
                .filter(|name| name.bytes().all(is_token))
                .map(|name| Self::Header(name.to_ascii_lowercase()))
                .ok_or(InvalidSticky),
        }
    }
}

impl fmt::Display for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Key => f.write_str("key"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

impl TryFrom<String> for Sticky {
    type Error = InvalidSticky;

    fn try_from(text: String) -> Result<Self, InvalidSticky> {
        text.parse()
    }
}

/// The place of one request in the range that versions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The same ticket for the same caller of the same endpoint, on every
    /// machine and after every restart.
    pub fn of_caller(endpoint: EndpointId, caller: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(endpoint.as_u128().to_be_bytes())
            .chain_update(caller)
            .finalize();
        let first = hash
            .first_chunk()
            .expect("invariant: a hash has more than 8 bytes");
        Self(u64::from_be_bytes(*first))
    }

    /// Which percent of the range it lies in, 0 to 99.
    fn percent(self) -> u8 {
        let percent = (u128::from(self.0) * 100) >> 64;
        u8::try_from(percent).expect("invariant: below 100")
    }

    /// Another ticket, independent of this one, for another draw.
    const fn other(self) -> Self {
        // The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
        let mut z = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(z ^ (z >> 31))
    }

    /// The ticket of the `count`-th draw of a generator that starts at `seed`.
    pub const fn drawn(seed: u64, count: u64) -> Self {
        Self(seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15))).other()
    }
}

/// Versions and their shares, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic(Vec<Share>);

impl Traffic {
    /// Everything to one version.
    pub fn all_to(version: VersionId) -> Self {
        Self(vec![Share {
            version,
            weight: 100,
            role: Role::Primary,
        }])
    }

    /// Checks shares: at least one primary, weights of those that answer
    /// together 100, no version twice.
    ///
    /// Errors: what is wrong with which entry of `/served`.
    pub fn new(shares: Vec<Share>) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        if shares.is_empty() || shares.len() > MAX_SERVED {
            let detail = format!("expected 1 to {MAX_SERVED} versions");
            errors.push(wrong("/served".to_owned(), "wrong-count", &detail));
        }
        for (index, share) in shares.iter().enumerate() {
            if share.weight > 100 {
                let pointer = format!("/served/{index}/weight");
                errors.push(wrong(pointer, "out-of-range", "expected 0 to 100"));
            }
            if shares[..index].iter().any(|s| s.version == share.version) {
                let pointer = format!("/served/{index}/version");
                errors.push(wrong(pointer, "duplicate", "a version is listed once"));
            }
        }
        let answering = || shares.iter().filter(|share| share.role != Role::Shadow);
        let sum: u32 = answering().map(|share| u32::from(share.weight)).sum();
        if sum != 100 {
            let detail = format!(
                "the weights of the versions that answer are {sum} together; a shadow's is not counted"
            );
            errors.push(wrong("/served".to_owned(), "weights-not-100", &detail));
        }
        if !shares.iter().any(|share| share.role == Role::Primary) {
            let detail = "one version has to be the primary one";
            errors.push(wrong("/served".to_owned(), "no-primary", detail));
        }
        if errors.is_empty() {
            Ok(Self(shares))
        } else {
            Err(errors)
        }
    }

    /// The shares in their order.
    pub fn shares(&self) -> &[Share] {
        &self.0
    }

    /// The version that stands for the endpoint: the primary one of most
    /// weight, of equal ones the first.
    pub fn primary(&self) -> VersionId {
        let primaries = self.0.iter().filter(|share| share.role == Role::Primary);
        let heaviest = primaries.rev().max_by_key(|share| share.weight);
        heaviest.map_or(self.0[0].version, |share| share.version)
    }

    /// The position of the version that answers a request.
    pub fn answering(&self, ticket: Ticket) -> usize {
        let mut left = ticket.percent();
        for (index, share) in self.0.iter().enumerate() {
            if share.role == Role::Shadow {
                continue;
            }
            if left < share.weight {
                return index;
            }
            left -= share.weight;
        }
        // Weights are 100 together, so this is never reached with a checked list.
        0
    }

    /// The positions of the shadows that see a request.
    pub fn shadows(&self, ticket: Ticket) -> impl Iterator<Item = usize> + '_ {
        let drawn = ticket.other().percent();
        let shadows = self.0.iter().enumerate();
        shadows
            .filter(move |(_, share)| share.role == Role::Shadow && drawn < share.weight)
            .map(|(index, _)| index)
    }
}

fn wrong(pointer: String, code: &'static str, detail: &str) -> FieldError {
    FieldError::new(pointer, code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(version: u128, weight: u8, role: Role) -> Share {
        Share {
            version: VersionId::from_u128(version),
            weight,
            role,
        }
    }

    fn codes(shares: Vec<Share>) -> Vec<String> {
        let errors = Traffic::new(shares).unwrap_err();
        errors.into_iter().map(|e| e.code.into_owned()).collect()
    }

    #[test]
    fn shares_are_checked() {
        use Role::{Canary, Primary, Shadow};
        assert_eq!(
            codes(vec![]),
            ["wrong-count", "weights-not-100", "no-primary"]
        );
        assert_eq!(codes(vec![share(1, 99, Primary)]), ["weights-not-100"]);
        assert_eq!(codes(vec![share(1, 100, Canary)]), ["no-primary"]);
        let twice = vec![share(1, 50, Primary), share(1, 50, Canary)];
        assert_eq!(codes(twice), ["duplicate"]);
        let over = vec![share(1, 200, Primary)];
        assert_eq!(codes(over), ["out-of-range", "weights-not-100"]);
        let shadowed = vec![share(1, 100, Primary), share(2, 100, Shadow)];
        assert!(Traffic::new(shadowed).is_ok());
    }

    #[test]
    fn tickets_spread_by_weight() {
        let shares = vec![
            share(1, 70, Role::Primary),
            share(3, 20, Role::Shadow),
            share(2, 30, Role::Canary),
        ];
        let traffic = Traffic::new(shares).unwrap();
        let mut answered = [0_u32; 3];
        let mut mirrored = 0_u32;
        for count in 0..100_000 {
            let ticket = Ticket::drawn(7, count);
            answered[traffic.answering(ticket)] += 1;
            mirrored += u32::try_from(traffic.shadows(ticket).count()).unwrap();
        }
        // Five standard deviations of a binomial of 100,000 draws.
        assert!(answered[0].abs_diff(70_000) < 725, "{answered:?}");
        assert_eq!(answered[1], 0);
        assert!(mirrored.abs_diff(20_000) < 633, "{mirrored}");
    }

    #[test]
    fn a_few_percent_move_only_those_callers() {
        let split = |canary| {
            let shares = vec![
                share(1, 100 - canary, Role::Primary),
                share(2, canary, Role::Canary),
            ];
            Traffic::new(shares).unwrap()
        };
        let (before, after) = (split(10), split(25));
        for caller in 0_u32..2000 {
            let endpoint = EndpointId::from_u128(1);
            let ticket = Ticket::of_caller(endpoint, &caller.to_le_bytes());
            assert_eq!(ticket, Ticket::of_caller(endpoint, &caller.to_le_bytes()));
            // Whoever was with the canary stays there when it grows.
            assert!(before.answering(ticket) <= after.answering(ticket));
        }
    }

    #[test]
    fn what_callers_are_kept_by_is_read_as_it_is_written() {
        for text in ["none", "key", "header:x-customer"] {
            assert_eq!(text.parse::<Sticky>().unwrap().to_string(), text);
        }
        let upper = "header:X-Customer".parse::<Sticky>().unwrap();
        assert_eq!(upper, Sticky::Header("x-customer".to_owned()));
        for bad in ["", "header", "header:", "header:a b", "header:ä", "Key"] {
            assert_eq!(bad.parse::<Sticky>(), Err(InvalidSticky), "{bad}");
        }
    }

    #[test]
    fn the_heaviest_primary_stands_for_the_endpoint() {
        let shares = vec![
            share(1, 20, Role::Primary),
            share(2, 60, Role::Canary),
            share(3, 20, Role::Primary),
        ];
        let traffic = Traffic::new(shares).unwrap();
        assert_eq!(traffic.primary(), VersionId::from_u128(1));
    }
}
