//! `doctor`: looks at an installation without changing it, and says how to mend it.
//!
//! Works beside a running server. Exit code 1 if a check fails; warnings are
//! for a person to judge.

mod database;
mod journal;
mod machine;

use std::process::ExitCode;

use plimsoll_engine::{Engine, OnnxStatus, OutsideStatus};
use serde::Serialize;
use serde_json::json;

use crate::cli::Cli;
use crate::config::{Config, load};
use crate::installation::{block_on, open_engine};
use crate::output::{Outcome, Output};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// A person should look at it.
    Warn,
    /// It does not work, or is not safe.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What.
    pub(crate) name: &'static str,
    /// How it ended.
    pub(crate) status: Verdict,
    /// What was found.
    pub(crate) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Check {
    /// All is well.
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            status: Verdict::Ok,
            detail: detail.into(),
            fix: None,
        }
    }

    /// A person should look at it.
    fn warn(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: Verdict::Warn,
            fix: Some(fix.into()),
            ..Self::ok(name, detail)
        }
    }

    /// It does not work, or is not safe.
    fn fail(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: Verdict::Fail,
            ..Self::warn(name, detail, fix)
        }
    }
}

pub(crate) fn run(cli: &Cli, deep: bool, output: Output) -> Outcome {
    let (config, _) = load(&cli.sources())?;
    let mut checks = vec![
        machine::data_dir(&config),
        machine::free_space(&config),
        machine::secret(&config),
        machine::listen_address(&config),
        registration(&config),
        rate_limits(&config),
        machine::open_files(),
    ];
    checks.extend(engines(&open_engine(&config)?));
    checks.extend(block_on(async { Ok(database::all(&config, deep).await) })?);
    checks.extend(block_on(async { Ok(journal::all(&config).await) })?);
    let worst = checks.iter().map(|check| check.status).max();
    let lines: Vec<String> = checks.iter().map(line).collect();
    output.data(
        lines.join("\n"),
        &json!({"ok": worst != Some(Verdict::Fail), "checks": checks}),
    );
    Ok(ExitCode::from(u8::from(worst == Some(Verdict::Fail))))
}

fn line(check: &Check) -> String {
    let word = match check.status {
        Verdict::Ok => "ok  ",
        Verdict::Warn => "warn",
        Verdict::Fail => "FAIL",
    };
    let line = format!("{word}  {:<14} {}", check.name, check.detail);
    match &check.fix {
        Some(fix) => format!("{line}\n{:>23}{fix}", "→ "),
        None => line,
    }
}

fn registration(config: &Config) -> Check {
    if config.auth.registration_open {
        return Check::warn(
            "registration",
            "anybody who reaches the server may make an account",
            "set auth.registration = closed unless that is wanted",
        );
    }
    Check::ok("registration", "closed")
}

fn rate_limits(config: &Config) -> Check {
    if config.limits.enabled {
        return Check::ok("rate limits", "on");
    }
    Check::warn("rate limits", "off", "set limits.enabled = true")
}

/// What runs models besides this program, as far as it is wanted.
fn engines(engine: &Engine) -> Vec<Check> {
    let python = engine.outside_status().map(|status| python(&status));
    [onnx_runtime(engine)].into_iter().chain(python).collect()
}

fn python(status: &OutsideStatus) -> Check {
    const NAME: &str = "Python";
    if status.ready {
        return Check::ok(NAME, status.detail.clone());
    }
    let fix = "point engine.python at an interpreter with numpy and the libraries of your models";
    Check::fail(NAME, status.detail.clone(), fix)
}

fn onnx_runtime(engine: &Engine) -> Check {
    const NAME: &str = "ONNX Runtime";
    match engine.onnx_status() {
        OnnxStatus::Ready { version } => Check::ok(NAME, version),
        OnnxStatus::Missing { why, advice } => {
            Check::warn(NAME, format!("ONNX models cannot be served: {why}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_stands_below_what_it_mends() {
        let check = Check::fail("secret", "is missing", "make one");
        assert_eq!(
            line(&check),
            "FAIL  secret         is missing\n                     → make one"
        );
        assert_eq!(
            line(&Check::ok("secret", "fine")),
            "ok    secret         fine"
        );
    }
}
