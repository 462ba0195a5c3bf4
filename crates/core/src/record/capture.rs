//! What is kept of a model's requests: decided per model, applied per request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Capture, Redaction};
use crate::digest::Digest;
use crate::id::PredictionId;

/// What stands for the characters that a mask hides, however many they are.
const HIDDEN: &str = "***";

/// What is kept of the requests to one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CapturePolicy {
    /// How much of a request reaches the log.
    #[serde(default)]
    pub mode: Capture,
    /// Input fields by name of which less than the value is kept, in every
    /// version that has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redact: BTreeMap<String, Redaction>,
}

/// What the log keeps of one request. Counts and metrics know all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Its row with the values.
    #[default]
    Values,
    /// Its row with digests instead of the values.
    Digests,
    /// Its row without values.
    Row,
    /// Not even a row.
    Nothing,
}

impl Capture {
    /// What the log keeps of a request that was answered or `failed`.
    ///
    /// Sampling asks the id alone, so every reader of a record decides alike.
    pub fn keeps(self, prediction: PredictionId, failed: bool) -> Kept {
        match self {
            Self::Full => Kept::Values,
            Self::Hashed => Kept::Digests,
            Self::Off => Kept::Row,
            Self::Sampled { rate } if failed || share(prediction) < rate => Kept::Values,
            Self::Sampled { .. } => Kept::Nothing,
        }
    }
}

/// A number from 0 to below 1 that an id stands for: the first four bytes of
/// the SHA-256 of its 16 bytes, because ids themselves are made in order.
fn share(prediction: PredictionId) -> f64 {
    let digest = Digest::of(&prediction.as_u128().to_be_bytes());
    let [a, b, c, d, ..] = *digest.as_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / 4_294_967_296.0
}

/// The last `keep_last` characters of `text`, and never more than half of them.
pub fn masked(text: &str, keep_last: u8) -> String {
    let length = text.chars().count();
    let kept = usize::from(keep_last).min(length / 2);
    HIDDEN
        .chars()
        .chain(text.chars().skip(length - kept))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> impl Iterator<Item = PredictionId> {
        (0..10_000_u128).map(|n| PredictionId::from_u128(0x019a_0000 << 96 | n))
    }

    #[test]
    fn a_sample_is_the_share_it_says_and_the_same_every_time() {
        for rate in [0.0, 0.1, 0.5, 1.0] {
            let kept =
                || ids().filter(|id| Capture::Sampled { rate }.keeps(*id, false) == Kept::Values);
            let share = f64::from(u32::try_from(kept().count()).unwrap()) / 10_000.0;
            assert!((share - rate).abs() < 0.01, "{share} and not {rate}");
            assert!(kept().eq(kept()));
        }
    }

    #[test]
    fn a_larger_sample_holds_every_smaller_one() {
        let holds = |rate, id| Capture::Sampled { rate }.keeps(id, false) == Kept::Values;
        assert!(ids().all(|id| !holds(0.1, id) || holds(0.3, id)));
    }

    #[test]
    fn a_failure_is_in_every_sample() {
        let none = Capture::Sampled { rate: 0.0 };
        assert!(ids().all(|id| none.keeps(id, true) == Kept::Values));
        assert!(ids().all(|id| none.keeps(id, false) == Kept::Nothing));
    }

    #[test]
    fn a_mask_tells_neither_the_length_nor_more_than_half() {
        for (text, keep_last, expected) in [
            ("DE02120300000000202051", 4, "***2051"),
            ("DE02120300000000202051", 0, "***"),
            ("Adam", 4, "***am"),
            ("Ada", 4, "***a"),
            ("A", 4, "***"),
            ("", 4, "***"),
            ("Zoë", 1, "***ë"),
        ] {
            assert_eq!(masked(text, keep_last), expected);
        }
    }

    #[test]
    fn a_policy_reads_back_as_it_was_written_and_nothing_is_the_usual_one() {
        let policy = CapturePolicy {
            mode: Capture::Sampled { rate: 0.25 },
            redact: [
                ("age".to_owned(), Redaction::Drop),
                ("iban".to_owned(), Redaction::Mask { keep_last: 4 }),
                ("name".to_owned(), Redaction::Pseudonym),
            ]
            .into(),
        };
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(
            text,
            r#"{"mode":{"sampled":{"rate":0.25}},"redact":{"age":"drop","iban":{"mask":{"keep_last":4}},"name":"pseudonym"}}"#
        );
        assert_eq!(
            serde_json::from_str::<CapturePolicy>(&text).unwrap(),
            policy
        );
        assert_eq!(
            serde_json::from_str::<CapturePolicy>("{}").unwrap(),
            CapturePolicy::default()
        );
    }
}
