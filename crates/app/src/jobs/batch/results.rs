//! The result of a batch on its way out: as it is stored, or as CSV.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use plimsoll_blob::BlobError;
use plimsoll_core::id::JobId;
use plimsoll_core::job::JobState;
use plimsoll_store::{JobFileRole, JobRow};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::Caller;
use crate::{App, Error};

/// How a result is downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFormat {
    /// One JSON object a line, as it is stored.
    Jsonl,
    /// A header and a record for each row.
    Csv,
}

/// A result on its way out.
pub struct ResultStream {
    /// Length in bytes, where it is known before the end.
    pub size: Option<u64>,
    /// The content; a last item that is an error says that it is damaged.
    pub content: Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>,
}

/// A line of the stored result.
#[derive(Deserialize)]
struct Line<'a> {
    row: u64,
    #[serde(borrow)]
    prediction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    probabilities: Vec<&'a RawValue>,
    #[serde(default)]
    prediction_id: Option<&'a str>,
    #[serde(default)]
    errors: Vec<Mistake>,
}

#[derive(Deserialize)]
struct Mistake {
    pointer: String,
    code: String,
    detail: String,
}

impl App {
    /// What a job wrote.
    pub async fn job_result(
        &self,
        caller: &Caller,
        id: JobId,
        format: ResultFormat,
    ) -> Result<ResultStream, Error> {
        let job = self.job(caller, id).await?;
        let file = self.db().job_file(job.id, JobFileRole::Result).await?;
        let Some(file) = file.filter(|_| job.state == JobState::Succeeded) else {
            let detail = format!(
                "the job is {}; only one that succeeded has a result",
                job.state.name()
            );
            return Err(Error::conflict("no-result", detail));
        };
        let (size, content) = self.blobs().stream(&file.digest).await?;
        Ok(match format {
            ResultFormat::Jsonl => ResultStream {
                size: Some(size),
                content: Box::pin(content),
            },
            ResultFormat::Csv => ResultStream {
                size: None,
                content: Box::pin(as_csv(content, &classes(&job))),
            },
        })
    }
}

/// The classes of the model, as the result names them.
fn classes(job: &JobRow) -> Vec<String> {
    let classes = job
        .result
        .as_ref()
        .and_then(|result| result["classes"].as_array());
    let text = |class: &serde_json::Value| {
        class
            .as_str()
            .map_or_else(|| class.to_string(), str::to_owned)
    };
    classes.into_iter().flatten().map(text).collect()
}

/// Turns stored lines into records, piece by piece.
fn as_csv(
    content: impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
    classes: &[String],
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    let header = header(classes);
    let width = classes.len();
    // Each line ends with a line break; what is behind the last one waits for the next piece.
    let records = content.scan(Vec::new(), move |rest: &mut Vec<u8>, piece| {
        let records = piece.map(|piece| {
            rest.extend_from_slice(&piece);
            let end = rest.iter().rposition(|byte| *byte == b'\n');
            let lines: Vec<u8> = rest.drain(..end.map_or(0, |end| end + 1)).collect();
            let mut records = Vec::with_capacity(lines.len());
            for line in lines.split(|byte| *byte == b'\n') {
                record(line, width, &mut records);
            }
            Bytes::from(records)
        });
        std::future::ready(Some(records))
    });
    stream::once(async { Ok(Bytes::from(header)) })
        .chain(records)
        .try_filter(|piece| std::future::ready(!piece.is_empty()))
}

fn header(classes: &[String]) -> Vec<u8> {
    let mut text = Vec::new();
    cell("row", &mut text);
    for name in [
        "prediction",
        "prediction_id",
        "error_pointer",
        "error_code",
        "error_detail",
    ] {
        text.push(b',');
        cell(name, &mut text);
    }
    for class in classes {
        text.push(b',');
        cell(&format!("probability_{class}"), &mut text);
    }
    text.extend_from_slice(b"\r\n");
    text
}

/// Writes a stored line as a record, with the first of its mistakes; nothing for an empty one.
fn record(line: &[u8], width: usize, text: &mut Vec<u8>) {
    let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
        return;
    };
    let mistake = line.errors.first();
    cell(&line.row.to_string(), text);
    let cells = [
        line.prediction.map_or_else(String::new, plain),
        line.prediction_id.unwrap_or_default().to_owned(),
        mistake.map_or_else(String::new, |mistake| mistake.pointer.clone()),
        mistake.map_or_else(String::new, |mistake| mistake.code.clone()),
        mistake.map_or_else(String::new, |mistake| mistake.detail.clone()),
    ];
    for content in cells {
        text.push(b',');
        cell(&content, text);
    }
    for index in 0..width {
        text.push(b',');
        cell(
            line.probabilities
                .get(index)
                .map_or("", |value| value.get()),
            text,
        );
    }
    text.extend_from_slice(b"\r\n");
}

/// A text without its quotes; anything else as JSON has it.
fn plain(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// Writes one cell (RFC 4180): in quotes where it has to be.
fn cell(content: &str, text: &mut Vec<u8>) {
    if !content.contains([',', '"', '\r', '\n']) {
        return text.extend_from_slice(content.as_bytes());
    }
    text.push(b'"');
    text.extend_from_slice(content.replace('"', "\"\"").as_bytes());
    text.push(b'"');
}
