//! `logs`: the newest predictions of a running server.

use std::process::ExitCode;

use crate::cli::{Cli, LogsArgs};
use crate::client::Client;
use crate::installation::block_on;
use crate::output::{Outcome, Output, cell, table};

pub(crate) fn run(cli: &Cli, args: &LogsArgs, output: Output) -> Outcome {
    let client = Client::new(cli, args.server.url.as_deref(), output)?;
    let limit = args.limit.to_string();
    let filters = [
        ("limit", Some(limit.as_str())),
        ("model", args.model.as_deref()),
        ("endpoint", args.endpoint.as_deref()),
        ("status", args.failed.then_some("failed")),
        ("search", args.search.as_deref()),
    ];
    let query: Vec<_> = filters
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
        .collect();
    let mut page = block_on(client.get(&["predictions"], &query))?;
    let items = page["items"].take();
    let rows: Vec<Vec<String>> = items
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| {
            let members = [
                "created_at",
                "id",
                "model",
                "model_version",
                "endpoint",
                "rows",
                "latency_ms",
                "status",
                "error_message",
            ];
            members.map(|member| cell(&item[member])).into()
        })
        .collect();
    let header = [
        "AT", "ID", "MODEL", "VERSION", "ENDPOINT", "ROWS", "MS", "STATUS", "ERROR",
    ];
    output.data(table(&header, &rows), &items);
    Ok(ExitCode::SUCCESS)
}
