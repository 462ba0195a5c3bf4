//! A password from the environment, a pipe or the keyboard; never from an argument.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal};

use plimsoll_core::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::output::{Exit, Failure, Output};

/// `PLIMSOLL_PASSWORD`, else the first line of standard input.
pub(crate) fn read(
    environment: &BTreeMap<String, String>,
    output: Output,
) -> Result<Secret<String>, Failure> {
    if let Some(password) = environment.get("PLIMSOLL_PASSWORD") {
        return Ok(Secret::new(password.clone()));
    }
    let line = if io::stdin().is_terminal() {
        output.chatter("Password (not shown): ");
        without_echo(first_line)
    } else {
        first_line()
    };
    let line =
        line.map_err(|e| Failure::new(Exit::Usage, format!("no password could be read: {e}")))?;
    if line.is_empty() {
        return Err(Failure::new(Exit::Usage, "no password was given")
            .next("pipe it in, or set PLIMSOLL_PASSWORD"));
    }
    Ok(Secret::new(line))
}

fn first_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Switches the terminal's echo off and, whatever happens, on again.
fn without_echo<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &quiet)?;
    let outcome = read();
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    outcome
}
