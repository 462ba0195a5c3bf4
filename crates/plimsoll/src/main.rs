//! The plimsoll binary: command line, configuration, serve.

mod cli;
mod client;
mod commands;
mod config;
mod installation;
mod logging;
mod output;
mod password;
mod process;
mod secret;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::output::Exit;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => commands::run(&cli),
        Err(error) => {
            // Help goes to standard output and is no error; clap knows which it is.
            let _ = error.print();
            if error.use_stderr() {
                ExitCode::from(Exit::Usage as u8)
            } else {
                ExitCode::SUCCESS
            }
        }
    }
}
