//! What a reader hands out: whole records, where they end, and what was wrong.

use crate::boot::BootId;

/// A place between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The process start.
    pub boot: BootId,
    /// The segment's number; may name one that does not exist yet.
    pub segment: u32,
    /// Bytes of the segment that lie before this place; 0 is its beginning.
    pub offset: u64,
}

impl Cursor {
    /// Before the first record of `boot`.
    pub const fn start(boot: BootId) -> Self {
        Self {
            boot,
            segment: 0,
            offset: 0,
        }
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in its boot; strictly growing from record to record.
    pub sequence: u64,
    /// What was appended.
    pub payload: &'a [u8],
}

/// How a segment is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// It ends in a write that a crash or a full disk cut short, and nothing
    /// intact follows.
    Torn,
    /// Bytes changed that had been written whole.
    Corrupt,
}

/// A place from which on a segment could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damaged record begins.
    pub at: Cursor,
    /// How.
    pub kind: DamageKind,
    /// Bytes of the segment from there on, none of which were read.
    pub unread_bytes: u64,
}

/// A batch of records, with memory that is used again for the next one.
#[derive(Debug)]
pub struct Records {
    pub(crate) buffer: Vec<u8>,
    pub(crate) spans: Vec<Span>,
    pub(crate) damage: Vec<Damage>,
    pub(crate) missing: u64,
    pub(crate) cursor: Cursor,
    pub(crate) at_end: bool,
}

/// Where a record's payload lies in the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) sequence: u64,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            spans: Vec::new(),
            damage: Vec::new(),
            missing: 0,
            cursor: Cursor::start(BootId::from_u128(0)),
            at_end: false,
        }
    }
}

impl Records {
    /// An empty batch to read into.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records, in the order they were appended.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.spans.iter().map(|span| Record {
            sequence: span.sequence,
            payload: &self.buffer[span.start..span.end],
        })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Where to go on after these records have been dealt with.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Whether there is nothing more: for now in the running journal, for ever
    /// in a leftover.
    pub fn at_end(&self) -> bool {
        self.at_end
    }

    /// Damage met on the way.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Numbers skipped between two segments, or before the first if the reader
    /// began at [`Cursor::start`]: records that damage, a power failure or a
    /// refused write took.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    pub(crate) fn has_findings(&self) -> bool {
        !self.damage.is_empty() || self.missing > 0
    }

    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.damage.clear();
        self.missing = 0;
        self.at_end = false;
    }
}
