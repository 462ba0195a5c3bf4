//! `key scan`: finds API keys in files before somebody else does.
//!
//! Only text whose checksum holds is reported, so random base62 and this
//! product's own pattern are no false alarms (one in 4.3 billion).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plimsoll_core::key::{KEY_LEN, PresentedKey};
use serde::Serialize;

use crate::output::{Exit, Failure, Outcome, Output};

const BLOCK: usize = 1 << 20;
/// What every key starts with.
const START: &[u8] = b"plim_live_";
/// A key, and the characters on either side that decide whether it is one word.
const OVERLAP: usize = KEY_LEN + 1;

/// One key in one file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    path: PathBuf,
    line: u64,
    /// The public part; the secret is not repeated.
    prefix: String,
}

/// Looks through files and folders. Exit code 1 if there is a key.
pub(crate) fn run(paths: &[PathBuf], output: Output) -> Outcome {
    let mut findings = Vec::new();
    let mut unreadable = Vec::new();
    for path in paths {
        if let Err(e) = fs::metadata(path) {
            let text = format!("{} cannot be read: {e}", path.display());
            return Err(Failure::new(Exit::Data, text));
        }
        walk(path, &mut findings, &mut unreadable);
    }
    for path in &unreadable {
        output.chatter(format_args!("could not read {}", path.display()));
    }
    let lines: Vec<String> = findings
        .iter()
        .map(|f| format!("{}:{}: {}…", f.path.display(), f.line, f.prefix))
        .collect();
    if findings.is_empty() {
        output.chatter("no keys found");
    } else {
        output.chatter("revoke each of these: plimsoll key revoke PREFIX");
    }
    if output.json || !lines.is_empty() {
        output.data(lines.join("\n"), &findings);
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}

/// Goes through a folder in order, without following links to elsewhere.
fn walk(path: &Path, findings: &mut Vec<Finding>, unreadable: &mut Vec<PathBuf>) {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return match File::open(path).and_then(|file| scan(path, file)) {
                Ok(found) => findings.extend(found),
                Err(_) => unreadable.push(path.to_owned()),
            };
        }
        Err(_) => return unreadable.push(path.to_owned()),
    };
    let mut children: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_type()
                .is_ok_and(|kind| kind.is_dir() || kind.is_file())
        })
        .map(|entry| entry.path())
        .collect();
    children.sort();
    for child in children {
        walk(&child, findings, unreadable);
    }
}

/// Reads block by block, so that a model file of any size takes little memory.
fn scan(path: &Path, mut file: impl Read) -> io::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut buffer: Vec<u8> = vec![b'\n'];
    let mut line = 0;
    loop {
        let before = buffer.len();
        file.by_ref().take(BLOCK as u64).read_to_end(&mut buffer)?;
        let ended = buffer.len() == before;
        if ended {
            buffer.push(b'\n');
        }
        // Positions whose whole key and right neighbour are in the buffer.
        let decided = buffer.len().saturating_sub(OVERLAP);
        for at in 1..=decided {
            if buffer[at - 1] == b'\n' {
                line += 1;
            }
            if let Some(prefix) = key_at(&buffer, at) {
                let path = path.to_owned();
                findings.push(Finding { path, line, prefix });
            }
        }
        if ended {
            return Ok(findings);
        }
        if decided > 0 {
            buffer.drain(..decided);
        }
    }
}

fn key_at(buffer: &[u8], at: usize) -> Option<String> {
    if !buffer[at..].starts_with(START) || is_word(buffer[at - 1]) {
        return None;
    }
    let end = at + KEY_LEN;
    if is_word(*buffer.get(end)?) {
        return None;
    }
    let text = std::str::from_utf8(&buffer[at..end]).ok()?;
    let key = PresentedKey::parse(text).ok()?;
    Some(key.handle.display_prefix())
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use plimsoll_core::entropy::SeededEntropy;
    use plimsoll_core::key::NewKey;

    use super::*;

    fn lines(content: &[u8]) -> Vec<u64> {
        let found = scan(Path::new("f"), content).unwrap();
        found.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_key_is_found_wherever_it_stands_as_a_word() {
        let key = NewKey::generate(&SeededEntropy::new(3)).text.into_exposed();
        assert_eq!(lines(key.as_bytes()), [1]);
        assert_eq!(
            lines(format!("a\nKEY=\"{key}\"\n\n{key}\n").as_bytes()),
            [2, 4]
        );
        assert_eq!(lines(format!("x{key}").as_bytes()), [0; 0]);
        assert_eq!(lines(format!("{key}x").as_bytes()), [0; 0]);
        assert_eq!(lines(b""), [0; 0]);
    }

    #[test]
    fn a_wrong_checksum_is_no_key() {
        let mut key = NewKey::generate(&SeededEntropy::new(3)).text.into_exposed();
        let last = if key.pop() == Some('0') { '1' } else { '0' };
        key.push(last);
        assert_eq!(lines(key.as_bytes()), [0; 0]);
    }

    #[test]
    fn a_key_across_two_blocks_is_found_once() {
        let key = NewKey::generate(&SeededEntropy::new(3)).text.into_exposed();
        for shift in [0, 1, KEY_LEN / 2, KEY_LEN, KEY_LEN + 1] {
            let mut content = vec![b'.'; BLOCK - shift];
            content.extend_from_slice(b"\n");
            content.extend_from_slice(key.as_bytes());
            content.extend(vec![b' '; BLOCK]);
            assert_eq!(lines(&content), [2], "{shift}");
        }
    }
}
