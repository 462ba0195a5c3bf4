//! The reader: whole, undamaged records in order, each once.
//!
//! Beside the running journal it reads only below the position the writer
//! published, so whatever does not check out there is damage. A segment that no
//! longer grows is read to its end, which a crash may have torn.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::JournalError;
use crate::frame::{self, FRAME_BYTES, HEADER_BYTES, Header, Parsed, Seed, segment_number};
use crate::journal::Journal;
use crate::live::{Live, Reached};
use crate::records::{Cursor, Damage, DamageKind, Records, Span};
use crate::scan;
use crate::storage::Storage;

/// Reads the records of one boot.
#[derive(Debug)]
pub struct Reader<S: Storage = Disk> {
    storage: Arc<S>,
    /// The writer's position, if the boot is the running one.
    live: Option<Arc<Live>>,
    cursor: Cursor,
    /// The number of the next record, once one was seen.
    expected: Option<u64>,
    segment: Option<Open<S::File>>,
}

#[derive(Debug)]
struct Open<F> {
    file: F,
    header: Header,
    seed: Seed,
}

/// How far a segment may be read.
#[derive(Clone, Copy, Debug)]
struct Limit {
    bytes: u64,
    /// Whether the segment still grows.
    grows: bool,
}

impl<S: Storage> Journal<S> {
    /// Reads on from `cursor`: follows this journal if the cursor lies in its
    /// boot, reads a leftover to its end otherwise.
    pub fn reader(&self, cursor: Cursor) -> Reader<S> {
        let live = (cursor.boot == self.boot).then(|| self.live.clone());
        Reader {
            live,
            ..Reader::leftover(self.storage.clone(), cursor)
        }
    }
}

impl<S: Storage> Reader<S> {
    /// Reads on from `cursor` in a boot whose process is gone.
    pub fn leftover(storage: Arc<S>, cursor: Cursor) -> Self {
        Self {
            storage,
            live: None,
            cursor,
            expected: (cursor == Cursor::start(cursor.boot)).then_some(0),
            segment: None,
        }
    }

    /// Replaces what is in `records` by the next records of about `max_bytes`
    /// in all, at least one if there is one. A damaged segment is left at the
    /// damage, which is reported, and the next one is read.
    ///
    /// An error leaves the reader where it was: reading again tries again, and
    /// [`Self::skip_segment`] gives up on what cannot be read.
    pub fn read(&mut self, records: &mut Records, max_bytes: usize) -> Result<(), JournalError> {
        records.clear();
        while records.is_empty() && !records.at_end {
            let went_on = match self.segment.take() {
                Some(segment) => self.read_segment(segment, records, max_bytes),
                None => self.open_next(records),
            };
            match went_on {
                Ok(went_on) => records.at_end = !went_on,
                // What was met so far is handed out first; the error comes back.
                Err(_) if records.has_findings() => break,
                Err(error) => return Err(JournalError::io("read a segment")(error)),
            }
        }
        records.cursor = self.cursor;
        Ok(())
    }

    /// Goes on with the segment after the one that is being read.
    pub fn skip_segment(&mut self) {
        if let Some(live) = &self.live {
            live.request_roll();
        }
        self.leave();
    }

    fn leave(&mut self) {
        self.segment = None;
        self.cursor.segment = self.cursor.segment.saturating_add(1);
        self.cursor.offset = 0;
    }

    /// Opens the next segment; `false` if there is none.
    fn open_next(&mut self, records: &mut Records) -> io::Result<bool> {
        let Some(number) = self.next_number()? else {
            return Ok(false);
        };
        if number != self.cursor.segment {
            self.cursor.segment = number;
            self.cursor.offset = 0;
        }
        let path = frame::segment_path(self.cursor.boot, number);
        let file = self.storage.open(&path)?;
        let mut head = [0; HEADER_BYTES];
        let read = self.storage.read_at(&file, 0, &mut head)?;
        let Some((header, seed)) = self.expected_header(&head[..read]) else {
            let blank = read < HEADER_BYTES || head.iter().all(|byte| *byte == 0);
            let kind = if blank {
                DamageKind::Torn
            } else {
                DamageKind::Corrupt
            };
            self.cursor.offset = 0;
            let bytes = self.storage.len(&file)?;
            self.report(records, kind, bytes);
            return Ok(true);
        };
        let first = header.first_sequence;
        if self.cursor.offset < HEADER_BYTES as u64 {
            self.cursor.offset = HEADER_BYTES as u64;
            records.missing += first - self.expected.unwrap_or(first);
            self.expected = Some(first);
        }
        self.segment = Some(Open { file, header, seed });
        Ok(true)
    }

