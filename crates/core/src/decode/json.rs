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
    pub(super) text: &'a str,
    pub(super) at: usize,
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
