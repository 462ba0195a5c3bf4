//! Universal Binary JSON (draft 12), as XGBoost writes it.

use super::document::{Document, Members};
use crate::EngineError;
use crate::reader::{malformed, too_large};

/// Containers within containers; real models have a dozen.
const MAX_DEPTH: usize = 64;
/// Longest text or key.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// Reads one document, and nothing may follow it.
pub(crate) fn read(bytes: &[u8]) -> Result<Document, EngineError> {
    let mut cursor = Cursor { rest: bytes };
    let marker = cursor.byte()?;
    let document = cursor.value(marker, 0)?;
    if cursor.rest.is_empty() {
        return Ok(document);
    }
    Err(malformed("something follows the end of its UBJSON"))
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], EngineError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| malformed("its UBJSON ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, EngineError> {
        Ok(self.take(1)?[0])
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let taken = self.take(N)?;
        Ok(*taken.first_chunk().expect("invariant: N bytes were taken"))
    }

    fn value(&mut self, marker: u8, depth: usize) -> Result<Document, EngineError> {
        Ok(match marker {
            b'Z' => Document::Null,
            b'T' => Document::Bool(true),
            b'F' => Document::Bool(false),
            b'S' => Document::Text(self.text()?),
            b'C' => Document::Text(char::from(self.byte()?).to_string()),
            b'[' => self.list(depth)?,
            b'{' => self.map(depth)?,
            _ => Document::Number(self.number(marker)?),
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "integers are indexes and codes, far below 2^53"
    )]
    fn number(&mut self, marker: u8) -> Result<f64, EngineError> {
        Ok(match marker {
            b'i' => f64::from(i8::from_be_bytes(self.array()?)),
            b'U' => f64::from(self.byte()?),
            b'I' => f64::from(i16::from_be_bytes(self.array()?)),
            b'l' => f64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?) as f64,
            b'd' => f64::from(f32::from_be_bytes(self.array()?)),
            b'D' => f64::from_be_bytes(self.array()?),
            _ => {
                let marker = char::from(marker).escape_default();
                return Err(malformed(format!(
                    "its UBJSON has a value of type {marker}"
                )));
            }
        })
    }

    fn length(&mut self) -> Result<usize, EngineError> {
        let marker = self.byte()?;
        let length = match marker {
            b'i' => i64::from(i8::from_be_bytes(self.array()?)),
            b'U' => i64::from(self.byte()?),
            b'I' => i64::from(i16::from_be_bytes(self.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?),
            _ => return Err(malformed("a length of its UBJSON is no integer")),
        };
        usize::try_from(length).map_err(|_| malformed("a length of its UBJSON is negative"))
    }

    fn text(&mut self) -> Result<String, EngineError> {
        let length = self.length()?;
        if length > MAX_TEXT_BYTES {
            return Err(too_large("a text of its UBJSON"));
        }
        let text = std::str::from_utf8(self.take(length)?);
        Ok(text
            .map_err(|_| malformed("a text of its UBJSON is no UTF-8"))?
            .to_owned())
    }

    /// Type and count of a container, if it gives them.
    fn header(&mut self, depth: usize) -> Result<(Option<u8>, Option<usize>), EngineError> {
        if depth == MAX_DEPTH {
            return Err(too_large(format!("UBJSON deeper than {MAX_DEPTH}")));
        }
        let mut kind = None;
        if self.peek() == Some(b'$') {
            self.take(1)?;
            kind = Some(self.byte()?);
        }
        if self.peek() == Some(b'#') {
            self.take(1)?;
            let count = self.length()?;
            // Every member takes a byte at least, for types without bytes are refused.
            if count > self.rest.len() {
                return Err(malformed("a count of its UBJSON is more than it holds"));
            }
            return Ok((kind, Some(count)));
        }
        if kind.is_some() {
            return Err(malformed("an array of its UBJSON has a type and no count"));
        }
        Ok((None, None))
    }

    fn list(&mut self, depth: usize) -> Result<Document, EngineError> {
        let (kind, count) = self.header(depth)?;
        if let (Some(kind), Some(count)) = (kind, count)
            && !matches!(kind, b'S' | b'C' | b'[' | b'{')
        {
            let numbers: Result<Vec<f64>, _> = (0..count).map(|_| self.number(kind)).collect();
            return Ok(Document::Numbers(numbers?));
        }
        let mut members = Members::default();
        let mut index = 0;
        while count.is_none_or(|count| index < count) {
            let marker = match kind {
                Some(kind) => kind,
                None => self.byte()?,
            };
            if count.is_none() && marker == b']' {
                break;
            }
            members.push(self.value(marker, depth + 1)?);
            index += 1;
        }
        Ok(members.done())
    }

    fn map(&mut self, depth: usize) -> Result<Document, EngineError> {
        let (kind, count) = self.header(depth)?;
        let mut entries = Vec::new();
        while count.is_none_or(|count| entries.len() < count) {
            if count.is_none() && self.peek() == Some(b'}') {
                self.take(1)?;
                break;
            }
            let key = self.text()?;
            let marker = match kind {
                Some(kind) => kind,
                None => self.byte()?,
            };
            entries.push((key, self.value(marker, depth + 1)?));
        }
        Ok(Document::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_type_are_read() {
        let bytes = b"{i\x01aT i\x01b[$d#i\x02\x3f\x80\0\0\xc0\0\0\0i\x01c[#i\x02i\xffSi\x01xi\x01d[ZU\xff]}";
        let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b' ').collect();
        let read = read(&bytes).unwrap();
        assert_eq!(read.get("a"), Some(&Document::Bool(true)));
        assert_eq!(read.get("b"), Some(&Document::Numbers(vec![1.0, -2.0])));
        let list = [Document::Number(-1.0), Document::Text("x".to_owned())];
        assert_eq!(read.get("c").and_then(Document::list), Some(&list[..]));
        let numbers = read.get("d").and_then(Document::numbers).unwrap();
        assert!(numbers[0].is_nan() && numbers.len() == 2);
    }

    #[test]
    fn what_promises_more_than_it_holds_is_refused() {
        let hostile: [&[u8]; 8] = [
            b"",
            b"{",
            b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[$Z#L\0\0\0\0\x01\0\0\0",
            b"[#l\xff\xff\xff\xff",
            b"Sl\x7f\xff\xff\xffx",
            b"[$d",
            b"i\x01i\x01",
        ];
        for bytes in hostile {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        assert!(read(&b"[".repeat(100_000)).is_err());
        assert!(read(&b"{i\x01a".repeat(100_000)).is_err());
    }
}
