//! The one line each request leaves in the log, and what it counts.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode};
use plimsoll_core::id::{IdText, KeyId};
use plimsoll_core::time::Monotonic;

use super::{Arrival, EdgeParts, Route};
use crate::context::Context;
use crate::dialects::Dialect;
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
    /// How its errors are written.
    pub(super) dialect: Dialect,
    pub(super) context: Context,
    started: Monotonic,
    /// Status of the answer, and how long it took.
    closed: Option<(u16, Duration)>,
    _in_flight: InFlight,
}

impl RequestLine {
    pub(super) fn open(
        parts: &Arc<EdgeParts>,
        arrival: &Arrival<'_>,
        (context, started): (Context, Monotonic),
    ) -> Self {
        Self {
            parts: parts.clone(),
            route: arrival.route.clone(),
            method: arrival.method.clone(),
            dialect: Dialect::of(arrival.uri.path()),
            context,
            started,
            closed: None,
            _in_flight: parts.meters.enter(),
        }
    }

    /// The answer is there, and took this long.
    pub(super) fn close(&mut self, status: StatusCode, elapsed: Duration) {
        self.closed = Some((status.as_u16(), elapsed));
    }

    /// How long the request has been on its way.
    pub(super) fn elapsed(&self) -> Duration {
        self.parts.clock.monotonic().since(self.started)
    }

    fn log(&self, status: u16, elapsed: Duration) {
        let principal = self.context.principal();
        let user = principal.map(|principal| principal.user.text());
        let key = principal
            .and_then(|principal| principal.key)
            .map(KeyId::text);
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
            client = self.context.client(),
            user_id = user.as_ref().map(IdText::as_str),
            key_id = key.as_ref().map(IdText::as_str),
            slow_request = slow.then_some(true),
            "request"
        );
    }
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        let (status, elapsed) = self.closed.unwrap_or_else(|| (CLIENT_LEFT, self.elapsed()));
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
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let mut text = *b"00000000000000000.000";
    let (mut rest, mut start) = (micros, 0);
    for (place, digit) in text.iter_mut().enumerate().rev() {
        if *digit == b'.' {
            continue;
        }
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 && place <= 16 {
            start = place;
            break;
        }
    }
    HeaderValue::from_bytes(&text[start..])
        .expect("invariant: digits and a point are visible ASCII")
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
            (u64::MAX, "18446744073709551.615"),
        ] {
            assert_eq!(response_time(Duration::from_micros(micros)), expected);
        }
    }
}
