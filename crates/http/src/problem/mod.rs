//! Error answers: RFC 9457 problem documents.
//!
//! A handler returns a [`Problem`]; it becomes an empty response that carries
//! the problem, and the edge writes the body, because only the edge knows the
//! request id. Whatever caused a 5xx travels along and is logged there, once.

mod convert;
pub(crate) mod kind;
pub(crate) mod page;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use plimsoll_app::limits::Standings;
use plimsoll_core::field::FieldError;
use plimsoll_core::mode::Mode;
use plimsoll_core::time::Timestamp;
use serde::Serialize;

use crate::dialects::{Dialect, oip};

pub(crate) use kind::Kind;

/// Media type of every error body.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A refusal or failure on its way to the client.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<u64>,
    limit: Option<u64>,
    standings: Option<Standings>,
    modes: Modes,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// The body of a problem document (RFC 9457, with our extension members).
#[derive(Debug, Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<Timestamp>,
    /// The name of the draft of the RateLimit header fields.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'static str>,
    #[serde(flatten)]
    modes: Modes,
}

/// Which mode is in the way, and which would not be.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Modes {
    #[serde(skip_serializing_if = "Option::is_none")]
    current_mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_modes: Option<&'static [Mode]>,
}

/// A problem inside a response's extensions, until the edge writes it.
#[derive(Clone, Debug)]
pub(crate) struct Carried(Arc<Inner>);

impl Problem {
    /// A problem with a sentence about this one case.
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            limit: None,
            standings: None,
            modes: Modes::default(),
            cause: None,
        }))
    }

    /// A problem whose detail is the general explanation of its kind.
    pub(crate) fn of(kind: Kind) -> Self {
        Self::new(kind, kind.row().explanation)
    }

    /// 422 about these fields.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.detail.clone(),
            several => format!("{} fields are not acceptable", several.len()),
        };
        let mut problem = Self::new(Kind::InvalidRequest, detail);
        problem.0.errors = errors;
        problem
    }

    /// The same problem naming what is wrong with each field.
    #[must_use]
    pub(crate) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// The same problem with the time after which trying again makes sense.
    #[must_use]
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        let round_up = u64::from(after.subsec_nanos() > 0);
        self.0.retry_after = Some((after.as_secs() + round_up).max(1));
        self
    }

    /// The same problem with the limit that was passed.
    #[must_use]
    pub(crate) fn limit(mut self, limit: u64) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// The same problem with the limits of the caller, of which one was passed.
    #[must_use]
    pub(crate) fn limited(mut self, standings: Standings) -> Self {
        self.0.standings = Some(standings);
        self
    }

    /// The same problem with the mode that is in the way and those that would not be.
    #[must_use]
    pub(crate) fn modes(mut self, current: Mode, required: &'static [Mode]) -> Self {
        self.0.modes = Modes {
            current_mode: Some(current),
            required_modes: Some(required),
        };
        self
    }

    /// The same problem with what the log should say about it.
    #[must_use]
    pub(crate) fn caused_by(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Box::new(cause));
        self
    }

    /// The JSON document alone, for answers that are not made by the edge.
    pub(crate) fn into_body(self, request_id: &str) -> Vec<u8> {
        Carried(Arc::from(self.0)).body(request_id)
    }

    /// Which row of the table this is.
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The sentence about this case.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong with which field.
    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.kind.status();
        response.extensions_mut().insert(Carried(Arc::from(self.0)));
        response
    }
}

impl Carried {
    /// Writes body and headers, keeping what the response has (such as `Allow`).
    pub(crate) fn write(&self, response: &mut Response, request_id: &str, dialect: Dialect) {
        let (media_type, body) = match dialect {
            Dialect::Own => (MEDIA_TYPE, self.body(request_id)),
            Dialect::OpenInference => {
                *response.status_mut() = oip::error_status(response.status());
                (oip::JSON, oip::error_body(&self.0.detail, &self.0.errors))
            }
        };
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, media_type);
        if self.0.kind.row().status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        *response.body_mut() = Body::from(body);
    }

    /// The JSON document.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        let row = self.0.kind.row();
        let leading = self.0.standings.as_ref().and_then(Standings::leading);
        let standings = self.0.standings.iter().flat_map(Standings::iter);
        let violated = standings.filter(|standing| standing.is_violated);
        let document = Document {
            r#type: format!("/problems/{}", row.slug),
            title: row.title,
            status: row.status,
            detail: &self.0.detail,
            instance: format!("/requests/{request_id}"),
            code: row.slug,
            request_id,
            errors: &self.0.errors,
            retry_after: self.0.retry_after,
            limit: self.0.limit.or(leading.map(|of| u64::from(of.limit))),
            reset: leading.map(|of| of.resets_at),
            violated_policies: violated.map(|of| of.policy.name()).collect(),
            modes: self.0.modes,
        };
        serde_json::to_vec(&document).expect("invariant: a problem document has only text keys")
    }

    /// The limits of the caller, if it is about one of them.
    pub(crate) fn standings(&self) -> Option<Standings> {
        self.0.standings
    }

    /// What caused it, if that is for the log.
    pub(crate) fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// Prints an error with everything that caused it, outermost first.
#[derive(Debug)]
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
