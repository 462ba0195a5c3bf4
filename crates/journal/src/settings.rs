//! What the owner of a journal chooses.

use std::time::Duration;

/// When a record counts as safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once written: survives the process. A sync in the background bounds what
    /// a power failure takes.
    #[default]
    Process,
    /// Once synced: survives a power failure. The caller answers after
    /// [`crate::Journal::sync_up_to`].
    Disk,
    /// Never: nothing is written.
    Off,
}

/// What happens to a record when too much waits to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is dropped and counted.
    #[default]
    ShedLog,
    /// The caller is told, and refuses its request.
    Reject,
}

/// How a journal writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When a record counts as safe.
    pub durability: Durability,
    /// Size at which a segment is ended; a larger record gets one of its own.
    pub segment_bytes: u32,
    /// Most bytes that may wait to be read.
    pub max_spool_bytes: u64,
    /// What happens beyond that.
    pub when_full: WhenFull,
    /// Least time between two attempts to write to storage that refused.
    pub retry_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            segment_bytes: 64 << 20,
            max_spool_bytes: 1 << 30,
            when_full: WhenFull::default(),
            retry_interval: Duration::from_secs(1),
        }
    }
}
