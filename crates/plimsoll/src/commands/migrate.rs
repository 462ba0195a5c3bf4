//! `migrate`: the schema, brought up to date without starting the server.

use std::process::ExitCode;

use plimsoll_app::Error;
use serde_json::json;

use crate::cli::Cli;
use crate::config::load;
use crate::installation::{block_on, open_database, open_migrated};
use crate::output::{Outcome, Output};

pub(crate) fn run(cli: &Cli, output: Output) -> Outcome {
    let (config, _) = load(&cli.sources())?;
    let (kind, before, after) = block_on(async {
        let db = open_database(&config).await?;
        let before = db.schema_version().await.map_err(Error::from)?;
        db.close().await;
        let db = open_migrated(&config).await?;
        let after = db.schema_version().await.map_err(Error::from)?;
        let kind = db.kind();
        db.close().await;
        Ok((kind, before, after))
    })?;
    let text = if before == after {
        format!("the {kind} database is up to date at schema {after}")
    } else {
        format!("brought the {kind} database from schema {before} to {after}")
    };
    output.data(
        text,
        &json!({"database": kind, "from": before, "to": after}),
    );
    Ok(ExitCode::SUCCESS)
}
