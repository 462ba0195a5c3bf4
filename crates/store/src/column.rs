//! From columns to the words of the domain and back.
//!
//! Ids and enums are text, times are microseconds, lists and documents are
//! JSON text. [`Column`] carries a raw column so that foreign types can be
//! made from it with `TryFrom`.

use std::fmt::Display;

use plimsoll_core::digest::Digest;
use plimsoll_core::id::{KeyId, ModelId, VersionId};
use plimsoll_core::key::{KeyHandle, KeyHash, MalformedKey, Scope};
use plimsoll_core::record::CapturePolicy;
use plimsoll_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::error::BoxDynError;

/// A field of a change: left alone, or set (possibly to nothing).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// Stays as it is.
    #[default]
    Keep,
    /// Becomes this.
    Set(T),
}

impl<T> Change<T> {
    /// The value to set, if any.
    pub fn into_set(self) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T> Change<Option<T>> {
    /// Whether the column changes, and to what: the two binds of
    /// `case when $1 then $2 else column end`.
    pub(crate) fn into_binds(self) -> (bool, Option<T>) {
        match self {
            Self::Keep => (false, None),
            Self::Set(value) => (true, value),
        }
    }
}

/// A raw column, on its way to something typed.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct Column<T>(T);

impl From<Column<Option<i64>>> for Option<Timestamp> {
    fn from(column: Column<Option<i64>>) -> Self {
        column.0.map(Timestamp::from_micros)
    }
}

impl TryFrom<Column<Vec<u8>>> for [u8; 32] {
    type Error = BoxDynError;

    fn try_from(column: Column<Vec<u8>>) -> Result<Self, BoxDynError> {
        let bytes: Result<Self, _> = column.0.try_into();
        bytes.map_err(|_| "expected 32 bytes".into())
    }
}

impl TryFrom<Column<Vec<u8>>> for KeyHash {
    type Error = BoxDynError;

    fn try_from(column: Column<Vec<u8>>) -> Result<Self, BoxDynError> {
        Ok(Self(column.try_into()?))
    }
}

impl TryFrom<Column<String>> for KeyHandle {
    type Error = MalformedKey;

    fn try_from(column: Column<String>) -> Result<Self, MalformedKey> {
        column.0.parse()
    }
}

impl TryFrom<Column<Option<String>>> for Option<KeyId> {
    type Error = BoxDynError;

    fn try_from(column: Column<Option<String>>) -> Result<Self, BoxDynError> {
        Ok(column.0.map(|text| text.parse()).transpose()?)
    }
}

impl TryFrom<Column<Option<String>>> for Option<ModelId> {
    type Error = BoxDynError;

    fn try_from(column: Column<Option<String>>) -> Result<Self, BoxDynError> {
        Ok(column.0.map(|text| text.parse()).transpose()?)
    }
}

impl TryFrom<Column<Option<String>>> for Option<VersionId> {
    type Error = BoxDynError;

    fn try_from(column: Column<Option<String>>) -> Result<Self, BoxDynError> {
        Ok(column.0.map(|text| text.parse()).transpose()?)
    }
}

impl TryFrom<Column<Option<String>>> for Option<Digest> {
    type Error = BoxDynError;

    fn try_from(column: Column<Option<String>>) -> Result<Self, BoxDynError> {
        Ok(column.0.map(|text| text.parse()).transpose()?)
    }
}

impl TryFrom<Column<String>> for Value {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> Result<Self, serde_json::Error> {
        parse_json(&column.0)
    }
}

impl TryFrom<Column<Option<String>>> for Option<Value> {
    type Error = serde_json::Error;

    fn try_from(column: Column<Option<String>>) -> Result<Self, serde_json::Error> {
        column.0.as_deref().map(parse_json).transpose()
    }
}

impl TryFrom<Column<String>> for Vec<String> {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> Result<Self, serde_json::Error> {
        parse_json(&column.0)
    }
}

impl TryFrom<Column<String>> for CapturePolicy {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> Result<Self, serde_json::Error> {
        parse_json(&column.0)
    }
}

impl TryFrom<Column<String>> for Vec<Scope> {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> Result<Self, serde_json::Error> {
        parse_json(&column.0)
    }
}

impl TryFrom<Column<String>> for Vec<ModelId> {
    type Error = serde_json::Error;

    fn try_from(column: Column<String>) -> Result<Self, serde_json::Error> {
        parse_json(&column.0)
    }
}

impl Column<String> {
    /// What the column's JSON text says.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        parse_json(&self.0)
    }
}

/// The ids one after the other, to look an id up in; nothing for all.
pub(crate) fn ids_text<T: Display>(ids: &[T]) -> Option<String> {
    let texts = ids.iter().map(ToString::to_string);
    (!ids.is_empty()).then(|| texts.collect::<Vec<_>>().join(","))
}

/// Ids, words or rules as JSON text.
pub(crate) fn json_text<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("invariant: ids, words and rules always serialise")
}

/// Tags as a JSON array whose elements are each preceded by a line break, so
/// that one tag can be found exactly with [`tag_needle`]: inside a JSON string
/// a line break is always escaped.
pub(crate) fn tags_text(tags: &[String]) -> String {
    let mut text = String::from("[");
    for (index, tag) in tags.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&tag_needle(tag));
    }
    text.push(']');
    text
}

/// The text that [`tags_text`] holds if and only if `tag` is among the tags.
pub(crate) fn tag_needle(tag: &str) -> String {
    format!("\n{}", Value::from(tag))
}

/// A `like` pattern that finds `part` anywhere, with a backslash as its escape.
pub(crate) fn contains_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for letter in part.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

fn parse_json<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_only_as_a_whole() {
        let hostile = ["a\"b", "x,", ",", "\n\"b\"", "b", "Fraud"];
        for tag in hostile {
            let others = hostile.iter().filter(|other| **other != tag);
            let others: Vec<String> = others.map(|&other| other.to_owned()).collect();
            let text = tags_text(&others);
            assert!(!text.contains(&tag_needle(tag)), "{tag:?} in {text}");
            assert_eq!(parse_json::<Vec<String>>(&text).unwrap(), others);
            assert!(tags_text(&[tag.to_owned()]).contains(&tag_needle(tag)));
        }
        assert!(!tags_text(&["fraud".to_owned()]).contains(&tag_needle("Fraud")));
        assert_eq!(tags_text(&[]), "[]");
    }

    #[test]
    fn wildcards_in_a_search_stand_for_themselves() {
        assert_eq!(contains_pattern(r"50%_\"), r"%50\%\_\\%");
    }
}
