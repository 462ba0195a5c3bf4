//! Tells a torn end from damage in the middle: after damage, something intact follows.

use std::io;

use crate::frame::{self, FRAME_BYTES, MAX_PAYLOAD_BYTES, Parsed, Seed};
use crate::storage::Storage;

const CHUNK: usize = 1 << 20;
/// Frames can only be imitated on purpose; this bounds what that costs.
const MAX_CANDIDATES: u32 = 64;
/// Sequence numbers that one segment can hold, generously.
const MAX_AHEAD: u64 = 1 << 32;

/// A segment that no longer grows.
pub(crate) struct Scan<'a, S: Storage> {
    pub(crate) storage: &'a S,
    pub(crate) file: &'a S::File,
    pub(crate) seed: Seed,
    pub(crate) end: u64,
}

impl<S: Storage> Scan<'_, S> {
    /// Whether a whole frame with a number above `least`, or a seal, begins
    /// anywhere after `offset`.
    pub(crate) fn has_intact_frame_after(&self, offset: u64, least: u64) -> io::Result<bool> {
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(CHUNK);
        let mut chunk = vec![0; left.min(CHUNK)];
        let mut at = offset + 1;
        let mut candidates = 0;
        while at + FRAME_BYTES as u64 <= self.end {
            let read = self.storage.read_at(self.file, at, &mut chunk)?;
            let Some(starts) = read.checked_sub(FRAME_BYTES) else {
                return Ok(false);
            };
            for start in 0..=starts {
                if !self.is_plausible(&chunk[start..read], at + start as u64, least) {
                    continue;
                }
                if self.is_intact(at + start as u64)? {
                    return Ok(true);
                }
                candidates += 1;
                if candidates == MAX_CANDIDATES {
                    return Ok(false);
                }
            }
            at += starts as u64 + 1;
        }
        Ok(false)
    }

    fn is_plausible(&self, bytes: &[u8], at: u64, least: u64) -> bool {
        let Some((length, sequence)) = frame::claims(bytes) else {
            return false;
        };
        let near = sequence >= least && sequence - least <= MAX_AHEAD;
        let is_seal = length == u32::MAX;
        let fits = at + FRAME_BYTES as u64 + u64::from(length) <= self.end;
        near && (is_seal || (length > 0 && length <= MAX_PAYLOAD_BYTES && fits))
    }

    fn is_intact(&self, at: u64) -> io::Result<bool> {
        let mut bytes = vec![0; FRAME_BYTES];
        loop {
            let read = self.storage.read_at(self.file, at, &mut bytes)?;
            match frame::parse(self.seed, &bytes[..read]) {
                Parsed::Record { .. } | Parsed::Seal { .. } => return Ok(true),
                Parsed::Incomplete { needs } if read == bytes.len() => bytes.resize(needs, 0),
                Parsed::Incomplete { .. } | Parsed::Invalid => return Ok(false),
            }
        }
    }
}
