//! `version`: what this program is.

use std::process::ExitCode;

use serde_json::json;

use crate::output::Output;

/// The version of the package.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(output: Output) -> ExitCode {
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    output.data(
        format_args!("plimsoll {VERSION} ({target})"),
        &json!({"name": "plimsoll", "version": VERSION, "target": target}),
    );
    ExitCode::SUCCESS
}
