//! A file of rows: the part `file` of a form, or the body itself. Never whole in
//! memory.

use std::pin::Pin;

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use plimsoll_app::jobs::RowsFormat;
use plimsoll_core::field::FieldError;

use super::body;
use super::multipart::{FilePart, Form, Refused, paced};
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

/// Media types of rows.
const TYPES: [(&str, RowsFormat); 6] = [
    ("text/csv", RowsFormat::Csv),
    ("application/csv", RowsFormat::Csv),
    ("application/x-ndjson", RowsFormat::Jsonl),
    ("application/jsonl", RowsFormat::Jsonl),
    ("application/jsonlines", RowsFormat::Jsonl),
    ("application/x-jsonlines", RowsFormat::Jsonl),
];
/// Endings of file names.
const ENDINGS: [(&str, RowsFormat); 3] = [
    (".csv", RowsFormat::Csv),
    (".jsonl", RowsFormat::Jsonl),
    (".ndjson", RowsFormat::Jsonl),
];

type Raw = Pin<Box<dyn Stream<Item = Result<Bytes, Refused>> + Send>>;

/// A request that brings a file of rows.
pub(crate) enum RowsBody {
    /// As a part of a form.
    Form(Form),
    /// As the body.
    Raw(Raw, RowsFormat),
}

/// A file that is read piece by piece.
pub(crate) struct RowsFile {
    source: Source,
    /// How it is written, if its media type or name says so.
    pub format: Option<RowsFormat>,
}

enum Source {
    Part(Box<FilePart>, Form),
    Raw(Raw),
}

impl FromRequest<Wire> for RowsBody {
    type Rejection = Problem;

    async fn from_request(request: Request, wire: &Wire) -> Result<Self, Problem> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let essence = essence(content_type.unwrap_or_default());
        if essence.eq_ignore_ascii_case("multipart/form-data") {
            return Form::from_request(request, wire).await.map(Self::Form);
        }
        body::expect_identity(request.headers())?;
        let format = of_type(essence).ok_or_else(|| {
            Problem::new(
                Kind::UnsupportedMediaType,
                "the body has to be text/csv, application/x-ndjson or multipart/form-data",
            )
        })?;
        let stream = paced(request.into_body(), &wire.config().limits);
        Ok(Self::Raw(Box::pin(stream), format))
    }
}

impl RowsBody {
    /// The file; a form has to begin with it.
    pub(crate) async fn file(self) -> Result<RowsFile, Problem> {
        let mut form = match self {
            Self::Raw(raw, format) => {
                return Ok(RowsFile {
                    source: Source::Raw(raw),
                    format: Some(format),
                });
            }
            Self::Form(form) => form,
        };
        let Some(part) = form.next().await? else {
            return Err(refused(
                "file",
                "missing-field",
                "the part file is required",
            ));
        };
        if part.name != "file" {
            return Err(unknown_part(&part.name));
        }
        let file = part.into_file();
        let by_type = file.content_type().and_then(|text| of_type(essence(text)));
        let format = by_type.or_else(|| of_name(file.file_name().unwrap_or_default()));
        Ok(RowsFile {
            source: Source::Part(Box::new(file), form),
            format,
        })
    }
}

impl RowsFile {
    /// The next piece; nothing at the end, behind which no other part may come.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
        match &mut self.source {
            Source::Raw(raw) => raw
                .next()
                .await
                .transpose()
                .map_err(|Refused(problem)| problem),
            Source::Part(file, _) => file.chunk().await,
        }
    }

    /// Makes sure that nothing comes behind the file.
    pub(crate) async fn end(self) -> Result<(), Problem> {
        let Source::Part(file, mut form) = self.source else {
            return Ok(());
        };
        // A form gives its next part only once the one before is let go of.
        drop(file);
        match form.next().await? {
            Some(part) => Err(unknown_part(&part.name)),
            None => Ok(()),
        }
    }
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn of_type(essence: &str) -> Option<RowsFormat> {
    let mut types = TYPES.iter();
    let found = types.find(|(name, _)| name.eq_ignore_ascii_case(essence));
    found.map(|(_, format)| *format)
}

fn of_name(file_name: &str) -> Option<RowsFormat> {
    let name = file_name.to_ascii_lowercase();
    let found = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    found.map(|(_, format)| *format)
}

fn unknown_part(name: &str) -> Problem {
    refused(name, "unknown-field", "the form has one part, file")
}

fn refused(part: &str, code: &'static str, detail: &str) -> Problem {
    let mut pointer = String::new();
    plimsoll_core::field::push_pointer(&mut pointer, part);
    Problem::invalid(vec![FieldError::new(pointer, code, detail)])
}
