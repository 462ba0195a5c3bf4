//! Zip archives, read in memory: entries by name, bounded in number, size and ratio.
//!
//! Nothing is extracted to disk, so names are only names. Sizes and places come
//! from the central directory; entries that share bytes are refused, because
//! overlapping ones are how small archives become endless.
//! Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Read;

use crate::EngineError;
use crate::reader::{malformed, printable, too_large};

/// Most entries of an archive: a forest of a few thousand trees.
const MAX_ENTRIES: usize = 20_000;
/// Bytes an archive may always unpack to, whatever the ratio.
const FREE_BYTES: u64 = 1 << 20;
/// Unpacked bytes for each byte of the archive.
const MAX_RATIO: u64 = 200;
/// The end record and the longest comment behind it, in bytes.
const MAX_TAIL: usize = 22 + 0xffff;

/// An archive.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry<'a>>,
    /// Bytes that may still be unpacked.
    left: Cell<u64>,
}

/// A file in an archive.
#[derive(Debug)]
struct Entry<'a> {
    name: &'a str,
    method: u64,
    encrypted: bool,
    packed: usize,
    size: u64,
    /// Where its local header begins.
    header: usize,
}

impl<'a> Archive<'a> {
    /// The archive that `bytes` are, of which at most `max_bytes` may be unpacked.
    pub(crate) fn open(bytes: &'a [u8], max_bytes: usize) -> Result<Self, EngineError> {
        let tail_start = bytes.len().saturating_sub(MAX_TAIL);
        let tail = &bytes[tail_start..];
        let mut windows = tail.windows(4);
        let end = windows.rposition(|window| window == b"PK\x05\x06");
        let end = end.ok_or_else(|| malformed("an archive without a directory"))?;
        let count = size(tail, end + 10, 2)?;
        let mut at = size(tail, end + 16, 4)?;
        if count > MAX_ENTRIES || count == 0xffff {
            return Err(too_large(format!(
                "more than {MAX_ENTRIES} files in an archive"
            )));
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let (entry, length) = Entry::read(bytes, at)?;
            entries.push(entry);
            at += length;
        }
        let by_ratio = (bytes.len() as u64)
            .saturating_mul(MAX_RATIO)
            .max(FREE_BYTES);
        let limit = by_ratio.min(max_bytes as u64);
        let archive = Self {
            bytes,
            entries,
            left: Cell::new(limit),
        };
        archive.check(limit)?;
        Ok(archive)
    }

    /// Refuses what is too large in all, twice there, or in the same place.
    fn check(&self, limit: u64) -> Result<(), EngineError> {
        let sizes = self.entries.iter().map(|entry| entry.size);
        let total = sizes.fold(0_u64, u64::saturating_add);
        if total > limit {
            return Err(too_large(format!("it unpacks to more than {limit} bytes")));
        }
        let mut names: Vec<&str> = self.names().collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = printable(pair[0]);
            return Err(malformed(format!("an archive holds {name:?} twice")));
        }
        let mut places: Vec<(usize, usize)> = self.entries.iter().map(Entry::place).collect();
        places.sort_unstable();
        if places.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(malformed("files of an archive lie in the same place"));
        }
        Ok(())
    }

    /// Names of the files, in the order of the directory.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|entry| entry.name)
    }

    /// Bytes of all files.
    pub(crate) fn unpacked(&self) -> usize {
        let sizes = self.entries.iter().map(|entry| entry.size);
        usize::try_from(sizes.sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// The content of the file `name`; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Cow<'a, [u8]>>, EngineError> {
        let found = self.entries.iter().find(|entry| entry.name == name);
        found.map(|entry| self.content(entry)).transpose()
    }

    fn content(&self, entry: &Entry<'a>) -> Result<Cow<'a, [u8]>, EngineError> {
        let name = || printable(entry.name);
        if entry.encrypted {
            return Err(malformed(format!(
                "{:?} in an archive is encrypted",
                name()
            )));
        }
        let left = self.left.get().checked_sub(entry.size);
        let left =
            left.ok_or_else(|| too_large("its files are read more often than they can mean"))?;
        self.left.set(left);
        let packed = entry.packed_bytes(self.bytes)?;
        let content = match entry.method {
            0 => Cow::Borrowed(packed),
            8 => {
                let mut content = Vec::new();
                let decoder = flate2::read::DeflateDecoder::new(packed);
                let read = decoder.take(entry.size + 1).read_to_end(&mut content);
                read.map_err(|error| malformed(format!("{:?} in an archive: {error}", name())))?;
                Cow::Owned(content)
            }
            method => {
                let name = name();
                return Err(malformed(format!("{name:?} is packed by method {method}")));
            }
        };
        if content.len() as u64 == entry.size {
            return Ok(content);
        }
        Err(malformed(format!(
            "{:?} is not as long as its archive says",
            name()
        )))
    }
}

impl<'a> Entry<'a> {
    /// The entry of the directory at `at`, and its length there.
    fn read(bytes: &'a [u8], at: usize) -> Result<(Self, usize), EngineError> {
        let header = bytes
            .get(at..)
            .filter(|rest| rest.starts_with(b"PK\x01\x02"));
        let header = header.ok_or_else(|| malformed("the directory of an archive breaks off"))?;
        let name_length = size(header, 28, 2)?;
        let rest = size(header, 30, 2)? + size(header, 32, 2)?;
        let name = header.get(46..46 + name_length);
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        let entry = Self {
            name: name.ok_or_else(|| malformed("the name of a file in an archive is no text"))?,
            method: number(header, 10, 2)?,
            encrypted: number(header, 8, 2)? & 1 == 1,
            packed: size(header, 20, 4)?,
            size: number(header, 24, 4)?,
            header: size(header, 42, 4)?,
        };
        Ok((entry, 46 + name_length + rest))
    }

    /// The bytes it takes at least: a local header, its name, its content.
    fn place(&self) -> (usize, usize) {
        let end = self.header.saturating_add(30 + self.name.len());
        (self.header, end.saturating_add(self.packed))
    }

    /// Its packed content, which begins behind its local header.
    fn packed_bytes(&self, bytes: &'a [u8]) -> Result<&'a [u8], EngineError> {
        let local = bytes
            .get(self.header..)
            .filter(|rest| rest.starts_with(b"PK\x03\x04"));
        let local = local.ok_or_else(|| malformed("a file of an archive is not where it says"))?;
        let start = 30 + size(local, 26, 2)? + size(local, 28, 2)?;
        let packed = local.get(start..).and_then(|rest| rest.get(..self.packed));
        packed.ok_or_else(|| malformed("a file of an archive breaks off"))
    }
}

fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64, EngineError> {
    let field = bytes.get(at..at + width);
    let field = field.ok_or_else(|| malformed("the directory of an archive breaks off"))?;
    Ok(field
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn size(bytes: &[u8], at: usize, width: usize) -> Result<usize, EngineError> {
    let number = number(bytes, at, width)?;
    usize::try_from(number).map_err(|_| too_large("a file of an archive is too long"))
}
