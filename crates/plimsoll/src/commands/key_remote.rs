//! `key --url`: API keys of a running server, in the name of the key that asks.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::key::{parse_burst, parse_overlap, scope_of};
use crate::cli::{Cli, KeyArgs, KeyCommand, KeyCreateArgs};
use crate::client::Client;
use crate::installation::block_on;
use crate::output::{Exit, Failure, Outcome, Output, cell, table};

pub(super) fn run(cli: &Cli, args: &KeyArgs, output: Output) -> Outcome {
    let client = Client::new(cli, args.url.as_deref(), output)?;
    block_on(async {
        match &args.command {
            KeyCommand::Create(args) => {
                let body = body(args)?;
                let created = client.change(Method::POST, &["api-keys"], Some(&body));
                print_created(&created.await?, output);
            }
            KeyCommand::List { user, all } => {
                refuse_user(user.as_deref())?;
                print_list(&keys(&client, *all).await?, output);
            }
            KeyCommand::Rotate { key, overlap } => {
                let id = find(&client, key).await?;
                let body = json!({"overlap_seconds": parse_overlap(overlap)?.as_secs()});
                let path = ["api-keys", &id, "rotate"];
                print_created(
                    &client.change(Method::POST, &path, Some(&body)).await?,
                    output,
                );
            }
            KeyCommand::Revoke { key } => {
                let id = find(&client, key).await?;
                client
                    .change(Method::DELETE, &["api-keys", &id], None)
                    .await?;
                let value = json!({"id": id, "revoked": true});
                output.data(format_args!("revoked {key}"), &value);
            }
            KeyCommand::Scan { .. } => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn refuse_user(user: Option<&str>) -> Result<(), Failure> {
    user.map_or(Ok(()), |_| {
        let text = "--user goes with the data directory; a server knows who asks by the key";
        Err(Failure::new(Exit::Usage, text))
    })
}

fn body(args: &KeyCreateArgs) -> Result<Value, Failure> {
    refuse_user(args.user.as_deref())?;
    let mut body = json!({"name": args.name, "model_ids": args.model});
    if !args.scope.is_empty() {
        let scopes = args.scope.iter().map(|scope| scope_of(*scope).name());
        body["scopes"] = scopes.collect();
    }
    if let Some(limit) = args.rate_limit {
        // Null is no limit; what is left out is the usual one.
        body["rate_limit"] = json!((limit > 0).then_some(limit));
    }
    if let Some(burst) = &args.burst {
        let burst = parse_burst(burst)?;
        body["burst"] = json!({"requests": burst.requests, "window_seconds": burst.window_s});
    }
    if let Some(days) = args.expires_in_days {
        body["expires_in_days"] = json!(days);
    }
    Ok(body)
}

async fn keys(client: &Client, all: bool) -> Result<Vec<Value>, Failure> {
    let all = all.to_string();
    client
        .all(&["api-keys"], &[("include_revoked", all.as_str())])
        .await
}

/// The id of the key with this id or prefix.
async fn find(client: &Client, text: &str) -> Result<String, Failure> {
    let prefix = text.trim_end_matches('…');
    let keys = keys(client, false).await?;
    let found = keys
        .iter()
        .find(|key| key["id"] == text || cell(&key["prefix"]).trim_end_matches('…') == prefix);
    let key = found.ok_or_else(|| {
        Failure::new(Exit::Data, format!("there is no active key {text:?}"))
            .next("`plimsoll key list` shows ids and prefixes")
    })?;
    Ok(cell(&key["id"]))
}

fn print_created(created: &Value, output: Output) {
    output.chatter("This key is shown once. Keep it like a password.");
    output.data(cell(&created["api_key"]), created);
}

fn print_list(keys: &[Value], output: Output) {
    let rows: Vec<Vec<String>> = keys
        .iter()
        .map(|key| {
            let scopes = key["scopes"].as_array().into_iter().flatten();
            let scopes: Vec<String> = scopes.map(cell).collect();
            vec![
                cell(&key["name"]),
                cell(&key["prefix"]),
                state(key).to_owned(),
                scopes.join(","),
                cell(&key["total_requests"]),
                cell(&key["expires_at"]),
                cell(&key["id"]),
            ]
        })
        .collect();
    let header = [
        "NAME", "PREFIX", "STATE", "SCOPES", "REQUESTS", "EXPIRES", "ID",
    ];
    output.data(table(&header, &rows), &keys);
}

fn state(key: &Value) -> &'static str {
    if key["revoked_at"].is_string() {
        "revoked"
    } else if key["is_active"] == true {
        "active"
    } else {
        "off"
    }
}
