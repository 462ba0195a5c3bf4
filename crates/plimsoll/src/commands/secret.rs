//! `secret generate`: a new signing secret, from the operating system's generator.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::SecretCommand;
use crate::output::Output;
use crate::secret::generate;

pub(crate) fn run(command: &SecretCommand, output: Output) -> ExitCode {
    match command {
        SecretCommand::Generate => {
            let secret = generate();
            output.data(secret.expose(), &json!({"secret": secret.expose()}));
            ExitCode::SUCCESS
        }
    }
}
