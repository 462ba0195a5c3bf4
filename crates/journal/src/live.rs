//! How far the running journal has written, for the reader beside it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by the writer and its reader without a lock.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Segment number in the upper half, bytes written in the lower one, whose
    /// highest bit says that the segment has ended, so that all are read at one
    /// instant. 0 before the first segment.
    position: AtomicU64,
    roll: AtomicBool,
}

/// Beside the bytes, of which a segment has at most 2^30.
const ENDED: u64 = 1 << 31;

/// Everything before `bytes` of segment `number` is whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) number: u32,
    pub(crate) bytes: u32,
}

/// How far the writer has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) position: Position,
    /// Whether nothing is added to this segment any more.
    pub(crate) ended: bool,
}

impl Live {
    pub(crate) fn publish(&self, position: Position) {
        self.position.store(pack(position), Ordering::Release);
    }

    /// The segment has ended and there is no next one yet, so that its reader
    /// may leave it and its space can be freed.
    pub(crate) fn publish_end(&self, position: Position) {
        self.position
            .store(pack(position) | ENDED, Ordering::Release);
    }

    pub(crate) fn reached(&self) -> Reached {
        let packed = self.position.load(Ordering::Acquire);
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Reached {
            position: Position {
                number: half(packed >> 32),
                bytes: half(packed & !ENDED),
            },
            ended: packed & ENDED != 0,
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

fn pack(position: Position) -> u64 {
    (u64::from(position.number) << 32) | u64::from(position.bytes)
}
