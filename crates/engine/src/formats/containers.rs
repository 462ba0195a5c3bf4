//! Archives that hold a model, and what is opened of them.

use super::sklearn;
use super::zip::entry_names;
use crate::EngineError;
use crate::open::Opened;
use crate::reader::zip::Archive;

/// Most bytes an archive may unpack to.
const MAX_BYTES: usize = 2 << 30;

/// The model in an archive of a kind that is served; `None` if it is of no such kind.
pub(crate) fn open(bytes: &[u8]) -> Option<Result<Opened, EngineError>> {
    if !bytes.starts_with(b"PK\x03\x04") {
        return None;
    }
    let names = entry_names(bytes)?;
    if names.contains(&"schema.json") {
        let archive = Archive::open(bytes, MAX_BYTES);
        return Some(archive.and_then(|archive| sklearn::open_skops(&archive)));
    }
    None
}
