//! The table of docs/FORMATS.md: the worst difference of each part of each library.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare;
use crate::fixtures::Suite;

const BEGIN: &str = "<!-- parity table: made by the parity test -->\n";
const END: &str = "<!-- end of the parity table -->\n";

/// What is known of one part.
#[derive(Default)]
struct Row {
    versions: BTreeSet<String>,
    models: usize,
    worst: f64,
}

/// The table, in Markdown.
pub(crate) fn rows(suites: &[Suite]) -> String {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    for suite in suites {
        let (library, version) = suite.library.rsplit_once(' ').unwrap();
        for case in &suite.cases {
            let worst = compare::difference(suite, case).unwrap_or(f64::INFINITY);
            for part in &case.parts {
                let row = rows.entry((library.to_owned(), part.clone())).or_default();
                row.versions.insert(version.to_owned());
                row.models += 1;
                row.worst = row.worst.max(worst);
            }
        }
    }
    let mut table =
        "| library | part | versions | models | largest difference |\n|---|---|---|---|---|\n"
            .to_owned();
    for ((library, part), row) in rows {
        let versions: Vec<_> = row.versions.into_iter().collect();
        let (versions, models) = (versions.join(", "), row.models);
        let line = format!(
            "| {library} | {part} | {versions} | {models} | {} |\n",
            bound(row.worst)
        );
        table.push_str(&line);
    }
    table
}

/// A power of ten that the difference is not above: exact digits vary between processors.
fn bound(worst: f64) -> String {
    if worst == 0.0 {
        return "none".to_owned();
    }
    let mut bound = -15;
    while bound < 0 && worst > 10f64.powi(bound) {
        bound += 1;
    }
    format!("≤ 1e{bound}")
}

/// `text` with `table` between the two marks.
pub(crate) fn within(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}
