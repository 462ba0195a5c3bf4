//! JSON bodies of control routes, with every mistake named by a JSON Pointer.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use plimsoll_core::field::{FieldError, push_pointer};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::body;
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

/// Deeper JSON is refused: no request of ours needs it, and recursion costs stack.
const MAX_DEPTH: usize = 32;

/// A JSON body, in and out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub T);

/// A JSON body that may be left out together with its `Content-Type`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Wire> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, wire: &Wire) -> Result<Self, Problem> {
        let limits = &wire.config().limits;
        body::expect_json(request.headers())?;
        let bytes = body::read(request.into_body(), limits.control_body, limits).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Wire> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, wire: &Wire) -> Result<Self, Problem> {
        let limits = &wire.config().limits;
        let content_type = body::expect_json(request.headers());
        let bytes = body::read(request.into_body(), limits.control_body, limits).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        content_type?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Parses a whole body into one value.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::new(Kind::MalformedJson, "the body is empty"));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Problem::new(
            Kind::MalformedJson,
            "the body starts with a byte order mark",
        ));
    }
    if deeper_than(bytes, MAX_DEPTH) {
        let detail = format!("the body is nested deeper than {MAX_DEPTH} levels");
        return Err(Problem::new(Kind::MalformedJson, detail));
    }
    expect_object(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().clone();
        refuse(&path, error.into_inner())
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// Every control body is an object. serde would also take a list of its fields
/// in order, which no client means.
fn expect_object(bytes: &[u8]) -> Result<(), Problem> {
    let got = match bytes.trim_ascii_start().first() {
        Some(b'{') | None => return Ok(()),
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b'n') => "null",
        Some(b't' | b'f') => "boolean",
        Some(_) => "number",
    };
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| malformed(&error))?;
    let error = FieldError::new("", "wrong-type", "expected an object");
    Err(Problem::invalid(vec![error.expected_got("object", got)]))
}

/// Whether brackets outside strings nest deeper than `limit`.
fn deeper_than(bytes: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

fn refuse(path: &Path, error: serde_json::Error) -> Problem {
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            // serde_json adds the place; the pointer says it better.
            let text = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(text, _)| text);
            if text.starts_with("duplicate field") {
                return Problem::new(Kind::MalformedJson, text.to_owned());
            }
            let last = match path.iter().next_back() {
                Some(Segment::Map { key }) => Some(key.as_str()),
                _ => None,
            };
            Problem::invalid(vec![field_error(pointer_of(path), last, text)])
        }
        Category::Syntax | Category::Eof | Category::Io => malformed(&error),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    let what = match error.classify() {
        Category::Eof => "the body ends in the middle of a value",
        Category::Syntax | Category::Io | Category::Data => "the body is not valid JSON",
    };
    Problem::new(Kind::MalformedJson, format!("{what} ({place})"))
}

/// What serde says about one place, without the value that was sent.
/// `last` is the last name in `pointer`, if it ends with one.
pub(crate) fn field_error(mut pointer: String, last: Option<&str>, text: &str) -> FieldError {
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = text.strip_prefix("missing field ") {
        push_pointer(&mut pointer, &quoted(rest));
        return FieldError::new(pointer, "missing-field", "this field is required");
    }
    if let Some(rest) = text.strip_prefix("unknown field ") {
        let name = quoted(rest);
        if last != Some(name.as_str()) {
            push_pointer(&mut pointer, &name);
        }
        let mut error = FieldError::new(pointer, "unknown-field", "there is no such field here");
        error.expected = expected_after(rest, ", expected ");
        return error;
    }
    if let Some(rest) = text.strip_prefix("duplicate field ") {
        push_pointer(&mut pointer, &quoted(rest));
        return FieldError::new(pointer, "duplicate-field", "this appears twice");
    }
    if let Some(rest) = text.strip_prefix("unknown variant ") {
        let expected = expected_after(rest, ", expected ").unwrap_or_default();
        let error = FieldError::new(pointer, "invalid-value", format!("expected {expected}"));
        return error.expected_got(expected, "string");
    }
    if let Some(rest) = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "))
    {
        let expected = expected_after(rest, ", expected ").unwrap_or_default();
        let error = FieldError::new(pointer, "wrong-type", format!("expected {expected}"));
        return error.expected_got(expected, json_type(rest));
    }
    FieldError::new(pointer, "invalid-value", text.to_owned())
}

