//! A tree of named values, as JSON and UBJSON have it. Arrays of numbers are kept as numbers.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::EngineError;
use crate::reader::malformed;

/// One value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    /// `null`, and what is of no interest.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
    /// An array of numbers alone.
    Numbers(Vec<f64>),
    /// Any other array.
    List(Vec<Self>),
    /// Values by name, in their order.
    Map(Vec<(String, Self)>),
}

impl Document {
    /// Reads JSON, in which a number may be `NaN`. The parser stops at a depth of 128.
    pub(crate) fn json(bytes: &[u8]) -> Result<Self, EngineError> {
        serde_json::from_slice(&without_nan(bytes))
            .map_err(|error| malformed(format!("its JSON ends or breaks: {error}")))
    }

    /// The value called `name`; the last one wins.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(entries) = self else {
            return None;
        };
        let mut found = entries.iter().rev().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value)
    }

    /// The value at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Result<&Self, EngineError> {
        let mut value = self;
        for name in path {
            value = value
                .get(name)
                .ok_or_else(|| malformed(format!("it has no {}", path.join("."))))?;
        }
        Ok(value)
    }

    /// The text it is.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number it is, or that its text is.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The whole number it is, or that its text is.
    pub(crate) fn size(&self) -> Option<usize> {
        let number = self.number()?;
        let whole = number >= 0.0 && number <= 2_f64.powi(53) && number.fract() == 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and fits"
        )]
        whole.then_some(number as usize)
    }

    /// The members of an array that are not all numbers, or of an empty one.
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(members) => Some(members),
            Self::Numbers(numbers) if numbers.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// The members of an array of numbers.
    pub(crate) fn numbers(&self) -> Option<&[f64]> {
        match self {
            Self::Numbers(numbers) => Some(numbers),
            _ => None,
        }
    }
}

/// The same JSON with `null` for each `NaN` outside its texts.
fn without_nan(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.windows(3).any(|window| window == b"NaN") {
        return Cow::Borrowed(bytes);
    }
    let mut made = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    let (mut within, mut escaped) = (false, false);
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        if !within && rest.starts_with(b"NaN") {
            made.extend(b"null");
            rest = &rest[3..];
            continue;
        }
        within ^= *byte == b'"' && !escaped;
        escaped = within && *byte == b'\\' && !escaped;
        made.push(*byte);
        rest = after;
    }
    Cow::Owned(made)
}

/// An array in the making: of numbers as long as it can be. `null` among numbers is NaN.
#[derive(Debug, Default)]
pub(crate) struct Members {
    numbers: Vec<f64>,
    others: Vec<Document>,
}

impl Members {
    /// Adds a member.
    pub(crate) fn push(&mut self, value: Document) {
        let number = match &value {
            Document::Number(number) if self.others.is_empty() => Some(*number),
            Document::Bool(flag) if self.others.is_empty() => Some(f64::from(u8::from(*flag))),
            Document::Null if self.others.is_empty() => Some(f64::NAN),
            _ => None,
        };
        if let Some(number) = number {
            self.numbers.push(number);
            return;
        }
        let numbers = std::mem::take(&mut self.numbers);
        self.others
            .extend(numbers.into_iter().map(Document::Number));
        self.others.push(value);
    }

    /// The array.
    pub(crate) fn done(self) -> Document {
        if self.others.is_empty() {
            Document::Numbers(self.numbers)
        } else {
            Document::List(self.others)
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

#[expect(
    clippy::cast_precision_loss,
    reason = "a document's integers are indexes and codes, far below 2^53"
)]
impl<'de> Visitor<'de> for AnyValue {
    type Value = Document;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut made = Members::default();
        while let Some(member) = members.next_element()? {
            made.push(member);
        }
        Ok(made.done())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document, A::Error> {
        let mut made = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            made.push(entry);
        }
        Ok(Document::Map(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_values_and_arrays_of_numbers_stay_numbers() {
        let read = Document::json(br#"{"a": {"b": [1, true, -2.5]}, "c": "7", "d": [1, "x"]}"#);
        let read = read.unwrap();
        let numbers = read.at(&["a", "b"]).unwrap().numbers();
        assert_eq!(numbers, Some(&[1.0, 1.0, -2.5][..]));
        assert_eq!(read.get("c").and_then(Document::size), Some(7));
        assert_eq!(read.get("d").and_then(Document::list).unwrap().len(), 2);
        assert!(read.at(&["a", "x"]).is_err());
    }

    #[test]
    fn a_number_may_be_nan_and_a_text_may_say_so() {
        let read = Document::json(br#"{"a": [NaN, 1], "b": "NaN \" NaN", "c": [null]}"#).unwrap();
        let numbers = read.get("a").and_then(Document::numbers).unwrap();
        assert!(numbers[0].is_nan() && numbers.len() == 2);
        assert_eq!(read.get("b").and_then(Document::text), Some("NaN \" NaN"));
        assert!(Document::json(b"[NaNs]").is_err());
    }

    #[test]
    fn a_deep_document_is_refused() {
        let deep = "[".repeat(100_000);
        assert!(Document::json(deep.as_bytes()).is_err());
    }
}
