//! What a client says about the file it uploads, and what of it is acceptable.

use plimsoll_core::digest::Digest;
use plimsoll_core::field::FieldError;
use plimsoll_core::model::{ModelName, VersionLabel};
use serde_json::Value;

use super::samples::Samples;
use crate::Error;

/// What a client says about the file it uploads.
#[derive(Debug, Default)]
pub struct UploadMeta {
    /// Name of the model.
    pub name: Option<String>,
    /// Label of the version; `N.0.0` if none is given.
    pub label: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What the client believes the file to be: `sklearn`, `onnx`, …
    pub model_type: Option<String>,
    /// For people and filters.
    pub tags: Vec<String>,
    /// Numbers from training.
    pub metrics: Option<Value>,
    /// Settings from training.
    pub config: Option<Value>,
    /// Anything else from training.
    pub training_info: Option<Value>,
    /// Rows to try the model on, as JSON in any form `inputs` takes.
    pub sample_inputs: Option<String>,
    /// What the model has to answer for them, as JSON.
    pub sample_outputs: Option<String>,
    /// Largest accepted difference from that.
    pub tolerance: Option<String>,
    /// SHA-256 the client computed, in hex.
    pub sha256: Option<String>,
    /// The file's own name, kept for people only.
    pub file_name: Option<String>,
}

/// What was checked of an [`UploadMeta`].
pub(super) struct CheckedMeta {
    pub(super) name: Option<ModelName>,
    pub(super) label: Option<VersionLabel>,
    pub(super) announced: Option<Digest>,
    pub(super) samples: Option<Samples>,
    pub(super) meta: UploadMeta,
}

pub(super) fn check_meta(meta: UploadMeta) -> Result<CheckedMeta, Error> {
    let mut errors = Vec::new();
    let mut refuse = |pointer: &str, expected: &str, detail: String| {
        errors.push(
            FieldError::new(pointer, "invalid-value", detail).expected_got(expected, "string"),
        );
    };
    let name = meta.name.as_deref().and_then(|text| {
        text.parse::<ModelName>()
            .map_err(|error| refuse("/name", "model name", error.to_string()))
            .ok()
    });
    let label = meta.label.as_deref().and_then(|text| {
        text.parse::<VersionLabel>()
            .map_err(|error| refuse("/label", "version label", error.to_string()))
            .ok()
    });
    let announced = meta.sha256.as_deref().and_then(|text| {
        let digest = text.trim().to_ascii_lowercase().parse::<Digest>();
        digest
            .map_err(|_| {
                refuse(
                    "/sha256",
                    "64 hexadecimal digits",
                    "not a SHA-256".to_owned(),
                );
            })
            .ok()
    });
    if let Err(error) = check_description(meta.description.as_deref().unwrap_or_default()) {
        errors.push(error);
    }
    if let Err(error) = check_tags(&meta.tags) {
        errors.push(error);
    }
    let samples = Samples::of(&meta, &mut errors);
    if errors.is_empty() {
        Ok(CheckedMeta {
            name,
            label,
            announced,
            samples,
            meta,
        })
    } else {
        Err(Error::Invalid(errors))
    }
}

/// At most 10000 characters, none of them a control character but line ends
/// and tabs: PostgreSQL stores no NUL, and terminals obey the others.
pub(super) fn check_description(text: &str) -> Result<(), FieldError> {
    let unprintable = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().count() <= 10_000 && !text.contains(unprintable) {
        return Ok(());
    }
    Err(FieldError::new(
        "/description",
        "invalid-value",
        "expected at most 10000 printable characters",
    )
    .expected_got("at most 10000 printable characters", "string"))
}

/// What people are shown of a file's name: nothing that moves a cursor or turns
/// the reading direction, and no more than a line.
pub(super) fn display_name(file_name: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = file_name.chars().filter(|c| !c.is_control() && !turns(*c));
    shown.take(120).collect()
}

/// At most 50 tags of 1 to 64 printable characters.
pub(super) fn check_tags(tags: &[String]) -> Result<(), FieldError> {
    let fits = |tag: &String| {
        (1..=64).contains(&tag.chars().count()) && !tag.chars().any(char::is_control)
    };
    if tags.len() <= 50 && tags.iter().all(fits) {
        return Ok(());
    }
    Err(FieldError::new(
        "/tags",
        "invalid-value",
        "expected at most 50 tags of 1 to 64 printable characters",
    )
    .expected_got("list of strings", "array"))
}
