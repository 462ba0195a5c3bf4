//! Reading: total over every input, borrowing from it, with memory bounded by its length.

use super::encode::{flag, kept, redaction, tag};
use super::{Kept, RECORD_FORMAT, RecordHead, Redaction};
use crate::column::{Batch, Column, Output, Values};
use crate::id::{KeyId, ModelId, PredictionId, UserId, VersionId};
use crate::time::Timestamp;

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written in a layout this program does not know.
    #[error("the record has format {0}, which is unknown")]
    Format(u8),
    /// The bytes end too early.
    #[error("the record ends too early")]
    Truncated,
    /// Bytes are left over.
    #[error("the record has bytes after its end")]
    Trailing,
    /// A part holds what no record holds.
    #[error("the record has an invalid {0}")]
    Invalid(&'static str),
}

/// A record as it was written, borrowed from its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordView<'a> {
    /// Who asked what, when.
    pub head: RecordHead<'a>,
    /// The rows asked about, redacted fields blanked.
    pub input: BatchView<'a>,
    /// Fields of which less than the value was kept.
    pub redacted: Vec<RedactedView<'a>>,
    /// What became of it.
    pub outcome: OutcomeView<'a>,
}

/// A batch, borrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchView<'a> {
    /// Number of rows.
    pub rows: usize,
    /// One column per block of the schema.
    pub columns: Vec<ColumnView<'a>>,
}

/// A column, borrowed: `rows × width` elements.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnView<'a> {
    /// The elements.
    pub values: ValuesView<'a>,
    /// Elements in one row.
    pub width: usize,
    /// Dimensions the request chose.
    pub shape: Vec<usize>,
}

/// Elements as little-endian bytes, or borrowed texts.
#[derive(Clone, Debug, PartialEq)]
pub enum ValuesView<'a> {
    /// Single-precision numbers.
    Float32(&'a [[u8; 4]]),
    /// Double-precision numbers.
    Float64(&'a [[u8; 8]]),
    /// Integers.
    Int64(&'a [[u8; 8]]),
    /// Truth values, 0 or 1.
    Bool(&'a [u8]),
    /// Texts; `None` is missing.
    Text(Vec<Option<&'a str>>),
}

/// A field of which less than the value was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct RedactedView<'a> {
    /// Index of the field in the schema's inputs.
    pub field: u32,
    /// What was kept; never [`Redaction::Keep`].
    pub redaction: Redaction,
    /// Masked texts or pseudonyms, one per element, row by row.
    pub stand_ins: Vec<Option<&'a str>>,
}

/// What became of a request, borrowed.
#[derive(Clone, Debug, PartialEq)]
pub enum OutcomeView<'a> {
    /// The model answered.
    Answered(OutputView<'a>),
    /// The model or the server failed.
    Failed {
        /// The slug of the error.
        code: &'a str,
    },
}

/// An output, borrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputView<'a> {
    /// Number of rows answered.
    pub rows: usize,
    /// Little-endian `u32` per row, or empty.
    pub labels: &'a [[u8; 4]],
    /// Little-endian `f64`, `rows × classes`, or empty.
    pub probabilities: &'a [[u8; 8]],
    /// One column per output field.
    pub values: Vec<ColumnView<'a>>,
}

impl<'a> RecordView<'a> {
    /// Reads one record that takes up all of `bytes`.
    ///
    /// Every length is checked before it is used, and the memory taken is at
    /// most a small multiple of the length of `bytes`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut input = Input { rest: bytes };
        let format = input.byte()?;
        if format != RECORD_FORMAT {
            return Err(RecordError::Format(format));
        }
        let flags = input.byte()?;
        let view = Self {
            head: read_head(&mut input, flags)?,
            input: read_batch(&mut input)?,
            redacted: read_redacted(&mut input)?,
            outcome: if flags & flag::FAILED == 0 {
                OutcomeView::Answered(read_output(&mut input)?)
            } else {
                OutcomeView::Failed {
                    code: input.text()?,
                }
            },
        };
        if input.rest.is_empty() {
            Ok(view)
        } else {
            Err(RecordError::Trailing)
        }
    }
}

impl BatchView<'_> {
    /// An owned copy.
    pub fn to_batch(&self) -> Batch {
        Batch {
            rows: self.rows,
            columns: self.columns.iter().map(ColumnView::to_column).collect(),
        }
    }
}

