//! Names of the entries of a zip archive, from its central directory alone.
//!
//! Nothing is unpacked: the names tell a TorchScript file from a Keras one.
//! Source: PKWARE APPNOTE 6.3.10, sections 4.3.12 and 4.3.16.

/// Most entries that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// The end record and the longest comment behind it, in bytes.
const MAX_TAIL: usize = 22 + 0xffff;

/// Names of the entries, as far as the directory can be read; `None` if there is none.
pub(crate) fn entry_names(bytes: &[u8]) -> Option<Vec<&str>> {
    let tail_start = bytes.len().saturating_sub(MAX_TAIL);
    let tail = &bytes[tail_start..];
    let end = tail
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")?;
    let record = &tail[end..];
    let mut at = usize::try_from(number(record, 16, 4)?).ok()?;
    let mut names = Vec::new();
    while names.len() < MAX_ENTRIES {
        let Some(header) = bytes
            .get(at..)
            .filter(|rest| rest.starts_with(b"PK\x01\x02"))
        else {
            break;
        };
        let length = |offset| number(header, offset, 2).and_then(|n| usize::try_from(n).ok());
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let Some(name_bytes) = header.get(46..46 + name) else {
            break;
        };
        names.extend(std::str::from_utf8(name_bytes));
        at += 46 + name + extra + comment;
    }
    Some(names)
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + width)?;
    let add =
        |(value, shift): (u64, u32), byte: &u8| (value | u64::from(*byte) << shift, shift + 8);
    Some(bytes.iter().fold((0, 0), add).0)
}
