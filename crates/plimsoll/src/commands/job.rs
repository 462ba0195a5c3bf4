//! `job`: the long work of a running server.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::cli::{Cli, JobArgs, JobCommand, ResultForm};
use crate::client::{self, Client, Kept};
use crate::installation::block_on;
use crate::output::{Exit, Failure, Outcome, Output, cell, table};

/// How often `watch` asks.
const PERIOD: Duration = Duration::from_millis(500);

pub(crate) fn run(cli: &Cli, args: &JobArgs, output: Output) -> Outcome {
    let client = Client::new(cli, args.server.url.as_deref(), output)?;
    block_on(async {
        match &args.command {
            JobCommand::List { status } => list(&client, status.as_deref()).await?,
            JobCommand::Watch { job } => return watch(&client, job).await,
            JobCommand::Cancel { job } => {
                let path = ["jobs", job, "cancel"];
                let job = client.change(Method::POST, &path, None).await?;
                output.data(line(&job), &job);
            }
            JobCommand::Result {
                job,
                format,
                output,
                force,
            } => {
                let kept = output.as_deref().map(|file| (file, *force));
                result(&client, job, *format, kept).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn list(client: &Client, status: Option<&str>) -> Result<(), Failure> {
    let query: Vec<_> = status.map(|text| ("status", text)).into_iter().collect();
    let jobs = client.all(&["jobs"], &query).await?;
    let rows: Vec<Vec<String>> = jobs
        .iter()
        .map(|job| {
            vec![
                cell(&job["id"]),
                cell(&job["kind"]),
                cell(&job["status"]),
                format!("{} %", cell(&job["progress"])),
                cell(&job["created_at"]),
                cell(&job["error"]["message"]),
            ]
        })
        .collect();
    let header = ["ID", "KIND", "STATUS", "DONE", "CREATED", "ERROR"];
    client.output().data(table(&header, &rows), &jobs);
    Ok(())
}

async fn watch(client: &Client, id: &str) -> Outcome {
    let mut bar = client.output().progress(id);
    let job = loop {
        let job = client.get(&["jobs", id], &[]).await?;
        if !matches!(job["status"].as_str(), Some("queued" | "running")) {
            break job;
        }
        bar.show(job["progress"].as_u64().unwrap_or_default(), Some(100));
        tokio::time::sleep(PERIOD).await;
    };
    drop(bar);
    client.output().data(line(&job), &job);
    let has_succeeded = job["status"] == "succeeded";
    Ok(if has_succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Exit::Data as u8)
    })
}

/// How a job stands, in a sentence.
fn line(job: &Value) -> String {
    let mut text = format!("{} {}", cell(&job["id"]), cell(&job["status"]));
    if let Some(result) = job["result"].as_object() {
        for member in ["rows", "answered", "refused"] {
            if let Some(count) = result.get(member) {
                let _ = write!(text, ", {} {member}", cell(count));
            }
        }
    }
    for member in ["message", "hint"] {
        if let Some(why) = job["error"][member].as_str() {
            text.push_str(": ");
            text.push_str(why);
        }
    }
    text
}

/// The download, into a file of its own or to standard output.
async fn result(
    client: &Client,
    id: &str,
    format: ResultForm,
    file: Option<(&Path, bool)>,
) -> Result<(), Failure> {
    let format = match format {
        ResultForm::Jsonl => "jsonl",
        ResultForm::Csv => "csv",
    };
    let kept = file
        .map(|(file, force)| Kept::at(file, force))
        .transpose()?;
    let path = ["jobs", id, "result"];
    let answer = client
        .answer(async || client.request(Method::GET, &path, &[("format", format)]))
        .await?;
    match kept {
        Some(kept) => kept.fill(answer, None, client.output()).await,
        None => client::print(answer).await,
    }
}
