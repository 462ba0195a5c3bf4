//! The wire format of protocol buffers, one field at a time, borrowed from the file.
//!
//! Only what ONNX uses: varints, fixed-width numbers and length-delimited
//! fields. Every length is checked against the bytes that are left.
//! Source: protobuf.dev, "Encoding".

use crate::EngineError;

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Integers, enums and booleans.
    Varint(u64),
    /// Strings, bytes, embedded messages and packed repeated numbers.
    Bytes(&'a [u8]),
    /// A float, or another number of four bytes.
    Four([u8; 4]),
    /// A number of eight bytes; none is ever needed.
    Eight,
}

impl<'a> Value<'a> {
    /// The content of a length-delimited field.
    pub(super) fn bytes(self) -> Result<&'a [u8], EngineError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed("a message has a field of the wrong wire type")),
        }
    }

    /// The content of a text field.
    pub(super) fn text(self) -> Result<&'a str, EngineError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("a name is not UTF-8"))
    }

    /// An integer, negative ones in two's complement.
    pub(super) fn int(self) -> Result<i64, EngineError> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            _ => Err(malformed("a message has a field of the wrong wire type")),
        }
    }
}

/// The fields of one message, in file order: number and value.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn varint(&mut self) -> Result<u64, EngineError> {
        let mut value = 0;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(malformed("a number is cut off"))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], EngineError> {
        let split = usize::try_from(count).ok();
        let (taken, rest) = split
            .and_then(|count| self.rest.split_at_checked(count))
            .ok_or_else(|| malformed("a field is longer than the file"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| malformed("a field is longer than the file"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), EngineError> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.fixed::<8>().map(|_| Value::Eight)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(self.fixed()?),
            _ => return Err(malformed("a field has an unknown wire type")),
        };
        Ok((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Adds the integers of a repeated field, packed or not.
pub(super) fn push_ints(value: Value<'_>, ints: &mut Vec<i64>) -> Result<(), EngineError> {
    let Value::Bytes(packed) = value else {
        ints.push(value.int()?);
        return Ok(());
    };
    let mut fields = Fields::new(packed);
    while !fields.rest.is_empty() {
        ints.push(fields.varint()?.cast_signed());
    }
    Ok(())
}

/// Adds the floats of a repeated field, packed or not.
pub(super) fn push_floats(value: Value<'_>, floats: &mut Vec<f32>) -> Result<(), EngineError> {
    match value {
        Value::Four(bytes) => floats.push(f32::from_le_bytes(bytes)),
        Value::Bytes(packed) => {
            let (words, rest) = packed.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(malformed("a list of floats is cut off"));
            }
            floats.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
        }
        _ => return Err(malformed("a message has a field of the wrong wire type")),
    }
    Ok(())
}

/// The file contradicts the format.
pub(super) fn malformed(detail: impl Into<String>) -> EngineError {
    EngineError::Malformed {
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_bounded() {
        let message = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 0, 0, 0];
        let fields: Vec<_> = Fields::new(&message).collect::<Result<_, _>>().unwrap();
        assert_eq!(fields[0].1.int().unwrap(), 150);
        assert_eq!(fields[1].1.text().unwrap(), "hi");
        assert!(matches!(fields[2], (3, Value::Four([1, 0, 0, 0]))));
        for cut in 1..message.len() {
            let whole = Fields::new(&message[..cut]).all(|field| field.is_ok());
            assert!(!whole || matches!(cut, 3 | 7), "cut at {cut}");
        }
    }

    #[test]
    fn a_length_beyond_the_file_is_refused() {
        let endless = [
            0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        assert!(Fields::new(&endless).next().unwrap().is_err());
        assert!(Fields::new(&[0x0b]).next().unwrap().is_err());
        assert!(Fields::new(&[0xff; 12]).next().unwrap().is_err());
    }
}
