//! One file per command; each reads the configuration, does one thing, and answers.

mod completions;
mod config;
mod health;
mod scan;
mod secret;
mod version;

use std::process::ExitCode;

use crate::cli::{Cli, Command, ConfigCommand, KeyCommand};
use crate::output::{Outcome, Output};

/// Runs the command that was typed.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let output = Output {
        json: cli.common.json,
    };
    dispatch(cli, output).unwrap_or_else(|failure| output.failure(&failure))
}

fn dispatch(cli: &Cli, output: Output) -> Outcome {
    match &cli.command {
        Command::Secret(command) => Ok(secret::run(command, output)),
        Command::Config(ConfigCommand::Show) => config::show(&cli.sources(), output),
        Command::Config(ConfigCommand::Check) => config::check(&cli.sources(), output),
        Command::Config(ConfigCommand::Reference { format }) => {
            Ok(config::print_reference(*format))
        }
        Command::Health { url } => health::run(cli, url.as_deref(), output),
        Command::Version => Ok(version::run(output)),
        Command::Completions { shell } => Ok(completions::run(*shell)),
        Command::Key(KeyCommand::Scan { paths }) => scan::run(paths, output),
        _ => Ok(ExitCode::SUCCESS),
    }
}
