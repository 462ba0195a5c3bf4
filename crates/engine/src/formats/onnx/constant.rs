//! Constant tensors of a file.

use super::wire::{Fields, malformed, push_floats, push_ints};
use crate::EngineError;

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// Its dimensions; none for a scalar. Their product is the number of values.
    pub(super) dims: Vec<usize>,
    pub(super) values: Values,
}

/// The values of a constant, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// `float32`
    Single(Vec<f32>),
    /// `int32`, `int64`
    Whole(Vec<i64>),
    Texts(Vec<String>),
    /// A type that no native operation takes.
    Other,
}

/// Element types of `TensorProto`.
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;
const STRING: i64 = 8;

impl Constant {
    /// Decodes a `TensorProto`.
    pub(super) fn read(tensor: &[u8]) -> Result<Self, EngineError> {
        let (mut dims, mut raw, mut data_type) = (Vec::new(), None, 0);
        let (mut floats, mut ints, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for field in Fields::new(tensor) {
            match field? {
                (1, value) => push_ints(value, &mut dims)?,
                (2, value) => data_type = value.int()?,
                (4, value) => push_floats(value, &mut floats)?,
                (5 | 7, value) => push_ints(value, &mut ints)?,
                (6, value) => texts.push(value.text()?.to_owned()),
                (9, value) => raw = Some(value.bytes()?),
                _ => {}
            }
        }
        let raw = raw.filter(|raw| !raw.is_empty());
        let (values, length) = match data_type {
            FLOAT => {
                let words = words::<4>(raw)?;
                floats.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
                let length = floats.len();
                (Values::Single(floats), length)
            }
            INT32 | INT64 => {
                if data_type == INT32 {
                    let words = words::<4>(raw)?;
                    ints.extend(
                        words
                            .iter()
                            .map(|word| i64::from(i32::from_le_bytes(*word))),
                    );
                } else {
                    let words = words::<8>(raw)?;
                    ints.extend(words.iter().map(|word| i64::from_le_bytes(*word)));
                }
                let length = ints.len();
                (Values::Whole(ints), length)
            }
            STRING => {
                let length = texts.len();
                (Values::Texts(texts), length)
            }
            _ => (Values::Other, 0),
        };
        let dims = dims.into_iter().map(usize::try_from);
        let dims: Option<Vec<usize>> = dims.collect::<Result<_, _>>().ok();
        let dims = dims.ok_or_else(|| malformed("a tensor has a negative dimension"))?;
        let size = dims
            .iter()
            .try_fold(1_usize, |size, dim| size.checked_mul(*dim));
        if values != Values::Other && size != Some(length) {
            return Err(malformed("a tensor has another size than its dimensions"));
        }
        Ok(Self { dims, values })
    }

    /// The integers, if it is a list of them or a single one.
    pub(super) fn whole(&self) -> Option<&[i64]> {
        match &self.values {
            Values::Whole(values) if self.dims.len() <= 1 => Some(values),
            _ => None,
        }
    }
}

/// Raw bytes as numbers of so many bytes.
fn words<const N: usize>(raw: Option<&[u8]>) -> Result<&[[u8; N]], EngineError> {
    let (words, rest) = raw.unwrap_or_default().as_chunks::<N>();
    if rest.is_empty() {
        return Ok(words);
    }
    Err(malformed("the bytes of a tensor are cut off"))
}
