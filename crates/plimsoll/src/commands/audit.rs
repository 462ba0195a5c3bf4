//! `audit`: whether the log of who changed what is as it was written.
//!
//! Works beside a running server.

use std::path::Path;
use std::process::ExitCode;

use plimsoll_app::Error;
use plimsoll_app::audit::{Checked, check_audit};
use plimsoll_core::digest::Digest;
use plimsoll_store::{AuditHead, newest_migration};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::{AuditCommand, Cli};
use crate::config::{Config, load};
use crate::installation::{block_on, open_database};
use crate::output::{Exit, Failure, Outcome, Output};

/// The end of the log at some moment, as a file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    seq: i64,
    hash: Digest,
}

pub(crate) fn run(cli: &Cli, command: &AuditCommand, output: Output) -> Outcome {
    let (config, _) = load(&cli.sources())?;
    match command {
        AuditCommand::Verify { checkpoint } => verify(&config, checkpoint.as_deref(), output),
        AuditCommand::Checkpoint => checkpoint(&config, output),
    }
}

fn verify(config: &Config, checkpoint: Option<&Path>, output: Output) -> Outcome {
    let known = checkpoint.map(read).transpose()?;
    match check(config, known.as_ref())? {
        Checked::Intact(head) => {
            let text = format!("{} rows, each as it was written", head.seq);
            let hash = head.hash;
            output.data(text, &json!({"ok": true, "rows": head.seq, "hash": hash}));
            Ok(ExitCode::SUCCESS)
        }
        Checked::Broken { seq, what } => {
            let text = format!("row {seq}: {what}");
            output.data(&text, &json!({"ok": false, "row": seq, "detail": what}));
            Ok(ExitCode::from(Exit::Data as u8))
        }
    }
}

/// One line of JSON for both people and programs: it is made to be kept in a file.
/// A broken log gets no checkpoint, which would make the damage look right.
fn checkpoint(config: &Config, output: Output) -> Outcome {
    match check(config, None)? {
        Checked::Intact(AuditHead { seq, hash }) => {
            let text = json!(Checkpoint { seq, hash });
            output.data(&text, &text);
            Ok(ExitCode::SUCCESS)
        }
        Checked::Broken { seq, what } => Err(Failure::new(
            Exit::Data,
            format!("the audit log is broken at row {seq}: {what}"),
        )),
    }
}

fn check(config: &Config, known: Option<&AuditHead>) -> Result<Checked, Failure> {
    block_on(async {
        let db = open_database(config).await?;
        if db.schema_version().await.map_err(Error::from)? < newest_migration() {
            let text = "the database does not have this program's schema yet";
            return Err(Failure::new(Exit::Unavailable, text).next("`plimsoll migrate` brings it"));
        }
        let checked = check_audit(&db, known).await?;
        db.close().await;
        Ok(checked)
    })
}

fn read(path: &Path) -> Result<AuditHead, Failure> {
    let refused = |why: String| {
        let text = format!("the checkpoint {} cannot be read: {why}", path.display());
        Failure::new(Exit::Data, text).next("make one with `plimsoll audit checkpoint > FILE`")
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let known: Checkpoint =
        serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    Ok(AuditHead {
        seq: known.seq,
        hash: known.hash,
    })
}
