//! What is wrong with one place in a request body.

use std::borrow::Cow;

use serde::Serialize;

/// One mistake in a request: where, what was expected, what kind of thing came.
///
/// `got` names a JSON type (`string`, `null`, …), never the value itself, so
/// that an error can be logged and shown without leaking what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) in the names the client sent, e.g. `/data/0/age`.
    pub pointer: String,
    /// A stable word for programs, e.g. `missing-field`.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub detail: String,
    /// The type or range that would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The JSON type that was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
}

impl FieldError {
    /// An error with a pointer, a code and a sentence.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            code: code.into(),
            detail: detail.into(),
            expected: None,
            got: None,
        }
    }

    /// Adds what would have been accepted and what type was received.
    #[must_use]
    pub fn expected_got(mut self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self.got = Some(got.into());
        self
    }
}

/// Appends one segment to a JSON Pointer, escaping `~` and `/` (RFC 6901, section 3).
pub fn push_pointer(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for c in segment.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}
