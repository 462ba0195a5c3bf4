//! Numbers of a JSON text: one as a [`Cell`], or a list of plain ones at once.

use super::json::Reader;
use super::{Cell, DecodeError};

impl<'a> Reader<'a> {
    /// Reads digits into `mantissa`, which wraps around after 19 of them.
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let mut count = 0;
        while let Some(digit) = rest.get(count).filter(|byte| byte.is_ascii_digit()) {
            *mantissa = mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            count += 1;
        }
        self.at += count;
        count
    }

    pub(super) fn number(&mut self) -> Result<Cell<'a>, DecodeError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let is_negative = bytes[start] == b'-';
        self.at += usize::from(is_negative);
        let leading = bytes.get(self.at).copied();
        let mut mantissa = 0;
        let whole = self.digits(&mut mantissa);
        if whole == 0 || whole > 1 && leading == Some(b'0') {
            return Err(self.malformed("not a number as JSON spells them"));
        }
        let mut fraction = 0;
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.digits(&mut mantissa);
            if fraction == 0 {
                return Err(self.malformed("expected a digit after the decimal point"));
            }
        }
        let has_exponent = self.exponent()?;
        let literal = &self.text[start..self.at];
        let cell = if fraction == 0 && !has_exponent {
            integer(literal, is_negative, (whole < 19).then_some(mantissa))
        } else if has_exponent || whole + fraction > 19 {
            exact_double(literal)
        } else {
            decimal(mantissa, fraction, is_negative)
                .map_or_else(|| exact_double(literal), Cell::F64)
        };
        match cell {
            Cell::F64(value) if value.is_infinite() => {
                Err(self.malformed("a number too large for a double"))
            }
            cell => Ok(cell),
        }
    }

    /// Reads a list of exactly `count` numbers in their usual spelling, without a
    /// [`Cell`] for each, and gives each to `store` with its place.
    ///
    /// `false` means that something is not so plain, or that `store` refused; then
    /// nothing was read, and the general way says what is wrong, if anything is.
    pub(super) fn plain_numbers(
        &mut self,
        count: usize,
        mut store: impl FnMut(usize, f64) -> bool,
    ) -> bool {
        let mut ahead = *self;
        for place in 0..count {
            let expected = if place == 0 { b'[' } else { b',' };
            if ahead.peek().ok() != Some(expected) {
                return false;
            }
            ahead.at += 1;
            let number = ahead.plain_number();
            if !number.is_some_and(|number| store(place, number)) {
                return false;
            }
        }
        if count == 0 || ahead.peek().ok() != Some(b']') {
            return false;
        }
        self.at = ahead.at + 1;
        true
    }

    /// A number of at most 19 digits and no exponent, if that is what comes next
    /// and if no double would change it.
    fn plain_number(&mut self) -> Option<f64> {
        let start = self.at_token()?;
        let bytes = self.text.as_bytes();
        let is_negative = bytes[start] == b'-';
        self.at = start + usize::from(is_negative);
        let leading = bytes.get(self.at).copied();
        let mut mantissa = 0;
        let whole = self.digits(&mut mantissa);
        let mut fraction = 0;
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.digits(&mut mantissa);
            if fraction == 0 {
                return None;
            }
        }
        let is_plain = whole > 0
            && (whole == 1 || leading != Some(b'0'))
            && whole + fraction <= 19
            && !matches!(bytes.get(self.at), Some(b'e' | b'E'));
        if !is_plain {
            return None;
        }
        decimal(mantissa, fraction, is_negative)
            .or_else(|| (fraction > 0).then(|| self.text[start..self.at].parse().ok())?)
    }

    /// Where the next token starts.
    fn at_token(&mut self) -> Option<usize> {
        self.peek().ok().map(|_| self.at)
    }

    fn exponent(&mut self) -> Result<bool, DecodeError> {
        let bytes = self.text.as_bytes();
        if !matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            return Ok(false);
        }
        self.at += 1;
        self.at += usize::from(matches!(bytes.get(self.at), Some(b'+' | b'-')));
        if self.digits(&mut 0) == 0 {
            return Err(self.malformed("expected a digit in the exponent"));
        }
        Ok(true)
    }
}

