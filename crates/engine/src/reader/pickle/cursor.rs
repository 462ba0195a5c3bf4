//! A position in the file; every read is checked against what is left.

use crate::EngineError;
use crate::reader::malformed;

/// A position in the file.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    pub(super) const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], EngineError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            return Err(malformed(format!(
                "it ends at byte {}, {count} more were promised at byte {}",
                self.bytes.len(),
                self.at
            )));
        };
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, EngineError> {
        Ok(self.array::<1>()?[0])
    }

    /// A length of one, four or eight little-endian bytes, which the file must still hold.
    pub(super) fn length<const N: usize>(&mut self) -> Result<usize, EngineError> {
        let little = self.array::<N>()?;
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&little);
        let length = usize::try_from(u64::from_le_bytes(wide)).unwrap_or(usize::MAX);
        if length > self.remaining() {
            return Err(malformed(format!(
                "a length at byte {} promises more than the file holds",
                self.at - N
            )));
        }
        Ok(length)
    }

    /// The bytes up to the next line feed, which is consumed.
    pub(super) fn line(&mut self, limit: usize) -> Result<&'a [u8], EngineError> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(limit)];
        let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
            return Err(malformed(format!("a line at byte {} has no end", self.at)));
        };
        self.at += end + 1;
        Ok(&rest[..end])
    }
}
