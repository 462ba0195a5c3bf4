//! `key`: API keys, with or without a running server.

use std::process::ExitCode;
use std::time::Duration;

use plimsoll_app::auth::Caller;
use plimsoll_app::keys::{CreatedKey, NewApiKey, RateLimit};
use plimsoll_app::{App, Error};
use plimsoll_core::id::KeyId;
use plimsoll_core::key::Scope;
use plimsoll_core::page::{MAX_PAGE_SIZE, PageRequest};
use plimsoll_store::{Burst, KeyRow};
use serde_json::{Value, json};

use crate::cli::{Cli, KeyArgs, KeyCommand, KeyCreateArgs, ScopeArg};
use crate::config::{load, parse_duration};
use crate::installation::{caller_for, operator, with_app};
use crate::output::{Exit, Failure, Outcome, Output, table};

use super::{key_remote, scan};

pub(crate) fn run(cli: &Cli, args: &KeyArgs, output: Output) -> Outcome {
    let command = &args.command;
    if let KeyCommand::Scan { paths } = command {
        return scan::run(paths, output);
    }
    if args.url.is_some() {
        return key_remote::run(cli, args, output);
    }
    let (config, _) = load(&cli.sources())?;
    match command {
        KeyCommand::Create(args) => {
            let created = with_app(&config, async |app| create(app, args).await)?;
            print_created(&created, output);
        }
        KeyCommand::List { user, all } => {
            let keys = with_app(&config, async |app| {
                let caller = caller_for(app, user.as_deref()).await?;
                list(app, &caller, *all).await
            })?;
            print_list(&keys, output);
        }
        KeyCommand::Rotate { key, overlap } => {
            let overlap = parse_overlap(overlap)?;
            let created = with_app(&config, async |app| {
                let (caller, id) = find(app, key).await?;
                Ok(app.rotate_key(&caller, id, overlap).await?)
            })?;
            print_created(&created, output);
        }
        KeyCommand::Revoke { key } => {
            let id = with_app(&config, async |app| {
                let (caller, id) = find(app, key).await?;
                app.revoke_key(&caller, id).await?;
                Ok(id)
            })?;
            output.data(
                format_args!("revoked {key}"),
                &json!({"id": id, "revoked": true}),
            );
        }
        KeyCommand::Scan { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Every key of one person, newest first.
pub(crate) async fn list(app: &App, caller: &Caller, all: bool) -> Result<Vec<KeyRow>, Failure> {
    let mut keys = Vec::new();
    for number in 1.. {
        let page = PageRequest {
            number,
            size: MAX_PAGE_SIZE,
        };
        let found = app.keys(caller, page, all).await?;
        let last = found.items.len() < MAX_PAGE_SIZE as usize;
        keys.extend(found.items);
        if last {
            break;
        }
    }
    Ok(keys)
}

async fn create(app: &App, args: &KeyCreateArgs) -> Result<CreatedKey, Failure> {
    let caller = caller_for(app, args.user.as_deref()).await?;
    let scopes: Vec<Scope> = args.scope.iter().map(|scope| scope_of(*scope)).collect();
    let new = NewApiKey {
        name: args.name.clone(),
        description: None,
        models: args.model.clone(),
        rate_limit: match args.rate_limit {
            None => RateLimit::Default,
            Some(0) => RateLimit::Unlimited,
            Some(limit) => RateLimit::PerHour(i64::from(limit)),
        },
        burst: args
            .burst
            .as_deref()
            .map_or(Ok(Burst::default()), parse_burst)?,
        expires_in_days: args.expires_in_days.map(i64::from),
        scopes: (!scopes.is_empty()).then_some(scopes),
    };
    Ok(app.create_key(&caller, new).await?)
}

/// The key with this id or prefix, and its owner, in whose name it is changed.
async fn find(app: &App, text: &str) -> Result<(Caller, KeyId), Failure> {
    let keys = app.db().live_keys().await.map_err(Error::from)?;
    let prefix = text.trim_end_matches('…');
    let found = keys
        .iter()
        .find(|key| key.id.to_string() == text || key.handle.display_prefix() == prefix);
    let key = found.ok_or_else(|| {
        Failure::new(Exit::Data, format!("there is no active key {text:?}"))
            .next("`plimsoll key list` shows ids and prefixes")
    })?;
    let owner = app.user(key.user_id).await?;
    Ok((operator(owner.id, owner.role), key.id))
}

pub(super) fn parse_overlap(text: &str) -> Result<Duration, Failure> {
    parse_duration(text).ok_or_else(|| {
        let text = format!("--overlap: expected a duration such as 24h, got {text:?}");
        Failure::new(Exit::Usage, text)
    })
}

/// `20/10s`: twenty requests at once, and as many again in ten seconds.
pub(super) fn parse_burst(text: &str) -> Result<Burst, Failure> {
    let parts = text.split_once('/').and_then(|(requests, window)| {
        let window = parse_duration(window).filter(|window| window.subsec_nanos() == 0)?;
        let window_s = i64::try_from(window.as_secs()).ok()?;
        Some((requests.parse().ok()?, window_s))
    });
    let (requests, window_s) = parts.ok_or_else(|| {
        let text = format!("--burst: expected requests and a time such as 20/10s, got {text:?}");
        Failure::new(Exit::Usage, text)
    })?;
    Ok(Burst {
        requests: Some(requests),
        window_s: Some(window_s),
    })
}

pub(super) const fn scope_of(scope: ScopeArg) -> Scope {
    match scope {
        ScopeArg::Predict => Scope::Predict,
        ScopeArg::Feedback => Scope::Feedback,
        ScopeArg::Read => Scope::Read,
        ScopeArg::Write => Scope::Write,
        ScopeArg::Admin => Scope::Admin,
    }
}

fn print_created(created: &CreatedKey, output: Output) {
    output.chatter("This key is shown once. Keep it like a password.");
    let mut value = view(&created.row);
    value["api_key"] = json!(created.text.expose());
    output.data(created.text.expose(), &value);
}

fn print_list(keys: &[KeyRow], output: Output) {
    let rows: Vec<Vec<String>> = keys
        .iter()
        .map(|key| {
            let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
            vec![
                key.name.clone(),
                key.handle.display_prefix(),
                state(key).to_owned(),
                scopes.join(","),
                key.rate_limit
                    .map_or("none".into(), |limit| format!("{limit}/h")),
                key.total_requests.to_string(),
                key.expires_at.map_or("never".into(), |at| at.to_string()),
                key.id.to_string(),
            ]
        })
        .collect();
    let header = [
        "NAME", "PREFIX", "STATE", "SCOPES", "LIMIT", "REQUESTS", "EXPIRES", "ID",
    ];
    let views: Vec<Value> = keys.iter().map(view).collect();
    output.data(table(&header, &rows), &views);
}

const fn state(key: &KeyRow) -> &'static str {
    match (key.revoked_at, key.is_active) {
        (Some(_), _) => "revoked",
        (None, true) => "active",
        (None, false) => "off",
    }
}

fn view(key: &KeyRow) -> Value {
    json!({
        "key_id": key.id,
        "name": key.name,
        "prefix": key.handle.display_prefix(),
        "state": state(key),
        "scopes": key.scopes,
        "model_ids": key.model_ids,
        "rate_limit": key.rate_limit,
        "burst": key.burst.requests.zip(key.burst.window_s).map(|(requests, window_seconds)| {
            json!({"requests": requests, "window_seconds": window_seconds})
        }),
        "total_requests": key.total_requests,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    })
}