/// An integer literal of any length, exactly or not at all; `short` is its
/// magnitude where that needs no more than 18 digits.
fn integer(literal: &str, is_negative: bool, short: Option<u64>) -> Cell<'static> {
    match (is_negative, short) {
        (true, Some(0)) => return Cell::F64(-0.0),
        (true, Some(magnitude)) => return Cell::I64(-magnitude.cast_signed()),
        (false, Some(magnitude)) => return Cell::I64(magnitude.cast_signed()),
        (_, None) => {}
    }
    if let Ok(value) = literal.parse() {
        return Cell::I64(value);
    }
    if let Ok(value) = literal.parse() {
        return Cell::U64(value);
    }
    match exact_double(literal) {
        // `{:.0}` prints every digit of a double, so equal text is equal value.
        Cell::F64(value) if value.is_finite() && format!("{value:.0}") != literal => {
            Cell::HugeInteger
        }
        cell => cell,
    }
}

/// `mantissa / 10^fraction` where both are doubles, since the quotient of two
/// doubles is rounded once and hence correctly (Clinger, PLDI 1990, section 3).
#[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
fn decimal(mantissa: u64, fraction: usize, is_negative: bool) -> Option<f64> {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    let power = POWERS.get(fraction)?;
    if mantissa > 1 << f64::MANTISSA_DIGITS {
        return None;
    }
    let value = mantissa as f64 / power;
    Some(if is_negative { -value } else { value })
}

fn exact_double(literal: &str) -> Cell<'static> {
    let value = literal.parse();
    Cell::F64(value.expect("invariant: Rust reads every number JSON can spell"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What both ways of reading a row of numbers make of `row`.
    fn both(row: &str, count: usize) -> (Option<Vec<f64>>, Option<Vec<f64>>) {
        let mut plain = vec![f64::NAN; count];
        let mut reader = Reader::new(row.as_bytes()).unwrap();
        let is_plain = reader.plain_numbers(count, |place, number| {
            plain[place] = number;
            true
        });
        assert_eq!(reader.at, if is_plain { row.len() } else { 0 }, "{row}");
        (is_plain.then_some(plain), general(row))
    }

    fn general(row: &str) -> Option<Vec<f64>> {
        let mut reader = Reader::new(row.as_bytes()).unwrap();
        reader.open().ok()?;
        let mut numbers = Vec::new();
        while reader.element(numbers.is_empty()).ok()? {
            numbers.push(match reader.scalar().ok()? {
                Cell::F64(value) => value,
                Cell::I64(value) => value.to_string().parse().unwrap(),
                _ => return None,
            });
        }
        Some(numbers)
    }

    #[test]
    fn plain_numbers_are_the_numbers_that_cells_hold() {
        for (row, count) in [
            ("[1,2.5,-3]", 3),
            ("[ 0 ,\n-0.0\t, 0.1 ]", 3),
            ("[-0]", 1),
            ("[0.30000000000000004,123456.789012345678]", 2),
            ("[9007199254740992,17.99]", 2),
            ("[0.000000000000000001]", 1),
        ] {
            let (plain, general) = both(row, count);
            let bits = |row: Vec<f64>| row.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(plain.map(bits), general.map(bits), "{row}");
            assert!(both(row, count).0.is_some(), "{row}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_general_way() {
        for row in [
            "[1,2]",
            "[1,2,3,4]",
            "[1,2,null]",
            "[1,2,\"3\"]",
            "[1,2,3e5]",
            "[1,2,03]",
            "[1,2,.5]",
            "[1,2,3.]",
            "[1,2,-]",
            "[1,2,+3]",
            "[1,2,3,]",
            "[1,2,3",
            "[1,2,[3]]",
            "[,1,2]",
            "1,2,3]",
            "",
            "[1,2,9007199254740993]",
            "[1,2,12345678901234567890]",
            "[1,2,3.00000000000000000001]",
            "[1 2,3]",
            "[1,2,3}",
        ] {
            assert_eq!(both(row, 3).0, None, "{row}");
        }
    }
}
