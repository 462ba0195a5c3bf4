//! Syncs: one at a time, each covering everything written before it began.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::error::JournalError;
use crate::journal::{Journal, Segment};
use crate::storage::Storage;

/// What the last sync covered. Locked while one runs, so that callers queue
/// behind it and find on their turn that it was theirs too.
#[derive(Debug, Default)]
pub(crate) struct Syncer {
    /// All records below this number are on disk.
    below: u64,
    boot_folder_synced: bool,
    failed: Option<Arc<io::Error>>,
}

/// What a sync has to cover.
struct Due<F> {
    next_sequence: u64,
    files: Vec<Arc<F>>,
    names: bool,
}

impl<S: Storage> Journal<S> {
    /// Returns once everything written before the call is on disk; answers the
    /// number below which all records are. Blocks for milliseconds.
    ///
    /// To be called every `log.sync_interval`. After
    /// [`JournalError::SyncFailed`] the process must exit.
    pub fn sync(&self) -> Result<u64, JournalError> {
        let mut syncer = self.syncer();
        self.sync_now(&mut syncer)
    }

    /// Returns once the record `sequence` is on disk. However many callers wait
    /// at once, at most two syncs run for them: the one in progress and one more.
    pub fn sync_up_to(&self, sequence: u64) -> Result<(), JournalError> {
        let mut syncer = self.syncer();
        if syncer.failed.is_none() && sequence < syncer.below {
            return Ok(());
        }
        self.sync_now(&mut syncer).map(drop)
    }

    fn sync_now(&self, syncer: &mut Syncer) -> Result<u64, JournalError> {
        if let Some(error) = &syncer.failed {
            return Err(JournalError::SyncFailed(error.clone()));
        }
        let due = self.due(syncer);
        if let Err(error) = self.perform(&due, syncer) {
            // The kernel may have dropped the pages and forgotten the error.
            let error = Arc::new(error);
            syncer.failed = Some(error.clone());
            self.writer().sync_failed = true;
            return Err(JournalError::SyncFailed(error));
        }
        syncer.below = due.next_sequence;
        self.writer().last_sync = self.clock.monotonic();
        Ok(due.next_sequence)
    }

    fn due(&self, syncer: &Syncer) -> Due<S::File> {
        let mut writer = self.writer();
        let mut files = std::mem::take(&mut writer.unsynced);
        if writer.next_sequence > syncer.below {
            files.extend(writer.segment.as_ref().map(|s: &Segment<_>| s.file.clone()));
        }
        Due {
            next_sequence: writer.next_sequence,
            files,
            names: std::mem::take(&mut writer.names_unsynced),
        }
    }

    fn perform(&self, due: &Due<S::File>, syncer: &mut Syncer) -> io::Result<()> {
        for file in &due.files {
            self.storage.sync(file)?;
        }
        if due.names {
            let folder = PathBuf::from(self.boot.to_string());
            self.storage.sync_dir(&folder)?;
        }
        if due.names && !syncer.boot_folder_synced {
            self.storage.sync_dir(Path::new(""))?;
            syncer.boot_folder_synced = true;
        }
        Ok(())
    }

    fn syncer(&self) -> MutexGuard<'_, Syncer> {
        self.syncer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
