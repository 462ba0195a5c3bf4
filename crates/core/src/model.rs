//! Models and their versions: names, labels, status, how one is referred to.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{ModelId, VersionId};

/// Why a text is not a model name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 1 to 120 letters, digits, dots, hyphens or underscores, starting with a letter or digit"
)]
pub struct InvalidName;

/// A model's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,119}`, unique per owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ModelName(String);

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest valid name to a file's stem: other characters become hyphens.
    pub fn from_stem(stem: &str) -> Self {
        let mut name: String = stem
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .take(120)
            .collect();
        if name.is_empty() {
            name.push_str("model");
        }
        Self(name)
    }
}

impl FromStr for ModelName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let first_ok = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        let rest_ok = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        // A name that reads as an id would make `/models/{model}` ambiguous.
        let is_id = text.parse::<ModelId>().is_ok() || text.parse::<VersionId>().is_ok();
        if first_ok && rest_ok && text.len() <= 120 && !is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName)
        }
    }
}

/// Why a text is not a version label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 1 to 64 letters, digits, dots, plus signs, hyphens or underscores, not only digits, not latest or production"
)]
pub struct InvalidLabel;

/// A version's label, e.g. `2.1.0` or `2026-11-21`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct VersionLabel(String);

impl VersionLabel {
    /// The label a version gets when none is given: `N.0.0`.
    pub fn default_for(number: i64) -> Self {
        Self(format!("{number}.0.0"))
    }

    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VersionLabel {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let characters_ok = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._+-:".contains(&b));
        let only_digits = text.bytes().all(|b| b.is_ascii_digit());
        let reserved = matches!(text, "latest" | "production") || text.parse::<VersionId>().is_ok();
        if (1..=64).contains(&text.len()) && characters_ok && !only_digits && !reserved {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidLabel)
        }
    }
}

/// How a caller names a model: by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelRef {
    /// By id; administrators reach other people's models this way.
    Id(ModelId),
    /// By the id of one of its versions.
    Version(VersionId),
    /// By name, among the caller's own.
    Name(String),
}

impl From<&str> for ModelRef {
    fn from(text: &str) -> Self {
        let id = text.parse().map(Self::Id).ok();
        let version = || text.parse().map(Self::Version).ok();
        id.or_else(version)
            .unwrap_or_else(|| Self::Name(text.to_owned()))
    }
}

/// How a caller names a version of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionRef {
    /// The production version, else the latest one.
    Default,
    /// The version in production; nothing if none was promoted.
    Production,
    /// The newest active version that is not a candidate.
    Latest,
    /// By its number, counted from 1.
    Number(i64),
    /// By its id.
    Id(VersionId),
    /// By its label.
    Label(String),
}

impl From<&str> for VersionRef {
    fn from(text: &str) -> Self {
        match text {
            "latest" => Self::Latest,
            "production" => Self::Production,
            _ => {
                let number = text.parse().map(Self::Number).ok();
                let id = || text.parse().map(Self::Id).ok();
                number
                    .or_else(id)
                    .unwrap_or_else(|| Self::Label(text.to_owned()))
            }
        }
    }
}

/// Whether a model or version is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    Active,
    /// Still answers, with a `Deprecation` header.
    Deprecated,
    /// Hidden and not answering; can be restored.
    Archived,
}

impl Status {
    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Archived => "archived",
        }
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [Self::Active, Self::Deprecated, Self::Archived]
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or(UnknownStatus)
    }
}

impl TryFrom<String> for Status {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, UnknownStatus> {
        text.parse()
    }
}

/// The text names no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of active, deprecated, archived")]
pub struct UnknownStatus;

/// How far a version has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Neither refused nor promoted.
    None,
    /// Made by training and not (yet) better than what is served.
    Candidate,
    /// What `production` means.
    Production,
}

impl Stage {
    /// The name used in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Candidate => "candidate",
            Self::Production => "production",
        }
    }
}

/// The text names no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of none, candidate, production")]
pub struct UnknownStage;

impl TryFrom<String> for Stage {
    type Error = UnknownStage;

    fn try_from(text: String) -> Result<Self, UnknownStage> {
        [Self::None, Self::Candidate, Self::Production]
            .into_iter()
            .find(|stage| stage.name() == text)
            .ok_or(UnknownStage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_escape_or_confuse() {
        for good in ["iris", "catalog.schema.model", "a", "0-x_y.z"] {
            assert!(good.parse::<ModelName>().is_ok(), "{good}");
        }
        let id = "mdl_01JD3T9Q2G0000000000000000";
        assert!(id.parse::<ModelId>().is_ok());
        for bad in [
            "",
            "../x",
            ".hidden",
            "a/b",
            "a b",
            "ä",
            "x\0",
            id,
            &"x".repeat(121),
        ] {
            assert_eq!(bad.parse::<ModelName>(), Err(InvalidName), "{bad:?}");
        }
        assert_eq!(
            ModelName::from_stem("../my model (2)").as_str(),
            "my-model--2-"
        );
        assert_eq!(ModelName::from_stem("…").as_str(), "model");
    }

    #[test]
    fn a_label_is_never_a_number_or_an_alias() {
        for bad in ["", "7", "latest", "production", "a b", "x/y"] {
            assert_eq!(bad.parse::<VersionLabel>(), Err(InvalidLabel), "{bad:?}");
        }
        assert_eq!("2.1.0".parse::<VersionLabel>().unwrap().as_str(), "2.1.0");
        assert_eq!(VersionRef::from("7"), VersionRef::Number(7));
        assert_eq!(VersionRef::from("2.1.0"), VersionRef::Label("2.1.0".into()));
    }
}
