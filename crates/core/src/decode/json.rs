//! A pull reader for JSON (RFC 8259) that hands out one value at a time.
//!
//! Stricter than a general parser where a prediction service wants it: nesting
//! ends at [`MAX_DEPTH`], strings at [`MAX_STRING`], NUL is refused, a number
//! that no double can hold is an error, and an integer literal is never rounded
//! silently. Errors give line and column, never content.

use std::borrow::Cow;

use super::{Cell, DecodeError};

/// Deepest nesting of arrays and objects.
pub(super) const MAX_DEPTH: usize = 32;
/// Longest string, in bytes of its JSON spelling.
const MAX_STRING: usize = 1 << 20;

/// A position in a JSON text. Copying it remembers the position.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `body`, which has to be UTF-8 without a byte order mark.
    pub(super) fn new(body: &'a [u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(body).map_err(|error| DecodeError::Malformed {
            detail: format!("not UTF-8 at byte {}", error.valid_up_to()),
        })?;
        let reader = Self {
            text,
            at: 0,
            depth: 0,
        };
        if text.starts_with('\u{feff}') {
            return Err(reader.malformed("a byte order mark is not allowed"));
        }
        Ok(reader)
    }

    /// First byte of the next token.
    pub(super) fn peek(&mut self) -> Result<u8, DecodeError> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(self.malformed("the text ends too early"))
    }

    /// Enters the array or object that comes next.
    pub(super) fn open(&mut self) -> Result<(), DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(self.malformed("nested more than 32 levels deep"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Moves to the array's next element; false once the array has been left.
    pub(super) fn element(&mut self, first: bool) -> Result<bool, DecodeError> {
        self.separator(first, b']', "expected a comma or a closing bracket")
    }

    /// Moves to the object's next member and answers its key; `None` once the object has been left.
    pub(super) fn key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, DecodeError> {
        if !self.separator(first, b'}', "expected a comma or a closing brace")? {
            return Ok(None);
        }
        if self.peek()? != b'"' {
            return Err(self.malformed("expected a key in double quotes"));
        }
        let key = self.string()?;
        if self.peek()? != b':' {
            return Err(self.malformed("expected a colon"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Reads the value that comes next, which is no array and no object.
    pub(super) fn scalar(&mut self) -> Result<Cell<'a>, DecodeError> {
        match self.peek()? {
            b'"' => self.string().map(Cell::Text),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Cell::Bool(true)),
            b'f' => self.word("false", Cell::Bool(false)),
            b'n' => self.word("null", Cell::Null),
            _ => Err(self.malformed("expected a value")),
        }
    }

    /// Reads past the value that comes next and answers its type's name.
    pub(super) fn skip(&mut self) -> Result<&'static str, DecodeError> {
        match self.peek()? {
            b'[' => {
                self.open()?;
                let mut first = true;
                while self.element(first)? {
                    self.skip()?;
                    first = false;
                }
                Ok("array")
            }
            b'{' => {
                self.open()?;
                let mut first = true;
                while self.key(first)?.is_some() {
                    self.skip()?;
                    first = false;
                }
                Ok("object")
            }
            _ => Ok(self.scalar()?.json_name()),
        }
    }

    /// Opening brackets from here to the first element: the nesting of a list.
    pub(super) fn leading_brackets(&self) -> usize {
        let rest = self.text.as_bytes()[self.at..].iter();
        rest.filter(|byte| !byte.is_ascii_whitespace())
            .take_while(|byte| **byte == b'[')
            .take(MAX_DEPTH + 1)
            .count()
    }

    /// Checks that nothing but white space is left.
    pub(super) fn end(mut self) -> Result<(), DecodeError> {
        self.skip_white_space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.malformed("expected the end of the text"))
        }
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_blank(mut self) -> bool {
        self.skip_white_space();
        self.at == self.text.len()
    }

    /// An error at the current position.
    #[cold]
    pub(super) fn malformed(&self, what: &str) -> DecodeError {
        let before = &self.text.as_bytes()[..self.at.min(self.text.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        let column = before.len() - line_start.map_or(0, |at| at + 1) + 1;
        DecodeError::Malformed {
            detail: format!("{what} (line {line}, column {column})"),
        }
    }

    fn skip_white_space(&mut self) {
        let rest = self.text.as_bytes()[self.at..].iter();
        self.at += rest
            .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
            .count();
    }

    fn separator(&mut self, first: bool, close: u8, what: &str) -> Result<bool, DecodeError> {
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if byte != b',' {
            return Err(self.malformed(what));
        }
        self.at += 1;
        if self.peek()? == close {
            return Err(self.malformed("a comma before the end is not allowed"));
        }
        Ok(true)
    }

    fn word(&mut self, word: &str, cell: Cell<'a>) -> Result<Cell<'a>, DecodeError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.malformed("expected a value"));
        }
        self.at += word.len();
        Ok(cell)
    }

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

    fn number(&mut self) -> Result<Cell<'a>, DecodeError> {
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

    fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        self.at = start;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(0x20..) => self.at += 1,
                Some(_) => return Err(self.malformed("a control character in a string")),
                None => return Err(self.malformed("the text ends within a string")),
            }
        }
        let content = &self.text[start..self.at];
        self.at += 1;
        self.check_length(content.len())?;
        Ok(Cow::Borrowed(content))
    }

    fn escaped(&mut self, start: usize) -> Result<String, DecodeError> {
        let bytes = self.text.as_bytes();
        let mut content = String::from(&self.text[start..self.at]);
        loop {
            let run = self.at;
            while bytes
                .get(self.at)
                .is_some_and(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\'))
            {
                self.at += 1;
            }
            content.push_str(&self.text[run..self.at]);
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => content.push(self.escape()?),
                Some(_) => return Err(self.malformed("a control character in a string")),
                None => return Err(self.malformed("the text ends within a string")),
            }
        }
        self.at += 1;
        self.check_length(self.at - start)?;
        Ok(content)
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.malformed("an unknown escape in a string")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, DecodeError> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                return Err(self.malformed("half of a surrogate pair"));
            }
            self.at += 2;
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.malformed("half of a surrogate pair"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        if code == 0 {
            return Err(self.malformed("NUL in a string"));
        }
        char::from_u32(code).ok_or_else(|| self.malformed("half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, DecodeError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let mut code = 0;
        for byte in digits.unwrap_or(b"?") {
            let digit = char::from(*byte).to_digit(16);
            code = code * 16 + digit.ok_or_else(|| self.malformed("expected four hex digits"))?;
        }
        self.at += 4;
        Ok(code)
    }

    fn check_length(&self, bytes: usize) -> Result<(), DecodeError> {
        if bytes > MAX_STRING {
            return Err(self.malformed("a string longer than 1 MiB"));
        }
        Ok(())
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
