//! The one place that writes for people and programs.
//!
//! Data goes to standard output, everything else to standard error; `--json`
//! turns both into JSON. A closed pipe (`plimsoll … | head`) is no error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Mistake, Mistakes};

/// How a command ends when it does not succeed (sysexits.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command line is wrong.
    Usage = 64,
    /// What was given is not acceptable.
    Data = 65,
    /// Something needed does not answer.
    Unavailable = 69,
    /// A defect or an unforeseen state.
    Software = 70,
    /// Another process is in the way; later it may work.
    TemporaryFailure = 75,
    /// Rights are missing.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// Why a command failed and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: String,
    next: Option<String>,
    mistakes: Vec<Mistake>,
    problem: Option<Value>,
}

/// What a command answers: an exit code of its own, or a failure.
pub(crate) type Outcome = Result<ExitCode, Failure>;

impl Failure {
    /// A failure with its exit code and one sentence.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
            next: None,
            mistakes: Vec::new(),
            problem: None,
        }
    }

    /// Adds what to do about it.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Adds the document in which a server said so.
    pub(crate) fn problem(mut self, problem: Value) -> Self {
        self.problem = Some(problem);
        self
    }

    /// Says first what the failure is about.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// A failure that tells an error and everything that caused it.
    pub(crate) fn caused(exit: Exit, error: &dyn std::error::Error) -> Self {
        Self::new(exit, chain(error))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        let text = mistakes.to_string();
        Self {
            mistakes: mistakes.0,
            ..Self::new(Exit::Config, text)
        }
        .next("docs/CONFIG.md and `plimsoll config reference` describe every key")
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Writes in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether programs read along.
    pub(crate) json: bool,
}

impl Output {
    /// Answers a command: `human` for people, `value` for programs.
    pub(crate) fn data(self, human: impl Display, value: &impl Serialize) {
        if self.json {
            write_json(&mut io::stdout().lock(), value);
        } else {
            write_text(&mut io::stdout().lock(), human);
        }
    }

    /// Answers with text that is the same for both, a document for instance.
    pub(crate) fn document(text: impl Display) {
        write_text(&mut io::stdout().lock(), text);
    }

    /// Says something that is not part of the answer.
    pub(crate) fn chatter(self, text: impl Display) {
        if !self.json {
            write_text(&mut io::stderr().lock(), text);
        }
    }

    /// Passes on a piece of a long answer; false if nobody reads any more.
    pub(crate) fn bytes(piece: &[u8]) -> bool {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(piece)
            .and_then(|()| stdout.flush())
            .is_ok()
    }

    /// A bar for something that takes a while; only a terminal shows it.
    pub(crate) fn progress(self, label: &str) -> Progress {
        Progress {
            label: label.to_owned(),
            is_on: !self.json && io::stderr().is_terminal(),
            shown: None,
        }
    }

    /// Says why a command failed and gives the exit code to end with.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        let mut stderr = io::stderr().lock();
        if self.json {
            let mistakes: Vec<_> = failure
                .mistakes
                .iter()
                .map(|m| json!({"key": m.key, "from": m.origin.to_string(), "detail": m.detail}))
                .collect();
            let exit = failure.exit as u8;
            let mut error = json!({"error": failure.text, "next": failure.next, "exit": exit, "mistakes": mistakes});
            if let Some(problem) = &failure.problem {
                error["problem"] = problem.clone();
            }
            write_json(&mut stderr, &error);
        } else {
            write_text(&mut stderr, format_args!("plimsoll: {}", failure.text));
            for mistake in &failure.mistakes {
                write_text(&mut stderr, format_args!("  {mistake}"));
            }
            if let Some(next) = &failure.next {
                write_text(&mut stderr, format_args!("  {next}"));
            }
        }
        ExitCode::from(failure.exit as u8)
    }
}

/// A member of an answer as a cell of a table: texts bare, what is missing empty.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How far something is, drawn over itself on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    is_on: bool,
    shown: Option<u64>,
}

impl Progress {
    /// Shows `done` of `total`, whatever they count; nothing without a total.
    pub(crate) fn show(&mut self, done: u64, total: Option<u64>) {
        let Some(total) = total.filter(|total| self.is_on && *total > 0) else {
            return;
        };
        let percent = done.min(total).saturating_mul(100) / total;
        if self.shown.replace(percent) == Some(percent) {
            return;
        }
        let bar = "#".repeat(usize::try_from(percent / 5).unwrap_or_default());
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r{} [{bar:<20}] {percent:>3} %", self.label);
        let _ = stderr.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            // Back to the beginning, and the line is empty again.
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Lines up columns; the last one is left ragged.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|text| text.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let header: Vec<String> = header.iter().map(|text| (*text).to_owned()).collect();
    let mut lines = vec![line(&header)];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}

fn write_json(out: &mut dyn Write, value: &impl Serialize) {
    let text = serde_json::to_string(value).expect("invariant: what is printed has text keys");
    write_text(out, text);
}

/// Ignores failures: there is nobody left to tell.
fn write_text(out: &mut dyn Write, text: impl Display) {
    let text = text.to_string();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".into(), "long cell".into(), "x".into()],
            vec!["bcd".into(), "é".into(), String::new()],
        ];
        assert_eq!(
            table(&["id", "name", "end"], &rows),
            "id   name       end\na    long cell  x\nbcd  é"
        );
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let inner = io::Error::other("disk on fire");
        let outer = crate::secret::SecretFileError::Io {
            path: "s".into(),
            source: inner,
        };
        assert_eq!(
            chain(&outer),
            "the signing secret s cannot be read or made: disk on fire"
        );
    }
}
