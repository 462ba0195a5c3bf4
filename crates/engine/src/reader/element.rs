//! One element of a numeric array: its type, its bytes, its value.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "bits of a width known from the type are reinterpreted, not converted"
)]

use crate::EngineError;
use crate::reader::malformed;

/// The byte order of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// What one element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One byte, zero or not.
    Bool,
    /// Signed, of this many bytes.
    Int(u8),
    /// Unsigned, of this many bytes.
    UInt(u8),
    /// IEEE 754, of this many bytes.
    Float(u8),
    /// UCS-4 text of this many characters, padded with NUL.
    Unicode(usize),
    /// Bytes, padded with NUL.
    Bytes(usize),
}

impl Kind {
    /// Reads a numpy type code without its byte order, `f8` or `U10` for instance.
    pub(crate) fn parse(code: &str) -> Result<Self, EngineError> {
        let unknown = || {
            let code = crate::reader::printable(code);
            malformed(format!("arrays of dtype {code:?} are not understood"))
        };
        let letter = code.chars().next().ok_or_else(unknown)?;
        let size: usize = match code.get(letter.len_utf8()..) {
            Some("") => 1,
            Some(digits) => digits.parse().map_err(|_| unknown())?,
            None => return Err(unknown()),
        };
        match (letter, size) {
            ('b' | '?', 1) => Ok(Self::Bool),
            ('i', 1) => Ok(Self::Int(1)),
            ('i', 2) => Ok(Self::Int(2)),
            ('i', 4) => Ok(Self::Int(4)),
            ('i', 8) => Ok(Self::Int(8)),
            ('u', 1) => Ok(Self::UInt(1)),
            ('u', 2) => Ok(Self::UInt(2)),
            ('u', 4) => Ok(Self::UInt(4)),
            ('u', 8) => Ok(Self::UInt(8)),
            ('f', 2) => Ok(Self::Float(2)),
            ('f', 4) => Ok(Self::Float(4)),
            ('f', 8) => Ok(Self::Float(8)),
            ('U', 0..=1_000_000) => Ok(Self::Unicode(size)),
            ('S', 0..=4_000_000) => Ok(Self::Bytes(size)),
            _ => Err(unknown()),
        }
    }

    /// Bytes one element takes.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int(width) | Self::UInt(width) | Self::Float(width) => width as usize,
            Self::Unicode(characters) => characters * 4,
            Self::Bytes(length) => length,
        }
    }
}

/// The value of one element.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A truth value.
    Bool(bool),
    /// An integer; unsigned ones above `i64::MAX` become floats.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Value {
    /// Decodes the `kind.size()` bytes of one element.
    pub(crate) fn decode(kind: Kind, endian: Endian, bytes: &[u8]) -> Result<Self, EngineError> {
        match kind {
            Kind::Bool => Ok(Self::Bool(raw(bytes, endian) != 0)),
            Kind::Int(width) => {
                let shift = 64 - 8 * u32::from(width);
                Ok(Self::Int((raw(bytes, endian) << shift) as i64 >> shift))
            }
            Kind::UInt(_) => {
                let value = raw(bytes, endian);
                Ok(i64::try_from(value).map_or(Self::Float(value as f64), Self::Int))
            }
            Kind::Float(2) => Ok(Self::Float(half(raw(bytes, endian)))),
            Kind::Float(4) => {
                let bits = raw(bytes, endian) as u32;
                Ok(Self::Float(f64::from(f32::from_bits(bits))))
            }
            Kind::Float(_) => Ok(Self::Float(f64::from_bits(raw(bytes, endian)))),
            Kind::Unicode(_) => decode_ucs4(bytes, endian).map(Self::Text),
            Kind::Bytes(_) => {
                let end = bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |i| i + 1);
                let text = std::str::from_utf8(&bytes[..end]);
                let text = text.map_err(|_| malformed("a byte string is no text"))?;
                Ok(Self::Text(text.to_owned()))
            }
        }
    }

    /// As a number; `None` for text.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Text(_) => None,
        }
    }

    /// As an integer; `None` for anything else.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(*value),
            Self::Float(_) | Self::Text(_) => None,
        }
    }
}

/// Up to eight bytes as an unsigned integer.
fn raw(bytes: &[u8], endian: Endian) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match endian {
        Endian::Little => bytes.iter().rev().fold(0, fold),
        Endian::Big => bytes.iter().fold(0, fold),
    }
}

/// IEEE 754 half precision: 1 sign, 5 exponent (bias 15), 10 fraction bits.
fn half(bits: u64) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = (bits >> 10 & 0x1f) as i32;
    let fraction = (bits & 0x3ff) as f64;
    match exponent {
        0 => sign * fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

fn decode_ucs4(bytes: &[u8], endian: Endian) -> Result<String, EngineError> {
    let mut text = String::new();
    let mut pending_nuls = 0;
    for unit in bytes.chunks_exact(4) {
        let code = raw(unit, endian) as u32;
        if code == 0 {
            pending_nuls += 1;
            continue;
        }
        for _ in 0..pending_nuls {
            text.push('\0');
        }
        pending_nuls = 0;
        let character = char::from_u32(code);
        text.push(character.ok_or_else(|| malformed("a text array holds no valid text"))?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_byte_order_decodes() {
        let cases: [(&str, Endian, &[u8], Value); 12] = [
            ("b1", Endian::Little, &[1], Value::Bool(true)),
            ("i1", Endian::Little, &[0xff], Value::Int(-1)),
            ("i2", Endian::Big, &[0xff, 0xfe], Value::Int(-2)),
            (
                "i4",
                Endian::Little,
                &[1, 0, 0, 0x80],
                Value::Int(-2_147_483_647),
            ),
            (
                "i8",
                Endian::Big,
                &[0, 0, 0, 0, 0, 0, 1, 0],
                Value::Int(256),
            ),
            ("u1", Endian::Little, &[0xff], Value::Int(255)),
            ("u8", Endian::Big, &[0xff; 8], Value::Float(u64::MAX as f64)),
            ("f2", Endian::Little, &[0x00, 0xc0], Value::Float(-2.0)),
            ("f4", Endian::Big, &[0x3f, 0x80, 0, 0], Value::Float(1.0)),
            (
                "f8",
                Endian::Little,
                &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
                Value::Float(1.5),
            ),
            (
                "U2",
                Endian::Little,
                &[b'h', 0, 0, 0, 0, 0, 0, 0],
                Value::Text("h".into()),
            ),
            ("S3", Endian::Little, b"no\0", Value::Text("no".into())),
        ];
        for (code, endian, bytes, expected) in cases {
            let kind = Kind::parse(code).unwrap();
            assert_eq!(kind.size(), bytes.len(), "{code}");
            assert_eq!(
                Value::decode(kind, endian, bytes).unwrap(),
                expected,
                "{code}"
            );
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "half precision is exact in f64")]
    fn half_precision_covers_its_corners() {
        assert_eq!(half(0x0001), 2_f64.powi(-24));
        assert_eq!(half(0x7bff), 65504.0);
        assert_eq!(half(0xfc00), f64::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn a_type_that_is_not_understood_is_refused() {
        for code in ["", "f16", "M8", "c16", "i3", "U99999999999999999999", "ü8"] {
            assert!(Kind::parse(code).is_err(), "{code}");
        }
    }
}
