//! `completions`: scripts for bash, zsh, fish, PowerShell and elvish.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output::Output;

pub(crate) fn run(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "plimsoll", &mut script);
    Output::document(String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
