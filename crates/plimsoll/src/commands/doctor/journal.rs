//! What the journal says: its disk, what it promises, what waits in it, whether
//! it can be read.

use std::path::Path;
use std::time::Duration;

use plimsoll_app::history::{Durability, JournalReport, inspect_journal};
use plimsoll_core::time::{Clock, SystemClock};
use plimsoll_store::{DatabaseUrl, LogDb, LogOptions};
use rustix::fs::statvfs;

use super::Check;
use super::machine::database_is_missing;
use crate::config::Config;
use crate::installation::{journal_folder, log_options};
use crate::output::chain;

/// A log that is further behind is not being written.
const LATE: Duration = Duration::from_mins(1);
/// Room for a few segments.
const LEAST_FREE: u64 = 256 << 20;

pub(super) async fn all(config: &Config) -> Vec<Check> {
    let mut checks = vec![durability(config), room(config)];
    if database_is_missing(config) {
        return checks;
    }
    match report(config).await {
        Ok(report) => checks.extend([
            spool(&report, config.history.max_spool),
            leftovers(&report),
            lag(&report),
            readable(&report),
        ]),
        Err(detail) => {
            let fix = "`plimsoll migrate`, and check the rights of the data directory";
            checks.push(Check::warn("journal", detail, fix));
        }
    }
    checks
}

async fn report(config: &Config) -> Result<JournalReport, String> {
    let options = log_options(config);
    if let DatabaseUrl::Sqlite { path } = &options.url
        && !path.exists()
    {
        return Ok(JournalReport::default());
    }
    let log = LogDb::open(&LogOptions::new(options)).await;
    let log = log.map_err(|error| chain(&error))?;
    let now = SystemClock::new().now();
    let report = inspect_journal(&journal_folder(config), &log, now).await;
    log.close().await;
    report.map_err(|error| chain(&error))
}

/// What an answered prediction survives.
fn durability(config: &Config) -> Check {
    const NAME: &str = "log durability";
    let interval = config.history.sync_interval;
    match config.history.durability {
        Durability::Disk => Check::ok(
            NAME,
            "disk: an answered prediction survives a power failure",
        ),
        Durability::Process => Check::ok(
            NAME,
            format!("process: survives a kill; a power failure takes at most {interval:?}"),
        ),
        Durability::Off => Check::warn(
            NAME,
            "off: predictions are not recorded",
            "set log.durability = process unless that is wanted",
        ),
    }
}

/// Free space where the journal lies, which may be another disk than the data's.
fn room(config: &Config) -> Check {
    const NAME: &str = "journal space";
    let folder = journal_folder(config);
    let place = folder.ancestors().find(|path| path.exists());
    let disk = match statvfs(place.unwrap_or(Path::new("."))) {
        Ok(disk) => disk,
        Err(e) => {
            let detail = format!("cannot be asked for: {e}");
            return Check::fail(NAME, detail, "check the file system");
        }
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let detail = format!("{} MiB free for the journal", free >> 20);
    if free < LEAST_FREE {
        return Check::fail(
            NAME,
            detail,
            "make room: predictions are answered and not recorded",
        );
    }
    if free < config.history.max_spool {
        let fix = "make room, or set log.max_spool below what is free";
        return Check::warn(NAME, format!("{detail}, less than log.max_spool"), fix);
    }
    Check::ok(NAME, detail)
}

/// What waits, against its bound.
fn spool(report: &JournalReport, bound: u64) -> Check {
    const NAME: &str = "journal spool";
    let (waiting, bound_mib) = (report.unread_bytes, bound >> 20);
    let detail = format!("{} KiB of {bound_mib} MiB wait for the log", waiting >> 10);
    if waiting > bound / 2 {
        let fix =
            "check that the database takes writes; beyond the bound predictions are not recorded";
        return Check::warn(NAME, detail, fix);
    }
    Check::ok(NAME, detail)
}

/// Journals of earlier starts: a running server finishes them by itself.
fn leftovers(report: &JournalReport) -> Check {
    const NAME: &str = "journal starts";
    match report.boots {
        boots @ 0..=2 => Check::ok(NAME, format!("{boots} on disk, {} KiB", report.bytes >> 10)),
        boots => Check::warn(
            NAME,
            format!("{boots} on disk, {} KiB", report.bytes >> 10),
            "start the server once: it moves what they hold into the log and removes them",
        ),
    }
}

fn lag(report: &JournalReport) -> Check {
    const NAME: &str = "log lag";
    match report.lag {
        None => Check::ok(NAME, "nothing waits"),
        Some(lag) if lag <= LATE => Check::ok(NAME, format!("{} s", lag.as_secs())),
        Some(lag) => Check::warn(
            NAME,
            format!(
                "{} predictions wait, the log last took one {} s ago",
                report.unread_records,
                lag.as_secs()
            ),
            "start the server, or see its log for what the database refuses",
        ),
    }
}

fn readable(report: &JournalReport) -> Check {
    const NAME: &str = "journal segments";
    if report.corrupt.is_empty() {
        return Check::ok(NAME, "whole, as far as they are not in the log yet");
    }
    let detail = format!("damaged: {}", report.corrupt.join(", "));
    let fix = "what follows in that segment is lost and counted; check the disk";
    Check::fail(NAME, detail, fix)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn what_waits_too_long_too_much_or_cannot_be_read_is_said() {
        let report = JournalReport::default();
        assert_eq!(spool(&report, 1000).status, Verdict::Ok);
        assert_eq!(lag(&report).status, Verdict::Ok);
        assert_eq!(leftovers(&report).status, Verdict::Ok);
        assert_eq!(readable(&report).status, Verdict::Ok);
        let report = JournalReport {
            boots: 3,
            bytes: 5000,
            unread_bytes: 600,
            unread_records: 2,
            lag: Some(Duration::from_secs(90)),
            corrupt: vec!["here".to_owned()],
        };
        assert_eq!(spool(&report, 1000).status, Verdict::Warn);
        assert_eq!(lag(&report).status, Verdict::Warn);
        assert!(lag(&report).detail.contains("90 s ago"));
        assert_eq!(leftovers(&report).status, Verdict::Warn);
        assert_eq!(readable(&report).status, Verdict::Fail);
    }
}
