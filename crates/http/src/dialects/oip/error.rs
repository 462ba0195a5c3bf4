//! Errors as the protocol has them: a status, and one sentence.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::http::StatusCode;
use plimsoll_core::field::FieldError;
use serde::Serialize;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// The body of every error under `/v2`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceError)]
pub(crate) struct ErrorDto {
    /// What is wrong, with what was expected and what came.
    error: String,
}

/// The status of an error. What Triton answers 400 to, everything that is wrong
/// with a request and is not about who asks, how much or where, is 400 here too.
pub(crate) fn status(own: StatusCode) -> StatusCode {
    match own {
        StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::CONFLICT
        | StatusCode::PRECONDITION_FAILED
        | StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
        other => other,
    }
}

/// The body of an error.
pub(crate) fn body(detail: &str, errors: &[FieldError]) -> Vec<u8> {
    let error = if errors.is_empty() {
        detail.to_owned()
    } else {
        let sentences: Vec<String> = errors.iter().map(sentence).collect();
        sentences.join("; ")
    };
    serde_json::to_vec(&ErrorDto { error }).expect("invariant: a text is JSON")
}

fn sentence(error: &FieldError) -> String {
    let mut text = error.detail.clone();
    for (word, what) in [("expected", &error.expected), ("got", &error.got)] {
        if let Some(what) = what {
            let written = write!(text, ", {word} {what}");
            written.expect("invariant: a String takes any text");
        }
    }
    text
}

/// Error answers with these statuses in the OpenAPI document.
fn responses(statuses: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let of = |(status, description): &(u16, &str)| {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("InferenceError")))
            .build();
        let response = ResponseBuilder::new()
            .description(*description)
            .content("application/json", content)
            .build();
        (status.to_string(), RefOr::T(response))
    };
    statuses.iter().map(of).collect()
}

/// Of routes without a credential.
const PUBLIC: [(u16, &str); 2] = [
    (400, "The request cannot be understood"),
    (503, "The server is not ready"),
];
/// Of routes about models.
const ACCESS: [(u16, &str); 9] = [
    (400, "The request cannot be understood"),
    (401, "No valid credential"),
    (403, "The credential does not reach this far"),
    (404, "There is no such model or version"),
    (413, "The body or its rows are too many"),
    (429, "Too many requests"),
    (500, "The model or the server failed"),
    (501, "The engine for this model is not installed"),
    (503, "The server or the model is not ready, or at its limit"),
];
/// Of routes with a body or a deadline, besides those.
const WORK: [(u16, &str); 2] = [
    (408, "The body came too slowly"),
    (504, "It took longer than allowed"),
];

/// Errors of routes that need no credential.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicErrors;
/// Errors of all other routes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errors;

impl IntoResponses for PublicErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&PUBLIC)
    }
}

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&[&ACCESS[..], &WORK[..]].concat())
    }
}
