//! The elements of one tensor, one after the other.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::datatype::Datatype;
use super::request::Tensor;
use crate::decode::{Cell, Mismatch};

/// Where the elements of a tensor are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// In the JSON, nested or flat.
    Json(&'a RawValue),
    /// Behind it, little-endian and without padding.
    Binary(&'a [u8]),
}

impl Tensor<'_> {
    /// Refuses a tensor whose data cannot have as many elements as its shape.
    pub(super) fn expect_room(&self) -> Result<(), Mismatch> {
        let (got, least) = match (self.content, self.datatype.size()) {
            // An element and a comma or a bracket.
            (Content::Json(raw), _) => (raw.get().len(), self.elements),
            (Content::Binary(bytes), None) => (bytes.len(), self.elements.saturating_mul(4)),
            (Content::Binary(bytes), Some(size)) => {
                let expected = self.elements.saturating_mul(size);
                return if bytes.len() == expected {
                    Ok(())
                } else {
                    Err(wrong_length(
                        format!("{expected} bytes for this shape"),
                        format!("{} bytes", bytes.len()),
                    ))
                };
            }
        };
        if got < least {
            return Err(wrong_length(
                format!("{} elements", self.elements),
                "fewer".to_owned(),
            ));
        }
        Ok(())
    }

    /// Hands each element to `store`, in row-major order, as many as the shape has.
    pub(super) fn each(
        &self,
        mut store: impl FnMut(usize, Cell<'_>) -> Result<(), Mismatch>,
    ) -> Result<(), (usize, Mismatch)> {
        match self.content {
            Content::Binary(bytes) => self.each_binary(bytes, store),
            Content::Json(raw) => {
                let mut flat = Flat {
                    tensor: self,
                    store: &mut store,
                    count: 0,
                    is_nested: false,
                    mismatch: None,
                };
                let mut json = serde_json::Deserializer::from_str(raw.get());
                let read = Level {
                    flat: &mut flat,
                    depth: 0,
                };
                let ended = read.deserialize(&mut json).is_ok();
                let count = flat.count;
                match flat.mismatch {
                    Some(mismatch) => Err((count, mismatch)),
                    None if ended && count == self.elements => Ok(()),
                    None => Err((count, self.wrong_count(count))),
                }
            }
        }
    }

    fn each_binary(
        &self,
        bytes: &[u8],
        mut store: impl FnMut(usize, Cell<'_>) -> Result<(), Mismatch>,
    ) -> Result<(), (usize, Mismatch)> {
        let mut rest = bytes;
        for at in 0..self.elements {
            let element = match self.datatype.size() {
                Some(size) => fixed(self.datatype, &mut rest, size),
                None => text(&mut rest).map(Cell::Text),
            };
            let stored = element.and_then(|cell| store(at, cell));
            stored.map_err(|mismatch| (at, mismatch))?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let expected = format!("{} elements", self.elements);
        let got = format!("{} bytes more", rest.len());
        Err((self.elements, wrong_length(expected, got)))
    }

    fn wrong_count(&self, got: usize) -> Mismatch {
        wrong_length(
            format!("{} elements for shape {:?}", self.elements, self.shape),
            format!("{got} elements"),
        )
    }
}

fn wrong_length(expected: String, got: String) -> Mismatch {
    Mismatch::new("wrong-length", expected, got)
}

/// One text: its length in four bytes, then UTF-8.
fn text<'a>(rest: &mut &'a [u8]) -> Result<Cow<'a, str>, Mismatch> {
    let cut_off = || wrong_length("a length and a text".to_owned(), "fewer bytes".to_owned());
    let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut_off())?;
    let (text, behind) = behind.split_at_checked(length).ok_or_else(cut_off)?;
    *rest = behind;
    let text = std::str::from_utf8(text);
    text.map(Cow::Borrowed)
        .map_err(|_| Mismatch::new("invalid-value", "text in UTF-8", "other bytes"))
}

/// One element of a type whose elements have the same size.
fn fixed(datatype: Datatype, rest: &mut &[u8], size: usize) -> Result<Cell<'static>, Mismatch> {
    let cut_off = || wrong_length(format!("{size} bytes"), "fewer bytes".to_owned());
    let (own, behind) = rest.split_at_checked(size).ok_or_else(cut_off)?;
    *rest = behind;
    let mut padded = [0; 8];
    padded[..size].copy_from_slice(own);
    let [first, second, third, fourth, ..] = padded;
    let (half, word) = ([first, second], [first, second, third, fourth]);
    Ok(match datatype {
        Datatype::Bool => Cell::Bool(first != 0),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 | Datatype::Uint64 => {
            Cell::U64(u64::from_le_bytes(padded))
        }
        Datatype::Int8 => Cell::I64(i64::from(i8::from_le_bytes([first]))),
        Datatype::Int16 => Cell::I64(i64::from(i16::from_le_bytes(half))),
        Datatype::Int32 => Cell::I64(i64::from(i32::from_le_bytes(word))),
        Datatype::Int64 => Cell::I64(i64::from_le_bytes(padded)),
        Datatype::Fp16 => Cell::F64(half_precision(u16::from_le_bytes(half))),
        // The upper half of a single-precision number.
        Datatype::Bf16 => Cell::F64(f64::from(f32::from_le_bytes([0, 0, first, second]))),
        Datatype::Fp32 => Cell::F64(f64::from(f32::from_le_bytes(word))),
        Datatype::Fp64 => Cell::F64(f64::from_le_bytes(padded)),
        Datatype::Bytes => return Err(cut_off()),
    })
}

