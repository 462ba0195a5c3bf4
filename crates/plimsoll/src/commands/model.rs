//! `model`: the models of a running server.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plimsoll_core::digest::Hasher;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::cli::{Cli, ModelArgs, ModelCommand, PushArgs, Target};
use crate::client::{
    Client, IDEMPOTENCY_KEY, Kept, REPLAYED, body_of, digest_of, fresh_key, text_of,
};
use crate::installation::block_on;
use crate::output::{Exit, Failure, Outcome, Output, cell, table};

pub(crate) fn run(cli: &Cli, args: &ModelArgs, output: Output) -> Outcome {
    let client = Client::new(cli, args.server.url.as_deref(), output)?;
    block_on(async {
        match &args.command {
            ModelCommand::Push(args) => push(&client, args).await?,
            ModelCommand::List { search } => list(&client, search.as_deref()).await?,
            ModelCommand::Show { target } => show(&client, target).await?,
            ModelCommand::Promote { target } => promote(&client, target).await?,
            ModelCommand::Pull {
                target,
                output,
                force,
            } => pull(&client, target, output.as_deref(), *force).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn push(client: &Client, args: &PushArgs) -> Result<(), Failure> {
    let parts = parts_of(args)?;
    let key = if args.again {
        fresh_key()
    } else {
        key_of(&parts)
    };
    let answer = client
        .answer(async || upload(client, args, &parts, &key).await)
        .await?;
    let output = client.output();
    if answer.headers().contains_key(REPLAYED) {
        output.chatter("this was pushed before, so nothing changed; --again makes a new version");
    }
    let mut pushed = client.json(answer).await?;
    let (model, version) = (
        cell(&pushed["model"]["name"]),
        cell(&pushed["version"]["version"]),
    );
    if pushed["version"]["stage"] == "candidate" {
        output
            .chatter("it answers its sample rows otherwise than expected, so it stays a candidate");
    }
    if args.promote {
        let path = ["models", &model, "versions", &version, "promote"];
        pushed["version"] = client.change(Method::POST, &path, None).await?;
    }
    output.data(format_args!("{model}@{version}"), &pushed);
    Ok(())
}

/// The text parts of an upload, the digest of the file among them: what is damaged
/// on the way is refused.
fn parts_of(args: &PushArgs) -> Result<Vec<(&'static str, String)>, Failure> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => stem(&args.file)?,
    };
    let digest = digest_of(&args.file)?;
    let mut parts = vec![("name", name), ("sha256", digest.to_string())];
    for (part, text) in [("label", &args.label), ("description", &args.description)] {
        parts.extend(text.clone().map(|text| (part, text)));
    }
    let samples = [
        ("sample_inputs", &args.sample_inputs),
        ("sample_outputs", &args.sample_outputs),
    ];
    for (part, path) in samples {
        if let Some(path) = path {
            parts.push((part, text_of(path)?));
        }
    }
    Ok(parts)
}

fn stem(file: &Path) -> Result<String, Failure> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    stem.map(str::to_owned).ok_or_else(|| {
        let text = format!("{} has no name to give to the model", file.display());
        Failure::new(Exit::Usage, text).next("name the model with --name")
    })
}

/// The same for the same upload, so that pushing again after a lost answer makes no
/// second version.
fn key_of(parts: &[(&'static str, String)]) -> String {
    let mut hasher = Hasher::default();
    for (name, text) in parts {
        hasher.update(format!("{name} {}\n", text.len()).as_bytes());
        hasher.update(text.as_bytes());
    }
    format!("push-{}", hasher.digest())
}

async fn upload(
    client: &Client,
    args: &PushArgs,
    parts: &[(&'static str, String)],
    key: &str,
) -> Result<RequestBuilder, Failure> {
    let (body, length) = body_of(&args.file, client.output()).await?;
    let name = args.file.file_name().unwrap_or_default();
    let file = Part::stream_with_length(body, length);
    let file = file.file_name(name.to_string_lossy().into_owned());
    let form = parts.iter().fold(Form::new(), |form, (name, text)| {
        form.text(*name, text.clone())
    });
    let request = client.request(Method::POST, &["models"], &[])?;
    let request = request.header(IDEMPOTENCY_KEY, key);
    Ok(request.multipart(form.part("file", file)))
}

async fn list(client: &Client, search: Option<&str>) -> Result<(), Failure> {
    let query: Vec<_> = search.map(|text| ("search", text)).into_iter().collect();
    let models = client.all(&["models"], &query).await?;
    let rows: Vec<Vec<String>> = models
        .iter()
        .map(|model| {
            let members = [
                "name",
                "task",
                "status",
                "production_version",
                "latest_version",
                "prediction_count",
                "updated_at",
            ];
            members.map(|member| cell(&model[member])).into()
        })
        .collect();
    let header = [
        "NAME",
        "TASK",
        "STATUS",
        "PRODUCTION",
        "LATEST",
        "REQUESTS",
        "UPDATED",
    ];
    client.output().data(table(&header, &rows), &models);
    Ok(())
}

async fn show(client: &Client, target: &Target) -> Result<(), Failure> {
    if let Some(version) = &target.version {
        let version = version_of(client, &target.name, version).await?;
        client.output().data(described(&version), &version);
        return Ok(());
    }
    let mut model = client.get(&["models", &target.name], &[]).await?;
    let versions = client
        .all(&["models", &target.name, "versions"], &[])
        .await?;
    let rows: Vec<Vec<String>> = versions
        .iter()
        .map(|version| {
            let members = [
                "version",
                "label",
                "stage",
                "status",
                "algorithm",
                "created_at",
            ];
            members.map(|member| cell(&version[member])).into()
        })
        .collect();
    let header = [
        "VERSION",
        "LABEL",
        "STAGE",
        "STATUS",
        "ALGORITHM",
        "CREATED",
    ];
    let members = ["name", "id", "description", "task", "status"];
    let human = format!("{}\n\n{}", lines(&model, &members), table(&header, &rows));
    model["versions"] = json!(versions);
    client.output().data(human, &model);
    Ok(())
}

fn described(version: &Value) -> String {
    let members = [
        "model",
        "version",
        "label",
        "description",
        "stage",
        "status",
        "task",
        "algorithm",
        "library",
        "format",
        "file_name",
        "size_bytes",
        "sha256",
        "created_at",
    ];
    let mut text = lines(version, &members);
    for field in version["input_schema"].as_array().into_iter().flatten() {
        let kind = cell(field.get("type").unwrap_or(&field["kind"]));
        let _ = write!(text, "\ninput        {} {kind}", cell(&field["name"]));
    }
    text
}

fn lines(value: &Value, members: &[&str]) -> String {
    let lines: Vec<String> = members
        .iter()
        .filter(|member| !cell(&value[**member]).is_empty())
        .map(|member| format!("{member:<12} {}", cell(&value[*member])))
        .collect();
    lines.join("\n")
}

async fn version_of(client: &Client, model: &str, version: &str) -> Result<Value, Failure> {
    let path = ["models", model, "versions", version];
    client.get(&path, &[]).await
}

async fn promote(client: &Client, target: &Target) -> Result<(), Failure> {
    let version = target
        .version
        .as_deref()
        .ok_or_else(|| Failure::new(Exit::Usage, "expected MODEL@VERSION, churn@3 for instance"))?;
    let path = ["models", &target.name, "versions", version, "promote"];
    let promoted = client.change(Method::POST, &path, None).await?;
    let human = format!(
        "{}@{} is in production",
        target.name,
        cell(&promoted["version"])
    );
    client.output().data(human, &promoted);
    Ok(())
}

async fn pull(
    client: &Client,
    target: &Target,
    file: Option<&Path>,
    force: bool,
) -> Result<(), Failure> {
    let version = match &target.version {
        Some(version) => version_of(client, &target.name, version).await?,
        None => client.get(&["models", &target.name], &[]).await?["serving_version"].take(),
    };
    if version.is_null() {
        let text = format!("no version answers for {}", target.name);
        return Err(Failure::new(Exit::Data, text).next("name one: MODEL@VERSION"));
    }
    let file = file.map_or_else(|| own_name(&version), Path::to_owned);
    let kept = Kept::at(&file, force)?;
    let answer = artifact(client, &version).await?;
    kept.fill(answer, version["sha256"].as_str(), client.output())
        .await?;
    let human = file.display().to_string();
    let value = json!({"file": human, "version": version});
    client.output().data(human, &value);
    Ok(())
}

async fn artifact(client: &Client, version: &Value) -> Result<Response, Failure> {
    let (model, number) = (cell(&version["model_id"]), cell(&version["version"]));
    let path = ["models", &model, "versions", &number, "artifact"];
    client
        .answer(async || client.request(Method::GET, &path, &[]))
        .await
}

/// The name a file was uploaded under, and never a folder of it.
fn own_name(version: &Value) -> PathBuf {
    let name = version["file_name"].as_str().unwrap_or_default();
    let name = Path::new(name).file_name();
    PathBuf::from(name.unwrap_or("model".as_ref()))
}
