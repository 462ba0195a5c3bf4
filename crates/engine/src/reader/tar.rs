//! Tar archives, read in memory: regular files by name (POSIX.1-2017, pax, section "ustar Interchange Format").
//!
//! Links, devices and extended headers are passed over: nothing is extracted.

use std::ops::Range;

use crate::EngineError;
use crate::reader::{malformed, too_large};

/// Bytes of a header, and what contents are padded to.
const BLOCK: usize = 512;
/// Most files of an archive.
const MAX_ENTRIES: usize = 20_000;

/// Whether `bytes` begin like a tar archive.
pub(crate) fn sniff(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Names of the regular files, and where their contents are.
pub(crate) fn entries(bytes: &[u8]) -> Result<Vec<(String, Range<usize>)>, EngineError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            return Ok(found);
        }
        let size = octal(&header[124..136])?;
        let start = at + BLOCK;
        let end = start.checked_add(size).filter(|end| *end <= bytes.len());
        let end = end.ok_or_else(|| malformed("a file of a tar archive breaks off"))?;
        if matches!(header[156], b'0' | 0) {
            if found.len() == MAX_ENTRIES {
                return Err(too_large(format!(
                    "more than {MAX_ENTRIES} files in an archive"
                )));
            }
            found.push((name(header), start..end));
        }
        at = end.next_multiple_of(BLOCK);
    }
    Err(malformed("a tar archive without an end"))
}

/// The prefix and the name of a header, `./` left out.
fn name(header: &[u8]) -> String {
    let text = |field: &[u8]| {
        let end = field
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    let whole = if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    };
    whole.strip_prefix("./").map(str::to_owned).unwrap_or(whole)
}

fn octal(field: &[u8]) -> Result<usize, EngineError> {
    let text = std::str::from_utf8(field).unwrap_or_default();
    let digits = text.trim_matches(['\0', ' ']);
    let size = usize::from_str_radix(digits, 8);
    size.map_err(|_| malformed("a file of a tar archive has no length"))
}
