//! The table of problems for people: `docs/ERRORS.md` and the page of one kind.

use std::fmt::Write as _;

use serde::Serialize;

use super::kind::{Row, TABLE};
use crate::html::escape;

/// `docs/ERRORS.md`, written from the table of problems.
pub fn errors_markdown() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         Every error is a problem document (RFC 9457) of type `application/problem+json`. \
         `code` is the word to compare in programs; `detail` is a sentence about this one case; \
         `request_id` finds the request in the log. `errors[]` names fields by JSON Pointer and \
         says what was expected and which JSON type came, never the value that was sent.\n\n\
         This page is written from the table in `crates/http/src/problem/kind.rs`; \
         `GET /problems/{code}` answers the same.\n\n\
         | status | code | title | what it means |\n|---|---|---|---|\n",
    );
    for row in TABLE {
        let Row {
            status,
            slug,
            title,
            explanation,
            ..
        } = row;
        let _ = writeln!(text, "| {status} | `{slug}` | {title} | {explanation} |");
    }
    text
}

/// The explanation of one kind of problem.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[expect(
    clippy::struct_field_names,
    reason = "the name of the field is the name on the wire"
)]
pub(crate) struct Explanation {
    /// The URI used as `type` in error bodies.
    pub r#type: String,
    /// The word programs compare.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// A few words, the same each time.
    #[schema(value_type = String)]
    pub title: &'static str,
    /// What it means and what to do about it.
    #[schema(value_type = String)]
    pub explanation: &'static str,
}

impl From<&'static Row> for Explanation {
    fn from(row: &'static Row) -> Self {
        Self {
            r#type: format!("/problems/{}", row.slug),
            code: row.slug,
            status: row.status,
            title: row.title,
            explanation: row.explanation,
        }
    }
}

/// The explanation as a page.
pub(crate) fn explanation_html(row: &Row, base_path: &str) -> String {
    let body = format!(
        "<main class=\"narrow\"><p class=\"eyebrow\">{} · <code>{}</code></p><h1>{}</h1><p>{}</p>\
         <p><a href=\"{base_path}/docs\">API reference</a></p></main>",
        row.status,
        row.slug,
        escape(row.title),
        crate::html::inline_code(row.explanation),
    );
    crate::html::page(row.title, &body, base_path, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_markdown_has_one_line_for_each_kind() {
        let text = errors_markdown();
        for row in TABLE {
            assert!(text.contains(&format!("| {} | `{}` |", row.status, row.slug)));
        }
        let lines = text.lines().filter(|line| line.starts_with("| ")).count();
        assert_eq!(lines, TABLE.len() + 1);
    }
}
