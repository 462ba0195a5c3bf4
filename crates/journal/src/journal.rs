//! The writer: one record, one write, one place.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll_core::time::{Clock, Monotonic};

use crate::boot::BootId;
use crate::disk::Disk;
use crate::error::JournalError;
use crate::frame::{self, FRAME_LENGTH, HEADER_LENGTH, Header, MAX_PAYLOAD_BYTES, Seed};
use crate::live::{Live, Position};
use crate::settings::{Durability, Settings, WhenFull};
use crate::spool::{Cause, Outage, Spool};
use crate::storage::Storage;
use crate::sync::Syncer;

/// Beyond this a position in a segment would not fit its 32 bits.
const MAX_SEGMENT_BYTES: u32 = 1 << 30;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It is written; a killed process does not lose it.
    Written {
        /// Its number in this boot.
        sequence: u64,
        /// Whether the request may be answered only after
        /// [`Journal::sync_up_to`] this number.
        needs_sync: bool,
    },
    /// It is counted and gone: the storage refused, or too much waits to be read.
    Dropped,
    /// Too much waits to be read; the request is to be refused.
    SpoolFull,
    /// The journal is switched off.
    Off,
}

impl Appended {
    /// The number to sync up to before the request may be answered.
    pub const fn needs_sync(&self) -> Option<u64> {
        match self {
            Self::Written {
                sequence,
                needs_sync: true,
            } => Some(*sequence),
            _ => None,
        }
    }
}

/// The journal of the running process.
#[derive(Debug)]
pub struct Journal<S: Storage = Disk> {
    pub(crate) storage: Arc<S>,
    pub(crate) boot: BootId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) live: Arc<Live>,
    pub(crate) syncer: Mutex<Syncer>,
    settings: Settings,
    writer: Mutex<Writer<S::File>>,
}

/// Everything that changes with each record.
#[derive(Debug)]
pub(crate) struct Writer<F> {
    /// The segment that grows; `None` before the first and while storage refuses.
    pub(crate) segment: Option<Segment<F>>,
    next_number: u32,
    pub(crate) next_sequence: u64,
    /// Ended segments that no sync has covered yet.
    pub(crate) unsynced: Vec<Arc<F>>,
    /// Whether a segment was made whose name no sync has covered yet.
    pub(crate) names_unsynced: bool,
    pub(crate) sync_failed: bool,
    pub(crate) last_sync: Monotonic,
    boot_folder_made: bool,
    retry_at: Option<Monotonic>,
    pub(crate) outage: Option<Outage>,
    pub(crate) spool: Spool,
    pub(crate) counts: Counts,
}

/// Totals since the process started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) appended: u64,
    pub(crate) bytes_written: u64,
    pub(crate) dropped: u64,
    pub(crate) rejected: u64,
}

#[derive(Debug)]
pub(crate) struct Segment<F> {
    header: Header,
    seed: Seed,
    pub(crate) file: Arc<F>,
    bytes: u32,
}

impl<F> Segment<F> {
    pub(crate) fn position(&self) -> Position {
        Position {
            number: self.header.number,
            bytes: self.bytes,
        }
    }
}

