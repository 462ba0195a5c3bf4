//! Numpy's `.npy` files (`numpy/lib/_format_impl.py`): a header that is a literal of Python, then the bytes.

use std::borrow::Cow;

use crate::EngineError;
use crate::reader::array::{self, Array, DType, Data, RecordField};
use crate::reader::element::{Endian, Kind};
use crate::reader::malformed;

/// The longest header that describes anything of interest.
const MAX_HEADER: usize = 1 << 16;

/// The array a file holds.
pub(crate) fn read(content: Cow<'_, [u8]>) -> Result<Array<'_>, EngineError> {
    let start = header_end(&content)?;
    let (before, _) = content.split_at(start);
    let header = std::str::from_utf8(
        before
            .get(if before[6] == 1 { 10 } else { 12 }..)
            .unwrap_or_default(),
    );
    // The length of the header takes two or four bytes, which are no text of interest.
    let header = header.map_err(|_| broken())?;
    let dtype = dtype(header)?;
    let shape = shape(header)?;
    let fortran = after(header, "'fortran_order':")?
        .trim_start()
        .starts_with("True");
    let data = match content {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[start..]),
        Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(start)),
    };
    Array::new(dtype, shape, fortran, Data::Bytes(data))
}

fn broken() -> EngineError {
    malformed("an array in the file has no header that is understood")
}

/// Where the bytes of the array begin.
fn header_end(content: &[u8]) -> Result<usize, EngineError> {
    let (start, length) = match content {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => {
            (10, usize::from(u16::from_le_bytes([*a, *b])))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, 0, 0, ..] => {
            (12, usize::from(u16::from_le_bytes([*a, *b])))
        }
        _ => return Err(broken()),
    };
    let end = start + length;
    if length > MAX_HEADER || end > content.len() {
        return Err(broken());
    }
    Ok(end)
}

/// What follows `key` in the literal.
fn after<'h>(header: &'h str, key: &str) -> Result<&'h str, EngineError> {
    let (_, rest) = header.split_once(key).ok_or_else(broken)?;
    Ok(rest)
}

fn shape(header: &str) -> Result<Vec<usize>, EngineError> {
    let rest = after(header, "'shape':")?.trim_start();
    let inside = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (inside, _) = inside.ok_or_else(broken)?;
    let parts = inside
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let dims = parts.map(|part| part.parse().map_err(|_| broken()));
    let dims: Vec<usize> = dims.collect::<Result<_, _>>()?;
    array::count(&dims)?;
    Ok(dims)
}

fn dtype(header: &str) -> Result<DType, EngineError> {
    let rest = after(header, "'descr':")?.trim_start();
    if let Some(fields) = rest.strip_prefix('[') {
        let (fields, _) = fields.split_once(']').ok_or_else(broken)?;
        return record(fields);
    }
    let (kind, endian) = plain(quoted(rest)?.0)?;
    Ok(DType::Plain(kind, endian))
}

/// `('left_child', '<i8'), …`; fields without a name are padding.
fn record(fields: &str) -> Result<DType, EngineError> {
    let mut parsed = Vec::new();
    let mut offset = 0_usize;
    for field in fields.split('(').skip(1) {
        let (name, rest) = quoted(field)?;
        let rest = rest.trim_start().strip_prefix(',').ok_or_else(broken)?;
        let (code, rest) = quoted(rest.trim_start())?;
        if !rest.trim_start().starts_with(')') || parsed.len() > 64 {
            return Err(broken());
        }
        let padding = code
            .strip_prefix("|V")
            .and_then(|size| size.parse::<usize>().ok());
        let size = match padding {
            Some(size) if name.is_empty() => size,
            _ => {
                let (kind, endian) = plain(code)?;
                parsed.push(RecordField {
                    name: name.to_owned(),
                    kind,
                    endian,
                    offset,
                });
                kind.size()
            }
        };
        offset = offset
            .checked_add(size)
            .filter(|end| *end <= MAX_HEADER)
            .ok_or_else(broken)?;
    }
    array::record(parsed, offset)
}

/// A text in quotes without escapes, and what follows it.
fn quoted(text: &str) -> Result<(&str, &str), EngineError> {
    let rest = text.strip_prefix('\'').ok_or_else(broken)?;
    rest.split_once('\'').ok_or_else(broken)
}

/// `<f8` and the like.
fn plain(code: &str) -> Result<(Kind, Endian), EngineError> {
    let endian = match code.as_bytes().first() {
        Some(b'>') => Endian::Big,
        Some(b'<' | b'|' | b'=') => Endian::Little,
        _ => return Err(broken()),
    };
    Ok((Kind::parse(&code[1..])?, endian))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap();
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn plain_arrays_and_records_are_read() {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n";
        let data: Vec<u8> = [1.0_f64, 2.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let array = read(Cow::Owned(file(header, &data))).unwrap();
        assert_eq!(array.f64s().unwrap(), [1.0, 2.0]);
        let header = "{'descr': [('a', '|u1'), ('', '|V1'), ('b', '<i2')], 'fortran_order': False, 'shape': (1,), }";
        let array = read(Cow::Owned(file(header, &[7, 0, 1, 1]))).unwrap();
        let values = array.record_values("b").unwrap().unwrap();
        assert_eq!(values, [crate::reader::element::Value::Int(257)]);
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        for header in [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': [('a', '<f8'], 'fortran_order': False, 'shape': (1,), }",
            "{'shape': (1,)}",
            "",
        ] {
            assert!(read(Cow::Owned(file(header, &[0; 8]))).is_err(), "{header}");
        }
        assert!(read(Cow::Borrowed(b"\x93NUMPY\x01\x00\xff\xff")).is_err());
    }
}
