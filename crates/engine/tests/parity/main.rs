//! Every stored model answers what its own library answered.
//!
//! The fixtures are made by `fixtures/parity/*/make.py` with real library runs.
//! Rows go the way a user's rows go: as JSON, through the schema of the model.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]

mod compare;
mod fixtures;
mod table;

use fixtures::Suite;

#[test]
fn every_model_answers_what_its_library_answered() {
    let mut wrong = Vec::new();
    for suite in fixtures::suites() {
        for case in &suite.cases {
            let name = format!("{} {}", suite.place(), case.file);
            match compare::difference(&suite, case) {
                Err(why) => wrong.push(format!("{name}: {why}")),
                Ok(worst) if worst > case.tolerance => {
                    wrong.push(format!("{name}: differs by {worst:e}"));
                }
                Ok(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_row_at_a_time_is_answered_as_all_rows_at_once() {
    for suite in fixtures::suites() {
        for case in &suite.cases {
            let Ok(opened) = suite.open(case) else {
                continue;
            };
            let rows = suite.rows(case);
            let together = compare::predict(&opened, rows).unwrap();
            for (index, row) in rows.iter().enumerate() {
                let alone = compare::predict(&opened, std::slice::from_ref(row)).unwrap();
                let name = format!("{} {} row {index}", suite.place(), case.file);
                let label = together.labels.get(index);
                assert_eq!(alone.labels.first(), label, "{name}");
                let width = alone.probabilities.len();
                let expected = &together.probabilities[index * width..(index + 1) * width];
                let worst = compare::largest_difference(&alone.probabilities, expected);
                assert!(worst <= 1e-12, "{name}: {worst:e}");
            }
        }
    }
}

#[test]
fn the_table_in_the_documentation_is_the_one_these_models_give() {
    let path = fixtures::root().join("docs/FORMATS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let suites: Vec<Suite> = fixtures::suites();
    let current = table::within(&text, &table::rows(&suites)).unwrap();
    if std::env::var_os("PLIMSOLL_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).unwrap();
        return;
    }
    assert!(
        text == current,
        "docs/FORMATS.md is behind; run this test with PLIMSOLL_UPDATE_DOCS=1"
    );
}
