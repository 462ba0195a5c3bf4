//! API keys: their text form, their scopes, what is stored of them.
//!
//! `plim_live_<id10><secret43><crc6>`, all base62. The id finds the row, the
//! 43 characters carry 256 random bits, and the checksum lets a typing mistake
//! or random garbage be refused before anything is looked up. Because the
//! secret is random and not chosen by a person, a plain SHA-256 of it is
//! enough at rest; a slow hash would only cost every request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::entropy::Entropy;
use crate::secret::Secret;

const PREFIX: &str = "plim_live_";
const ID_LEN: usize = 10;
const SECRET_LEN: usize = 43;
const CHECK_LEN: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of a whole key, in characters.
pub const KEY_LEN: usize = PREFIX.len() + ID_LEN + SECRET_LEN + CHECK_LEN;
/// A regular expression that finds keys in any text.
pub const KEY_PATTERN: &str = r"\bplim_live_[0-9A-Za-z]{59}\b";

/// The public part of a key: finds its row, proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHandle([u8; ID_LEN]);

impl KeyHandle {
    /// The ten characters as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: a handle holds base62 characters")
    }

    /// What is shown in lists: the fixed prefix and the ten public characters.
    pub fn display_prefix(&self) -> String {
        format!("{PREFIX}{}", self.as_str())
    }
}

impl fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyHandle {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let bytes: [u8; ID_LEN] = text.as_bytes().try_into().map_err(|_| MalformedKey)?;
        if bytes.iter().all(u8::is_ascii_alphanumeric) {
            Ok(Self(bytes))
        } else {
            Err(MalformedKey)
        }
    }
}

/// SHA-256 of a key's secret part: all that is stored of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(pub [u8; 32]);

/// The text is not a key: wrong length, characters or checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key of this product")]
pub struct MalformedKey;

/// A presented key whose checksum holds; whether it is known is another matter.
pub struct PresentedKey<'a> {
    /// Finds the row.
    pub handle: KeyHandle,
    secret: &'a [u8],
}

impl<'a> PresentedKey<'a> {
    /// Checks length, alphabet and checksum; no lookup, no hash.
    pub fn parse(text: &'a str) -> Result<Self, MalformedKey> {
        let bytes = text.as_bytes();
        if bytes.len() != KEY_LEN || !bytes.starts_with(PREFIX.as_bytes()) {
            return Err(MalformedKey);
        }
        let (body, check) = bytes.split_at(KEY_LEN - CHECK_LEN);
        if !bytes[PREFIX.len()..].iter().all(u8::is_ascii_alphanumeric) || checksum(body) != check {
            return Err(MalformedKey);
        }
        let mut handle = [0; ID_LEN];
        handle.copy_from_slice(&body[PREFIX.len()..PREFIX.len() + ID_LEN]);
        Ok(Self {
            handle: KeyHandle(handle),
            secret: &body[PREFIX.len() + ID_LEN..],
        })
    }

    /// Whether this key's secret hashes to `stored`, compared in constant time.
    pub fn matches(&self, stored: &KeyHash) -> bool {
        let hash: [u8; 32] = Sha256::digest(self.secret).into();
        // By words: as constant in time as by bytes, in an eighth of the steps.
        words(&hash)[..].ct_eq(&words(&stored.0)[..]).into()
    }
}

fn words(hash: &[u8; 32]) -> [u64; 4] {
    let (words, _) = hash.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
}

/// A freshly made key, the only time its text exists.
#[derive(Debug)]
pub struct NewKey {
    /// The whole key, to be shown once.
    pub text: Secret<String>,
    /// Its public part.
    pub handle: KeyHandle,
    /// What is stored of its secret part.
    pub hash: KeyHash,
}

impl NewKey {
    /// Makes a key with 256 random bits of secret.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let handle = KeyHandle(random_base62(entropy));
        let secret: [u8; SECRET_LEN] = random_base62(entropy);
        let mut text = String::with_capacity(KEY_LEN);
        text.push_str(PREFIX);
        text.push_str(handle.as_str());
        text.push_str(std::str::from_utf8(&secret).expect("invariant: base62 is ASCII"));
        let check = checksum(text.as_bytes());
        text.push_str(std::str::from_utf8(&check).expect("invariant: base62 is ASCII"));
        Self {
            text: Secret::new(text),
            handle,
            hash: KeyHash(Sha256::digest(secret).into()),
        }
    }
}

/// CRC-32 in base62, zero-padded, most significant digit first.
fn checksum(body: &[u8]) -> [u8; CHECK_LEN] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECK_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Uniform base62 characters: bytes above the largest multiple of 62 are drawn again.
fn random_base62<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut out = [0; N];
    let mut filled = 0;
    while filled < N {
        let mut bytes = [0; 64];
        entropy.fill(&mut bytes);
        for byte in bytes.into_iter().filter(|b| *b < 248).take(N - filled) {
            out[filled] = ALPHABET[usize::from(byte % 62)];
            filled += 1;
        }
    }
    out
}

/// What a credential allows: `predict` ⊂ `read` ⊂ `write` ⊂ `admin`; `feedback` stands beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Ask for predictions.
    Predict,
    /// Submit feedback, nothing else.
    Feedback,
    /// Look at everything one owns, and predict.
    Read,
    /// Change what one owns.
    Write,
    /// Promote, baseline, and other far-reaching changes of what one owns.
    Admin,
}

impl Scope {
    /// All scopes, narrowest first.
    pub const ALL: [Self; 5] = [
        Self::Predict,
        Self::Feedback,
        Self::Read,
        Self::Write,
        Self::Admin,
    ];

    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Feedback => "feedback",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Predict => 0b0_0001,
            Self::Feedback => 0b1_0000,
            Self::Read => 0b0_0011,
            Self::Write => 0b1_0111,
            Self::Admin => 0b1_1111,
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or(UnknownScope)
    }
}

/// The text names no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of predict, feedback, read, write, admin")]
pub struct UnknownScope;

/// A set of scopes, closed under what each includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether `scope` is included.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & scope.bits() == scope.bits()
    }

    /// Whether everything in `other` is included: a key never makes a key wider than itself.
    pub const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(
            scopes
                .into_iter()
                .fold(0, |bits, scope| bits | scope.bits()),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn ten_thousand_keys_are_unique_and_parse() {
        let entropy = SeededEntropy::new(7);
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let key = NewKey::generate(&entropy);
            let text = key.text.expose();
            assert_eq!(text.len(), KEY_LEN);
            let presented = PresentedKey::parse(text).unwrap();
            assert_eq!(presented.handle, key.handle);
            assert!(presented.matches(&key.hash));
            assert!(seen.insert(text.clone()));
        }
    }

    #[test]
    fn any_single_changed_character_is_noticed() {
        let key = NewKey::generate(&SeededEntropy::new(1));
        let text = key.text.expose();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(PresentedKey::parse(&changed).is_err(), "position {at}");
        }
        assert!(PresentedKey::parse("").is_err());
        assert!(PresentedKey::parse(&"é".repeat(KEY_LEN)).is_err());
    }

    #[test]
    fn wider_scopes_include_narrower_ones() {
        let of = |scopes: &[Scope]| scopes.iter().copied().collect::<Scopes>();
        assert!(of(&[Scope::Read]).allow(Scope::Predict));
        assert!(!of(&[Scope::Predict]).allow(Scope::Read));
        assert!(!of(&[Scope::Read]).allow(Scope::Feedback));
        assert!(of(&[Scope::Admin]).include(of(&[Scope::Write, Scope::Feedback])));
        assert!(!of(&[Scope::Write]).include(of(&[Scope::Admin])));
    }
}