impl OutputView<'_> {
    /// An owned copy.
    pub fn to_output(&self) -> Output {
        Output {
            rows: self.rows,
            labels: owned(self.labels, u32::from_le_bytes),
            probabilities: owned(self.probabilities, f64::from_le_bytes),
            values: self.values.iter().map(ColumnView::to_column).collect(),
        }
    }
}

impl ColumnView<'_> {
    /// An owned copy.
    pub fn to_column(&self) -> Column {
        let values = match &self.values {
            ValuesView::Float32(v) => Values::Float32(owned(v, f32::from_le_bytes)),
            ValuesView::Float64(v) => Values::Float64(owned(v, f64::from_le_bytes)),
            ValuesView::Int64(v) => Values::Int64(owned(v, i64::from_le_bytes)),
            ValuesView::Bool(v) => Values::Bool(v.iter().map(|byte| *byte != 0).collect()),
            ValuesView::Text(v) => {
                Values::Text(v.iter().map(|text| text.map(str::to_owned)).collect())
            }
        };
        Column {
            values,
            width: self.width,
            shape: self.shape.clone(),
        }
    }
}

fn owned<T, const N: usize>(elements: &[[u8; N]], from: fn([u8; N]) -> T) -> Vec<T> {
    elements.iter().map(|element| from(*element)).collect()
}

fn read_head<'a>(input: &mut Input<'a>, flags: u8) -> Result<RecordHead<'a>, RecordError> {
    Ok(RecordHead {
        prediction: PredictionId::from_u128(input.id()?),
        at: Timestamp::from_micros(i64::from_le_bytes(input.array()?)),
        model: ModelId::from_u128(input.id()?),
        version: VersionId::from_u128(input.id()?),
        version_number: input.number()?.cast_signed(),
        user: UserId::from_u128(input.id()?),
        key: input
            .when(flags & flag::KEY, Input::id)?
            .map(KeyId::from_u128),
        endpoint: input.when(flags & flag::ENDPOINT, Input::text)?,
        request_id: input.when(flags & flag::REQUEST_ID, Input::text)?,
        header_request_id: input.text()?,
        latency_us: input.number()?,
        cached: flags & flag::CACHED != 0,
        result_cached: flags & flag::RESULT_CACHED != 0,
        shadow: flags & flag::SHADOW != 0,
        kept: input
            .when(flags & flag::REDUCED, read_kept)?
            .unwrap_or_default(),
    })
}

fn read_kept(input: &mut Input<'_>) -> Result<Kept, RecordError> {
    match input.byte()? {
        kept::DIGESTS => Ok(Kept::Digests),
        kept::ROW => Ok(Kept::Row),
        kept::NOTHING => Ok(Kept::Nothing),
        _ => Err(RecordError::Invalid("part that is kept")),
    }
}

fn read_batch<'a>(input: &mut Input<'a>) -> Result<BatchView<'a>, RecordError> {
    let rows = input.rows()?;
    let columns = read_columns(input, rows)?;
    Ok(BatchView { rows, columns })
}

fn read_output<'a>(input: &mut Input<'a>) -> Result<OutputView<'a>, RecordError> {
    let rows = input.rows()?;
    Ok(OutputView {
        rows,
        labels: input.counted_elements()?,
        probabilities: input.counted_elements()?,
        values: read_columns(input, rows)?,
    })
}

fn read_columns<'a>(
    input: &mut Input<'a>,
    rows: usize,
) -> Result<Vec<ColumnView<'a>>, RecordError> {
    // Tag, width, dimensions and elements take a byte each at least.
    const LEAST: usize = 4;
    let count = input.count(LEAST)?;
    (0..count).map(|_| read_column(input, rows)).collect()
}

