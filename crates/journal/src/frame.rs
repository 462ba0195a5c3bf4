//! The bytes of a segment: its header, its frames, its seal.
//!
//! ```text
//! header  magic 8 | version 4 | boot 16 | number 4 | first sequence 8 | crc 4
//! frame   length 4 | crc 4 | sequence 8 | payload
//! seal    length u32::MAX | crc 4 | next sequence 8
//! ```
//! Integers are little-endian. A frame's CRC-32C covers payload, length,
//! sequence and the header's own CRC, in this order: the payload's share is
//! computed before the journal is locked, and a frame of one segment is never
//! valid in another.

use std::path::PathBuf;

use crate::boot::BootId;

/// Size of a segment's header.
pub const HEADER_BYTES: usize = HEADER_LENGTH as usize;
/// Size of what precedes each payload.
pub const FRAME_BYTES: usize = FRAME_LENGTH as usize;
pub(crate) const HEADER_LENGTH: u32 = 44;
pub(crate) const FRAME_LENGTH: u32 = 16;
/// Most bytes of one payload. Everything longer is a damaged length.
pub const MAX_PAYLOAD_BYTES: u32 = 256 << 20;

const MAGIC: &[u8; 8] = b"PLIMJRNL";
const VERSION: u32 = 1;
const SEAL: u32 = u32::MAX;

/// Who wrote a segment, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) boot: BootId,
    pub(crate) number: u32,
    pub(crate) first_sequence: u64,
}

/// Ties frames to their segment: the CRC of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Header {
    pub(crate) fn encode(&self) -> ([u8; HEADER_BYTES], Seed) {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.boot.as_u128().to_le_bytes());
        bytes[28..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        (bytes, Seed(checksum))
    }

    /// `None` unless the bytes begin with exactly what [`Self::encode`] writes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, Seed)> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>()?;
        let header = Self {
            boot: BootId::from_u128(u128::from_le_bytes(array(&bytes[12..])?)),
            number: u32::from_le_bytes(array(&bytes[28..])?),
            first_sequence: u64::from_le_bytes(array(&bytes[32..])?),
        };
        let (expected, seed) = header.encode();
        (expected == *bytes).then_some((header, seed))
    }

    pub(crate) fn path(&self) -> PathBuf {
        segment_path(self.boot, self.number)
    }
}

/// What precedes `length` bytes of payload whose CRC-32C is `payload_crc`.
pub(crate) fn frame(seed: Seed, length: u32, payload_crc: u32, sequence: u64) -> [u8; FRAME_BYTES] {
    let mut covered = [0; FRAME_BYTES];
    covered[..4].copy_from_slice(&length.to_le_bytes());
    covered[4..12].copy_from_slice(&sequence.to_le_bytes());
    covered[12..].copy_from_slice(&seed.0.to_le_bytes());
    let checksum = crc32c::crc32c_append(payload_crc, &covered);
    let mut bytes = [0; FRAME_BYTES];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes[8..].copy_from_slice(&sequence.to_le_bytes());
    bytes
}

/// The frame that ends a segment properly.
pub(crate) fn seal(seed: Seed, next_sequence: u64) -> [u8; FRAME_BYTES] {
    frame(seed, SEAL, 0, next_sequence)
}

/// What some bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A whole, undamaged frame of `bytes` bytes.
    Record { sequence: u64, bytes: usize },
    /// The end of a segment that was ended properly.
    Seal { next_sequence: u64 },
    /// A frame that may be whole once this many bytes are there.
    Incomplete { needs: usize },
    /// Nothing this program wrote.
    Invalid,
}

/// Length and sequence as a frame claims them, unchecked.
pub(crate) fn claims(bytes: &[u8]) -> Option<(u32, u64)> {
    let length = u32::from_le_bytes(array(bytes)?);
    let sequence = u64::from_le_bytes(array(bytes.get(8..)?)?);
    Some((length, sequence))
}

/// Reads what `bytes` begin with; total over every input.
pub(crate) fn parse(seed: Seed, bytes: &[u8]) -> Parsed {
    let Some((length, sequence)) = claims(bytes) else {
        return Parsed::Incomplete { needs: FRAME_BYTES };
    };
    let matches = |payload_crc| bytes.starts_with(&frame(seed, length, payload_crc, sequence));
    if length == SEAL {
        let next_sequence = sequence;
        return if matches(0) {
            Parsed::Seal { next_sequence }
        } else {
            Parsed::Invalid
        };
    }
    if length == 0 || length > MAX_PAYLOAD_BYTES {
        return Parsed::Invalid;
    }
    let needs = FRAME_BYTES + length as usize;
    let Some(payload) = bytes.get(FRAME_BYTES..needs) else {
        return Parsed::Incomplete { needs };
    };
    if matches(crc32c::crc32c(payload)) {
        Parsed::Record {
            sequence,
            bytes: needs,
        }
    } else {
        Parsed::Invalid
    }
}

/// `<boot>/<number>.log`, numbers padded so that names sort as they do.
pub(crate) fn segment_path(boot: BootId, number: u32) -> PathBuf {
    PathBuf::from(format!("{boot}/{number:010}.log"))
}

/// The number in a segment's file name. The largest is none, so that every
/// segment has a place after it.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (number < u32::MAX && format!("{number:010}") == digits).then_some(number)
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}