/// What stands after the last `marker`, because a quoted value may contain it too.
fn expected_after(text: &str, marker: &str) -> Option<String> {
    text.rsplit_once(marker)
        .map(|(_, expected)| expected.replace('`', ""))
}

/// serde's word for what came, as a JSON type.
fn json_type(text: &str) -> &'static str {
    const WORDS: [(&str, &str); 9] = [
        ("null", "null"),
        ("unit", "null"),
        ("Option", "null"),
        ("boolean", "boolean"),
        ("integer", "integer"),
        ("floating point", "number"),
        ("sequence", "array"),
        ("map", "object"),
        ("newtype", "object"),
    ];
    WORDS
        .iter()
        .find(|(word, _)| text.starts_with(word))
        .map_or("string", |(_, name)| name)
}

fn pointer_of(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_pointer(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_pointer(&mut pointer, key),
            Segment::Enum { variant } => push_pointer(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its parsing is tested")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its parsing is tested")]
        #[serde(alias = "years")]
        age: u8,
    }

    fn mistake(body: &[u8]) -> (Kind, String, String, Option<String>) {
        let problem = parse::<Outer>(body).unwrap_err();
        let (pointer, code, got) =
            problem
                .errors()
                .first()
                .map_or_else(Default::default, |error| {
                    (
                        error.pointer.clone(),
                        error.code.to_string(),
                        error.got.clone(),
                    )
                });
        (problem.kind(), pointer, code, got)
    }

    #[test]
    fn each_mistake_is_named_by_pointer_and_code() {
        let invalid = |pointer: &str, code: &str, got: Option<&str>| {
            (
                Kind::InvalidRequest,
                pointer.to_owned(),
                code.to_owned(),
                got.map(str::to_owned),
            )
        };
        for (body, expected) in [
            (
                r#"{"inner": [{"age": 1}, {"age": "x, expected y"}]}"#,
                invalid("/inner/1/age", "wrong-type", Some("string")),
            ),
            (
                r#"{"inner": [{"age": 300}]}"#,
                invalid("/inner/0/age", "wrong-type", Some("integer")),
            ),
            (
                r#"{"inner": [{"age": 1.5}]}"#,
                invalid("/inner/0/age", "wrong-type", Some("number")),
            ),
            (
                r#"{"inner": [{}]}"#,
                invalid("/inner/0/age", "missing-field", None),
            ),
            (
                r#"{"inner": [{"age": 1, "a/b": 1}]}"#,
                invalid("/inner/0/a~1b", "unknown-field", None),
            ),
            (
                r#"{"inner": [], "surprise": 1}"#,
                invalid("/surprise", "unknown-field", None),
            ),
            (
                r#"{"inner": null}"#,
                invalid("/inner", "wrong-type", Some("null")),
            ),
            ("null", invalid("", "wrong-type", Some("null"))),
            ("[]", invalid("", "wrong-type", Some("array"))),
            ("7", invalid("", "wrong-type", Some("number"))),
            ("\"x\"", invalid("", "wrong-type", Some("string"))),
        ] {
            let got = mistake(body.as_bytes());
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        let bodies: [&[u8]; 13] = [
            b"",
            b"  ",
            b"{\"inner\": [",
            b"{\"inner\": []} x",
            b"{\"inner\": []}{}",
            b"\xef\xbb\xbf{\"inner\": []}",
            b"\xff\xfe{\0\"\0",
            b"{\"inner\": [], \"inner\": []}",
            b"{\"inner\": [{\"age\": 1, \"years\": 2}]}",
            b"{\"inner\": [{\"age\": 1e400}]}",
            b"{\"inner\": [{\"age\": NaN}]}",
            b"{\"inner\": [\"\\ud800\"]}",
            deep.as_bytes(),
        ];
        for body in bodies {
            let problem = parse::<Outer>(body).unwrap_err();
            assert_eq!(
                problem.kind(),
                Kind::MalformedJson,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert!(!deeper_than(br#"["[[[\"[[["]"#, 1));
        assert!(deeper_than(b"[[", 1));
    }

    #[test]
    fn a_value_that_was_sent_is_never_repeated() {
        let problem = parse::<Outer>(br#"{"inner": [{"age": "hunter2"}]}"#).unwrap_err();
        assert!(
            !String::from_utf8(problem.into_body("req"))
                .unwrap()
                .contains("hunter2")
        );
    }
}
