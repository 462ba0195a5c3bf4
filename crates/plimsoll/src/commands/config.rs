//! `config`: what is configured, whether it is right, what could be.

use std::process::ExitCode;

use serde_json::json;

use crate::config::{Form, Sources, load, reference};
use crate::output::{Outcome, Output, table};

/// Every value with its origin.
pub(crate) fn show(sources: &Sources, output: Output) -> Outcome {
    let (_, all) = load(sources)?;
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|shown| {
            let value = shown.value.clone();
            let value = value.unwrap_or_else(|| format!("({})", shown.otherwise));
            let origin = match &shown.from {
                Some(from) => format!("{} {from}", shown.origin),
                None => shown.origin.to_owned(),
            };
            vec![shown.key.to_owned(), value, origin]
        })
        .collect();
    output.data(table(&["KEY", "VALUE", "ORIGIN"], &rows), &all);
    Ok(ExitCode::SUCCESS)
}

/// Whether everything is right; all mistakes are reported by the failure itself.
pub(crate) fn check(sources: &Sources, output: Output) -> Outcome {
    load(sources)?;
    output.data("the configuration is right", &json!({"ok": true}));
    Ok(ExitCode::SUCCESS)
}

/// The reference of all keys.
pub(crate) fn print_reference(form: Form) -> ExitCode {
    Output::document(reference(form));
    ExitCode::SUCCESS
}
