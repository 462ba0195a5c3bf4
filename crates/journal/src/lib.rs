//! The local, append-only journal of predictions.
//!
//! Every record is written with one `write(2)` before its request is answered,
//! so a killed process loses nothing that was acknowledged; a background sync
//! bounds what a power failure can take. One reader follows the writer and
//! turns records into everything that is computed from them. Bytes in, bytes
//! out: what a record means is not this crate's business.
//!
//! On disk: `<boot>/<number>.log`, one folder per process start. A segment is a
//! header of [`HEADER_BYTES`], then frames of length, CRC-32C, sequence number
//! and payload, and, if it was ended properly, a seal.

mod boot;
mod disk;
mod error;
mod frame;
mod journal;
mod live;
#[cfg(any(test, feature = "sim"))]
pub mod properties;
mod reader;
mod records;
mod scan;
mod settings;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod spool;
mod storage;
mod sync;
#[cfg(test)]
mod tests;

pub use self::boot::{BootId, InvalidBoot};
pub use self::disk::Disk;
pub use self::error::JournalError;
pub use self::frame::{FRAME_BYTES, HEADER_BYTES, MAX_PAYLOAD_BYTES};
pub use self::journal::{Appended, Journal};
pub use self::reader::Reader;
pub use self::records::{Cursor, Damage, DamageKind, Record, Records};
pub use self::settings::{Durability, Settings, WhenFull};
pub use self::spool::{Cause, State, Stats};
pub use self::storage::{Entry, Storage};
