//! `predict`: rows in, predictions out, of a running server.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cli::{Cli, PredictArgs};
use crate::client::{Client, IDEMPOTENCY_KEY, body_of, fresh_key, text_of};
use crate::installation::block_on;
use crate::output::{Exit, Failure, Outcome, Output, cell};

pub(crate) fn run(cli: &Cli, args: &PredictArgs, output: Output) -> Outcome {
    let client = Client::new(cli, args.server.url.as_deref(), output)?;
    block_on(async {
        match &args.batch {
            Some(file) => batch(&client, args, file).await?,
            None => predict(&client, args).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn predict(client: &Client, args: &PredictArgs) -> Result<(), Failure> {
    let body = body(&inputs(args)?)?;
    let path = path(args)?;
    let answer = client
        .answer(async || {
            let request = client.request(Method::POST, &path, &[])?;
            let request = request.header(CONTENT_TYPE, "application/json");
            Ok(request.body(body.clone()))
        })
        .await?;
    let answer = client.json(answer).await?;
    let output = client.output();
    output.chatter(format_args!(
        "{}@{}, {} ms, {}",
        cell(&answer["model"]),
        cell(&answer["model_version"]),
        cell(&answer["latency_ms"]),
        cell(&answer["prediction_id"])
    ));
    let lines: Vec<String> = answer["predictions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(cell)
        .collect();
    output.data(lines.join("\n"), &answer);
    Ok(())
}

fn path(args: &PredictArgs) -> Result<Vec<&str>, Failure> {
    let name = args.target.name.as_str();
    match (&args.target.version, args.endpoint) {
        (None, true) => Ok(vec!["endpoints", name, "predict"]),
        (None, false) => Ok(vec!["models", name, "predict"]),
        (Some(version), false) => Ok(vec!["models", name, "versions", version, "predict"]),
        (Some(_), true) => Err(Failure::new(
            Exit::Usage,
            "an endpoint chooses the version itself",
        )),
    }
}

fn inputs(args: &PredictArgs) -> Result<String, Failure> {
    match (&args.inputs, &args.file) {
        (_, Some(file)) => text_of(file),
        (Some(text), None) if text != "-" => Ok(text.clone()),
        _ => {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| {
                Failure::caused(Exit::Data, &error).about("standard input cannot be read")
            })?;
            Ok(text)
        }
    }
}

/// The body of the request. Its numbers stay as they were typed. An object with
/// `inputs` is a whole request already.
fn body(text: &str) -> Result<String, Failure> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        Failure::caused(Exit::Data, &error)
            .about("the rows are no JSON")
            .next("'[[5.1, 3.5, 1.4, 0.2]]' is one row, '{\"age\": 52}' one with names")
    })?;
    let value: Option<Value> = serde_json::from_str(raw.get()).ok();
    let is_whole = value.is_some_and(|value| value.get("inputs").is_some());
    Ok(if is_whole {
        raw.get().to_owned()
    } else {
        format!("{{\"inputs\": {}}}", raw.get())
    })
}

async fn batch(client: &Client, args: &PredictArgs, file: &Path) -> Result<(), Failure> {
    let media_type = match file.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => "text/csv",
        Some("jsonl" | "ndjson") => "application/x-ndjson",
        _ => {
            let text = format!("{} is neither .csv nor .jsonl", file.display());
            return Err(Failure::new(Exit::Usage, text));
        }
    };
    let version = args.target.version.as_deref();
    let query: Vec<_> = version.map(|text| ("version", text)).into_iter().collect();
    let path = ["models", &args.target.name, "batch"];
    let key = fresh_key();
    let answer = client
        .answer(async || {
            let (body, length) = body_of(file, client.output()).await?;
            let request = client.request(Method::POST, &path, &query)?;
            Ok(request
                .header(IDEMPOTENCY_KEY, &key)
                .header(CONTENT_TYPE, media_type)
                .header(reqwest::header::CONTENT_LENGTH, length)
                .body(body))
        })
        .await?;
    let job = client.json(answer).await?;
    let id = cell(&job["job_id"]);
    client.output().chatter(format_args!(
        "`plimsoll job watch {id}` waits for it, `plimsoll job result {id}` prints its answers"
    ));
    client.output().data(&id, &job);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_request_and_a_request_stays_one() {
        let one = "9007199254740993.000001";
        assert_eq!(body(one).unwrap(), format!("{{\"inputs\": {one}}}"));
        let whole = "{\"inputs\": [[1]], \"include_probabilities\": false}";
        assert_eq!(body(whole).unwrap(), whole);
        assert!(body("[1,").is_err());
    }
}
