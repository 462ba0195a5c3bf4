//! `endpoint`: what a running server serves under lasting names.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Cli, EndpointArgs, EndpointCommand, Share, SizeArg};
use crate::client::Client;
use crate::installation::block_on;
use crate::output::{Exit, Failure, Outcome, Output, cell, table};

pub(crate) fn run(cli: &Cli, args: &EndpointArgs, output: Output) -> Outcome {
    let client = Client::new(cli, args.server.url.as_deref(), output)?;
    block_on(async {
        match &args.command {
            EndpointCommand::List => list(&client).await?,
            EndpointCommand::Status { endpoint } => {
                let value = client.get(&["endpoints", endpoint], &[]).await?;
                print(&value, output);
            }
            EndpointCommand::Validate { endpoint } => return validate(&client, endpoint).await,
            EndpointCommand::History { endpoint } => history(&client, endpoint).await?,
            EndpointCommand::Rm { endpoint } => {
                let path = ["endpoints", endpoint];
                client.change(Method::DELETE, &path, None).await?;
                let value = json!({"name": endpoint, "state": "stopped"});
                output.data(format_args!("stopped {endpoint}"), &value);
            }
            command => change(&client, command).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The changes that are answered with the endpoint.
async fn change(client: &Client, command: &EndpointCommand) -> Result<(), Failure> {
    let (method, path, body) = match command {
        EndpointCommand::Deploy {
            target,
            name,
            size,
            keep_loaded,
            reason,
        } => {
            let body = json!({
                "model": target.name, "version": target.version, "name": name, "reason": reason,
                "workload_size": size.map(size_of),
                "scale_to_zero": keep_loaded.then_some(false),
            });
            (Method::POST, vec!["endpoints"], body)
        }
        EndpointCommand::Traffic {
            endpoint,
            shares,
            sticky,
            reason,
        } => {
            let served: Vec<Value> = shares.iter().map(share_of).collect();
            let body = json!({"served": served, "sticky": sticky, "reason": reason});
            (Method::PUT, vec!["endpoints", endpoint, "traffic"], body)
        }
        EndpointCommand::Rollback { endpoint, to } => {
            let path = vec!["endpoints", endpoint, "rollback"];
            (Method::POST, path, json!({"target_version": to}))
        }
        _ => return Ok(()),
    };
    let value = client.change(method, &path, Some(&given(body))).await?;
    print(&value, client.output());
    Ok(())
}

/// A body without the members that were not given.
fn given(mut body: Value) -> Value {
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    body
}

const fn size_of(size: SizeArg) -> &'static str {
    match size {
        SizeArg::Small => "small",
        SizeArg::Medium => "medium",
        SizeArg::Large => "large",
    }
}

fn share_of(share: &Share) -> Value {
    let role = share.role.as_deref().unwrap_or("primary");
    json!({"version": share.version, "weight": share.weight, "role": role})
}

fn print(endpoint: &Value, output: Output) {
    let rows: Vec<Vec<String>> = endpoint["served"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|served| {
            vec![
                format!("{}@{}", cell(&served["model"]), cell(&served["version"])),
                format!("{} %", cell(&served["weight"])),
                cell(&served["role"]),
            ]
        })
        .collect();
    let human = format!(
        "{}  {}  {}  sticky: {}\n{}",
        cell(&endpoint["name"]),
        cell(&endpoint["state"]),
        cell(&endpoint["workload_size"]),
        cell(&endpoint["sticky"]),
        table(&["SERVES", "SHARE", "ROLE"], &rows)
    );
    output.data(human, endpoint);
}

async fn list(client: &Client) -> Result<(), Failure> {
    let endpoints = client.all(&["endpoints"], &[]).await?;
    let rows: Vec<Vec<String>> = endpoints
        .iter()
        .map(|endpoint| {
            let served = endpoint["served"].as_array().into_iter().flatten();
            let served: Vec<String> = served
                .map(|one| format!("{}={}", cell(&one["version"]), cell(&one["weight"])))
                .collect();
            vec![
                cell(&endpoint["name"]),
                cell(&endpoint["state"]),
                cell(&endpoint["model"]),
                served.join(" "),
                cell(&endpoint["workload_size"]),
                cell(&endpoint["updated_at"]),
            ]
        })
        .collect();
    let header = ["NAME", "STATE", "MODEL", "SERVES", "SIZE", "UPDATED"];
    client.output().data(table(&header, &rows), &endpoints);
    Ok(())
}

async fn history(client: &Client, endpoint: &str) -> Result<(), Failure> {
    let mut value = client.get(&["endpoints", endpoint, "history"], &[]).await?;
    let entries = value["items"].take();
    let rows: Vec<Vec<String>> = entries
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            let members = [
                "number",
                "deployed_at",
                "action",
                "status",
                "model",
                "version",
                "reason",
                "error",
            ];
            members.map(|member| cell(&entry[member])).into()
        })
        .collect();
    let header = [
        "NO", "AT", "ACTION", "STATUS", "MODEL", "VERSION", "REASON", "ERROR",
    ];
    client.output().data(table(&header, &rows), &entries);
    Ok(())
}

async fn validate(client: &Client, endpoint: &str) -> Outcome {
    let path = ["endpoints", endpoint, "validate"];
    let value = client.change(Method::POST, &path, None).await?;
    let rows: Vec<Vec<String>> = value["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|check| {
            ["name", "status", "message"]
                .map(|member| cell(&check[member]))
                .into()
        })
        .collect();
    let human = table(&["CHECK", "STATUS", "WHAT"], &rows);
    client.output().data(human, &value);
    let is_valid = value["is_valid"] == true;
    Ok(if is_valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Exit::Data as u8)
    })
}
