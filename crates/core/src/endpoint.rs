//! Endpoints: their names, sizes, and how requests are spread over versions.

mod traffic;

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::EndpointId;

pub use self::traffic::{InvalidSticky, MAX_SERVED, Role, Share, Sticky, Ticket, Traffic};

/// Why a text is not an endpoint name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 1 to 63 lower-case letters, digits or hyphens, with a letter or digit at both ends"
)]
pub struct InvalidEndpointName;

/// An endpoint's name: one DNS label (RFC 1123 section 2.1), unique per owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct EndpointName(String);

/// Characters of a DNS label.
const MAX_NAME: usize = 63;

impl EndpointName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest name to any text: what a label cannot hold becomes a hyphen.
    pub fn nearest(text: &str) -> Self {
        let letter = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let label: String = text.chars().map(letter).collect();
        let start = label.trim_start_matches('-');
        let cut = &start[..start.len().min(MAX_NAME)];
        let name = cut.trim_end_matches('-');
        Self(if name.is_empty() { "endpoint" } else { name }.to_owned())
    }

    /// The name of an endpoint that was given none: `{model}-v{version}`. Of a
    /// long model name the end is cut, so that the version can still be read.
    pub fn of_version(model: &str, version: i64) -> Self {
        let suffix = format!("-v{version}");
        let model = Self::nearest(model).0;
        let room = MAX_NAME - suffix.len();
        let model = model[..model.len().min(room)].trim_end_matches('-');
        Self(format!("{model}{suffix}"))
    }
}

impl FromStr for EndpointName {
    type Err = InvalidEndpointName;

    fn from_str(text: &str) -> Result<Self, InvalidEndpointName> {
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ends = [text.bytes().next(), text.bytes().next_back()];
        let ends_ok = ends.into_iter().all(|b| b.is_some_and(is_letter));
        if ends_ok && text.len() <= MAX_NAME && text.bytes().all(|b| is_letter(b) || b == b'-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidEndpointName)
        }
    }
}

impl TryFrom<String> for EndpointName {
    type Error = InvalidEndpointName;

    fn try_from(text: String) -> Result<Self, InvalidEndpointName> {
        text.parse()
    }
}

/// How a caller names an endpoint: by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointRef {
    /// By id; administrators reach other people's endpoints this way.
    Id(EndpointId),
    /// By name, among the caller's own.
    Name(String),
}

impl From<&str> for EndpointRef {
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Id)
    }
}

/// The text is not one of the words it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {0}")]
pub struct UnknownWord(&'static str);

/// How much of the machine one endpoint may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum WorkloadSize {
    /// One request at a time, models up to 256 MiB.
    #[default]
    Small,
    /// Two requests at a time, models up to 1 GiB.
    Medium,
    /// Four requests at a time, models up to 4 GiB.
    Large,
}

impl WorkloadSize {
    /// All sizes, as they are written.
    pub const WORDS: &str = "small, medium, large";

    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// Predictions that run at once.
    pub const fn slots(self) -> usize {
        match self {
            Self::Small => 1,
            Self::Medium => 2,
            Self::Large => 4,
        }
    }

    /// Requests that may wait for a slot.
    pub const fn queue(self) -> usize {
        match self {
            Self::Small => 64,
            Self::Medium => 256,
            Self::Large => 1024,
        }
    }

    /// Memory a model may keep, in bytes.
    pub const fn model_bytes(self) -> u64 {
        match self {
            Self::Small => 256 << 20,
            Self::Medium => 1 << 30,
            Self::Large => 4 << 30,
        }
    }
}

impl FromStr for WorkloadSize {
    type Err = UnknownWord;

    /// In any letter case.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Small, Self::Medium, Self::Large]
            .into_iter()
            .find(|size| size.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownWord(Self::WORDS))
    }
}

impl TryFrom<String> for WorkloadSize {
    type Error = UnknownWord;

    fn try_from(text: String) -> Result<Self, UnknownWord> {
        text.parse()
    }
}

/// What an endpoint refuses before its model runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// Requests per window, all callers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Most rows in one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<usize>,
    /// Smallest and largest accepted value of numeric inputs, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bounds>,
}

/// Requests per fixed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many.
    pub requests: u64,
    /// In how many seconds; windows start at multiples of it since the Unix epoch.
    pub window_seconds: u64,
}

