//! The header `Deprecation` (RFC 9745): since when something should not be used any more.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use plimsoll_core::time::Timestamp;

/// Its name.
pub(crate) const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

/// Its value: a date in seconds, as a structured field (RFC 9651, 3.3.7).
pub(crate) fn since(at: Timestamp) -> HeaderValue {
    let seconds = at.as_micros().div_euclid(1_000_000);
    HeaderValue::try_from(format!("@{seconds}"))
        .expect("invariant: an at sign and a number are a header's value")
}

/// An answer about something that may be deprecated.
#[derive(Debug)]
pub(crate) struct Dated<T> {
    /// The answer.
    pub(crate) body: T,
    /// Since when, if it is.
    pub(crate) deprecated_at: Option<Timestamp>,
}

impl<T: IntoResponse> IntoResponse for Dated<T> {
    fn into_response(self) -> Response {
        let mut response = self.body.into_response();
        if let Some(at) = self.deprecated_at {
            response.headers_mut().insert(DEPRECATION, since(at));
        }
        response
    }
}
