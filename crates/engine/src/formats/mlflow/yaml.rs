//! The YAML that `MLmodel` files are written in: nested mappings of scalars.
//!
//! It is what `yaml.safe_dump` makes of dictionaries: indented keys, values that
//! are plain or quoted and may go on over several lines. Lists are passed over,
//! and aliases, tags and anchors mean nothing here, so a file cannot grow by
//! referring to itself. A whole YAML library would be more than this needs.

use std::collections::BTreeMap;

use crate::EngineError;
use crate::reader::{malformed, too_large};

/// Longest file.
const MAX_BYTES: usize = 1 << 20;
/// Mappings within mappings.
const MAX_DEPTH: usize = 16;

/// Values by the keys that lead to them, joined by dots; mappings have an empty value.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, String>, EngineError> {
    if text.len() > MAX_BYTES {
        return Err(too_large(format!(
            "an MLmodel of more than {MAX_BYTES} bytes"
        )));
    }
    let mut values = BTreeMap::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let Some((key, first)) = split(body) else {
            continue;
        };
        path.retain(|(outer, _)| *outer < indent);
        path.push((indent, key.to_owned()));
        if path.len() > MAX_DEPTH {
            return Err(too_large(format!(
                "more than {MAX_DEPTH} levels of an MLmodel"
            )));
        }
        let mut value = first.trim().to_owned();
        let quote = value
            .chars()
            .next()
            .filter(|quote| matches!(quote, '\'' | '"'));
        while let Some(next) = lines.peek() {
            let deeper = next.len() - next.trim_start().len() > indent;
            let open = quote.is_some_and(|quote| !is_closed(&value, quote));
            let goes_on = open || (quote.is_none() && !value.is_empty() && deeper);
            if !goes_on {
                break;
            }
            value.push(' ');
            value.push_str(next.trim());
            lines.next();
        }
        let keys: Vec<&str> = path.iter().map(|(_, key)| key.as_str()).collect();
        values.insert(keys.join("."), unquoted(&value, quote)?);
    }
    Ok(values)
}

/// Key and value of a line; `None` for comments, lists and anything else.
fn split(body: &str) -> Option<(&str, &str)> {
    if body.starts_with(['#', '-', '%']) {
        return None;
    }
    let (key, value) = match body.split_once(": ") {
        Some(pair) => pair,
        None => (body.strip_suffix(':')?, ""),
    };
    Some((key.trim_matches(['\'', '"']), value))
}

/// Whether a quoted value has its second quote: one that is not escaped.
fn is_closed(value: &str, quote: char) -> bool {
    let inner = value.get(1..).unwrap_or_default();
    let Some(inner) = inner.strip_suffix(quote) else {
        return false;
    };
    let escape = if quote == '"' { '\\' } else { '\'' };
    let escapes = inner.chars().rev().take_while(|c| *c == escape);
    escapes.count() % 2 == 0
}

fn unquoted(value: &str, quote: Option<char>) -> Result<String, EngineError> {
    let Some(quote) = quote else {
        return Ok(value.to_owned());
    };
    let inner = value.get(1..).and_then(|rest| rest.strip_suffix(quote));
    let inner = inner.ok_or_else(|| malformed("a text of an MLmodel has no end"))?;
    if quote == '\'' {
        return Ok(inner.replace("''", "'"));
    }
    // Double quotes escape as JSON does, but for a backslash at the end of a line.
    let joined = inner.replace("\\ \\ ", " ").replace("\\ ", "");
    let text = serde_json::from_str(&format!("\"{joined}\""));
    text.map_err(|_| malformed("a text of an MLmodel is not readable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_quotes_and_long_lines_are_read() {
        let text = "flavors:\n  sklearn:\n    code: null\n    list:\n    - a: b\n    pickled_model: 'it''s\n      here'\nsignature:\n  inputs: '[{\"type\": 1, \"b\":\n    \"double\"}]'\n  plain: one\n    two\nend: \"a\\nb\"\n";
        let values = read(text).unwrap();
        assert_eq!(values["flavors.sklearn.pickled_model"], "it's here");
        assert_eq!(
            values["signature.inputs"],
            "[{\"type\": 1, \"b\": \"double\"}]"
        );
        assert_eq!(values["signature.plain"], "one two");
        assert_eq!(values["end"], "a\nb");
        assert!(values.contains_key("flavors.sklearn"));
    }

    #[test]
    fn what_has_no_end_is_refused() {
        assert!(read("a: 'b").is_err());
        assert!(read("a: \"b\\\"").is_err());
        let deep: String = (0..40)
            .map(|level| format!("{}k:\n", " ".repeat(level)))
            .collect();
        assert!(read(&deep).is_err());
    }
}