/// A number of IEEE 754 binary16.
fn half_precision(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * f64::powi(2.0, -24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * f64::powi(2.0, exponent - 15),
    }
}

/// Reads nested or flat lists into one row of elements.
struct Flat<'t, 's> {
    tensor: &'t Tensor<'t>,
    store: &'s mut dyn FnMut(usize, Cell<'_>) -> Result<(), Mismatch>,
    count: usize,
    is_nested: bool,
    mismatch: Option<Mismatch>,
}

/// One list of a tensor, or one element, so many lists deep.
struct Level<'f, 't, 's> {
    flat: &'f mut Flat<'t, 's>,
    depth: usize,
}

impl Flat<'_, '_> {
    fn refuse<E: Error>(&mut self, mismatch: Mismatch) -> E {
        self.mismatch = Some(mismatch);
        // Nobody reads it: the mismatch says what is wrong.
        E::custom("refused")
    }
}

impl Level<'_, '_, '_> {
    fn element<E: Error>(self, cell: Cell<'_>) -> Result<(), E> {
        let flat = self.flat;
        if self.depth == 0 {
            let got = cell.json_name();
            return Err(flat.refuse(Mismatch::new("wrong-type", "array", got)));
        }
        if flat.count >= flat.tensor.elements {
            let got = wrong_length(
                format!(
                    "{} elements for shape {:?}",
                    flat.tensor.elements, flat.tensor.shape
                ),
                "more".to_owned(),
            );
            return Err(flat.refuse(got));
        }
        let fits = fits(flat.tensor.datatype, &cell);
        let stored = fits.and_then(|()| (flat.store)(flat.count, cell));
        stored.map_err(|mismatch| flat.refuse(mismatch))?;
        flat.count += 1;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("elements of a tensor")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.element(Cell::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.element(Cell::I64(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.element(Cell::U64(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.element(Cell::F64(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.element(Cell::Text(Cow::Borrowed(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.element(Cell::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Level { flat, depth } = self;
        flat.is_nested |= depth > 0;
        let mut length = 0;
        let next = |flat: &mut Flat<'_, '_>, list: &mut A| {
            let level = Level {
                flat,
                depth: depth + 1,
            };
            list.next_element_seed(level)
        };
        while next(flat, &mut list)?.is_some() {
            length += 1;
        }
        let wanted = flat.tensor.shape.get(depth).copied();
        if flat.is_nested && wanted != Some(length) {
            let expected = format!("shape {:?}", flat.tensor.shape);
            let got = format!("a list of {length} at depth {depth}");
            return Err(flat.refuse(wrong_length(expected, got)));
        }
        Ok(())
    }
}

/// Whether JSON can say this element of a tensor of this type.
fn fits(datatype: Datatype, cell: &Cell<'_>) -> Result<(), Mismatch> {
    let whole = |least: i64, most: u64| match cell {
        Cell::I64(value) => *value >= least && (*value < 0 || value.unsigned_abs() <= most),
        Cell::U64(value) => *value <= most,
        _ => false,
    };
    let is_fine = match datatype {
        Datatype::Bool => matches!(cell, Cell::Bool(_)),
        Datatype::Uint8 => whole(0, u8::MAX.into()),
        Datatype::Uint16 => whole(0, u16::MAX.into()),
        Datatype::Uint32 => whole(0, u32::MAX.into()),
        Datatype::Uint64 => whole(0, u64::MAX),
        Datatype::Int8 => whole(i8::MIN.into(), i8::MAX.unsigned_abs().into()),
        Datatype::Int16 => whole(i16::MIN.into(), i16::MAX.unsigned_abs().into()),
        Datatype::Int32 => whole(i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        Datatype::Int64 => whole(i64::MIN, i64::MAX.unsigned_abs()),
        // JSON has no such numbers; whoever has them sends them as binary data.
        Datatype::Fp16 | Datatype::Bf16 => false,
        Datatype::Fp32 | Datatype::Fp64 => {
            matches!(
                cell,
                Cell::I64(_) | Cell::U64(_) | Cell::F64(_) | Cell::Null
            )
        }
        Datatype::Bytes => matches!(cell, Cell::Text(_) | Cell::Null),
    };
    let expected = match datatype {
        Datatype::Fp16 | Datatype::Bf16 => "binary data, which JSON cannot replace",
        other => other.name(),
    };
    if is_fine {
        return Ok(());
    }
    Err(Mismatch::new("wrong-type", expected, cell.json_name()))
}
