//! Rules of the house that a compiler does not check: arrows and file sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which crates a crate may use. What is not listed fails: an arrow is drawn
/// in ARCHITECTURE.md first.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("engine", &["core"]),
    ("python", &["core", "engine"]),
    ("store", &["core"]),
    ("blob", &["core"]),
    ("journal", &["core"]),
    ("limit", &["core"]),
    (
        "app",
        &["blob", "core", "engine", "journal", "limit", "store"],
    ),
    ("http", &["app", "core", "store"]),
    // The binary puts the parts together, so it sees those it makes.
    (
        "plimsoll",
        &["app", "blob", "core", "engine", "http", "python", "store"],
    ),
    // A yardstick: the same engine behind a bare server.
    ("bench-bare", &["core", "engine"]),
    (
        "testkit",
        &["app", "blob", "core", "engine", "http", "python", "store"],
    ),
];

/// Arrows for tests only.
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("http", &["testkit"]),
    ("plimsoll", &["testkit"]),
    ("store", &["testkit"]),
];

/// Files above the soft limit, and why they are not split.
const LONG_FILES: &[(&str, &str)] = &[
    (
        "crates/core/src/decode/tests/mod.rs",
        "tables of bodies and refusals, read beside each other",
    ),
    (
        "crates/core/src/record/decode.rs",
        "one format read from its first byte to its last",
    ),
    (
        "crates/http/src/problem/kind.rs",
        "the one table of everything that is refused",
    ),
    (
        "crates/journal/src/sim.rs",
        "one simulated disk: its faults make sense only beside its state",
    ),
    (
        "crates/engine/src/reader/pickle/machine.rs",
        "one match over all opcodes; a split would hide which are missing",
    ),
    (
        "crates/plimsoll/src/config/table.rs",
        "the one table of every configuration key",
    ),
    (
        "crates/store/src/models.rs",
        "one family of tables: its rows, its filter, its statements",
    ),
    (
        "crates/store/src/versions.rs",
        "one family of tables: its rows and its statements",
    ),
    (
        "crates/plimsoll/src/installation.rs",
        "the one place where the parts of an installation are put together",
    ),
];

const SOFT_LIMIT: usize = 400;
const HARD_LIMIT: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn short(name: &str) -> &str {
    name.strip_prefix("plimsoll-").unwrap_or(name)
}

fn allowed(table: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    table
        .iter()
        .map(|(name, uses)| ((*name).to_owned(), owned(uses)))
        .collect()
}

#[test]
fn crates_use_only_what_the_architecture_draws() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap();
    let (normal, tests) = (allowed(ARROWS), allowed(TEST_ARROWS));
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let from = short(&package.name).to_owned();
        let Some(own) = normal.get(&from) else {
            wrong.push(format!("{from} is not in the table of arrows"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = short(&dependency.name).to_owned();
            let is_ours = dependency.path.is_some();
            let for_tests = dependency.kind == DependencyKind::Development;
            let by_test = for_tests && tests.get(&from).is_some_and(|own| own.contains(&to));
            if is_ours && !own.contains(&to) && !by_test {
                wrong.push(format!("{from} uses {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_stay_short_enough_to_read() {
    let root = root();
    let mut files = Vec::new();
    collect(&root.join("crates"), &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    let mut wrong = Vec::new();
    let mut long = BTreeSet::new();
    for path in files {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let lines = lines_without_tests(&fs::read_to_string(&path).unwrap());
        let listed = LONG_FILES.iter().any(|(listed, _)| *listed == name);
        if lines > HARD_LIMIT {
            wrong.push(format!("{name} has {lines} lines, more than {HARD_LIMIT}"));
        } else if lines > SOFT_LIMIT && !listed {
            wrong.push(format!(
                "{name} has {lines} lines: split it, or list it with a reason"
            ));
        }
        if lines > SOFT_LIMIT {
            long.insert(name);
        }
    }
    for (name, reason) in LONG_FILES {
        assert!(!reason.is_empty());
        if !long.contains(*name) {
            wrong.push(format!("{name} is short now: take it off the list"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lines up to the unit tests, which close a file and may be as long as they need.
fn lines_without_tests(text: &str) -> usize {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count()
}

/// docs/adr/0005 says why not less.
const FIXTURE_BYTES: u64 = 8_000_000;

#[test]
fn fixtures_stay_small_enough_to_clone() {
    let mut files = Vec::new();
    collect_all(&root().join("fixtures"), &mut files);
    let sizes = files.iter().map(|path| fs::metadata(path).unwrap().len());
    let bytes: u64 = sizes.sum();
    assert!(bytes <= FIXTURE_BYTES, "fixtures take {bytes} bytes");
}

/// Sources of Rust below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let start = files.len();
    collect_all(folder, files);
    let sources = files.split_off(start);
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files.extend(sources.into_iter().filter(is_source));
}

fn collect_all(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_all(&path, files);
        } else {
            files.push(path);
        }
    }
}
