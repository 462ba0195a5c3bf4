//! What is kept of a model's requests, on the wire.

use std::collections::BTreeMap;
use std::fmt;

use plimsoll_app::registry::{CaptureChange, CaptureMode};
use plimsoll_core::record::{Capture, CapturePolicy, Redaction};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// What is kept of a model's requests.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Capture)]
pub(crate) struct CaptureDto {
    /// How much of a request reaches the log. Counts and metrics know all of them.
    mode: ModeWord,
    /// The part of the requests that are kept, if the mode is `sampled`.
    #[schema(minimum = 0, maximum = 1)]
    sample_rate: Option<f64>,
    /// Inputs by name of which less than the value is kept. The value itself is
    /// never written to any file or database.
    redact: BTreeMap<String, RedactionDto>,
}

impl From<CapturePolicy> for CaptureDto {
    fn from(policy: CapturePolicy) -> Self {
        let (mode, sample_rate) = match policy.mode {
            Capture::Full => (ModeWord::Full, None),
            Capture::Sampled { rate } => (ModeWord::Sampled, Some(rate)),
            Capture::Hashed => (ModeWord::Hashed, None),
            Capture::Off => (ModeWord::Off, None),
        };
        let redact = policy.redact.into_iter();
        Self {
            mode,
            sample_rate,
            redact: redact.map(|(name, rule)| (name, rule.into())).collect(),
        }
    }
}

/// What changes about what is kept; members left out stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CaptureChange)]
pub(crate) struct CaptureRequest {
    /// How much of a request reaches the log.
    mode: Option<ModeWord>,
    /// The part of the requests that are kept, decided by the id of each prediction;
    /// only with the mode `sampled`.
    #[schema(minimum = 0, maximum = 1)]
    sample_rate: Option<f64>,
    /// All redactions by the name of an input that at least one version has; they
    /// hold for every version that has it.
    #[serde(default, deserialize_with = "distinct")]
    #[schema(value_type = Option<BTreeMap<String, RedactionDto>>)]
    redact: Option<BTreeMap<String, RedactionDto>>,
}

impl From<CaptureRequest> for CaptureChange {
    fn from(request: CaptureRequest) -> Self {
        let CaptureRequest {
            mode,
            sample_rate,
            redact,
        } = request;
        let rules = |rules: BTreeMap<String, RedactionDto>| {
            let rules = rules.into_iter();
            rules.map(|(name, rule)| (name, rule.into())).collect()
        };
        Self {
            mode: mode.map(Into::into),
            sample_rate,
            redact: redact.map(rules),
        }
    }
}

/// How much of a request reaches the log.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CaptureMode)]
pub(crate) enum ModeWord {
    /// Every request with its values.
    Full,
    /// A part of the requests; failures always.
    Sampled,
    /// HMAC-SHA256 of input and output instead of them, with a key derived from the
    /// installation's secret: equal inputs have equal digests, and nobody else can
    /// compute them.
    Hashed,
    /// Rows without input and output.
    Off,
}

/// By hand, because a derived one takes what is no text for broken JSON.
impl<'de> Deserialize<'de> for ModeWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            "full" => Ok(Self::Full),
            "sampled" => Ok(Self::Sampled),
            "hashed" => Ok(Self::Hashed),
            "off" => Ok(Self::Off),
            other => Err(D::Error::unknown_variant(
                other,
                &["full", "sampled", "hashed", "off"],
            )),
        }
    }
}

impl From<ModeWord> for CaptureMode {
    fn from(word: ModeWord) -> Self {
        match word {
            ModeWord::Full => Self::Full,
            ModeWord::Sampled => Self::Sampled,
            ModeWord::Hashed => Self::Hashed,
            ModeWord::Off => Self::Off,
        }
    }
}

/// What is kept of one input.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Redaction)]
pub(crate) enum RedactionDto {
    /// The value itself.
    Keep,
    /// Nothing.
    Drop,
    /// A keyed hash: equal values stay equal, the value itself is gone.
    Pseudonym,
    /// The last characters, the rest hidden.
    Mask(MaskDto),
}

/// A mask over a value.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Mask)]
pub(crate) struct MaskDto {
    /// How many characters stay readable; never more than half of them.
    keep_last: u8,
}

impl From<Redaction> for RedactionDto {
    fn from(redaction: Redaction) -> Self {
        match redaction {
            Redaction::Keep => Self::Keep,
            Redaction::Drop => Self::Drop,
            Redaction::Pseudonym => Self::Pseudonym,
            Redaction::Mask { keep_last } => Self::Mask(MaskDto { keep_last }),
        }
    }
}

impl From<RedactionDto> for Redaction {
    fn from(redaction: RedactionDto) -> Self {
        match redaction {
            RedactionDto::Keep => Self::Keep,
            RedactionDto::Drop => Self::Drop,
            RedactionDto::Pseudonym => Self::Pseudonym,
            RedactionDto::Mask(MaskDto { keep_last }) => Self::Mask { keep_last },
        }
    }
}

/// By hand, because a derived one would call a mask a "newtype variant" to the client.
impl<'de> Deserialize<'de> for RedactionDto {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RedactionVisitor)
    }
}

struct RedactionVisitor;

impl<'de> Visitor<'de> for RedactionVisitor {
    type Value = RedactionDto;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keep, drop, pseudonym or {\"mask\": {\"keep_last\": number}}")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<RedactionDto, E> {
        match word {
            "keep" => Ok(RedactionDto::Keep),
            "drop" => Ok(RedactionDto::Drop),
            "pseudonym" => Ok(RedactionDto::Pseudonym),
            other => Err(E::unknown_variant(other, &["keep", "drop", "pseudonym"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<RedactionDto, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            mask: MaskDto,
        }
        let Members { mask } = Members::deserialize(MapAccessDeserializer::new(members))?;
        Ok(RedactionDto::Mask(mask))
    }
}

/// Members by name, each once.
fn distinct<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, RedactionDto>>, D::Error> {
    deserializer.deserialize_map(Distinct).map(Some)
}

struct Distinct;

impl<'de> Visitor<'de> for Distinct {
    type Value = BTreeMap<String, RedactionDto>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("object of redactions by the name of the input")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut rules = BTreeMap::new();
        while let Some((name, rule)) = members.next_entry()? {
            if rules.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            rules.insert(name, rule);
        }
        Ok(rules)
    }
}
