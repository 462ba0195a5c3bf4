//! Rules for what the binary is built from: how much, under which licences,
//! and which libraries never.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Most crates the binary may be built from.
const BUDGET: usize = 400;

/// Licences a part may be under. All are permissive.
const LICENCES: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "bzip2-1.0.6",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Libraries that must not come in, and why.
const BANNED: [(&str, &str); 5] = [
    ("openssl", "one TLS library, and it is rustls"),
    ("native-tls", "one TLS library, and it is rustls"),
    ("chrono", "one time library, and it is jiff"),
    ("time", "one time library, and it is jiff"),
    ("moka", "the cache of models is our own"),
];

fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        MetadataCommand::new()
            .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .other_options(
                ["--offline", "--filter-platform", "x86_64-unknown-linux-gnu"].map(String::from),
            )
            .exec()
            .unwrap()
    })
}

/// Everything the binary is built from, tests and build scripts left out.
fn parts() -> BTreeSet<&'static PackageId> {
    let resolve = metadata().resolve.as_ref().unwrap();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let binary = metadata()
        .packages
        .iter()
        .find(|p| p.name.as_str() == "plimsoll")
        .unwrap();
    let mut found = BTreeSet::new();
    let mut open = vec![&binary.id];
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        let normal = nodes[id].deps.iter().filter(|dependency| {
            dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal)
        });
        open.extend(normal.map(|dependency| &dependency.pkg));
    }
    found
}

#[test]
fn the_binary_stays_within_its_budget_of_crates() {
    let count = parts().len();
    assert!(
        count > 100,
        "only {count} parts were found: the count is broken"
    );
    assert!(count <= BUDGET, "{count} crates; the budget is {BUDGET}");
}

/// An expression such as `(MIT OR Apache-2.0) AND Unicode-3.0` is fine if every
/// licence in it is: that is stricter than needed and needs no parser.
fn licences(expression: &str) -> Vec<String> {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let joined = plain.replace(" OR ", "\n").replace(" AND ", "\n");
    joined
        .lines()
        .map(|licence| licence.trim().to_owned())
        .collect()
}

#[test]
fn every_part_has_a_licence_on_the_list() {
    let parts = parts();
    let mut wrong = Vec::new();
    for package in metadata().packages.iter().filter(|p| parts.contains(&p.id)) {
        let expression = package.license.clone().unwrap_or_default();
        for licence in licences(&expression) {
            if !LICENCES.contains(&licence.as_str()) {
                wrong.push(format!("{}: {licence:?} in {expression:?}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn banned_libraries_stay_out() {
    let parts = parts();
    let names: BTreeSet<&str> = metadata()
        .packages
        .iter()
        .filter(|package| parts.contains(&package.id))
        .map(|package| package.name.as_str())
        .collect();
    let found: Vec<_> = BANNED
        .iter()
        .filter(|(name, _)| names.contains(name))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_direct_dependency_is_explained() {
    let page = include_str!("../../../../docs/DEPENDENCIES.md");
    let words: BTreeSet<&str> = page
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .collect();
    let members = &metadata().workspace_members;
    let mut missing = BTreeSet::new();
    for package in metadata()
        .packages
        .iter()
        .filter(|p| members.contains(&p.id))
    {
        for dependency in package.dependencies.iter().filter(|d| d.path.is_none()) {
            if !words.contains(dependency.name.as_str()) {
                missing.insert(dependency.name.clone());
            }
        }
    }
    assert!(
        missing.is_empty(),
        "no line in docs/DEPENDENCIES.md: {missing:?}"
    );
}
