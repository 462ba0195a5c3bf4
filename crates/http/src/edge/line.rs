//! The one line each request leaves in the log, and what it counts.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode};
use plimsoll_core::time::Monotonic;

use super::{EdgeParts, Route};
use crate::context::Context;
use crate::metrics::InFlight;

/// What the log says when the client left before the answer (nginx's 499).
const CLIENT_LEFT: u16 = 499;
/// The log's word for paths that no route has; the path itself may hold anything.
const UNMATCHED: &str = "unmatched";

/// An open request. It is logged and counted when it closes, or, if the client
/// leaves and the handler is dropped, when it is dropped.
pub(super) struct RequestLine {
    pub(super) parts: Arc<EdgeParts>,
    route: Route,
    method: Method,
    pub(super) context: Context,
    pub(super) started: Monotonic,
    status: Option<u16>,
    _in_flight: InFlight,
}

impl RequestLine {
    pub(super) fn open(
        parts: &Arc<EdgeParts>,
        route: Route,
        request: &Request,
        (context, started): (Context, Monotonic),
    ) -> Self {
        Self {
            parts: parts.clone(),
            route,
            method: request.method().clone(),
            context,
            started,
            status: None,
            _in_flight: parts.meters.enter(),
        }
    }

    pub(super) fn close(&mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
    }

    fn log(&self, status: u16, elapsed: Duration) {
        let principal = self.context.principal();
        let slow = elapsed >= self.parts.config.slow_request;
        let path = if self.route.template.is_empty() {
            UNMATCHED
        } else {
            &self.route.template
        };
        tracing::info!(
            target: "plimsoll::request",
            request_id = self.context.request_id(),
            method = self.method.as_str(),
            path,
            status,
            duration_ms = milliseconds(elapsed),
            client = %self.context.address(),
            user_id = principal.map(|p| tracing::field::display(p.user)),
            key_id = principal.and_then(|p| p.key).map(tracing::field::display),
            slow_request = slow.then_some(true),
            "request"
        );
    }
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        let status = self.status.unwrap_or(CLIENT_LEFT);
        let elapsed = self.parts.clock.monotonic().since(self.started);
        self.route.count(&self.method, status, elapsed);
        if self.parts.config.access_log {
            self.log(status, elapsed);
        }
    }
}

/// Milliseconds with microsecond precision.
fn milliseconds(elapsed: Duration) -> f64 {
    let micros = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

/// `X-Response-Time`: milliseconds with three decimals, without a unit.
pub(super) fn response_time(elapsed: Duration) -> HeaderValue {
    let micros = elapsed.as_micros();
    let text = format!("{}.{:03}", micros / 1000, micros % 1000);
    HeaderValue::try_from(text).expect("invariant: digits and a point are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_time_is_milliseconds_with_three_decimals() {
        for (micros, expected) in [
            (0, "0.000"),
            (7, "0.007"),
            (1_250, "1.250"),
            (60_000_000, "60000.000"),
        ] {
            assert_eq!(response_time(Duration::from_micros(micros)), expected);
        }
    }
}