impl<S: Storage> Journal<S> {
    /// Starts the journal of the process start `boot`. Storage that refuses to
    /// be written does not prevent it; storage that cannot be listed does.
    pub fn open(
        storage: Arc<S>,
        boot: BootId,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Self, JournalError> {
        let spool = Spool::scan(storage.as_ref(), boot)
            .map_err(JournalError::io("list the leftover segments"))?;
        let journal = Self {
            storage,
            boot,
            live: Arc::new(Live::default()),
            syncer: Mutex::new(Syncer::default()),
            settings: Settings {
                segment_bytes: settings.segment_bytes.min(MAX_SEGMENT_BYTES),
                ..settings
            },
            writer: Mutex::new(Writer {
                segment: None,
                next_number: 1,
                next_sequence: 0,
                unsynced: Vec::new(),
                names_unsynced: false,
                sync_failed: false,
                last_sync: clock.monotonic(),
                boot_folder_made: false,
                retry_at: None,
                outage: None,
                spool,
                counts: Counts::default(),
            }),
            clock,
        };
        if journal.settings.durability != Durability::Off {
            let mut writer = journal.writer();
            if !journal.begin(&mut writer) {
                journal.begin_outage(&mut writer, Cause::Storage);
            }
        }
        Ok(journal)
    }

    /// The process start this journal belongs to.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Writes one record of 1 to [`MAX_PAYLOAD_BYTES`] bytes; any other length
    /// is dropped. Never fails: what cannot be written is dropped and counted,
    /// and writing resumes by itself once the storage accepts it again.
    pub fn append(&self, payload: &[u8]) -> Appended {
        if self.settings.durability == Durability::Off {
            return Appended::Off;
        }
        let payload_crc = crc32c::crc32c(payload);
        let mut writer = self.writer();
        let Some(length) = accepted_length(payload) else {
            writer.counts.dropped += 1;
            return Appended::Dropped;
        };
        if writer.sync_failed {
            return self.drop_record(&mut writer, Cause::Sync);
        }
        let frame_length = FRAME_LENGTH + length;
        let waiting = writer.waiting_bytes() + u64::from(frame_length);
        if waiting > self.settings.max_spool_bytes {
            return self.overflow(&mut writer);
        }
        if !self.make_room(&mut writer, frame_length) {
            return self.drop_record(&mut writer, Cause::Storage);
        }
        self.write(&mut writer, (length, payload_crc), payload)
    }

    /// Ends the segment in progress, so that the next start knows it is whole,
    /// and syncs everything.
    pub fn close(&self) -> Result<(), JournalError> {
        self.finish(&mut self.writer());
        self.sync().map(drop)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer<S::File>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        writer: &mut Writer<S::File>,
        (length, payload_crc): (u32, u32),
        payload: &[u8],
    ) -> Appended {
        let sequence = writer.next_sequence;
        let Some(segment) = writer.segment.as_mut() else {
            return self.drop_record(writer, Cause::Storage);
        };
        let head = frame::frame(segment.seed, length, payload_crc, sequence);
        if append_all(self.storage.as_ref(), &segment.file, &head, payload).is_err() {
            self.abandon(writer);
            return self.drop_record(writer, Cause::Storage);
        }
        segment.bytes += FRAME_LENGTH + length;
        self.live.publish(segment.position());
        writer.next_sequence += 1;
        writer.counts.appended += 1;
        writer.counts.bytes_written += u64::from(FRAME_LENGTH + length);
        writer.outage = None;
        Appended::Written {
            sequence,
            needs_sync: self.settings.durability == Durability::Disk,
        }
    }

    /// Makes sure there is a segment that takes `frame_length` more bytes.
    fn make_room(&self, writer: &mut Writer<S::File>, frame_length: u32) -> bool {
        if let Some(segment) = &writer.segment {
            let is_empty = segment.bytes == HEADER_LENGTH;
            let fits = segment.bytes + frame_length <= self.settings.segment_bytes;
            if (fits || is_empty) && !self.live.roll_requested() {
                return true;
            }
            self.finish(writer);
        }
        self.begin(writer)
    }

    /// Begins a segment, unless storage refused one a moment ago.
    fn begin(&self, writer: &mut Writer<S::File>) -> bool {
        let now = self.clock.monotonic();
        if writer.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        let Ok(segment) = self.create_segment(writer) else {
            writer.retry_at = Some(now.plus(self.settings.retry_interval));
            return false;
        };
        self.live.rolled();
        self.live.publish(segment.position());
        writer.retry_at = None;
        writer.segment = Some(segment);
        true
    }

    fn create_segment(&self, writer: &mut Writer<S::File>) -> io::Result<Segment<S::File>> {
        if !writer.boot_folder_made {
            self.storage
                .create_dir(&PathBuf::from(self.boot.to_string()))?;
            writer.boot_folder_made = true;
        }
        let header = Header {
            boot: self.boot,
            number: writer.next_number,
            first_sequence: writer.next_sequence,
        };
        let (bytes, seed) = header.encode();
        // Every attempt takes a new number: what a failed one leaves behind is
        // never written to again.
        writer.next_number = writer.next_number.saturating_add(1);
        let file = self.storage.create(&header.path())?;
        writer.names_unsynced = true;
        if let Err(error) = append_all(self.storage.as_ref(), &file, &bytes, &[]) {
            // A file that stays is skipped by the reader for its torn header.
            let _ = self.storage.remove(&header.path());
            return Err(error);
        }
        Ok(Segment {
            header,
            seed,
            file: Arc::new(file),
            bytes: HEADER_LENGTH,
        })
    }

    /// Ends the segment properly. A seal that cannot be written is only missed
    /// by the reader's wording of damage.
    fn finish(&self, writer: &mut Writer<S::File>) {
        let Some(mut segment) = writer.segment.take() else {
            return;
        };
        let seal = frame::seal(segment.seed, writer.next_sequence);
        match append_all(self.storage.as_ref(), &segment.file, &seal, &[]) {
            Ok(()) => segment.bytes += FRAME_LENGTH,
            Err(_) => self.cut_back(&segment),
        }
        self.live.publish_end(segment.position());
        writer.retire(segment);
    }

    /// Ends a segment whose last write failed. The write's number is given up:
    /// should its bytes be there after all, they are nobody else's.
    fn abandon(&self, writer: &mut Writer<S::File>) {
        let now = self.clock.monotonic();
        writer.retry_at = Some(now.plus(self.settings.retry_interval));
        if let Some(segment) = writer.segment.take() {
            self.cut_back(&segment);
            self.live.publish_end(segment.position());
            writer.next_sequence += 1;
            writer.retire(segment);
        }
    }

    /// Removes what a failed write left. Where that fails too, the checksum
    /// tells, and nothing is written after it.
    fn cut_back(&self, segment: &Segment<S::File>) {
        let _ = self.storage.truncate(&segment.file, segment.bytes.into());
    }

    fn overflow(&self, writer: &mut Writer<S::File>) -> Appended {
        match self.settings.when_full {
            WhenFull::ShedLog => self.drop_record(writer, Cause::SpoolFull),
            WhenFull::Reject => {
                writer.counts.rejected += 1;
                Appended::SpoolFull
            }
        }
    }

    fn drop_record(&self, writer: &mut Writer<S::File>, cause: Cause) -> Appended {
        writer.counts.dropped += 1;
        self.begin_outage(writer, cause).dropped += 1;
        Appended::Dropped
    }

    fn begin_outage<'a>(&self, writer: &'a mut Writer<S::File>, cause: Cause) -> &'a mut Outage {
        let outage = writer.outage.get_or_insert_with(|| Outage {
            since: self.clock.now(),
            dropped: 0,
            cause,
        });
        outage.cause = cause;
        outage
    }
}

impl<F> Writer<F> {
    /// Bytes that nobody has read yet.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.spool
            .waiting(self.segment.as_ref().map(Segment::position))
    }

    fn retire(&mut self, segment: Segment<F>) {
        self.spool.retire(segment.position());
        self.unsynced.push(segment.file);
    }
}

fn accepted_length(payload: &[u8]) -> Option<u32> {
    let length = u32::try_from(payload.len()).ok()?;
    (1..=MAX_PAYLOAD_BYTES).contains(&length).then_some(length)
}

/// One call, unless the storage takes only a part of it.
fn append_all<S: Storage>(
    storage: &S,
    file: &S::File,
    mut head: &[u8],
    mut tail: &[u8],
) -> io::Result<()> {
    loop {
        let written = match storage.append(file, head, tail) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if written >= head.len() + tail.len() {
            return Ok(());
        }
        let of_head = written.min(head.len());
        head = &head[of_head..];
        tail = &tail[written - of_head..];
    }
}
