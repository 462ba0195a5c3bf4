//! Cells into blocks: the coercion table.
//!
//! | from \ into   | float64            | float32            | int64              | bool | string |
//! |---------------|--------------------|--------------------|--------------------|------|--------|
//! | integer       | if exact           | if exact, narrowed | if within 64 bits  | no   | no     |
//! | number        | yes, finite        | narrowed, finite   | integral, < 2^53   | no   | no     |
//! | boolean       | no                 | no                 | no                 | yes  | no     |
//! | string        | no                 | no                 | no                 | no   | yes    |
//! | null          | nullable: NaN      | nullable: NaN      | no                 | no   | nullable: missing |
//!
//! "Exact" asks whether a double can hold the integer, since an id that is
//! rounded silently is another id. Single precision then rounds like any other
//! number, because that is the precision the model was exported with.

use std::borrow::Cow;

use crate::column::Values;
use crate::schema::{DataType, Field};

/// Below this magnitude no two integers are one double: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// One element as a caller spelled it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Missing.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// An integer, possibly beyond the signed range.
    U64(u64),
    /// A number with a fraction or an exponent; NaN counts as missing.
    F64(f64),
    /// An integer beyond 64 bits that no double holds exactly.
    HugeInteger,
    /// Text.
    Text(Cow<'a, str>),
}

impl Cell<'_> {
    /// The JSON type, for messages.
    pub const fn json_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::I64(_) | Self::U64(_) | Self::HugeInteger => "integer",
            Self::F64(_) => "number",
            Self::Text(_) => "string",
        }
    }
}

impl From<f64> for Cell<'_> {
    fn from(value: f64) -> Self {
        Self::F64(value)
    }
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<u64> for Cell<'_> {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

/// A cell that a field does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// `wrong-type`, `not-exact`, `null-not-allowed`, `wrong-length` or `duplicate-field`.
    pub code: &'static str,
    /// What would have been accepted.
    pub expected: Cow<'static, str>,
    /// The type or length that came, never the value.
    pub got: Cow<'static, str>,
}

impl Mismatch {
    pub(super) fn new(
        code: &'static str,
        expected: impl Into<Cow<'static, str>>,
        got: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            expected: expected.into(),
            got: got.into(),
        }
    }
}

/// Writes a cell to place `at` of a block, if `field` takes it.
pub(super) fn store(
    values: &mut Values,
    at: usize,
    cell: Cell<'_>,
    field: &Field,
) -> Result<(), Mismatch> {
    let got = cell.json_name();
    let wrong_type = || Mismatch::new("wrong-type", expected(field), got);
    if matches!(cell, Cell::Null) || matches!(cell, Cell::F64(value) if value.is_nan()) {
        let has_missing = !matches!(field.data_type, DataType::Int64 | DataType::Bool);
        if !(field.nullable && has_missing) {
            return Err(Mismatch::new("null-not-allowed", expected(field), "null"));
        }
        match values {
            Values::Float32(v) => v[at] = f32::NAN,
            Values::Float64(v) => v[at] = f64::NAN,
            Values::Text(v) => v[at] = None,
            Values::Int64(_) | Values::Bool(_) => return Err(wrong_type()),
        }
        return Ok(());
    }
    match (values, cell) {
        (Values::Float64(v), cell) => v[at] = number(&cell).ok_or_else(wrong_type)??,
        (Values::Float32(v), cell) => v[at] = narrow(number(&cell).ok_or_else(wrong_type)??)?,
        (Values::Int64(v), cell) => v[at] = whole(&cell).ok_or_else(wrong_type)??,
        (Values::Bool(v), Cell::Bool(value)) => v[at] = value,
        (Values::Text(v), Cell::Text(text)) => v[at] = Some(text.into_owned()),
        (Values::Bool(_) | Values::Text(_), _) => return Err(wrong_type()),
    }
    Ok(())
}

/// What `field` takes, for messages.
pub(super) fn expected(field: &Field) -> Cow<'static, str> {
    let name = field.data_type.json_name();
    if field.nullable {
        format!("{name} or null").into()
    } else {
        name.into()
    }
}

/// A finite double; `None` if the cell is no number at all.
#[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
fn number(cell: &Cell<'_>) -> Option<Result<f64, Mismatch>> {
    let is_exact = |magnitude: u64| {
        let significant =
            u64::BITS - (magnitude >> magnitude.trailing_zeros().min(63)).leading_zeros();
        significant <= f64::MANTISSA_DIGITS
    };
    let inexact = || Err(not_exact("integer a double holds exactly", "integer"));
    Some(match cell {
        Cell::F64(value) if value.is_infinite() => Err(not_exact("finite number", "infinity")),
        Cell::F64(value) => Ok(*value),
        Cell::I64(value) if is_exact(value.unsigned_abs()) => Ok(*value as f64),
        Cell::U64(value) if is_exact(*value) => Ok(*value as f64),
        Cell::I64(_) | Cell::U64(_) | Cell::HugeInteger => inexact(),
        Cell::Null | Cell::Bool(_) | Cell::Text(_) => return None,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to single precision is the purpose"
)]
pub(super) fn narrow(value: f64) -> Result<f32, Mismatch> {
    let single = value as f32;
    if single.is_infinite() {
        return Err(not_exact("number within single precision", "number"));
    }
    Ok(single)
}

/// A 64-bit integer; `None` if the cell is no number at all.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be integral and in range"
)]
fn whole(cell: &Cell<'_>) -> Option<Result<i64, Mismatch>> {
    let out_of_range = || not_exact("integer within 64 bits", "integer");
    Some(match cell {
        Cell::I64(value) => Ok(*value),
        Cell::U64(value) => i64::try_from(*value).map_err(|_| out_of_range()),
        Cell::F64(value) if value.fract() == 0.0 && value.abs() < EXACT => Ok(*value as i64),
        Cell::F64(_) => Err(not_exact("integer", "number")),
        Cell::HugeInteger => Err(out_of_range()),
        Cell::Null | Cell::Bool(_) | Cell::Text(_) => return None,
    })
}

fn not_exact(expected: &'static str, got: &'static str) -> Mismatch {
    Mismatch::new("not-exact", expected, got)
}
