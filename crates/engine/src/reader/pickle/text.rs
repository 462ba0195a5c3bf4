//! Values that protocols 0 and 1 write as text.

use std::borrow::Cow;

use super::graph::Node;
use crate::EngineError;
use crate::reader::malformed;

/// The digits an `i64` can have, its sign included.
const MAX_DIGITS: usize = 20;

/// Text that must be UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, EngineError> {
    std::str::from_utf8(bytes).map_err(|_| malformed("a text is not valid UTF-8"))
}

/// The argument of INT and LONG: a decimal number, or `00` and `01` for truth values.
pub(super) fn integer<'a>(line: &[u8]) -> Result<Node<'a>, EngineError> {
    match line {
        b"00" => return Ok(Node::Bool(false)),
        b"01" => return Ok(Node::Bool(true)),
        _ => {}
    }
    let digits = utf8(line.strip_suffix(b"L").unwrap_or(line))?;
    if digits.len() > MAX_DIGITS {
        return Ok(Node::BigInt);
    }
    match digits.parse::<i64>() {
        Ok(value) => Ok(Node::Int(value)),
        Err(error) if is_overflow(*error.kind()) => Ok(Node::BigInt),
        Err(_) => Err(malformed("an integer is not written in digits")),
    }
}

fn is_overflow(kind: std::num::IntErrorKind) -> bool {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    matches!(kind, NegOverflow | PosOverflow)
}

/// The argument of FLOAT.
pub(super) fn float<'a>(line: &[u8]) -> Result<Node<'a>, EngineError> {
    let number = utf8(line)?.parse();
    number
        .map(Node::Float)
        .map_err(|_| malformed("a number is not written as one"))
}

/// Two's complement of any length, least significant byte first, as LONG1 and LONG4 write it.
pub(super) fn long<'a>(bytes: &[u8]) -> Node<'a> {
    if bytes.len() > 8 {
        return Node::BigInt;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(wide))
}

/// The argument of STRING: a quoted Python 2 string. Escapes are kept as they stand.
pub(super) fn quoted(line: &[u8]) -> Result<Node<'_>, EngineError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => Ok(text_or_bytes(inner)),
        _ => Err(malformed("a string has no quotes")),
    }
}

/// A Python 2 string: text if it is ASCII, else bytes.
pub(super) fn text_or_bytes(bytes: &[u8]) -> Node<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => Node::Text(Cow::Borrowed(text)),
        _ => Node::Bytes(Cow::Borrowed(bytes)),
    }
}

/// The argument of UNICODE: Latin-1 with `\uXXXX` and `\UXXXXXXXX` escapes.
pub(super) fn raw_unicode_escape(line: &[u8]) -> Result<String, EngineError> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, tail)) = rest.split_first() {
        let digits = match (first, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(*first));
                rest = tail;
                continue;
            }
        };
        let bad = || malformed("an escape in a text is not valid");
        let code = utf8(tail.get(1..=digits).ok_or_else(bad)?)?;
        let code = u32::from_str_radix(code, 16).map_err(|_| bad())?;
        text.push(char::from_u32(code).ok_or_else(bad)?);
        rest = &tail[1 + digits..];
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_two_s_complement_of_any_length() {
        let cases: [(&[u8], Node<'static>); 5] = [
            (&[], Node::Int(0)),
            (&[0xff, 0x00], Node::Int(255)),
            (&[0x00, 0xff], Node::Int(-256)),
            (&[0xff; 8], Node::Int(-1)),
            (&[1; 9], Node::BigInt),
        ];
        for (bytes, expected) in cases {
            assert_eq!(long(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn decimal_integers_and_truth_values_are_told_apart() {
        assert_eq!(integer(b"01").unwrap(), Node::Bool(true));
        assert_eq!(integer(b"-12L").unwrap(), Node::Int(-12));
        assert_eq!(integer(b"99999999999999999999").unwrap(), Node::BigInt);
        assert_eq!(integer(&[b'9'; 5000]).unwrap(), Node::BigInt);
        assert!(integer(b"0x10").is_err());
    }

    #[test]
    fn escapes_of_protocol_0_text_are_read() {
        assert_eq!(
            raw_unicode_escape(b"a\\u000ab\\u20ac\xe9").unwrap(),
            "a\nb€é"
        );
        assert_eq!(raw_unicode_escape(b"\\U0001f600 \\n").unwrap(), "😀 \\n");
        assert!(raw_unicode_escape(b"\\u12").is_err());
        assert!(raw_unicode_escape(b"\\ud800").is_err());
    }
}