impl RateLimit {
    /// The length of the window.
    pub const fn window(self) -> Duration {
        Duration::from_secs(self.window_seconds)
    }
}

/// The range of one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Name of the input.
    pub input: String,
    /// Smallest accepted value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest accepted value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Bounds {
    /// Whether a value lies within; a missing value (NaN) does.
    pub fn accept(&self, value: f64) -> bool {
        let below = self.min.is_some_and(|min| value < min);
        let above = self.max.is_some_and(|max| value > max);
        !below && !above
    }
}

/// What was done to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentAction {
    /// It was made, or made again after it had been stopped.
    Create,
    /// Its version or settings changed.
    Update,
    /// Requests were spread anew over its versions.
    Traffic,
    /// It went back to what it served before.
    Rollback,
    /// It was stopped.
    Delete,
}

impl DeploymentAction {
    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Traffic => "traffic",
            Self::Rollback => "rollback",
            Self::Delete => "delete",
        }
    }
}

impl TryFrom<String> for DeploymentAction {
    type Error = UnknownWord;

    fn try_from(text: String) -> Result<Self, UnknownWord> {
        [
            Self::Create,
            Self::Update,
            Self::Traffic,
            Self::Rollback,
            Self::Delete,
        ]
        .into_iter()
        .find(|action| action.name() == text)
        .ok_or(UnknownWord("create, update, traffic, rollback, delete"))
    }
}

/// What an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Its first version is being loaded.
    Creating,
    /// It answers.
    Ready,
    /// It answers, and another version is being loaded.
    Updating,
    /// Its first version could not be loaded; it answers nobody.
    Failed,
    /// It was stopped and answers nobody.
    Stopped,
}

impl EndpointState {
    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Updating => "updating",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl FromStr for EndpointState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [
            Self::Creating,
            Self::Ready,
            Self::Updating,
            Self::Failed,
            Self::Stopped,
        ]
        .into_iter()
        .find(|state| state.name() == text)
        .ok_or(UnknownWord("creating, ready, updating, failed, stopped"))
    }
}

impl TryFrom<String> for EndpointState {
    type Error = UnknownWord;

    fn try_from(text: String) -> Result<Self, UnknownWord> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_dns_label() {
        for good in ["a", "0", "my-endpoint", "fraud--2", &"x".repeat(63)] {
            assert!(good.parse::<EndpointName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a_b",
            "ä",
            "a/b",
            &"x".repeat(64),
        ] {
            assert_eq!(
                bad.parse::<EndpointName>(),
                Err(InvalidEndpointName),
                "{bad}"
            );
        }
    }

    #[test]
    fn generated_names_are_valid_and_keep_the_version() {
        let named = |model: &str, version| EndpointName::of_version(model, version).0;
        assert_eq!(named("catalog.schema.Model", 3), "catalog-schema-model-v3");
        assert_eq!(named("--", 1), "endpoint-v1");
        let long = named(&"m.".repeat(60), i64::MAX);
        assert!(long.ends_with("-v9223372036854775807"), "{long}");
        for model in ["ümläut", "a_b", &"x".repeat(120), "-.-", "9"] {
            let name = named(model, 12);
            assert!(name.parse::<EndpointName>().is_ok(), "{name}");
            let nearest = EndpointName::nearest(model).0;
            assert!(nearest.parse::<EndpointName>().is_ok(), "{nearest}");
        }
    }

    #[test]
    fn sizes_are_read_in_any_letter_case() {
        assert_eq!("Small".parse(), Ok(WorkloadSize::Small));
        assert_eq!("LARGE".parse(), Ok(WorkloadSize::Large));
        assert!("huge".parse::<WorkloadSize>().is_err());
    }

    #[test]
    fn bounds_hold_at_their_ends_and_let_missing_values_pass() {
        let bounds = Bounds {
            input: "age".to_owned(),
            min: Some(0.0),
            max: Some(120.0),
        };
        for (value, accepted) in [
            (0.0, true),
            (120.0, true),
            (-0.1, false),
            (f64::INFINITY, false),
            (f64::NAN, true),
        ] {
            assert_eq!(bounds.accept(value), accepted, "{value}");
        }
    }
}