    /// The smallest segment at or after the cursor that the writer has begun.
    fn next_number(&self) -> io::Result<Option<u32>> {
        let newest = self
            .live
            .as_ref()
            .map(|live| live.reached().position.number);
        if newest.is_some_and(|newest| newest < self.cursor.segment) {
            return Ok(None);
        }
        let folder = PathBuf::from(self.cursor.boot.to_string());
        let entries = match self.storage.list(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(entries
            .iter()
            .filter_map(|entry| segment_number(&entry.name))
            .filter(|number| *number >= self.cursor.segment)
            .filter(|number| newest.is_none_or(|newest| *number <= newest))
            .min())
    }

    /// The header, if it is the one this place in the journal must have.
    fn expected_header(&self, bytes: &[u8]) -> Option<(Header, Seed)> {
        let (header, seed) = Header::decode(bytes)?;
        let here = header.boot == self.cursor.boot && header.number == self.cursor.segment;
        let inside = self.cursor.offset >= HEADER_BYTES as u64;
        let in_order = self.expected.is_none_or(|expected| {
            if inside {
                header.first_sequence <= expected
            } else {
                header.first_sequence >= expected
            }
        });
        (here && in_order).then_some((header, seed))
    }

    fn limit(&self, segment: &Open<S::File>) -> io::Result<Limit> {
        let reached = self.live.as_ref().map(|live| live.reached());
        if let Some(Reached { position, ended }) = reached
            && position.number <= segment.header.number
        {
            return Ok(Limit {
                bytes: position.bytes.into(),
                grows: !ended,
            });
        }
        // Asked only now: once a later segment exists, this one does not change.
        Ok(Limit {
            bytes: self.storage.len(&segment.file)?,
            grows: false,
        })
    }

    /// Reads on in a segment; `false` if it has nothing more for now.
    fn read_segment(
        &mut self,
        segment: Open<S::File>,
        records: &mut Records,
        max_bytes: usize,
    ) -> io::Result<bool> {
        let result = self.read_frames(&segment, records, max_bytes);
        let went_on = match result {
            Ok(Next::Records) => Ok(true),
            Ok(Next::Wait) => Ok(false),
            Ok(Next::Leave) => {
                self.leave();
                return Ok(true);
            }
            Ok(Next::Damage(limit)) => {
                let kind = self.kind_of_damage(&segment, limit)?;
                if limit.grows
                    && let Some(live) = &self.live
                {
                    live.request_roll();
                }
                self.report(records, kind, limit.bytes - self.cursor.offset);
                return Ok(true);
            }
            Err(error) => Err(error),
        };
        self.segment = Some(segment);
        went_on
    }

    fn read_frames(
        &mut self,
        segment: &Open<S::File>,
        records: &mut Records,
        max_bytes: usize,
    ) -> io::Result<Next> {
        let limit = self.limit(segment)?;
        let Some(left) = limit
            .bytes
            .checked_sub(self.cursor.offset)
            .filter(|l| *l > 0)
        else {
            return Ok(if limit.grows { Next::Wait } else { Next::Leave });
        };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let mut want = max_bytes.max(FRAME_BYTES).min(left);
        loop {
            if records.buffer.len() < want {
                records.buffer.resize(want, 0);
            }
            let into = &mut records.buffer[..want];
            let read = self
                .storage
                .read_at(&segment.file, self.cursor.offset, into)?;
            match self.take_frames(segment, records, read) {
                Parsed::Record { .. } => return Ok(Next::Records),
                Parsed::Seal { .. } => return Ok(Next::Leave),
                Parsed::Incomplete { needs } if needs <= left && read == want => want = needs,
                Parsed::Incomplete { .. } | Parsed::Invalid => return Ok(Next::Damage(limit)),
            }
        }
    }

    /// Takes the whole frames among the first `read` bytes of the buffer.
    /// Answers a record if there was one, else what the bytes begin with.
    fn take_frames(
        &mut self,
        segment: &Open<S::File>,
        records: &mut Records,
        read: usize,
    ) -> Parsed {
        let mut at = 0;
        let mut taken = None;
        loop {
            let parsed = frame::parse(segment.seed, &records.buffer[at..read]);
            let is_next = |sequence: u64| match self.expected {
                Some(expected) => sequence == expected,
                None => sequence >= segment.header.first_sequence,
            };
            match parsed {
                Parsed::Record { sequence, bytes } if is_next(sequence) => {
                    records.spans.push(Span {
                        sequence,
                        start: at + FRAME_BYTES,
                        end: at + bytes,
                    });
                    self.expected = sequence.checked_add(1);
                    self.cursor.offset += bytes as u64;
                    at += bytes;
                    taken = Some(parsed);
                }
                Parsed::Record { .. } => return taken.unwrap_or(Parsed::Invalid),
                Parsed::Seal { next_sequence } if !is_next(next_sequence) => {
                    return taken.unwrap_or(Parsed::Invalid);
                }
                other => return taken.unwrap_or(other),
            }
        }
    }

    fn kind_of_damage(&self, segment: &Open<S::File>, limit: Limit) -> io::Result<DamageKind> {
        if limit.grows {
            return Ok(DamageKind::Corrupt);
        }
        let scan = scan::Scan {
            storage: self.storage.as_ref(),
            file: &segment.file,
            seed: segment.seed,
            end: limit.bytes,
        };
        let least = self.expected.unwrap_or(segment.header.first_sequence);
        if scan.has_intact_frame_after(self.cursor.offset, least)? {
            Ok(DamageKind::Corrupt)
        } else {
            Ok(DamageKind::Torn)
        }
    }

    fn report(&mut self, records: &mut Records, kind: DamageKind, unread_bytes: u64) {
        records.damage.push(Damage {
            at: self.cursor,
            kind,
            unread_bytes,
        });
        self.leave();
    }
}

/// What reading a segment came to.
enum Next {
    Records,
    Wait,
    Leave,
    Damage(Limit),
}
