//! Gives the flat form of models its version: a fingerprint of everything its bytes depend on.

use std::fs;
use std::path::{Path, PathBuf};

/// What decides how a kernel is written and read.
const SOURCES: [&str; 4] = [
    "src/kernel",
    "src/flat",
    "src/open.rs",
    "../core/src/schema.rs",
];

fn main() {
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(source),
            &mut files,
        );
    }
    files.sort();
    // FNV-1a, 64 bits: the same on every machine and with every compiler.
    let mut fingerprint = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let text = fs::read(&file).unwrap_or_default();
        for byte in text.into_iter().chain([0]) {
            fingerprint = (fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=PLIMSOLL_FLAT_VERSION={fingerprint:016x}");
}

/// All files at or below a path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    match fs::read_dir(path) {
        Ok(entries) => {
            for entry in entries.flatten() {
                collect(&entry.path(), files);
            }
        }
        Err(_) => files.push(path.to_owned()),
    }
}
