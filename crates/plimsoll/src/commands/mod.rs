//! One file per command; each reads the configuration, does one thing, and answers.

mod audit;
mod completions;
mod config;
mod doctor;
mod endpoint;
mod health;
mod job;
pub(crate) mod key;
mod key_remote;
mod logs;
mod migrate;
mod model;
mod openapi;
mod predict;
mod python_worker;
mod scan;
mod secret;
mod user;
pub(crate) mod version;

use std::process::ExitCode;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::output::{Outcome, Output};
use crate::serve;

/// Runs the command that was typed.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let output = Output {
        json: cli.common.json,
    };
    dispatch(cli, output).unwrap_or_else(|failure| output.failure(&failure))
}

fn dispatch(cli: &Cli, output: Output) -> Outcome {
    match &cli.command {
        Command::Serve(args) => serve::run(cli, args, output),
        Command::User(command) => user::run(cli, command, output),
        Command::Key(args) => key::run(cli, args, output),
        Command::Model(args) => model::run(cli, args, output),
        Command::Endpoint(args) => endpoint::run(cli, args, output),
        Command::Predict(args) => predict::run(cli, args, output),
        Command::Logs(args) => logs::run(cli, args, output),
        Command::Job(args) => job::run(cli, args, output),
        Command::Migrate => migrate::run(cli, output),
        Command::Doctor { deep } => doctor::run(cli, *deep, output),
        Command::Audit(command) => audit::run(cli, command, output),
        Command::Secret(command) => Ok(secret::run(command, output)),
        Command::Openapi => Ok(openapi::run()),
        Command::Config(ConfigCommand::Show) => config::show(&cli.sources(), output),
        Command::Config(ConfigCommand::Check) => config::check(&cli.sources(), output),
        Command::Config(ConfigCommand::Reference { format }) => {
            Ok(config::print_reference(*format))
        }
        Command::Health { url } => health::run(cli, url.as_deref(), output),
        Command::PythonWorker { order } => python_worker::run(order),
        Command::Version => Ok(version::run(output)),
        Command::Completions { shell } => Ok(completions::run(*shell)),
    }
}
