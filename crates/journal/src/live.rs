//! How far the running journal has written, for the reader beside it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by the writer and its reader without a lock.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Segment number in the upper half, bytes written in the lower one, so that
    /// both are read at one instant. 0 before the first segment.
    position: AtomicU64,
    roll: AtomicBool,
}

/// Everything before `bytes` of segment `number` is whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) number: u32,
    pub(crate) bytes: u32,
}

impl Live {
    pub(crate) fn publish(&self, position: Position) {
        let packed = (u64::from(position.number) << 32) | u64::from(position.bytes);
        self.position.store(packed, Ordering::Release);
    }

    pub(crate) fn position(&self) -> Position {
        let packed = self.position.load(Ordering::Acquire);
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Position {
            number: half(packed >> 32),
            bytes: half(packed),
        }
    }

    /// Asks the writer to go on in a new segment: the reader cannot get past
    /// damage in this one.
    pub(crate) fn request_roll(&self) {
        self.roll.store(true, Ordering::Relaxed);
    }

    pub(crate) fn roll_requested(&self) -> bool {
        self.roll.load(Ordering::Relaxed)
    }

    pub(crate) fn rolled(&self) {
        self.roll.store(false, Ordering::Relaxed);
    }
}
