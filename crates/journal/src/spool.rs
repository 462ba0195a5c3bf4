//! What waits on disk: counting it, and removing it once it was read.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plimsoll_core::time::Timestamp;

use crate::boot::BootId;
use crate::error::JournalError;
use crate::frame::{segment_number, segment_path};
use crate::journal::Journal;
use crate::live::Position;
use crate::records::Cursor;
use crate::storage::{Entry, Storage};

/// Why records are being dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The storage refuses to be written, most likely because it is full.
    Storage,
    /// Too much waits to be read.
    SpoolFull,
    /// A sync failed; the process is to exit.
    Sync,
}

/// Whether records reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The last record was written.
    Writing,
    /// Records are dropped; the first that can be written ends this.
    Dropping {
        /// When it began.
        since: Timestamp,
        /// Records lost since then.
        dropped: u64,
        /// Why.
        cause: Cause,
    },
}

/// Figures for metrics; totals count from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Whether records reach the disk.
    pub state: State,
    /// Records written.
    pub appended: u64,
    /// Bytes of these records, with what frames them.
    pub bytes_written: u64,
    /// Records dropped.
    pub dropped: u64,
    /// Records refused with [`crate::Appended::SpoolFull`].
    pub rejected: u64,
    /// Bytes that wait to be read, leftovers included.
    pub spool_bytes: u64,
    /// Segments of this process that exist.
    pub segments: usize,
    /// Time since the last sync.
    pub last_sync_age: Duration,
}

/// A time in which records are dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) since: Timestamp,
    pub(crate) dropped: u64,
    pub(crate) cause: Cause,
}

/// Sizes of everything that exists, and how much of it was read.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Ended segments of this process.
    ended: BTreeMap<u32, u32>,
    leftovers: BTreeMap<BootId, u64>,
    /// Where the reader of this process's segments has got to.
    read: Position,
    /// Unread bytes of ended segments and leftovers.
    waiting: u64,
}

impl Spool {
    /// Finds what earlier processes left.
    pub(crate) fn scan<S: Storage>(storage: &S, own: BootId) -> io::Result<Self> {
        let mut leftovers = BTreeMap::new();
        for entry in storage.list(Path::new(""))? {
            let Ok(boot) = entry.name.parse::<BootId>() else {
                continue;
            };
            if boot != own {
                let segments = storage.list(&PathBuf::from(entry.name))?;
                leftovers.insert(boot, segments.iter().map(|s| s.bytes).sum());
            }
        }
        let mut spool = Self {
            ended: BTreeMap::new(),
            leftovers,
            read: Position {
                number: 0,
                bytes: 0,
            },
            waiting: 0,
        };
        spool.recount();
        Ok(spool)
    }

    pub(crate) fn waiting(&self, live: Option<Position>) -> u64 {
        let live = live.map_or(0, |live| u64::from(live.bytes - self.read_of(live)));
        self.waiting + live
    }

    pub(crate) fn retire(&mut self, segment: Position) {
        self.ended.insert(segment.number, segment.bytes);
        self.recount();
    }

    fn recount(&mut self) {
        let unread = |(number, bytes): (&u32, &u32)| {
            let segment = Position {
                number: *number,
                bytes: *bytes,
            };
            u64::from(*bytes - self.read_of(segment))
        };
        let ended: u64 = self.ended.iter().map(unread).sum();
        self.waiting = ended + self.leftovers.values().sum::<u64>();
    }

    /// How many bytes of a segment were read.
    fn read_of(&self, segment: Position) -> u32 {
        match segment.number.cmp(&self.read.number) {
            std::cmp::Ordering::Less => segment.bytes,
            std::cmp::Ordering::Equal => self.read.bytes.min(segment.bytes),
            std::cmp::Ordering::Greater => 0,
        }
    }
}

impl<S: Storage> Journal<S> {
    /// Whether records reach the disk.
    pub fn state(&self) -> State {
        state_of(self.writer().outage.as_ref())
    }

    /// Figures for metrics.
    pub fn stats(&self) -> Stats {
        let now = self.clock.monotonic();
        let writer = self.writer();
        Stats {
            state: state_of(writer.outage.as_ref()),
            appended: writer.counts.appended,
            bytes_written: writer.counts.bytes_written,
            dropped: writer.counts.dropped,
            rejected: writer.counts.rejected,
            spool_bytes: writer.waiting_bytes(),
            segments: writer.spool.ended.len() + usize::from(writer.segment.is_some()),
            last_sync_age: now.since(writer.last_sync),
        }
    }

    /// Earlier process starts whose segments still exist, oldest first.
    pub fn leftovers(&self) -> Vec<BootId> {
        self.writer().spool.leftovers.keys().copied().collect()
    }

    /// Removes the segments that lie wholly before `cursor` in its boot, and
    /// counts what lies before it as read. Answers how many were removed. The
    /// segment that grows is never removed.
    pub fn remove_below(&self, cursor: Cursor) -> Result<usize, JournalError> {
        if cursor.boot != self.boot {
            let removed = self.remove_segments(cursor.boot, cursor.segment)?;
            self.recount_leftover(cursor.boot)?;
            return Ok(removed);
        }
        let read: Vec<u32> = {
            let mut writer = self.writer();
            writer.spool.read = Position {
                number: cursor.segment,
                bytes: u32::try_from(cursor.offset).unwrap_or(u32::MAX),
            };
            writer.spool.recount();
            let ended = writer.spool.ended.range(..cursor.segment);
            ended.map(|(number, _)| *number).collect()
        };
        for number in &read {
            self.remove_file(&segment_path(self.boot, *number))?;
            self.writer().spool.ended.remove(number);
        }
        Ok(read.len())
    }

    /// Removes everything an earlier process start left.
    pub fn remove_boot(&self, boot: BootId) -> Result<(), JournalError> {
        if boot == self.boot {
            return Err(JournalError::Running);
        }
        self.remove_segments(boot, u32::MAX)?;
        match self.storage.remove_dir(&PathBuf::from(boot.to_string())) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(JournalError::io("remove a folder")(error));
            }
            _ => {}
        }
        let mut writer = self.writer();
        writer.spool.leftovers.remove(&boot);
        writer.spool.recount();
        Ok(())
    }

    fn remove_segments(&self, boot: BootId, below: u32) -> Result<usize, JournalError> {
        let mut removed = 0;
        for entry in self.list_boot(boot)? {
            let Some(number) = segment_number(&entry.name) else {
                continue;
            };
            if number < below {
                self.remove_file(&segment_path(boot, number))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn recount_leftover(&self, boot: BootId) -> Result<(), JournalError> {
        let bytes = self.list_boot(boot)?.iter().map(|entry| entry.bytes).sum();
        let mut writer = self.writer();
        if let Some(left) = writer.spool.leftovers.get_mut(&boot) {
            *left = bytes;
        }
        writer.spool.recount();
        Ok(())
    }

    fn list_boot(&self, boot: BootId) -> Result<Vec<Entry>, JournalError> {
        match self.storage.list(&PathBuf::from(boot.to_string())) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(JournalError::io("list the segments")),
        }
    }

    fn remove_file(&self, path: &Path) -> Result<(), JournalError> {
        match self.storage.remove(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(JournalError::io("remove a segment")),
        }
    }
}

fn state_of(outage: Option<&Outage>) -> State {
    outage.map_or(State::Writing, |outage| State::Dropping {
        since: outage.since,
        dropped: outage.dropped,
        cause: outage.cause,
    })
}