fn read_column<'a>(input: &mut Input<'a>, rows: usize) -> Result<ColumnView<'a>, RecordError> {
    let tag = input.byte()?;
    let width = input.size()?;
    let dims = input.count(1)?;
    let shape = (0..dims)
        .map(|_| input.size())
        .collect::<Result<Vec<_>, _>>()?;
    let count = input.count(1)?;
    if rows.checked_mul(width) != Some(count) {
        return Err(RecordError::Invalid("number of elements"));
    }
    let values = match tag {
        tag::FLOAT32 => ValuesView::Float32(input.elements(count)?),
        tag::FLOAT64 => ValuesView::Float64(input.elements(count)?),
        tag::INT64 => ValuesView::Int64(input.elements(count)?),
        tag::BOOL => ValuesView::Bool(input.truths(count)?),
        tag::TEXT => ValuesView::Text(input.texts(count)?),
        _ => return Err(RecordError::Invalid("element type")),
    };
    Ok(ColumnView {
        values,
        width,
        shape,
    })
}

fn read_redacted<'a>(input: &mut Input<'a>) -> Result<Vec<RedactedView<'a>>, RecordError> {
    // Field, tag and number of texts take a byte each at least.
    const LEAST: usize = 3;
    let count = input.count(LEAST)?;
    (0..count).map(|_| read_redacted_field(input)).collect()
}

fn read_redacted_field<'a>(input: &mut Input<'a>) -> Result<RedactedView<'a>, RecordError> {
    let field = u32::try_from(input.number()?).map_err(|_| RecordError::Invalid("field"))?;
    let redaction = match input.byte()? {
        redaction::DROP => Redaction::Drop,
        redaction::MASK => Redaction::Mask {
            keep_last: input.byte()?,
        },
        redaction::PSEUDONYM => Redaction::Pseudonym,
        _ => return Err(RecordError::Invalid("redaction")),
    };
    let count = input.count(1)?;
    Ok(RedactedView {
        field,
        redaction,
        stand_ins: input.texts(count)?,
    })
}

/// What is left to read.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn id(&mut self) -> Result<u128, RecordError> {
        self.array().map(u128::from_le_bytes)
    }

    fn when<T>(
        &mut self,
        flag: u8,
        read: fn(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        (flag != 0).then(|| read(self)).transpose()
    }

    /// LEB128 in its shortest form only, so that a record has one form.
    fn number(&mut self) -> Result<u64, RecordError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(RecordError::Invalid("number"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordError::Invalid("number"))
    }

    fn size(&mut self) -> Result<usize, RecordError> {
        usize::try_from(self.number()?).map_err(|_| RecordError::Invalid("size"))
    }

    /// Rows may be many without taking space, so they get a bound of their own.
    fn rows(&mut self) -> Result<usize, RecordError> {
        let rows = self.size()?;
        match u32::try_from(rows) {
            Ok(_) => Ok(rows),
            Err(_) => Err(RecordError::Invalid("number of rows")),
        }
    }

    /// A number of things that take at least `least` bytes each.
    fn count(&mut self, least: usize) -> Result<usize, RecordError> {
        let count = self.size()?;
        if count > self.rest.len() / least {
            return Err(RecordError::Truncated);
        }
        Ok(count)
    }

    fn elements<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], RecordError> {
        let len = count.checked_mul(N).ok_or(RecordError::Truncated)?;
        Ok(self.take(len)?.as_chunks().0)
    }

    fn counted_elements<const N: usize>(&mut self) -> Result<&'a [[u8; N]], RecordError> {
        let count = self.count(N)?;
        self.elements(count)
    }

    fn truths(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let bytes = self.take(count)?;
        if bytes.iter().all(|byte| *byte <= 1) {
            Ok(bytes)
        } else {
            Err(RecordError::Invalid("truth value"))
        }
    }

    fn text(&mut self) -> Result<&'a str, RecordError> {
        let len = self.size()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| RecordError::Invalid("text"))
    }

    /// `count` optional texts; `count` has been checked to fit what is left.
    fn texts(&mut self, count: usize) -> Result<Vec<Option<&'a str>>, RecordError> {
        (0..count).map(|_| self.optional_text()).collect()
    }

    fn optional_text(&mut self) -> Result<Option<&'a str>, RecordError> {
        let Some(len) = self.size()?.checked_sub(1) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.take(len)?);
        text.map(Some).map_err(|_| RecordError::Invalid("text"))
    }
}
