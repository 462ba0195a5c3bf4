//! What the wire counts, and the text in which Prometheus reads all counters.
//!
//! Handles are resolved once per route and looked up by its template, so that
//! counting a request is one map lookup and a few atomic additions.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Media type of the OpenMetrics text that [`HttpMeters::encode`] writes.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER",
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Arc<str>,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counters of one route.
pub(crate) struct RouteMeters {
    /// The route as it was registered, e.g. `/api/v1/models/{model}`; empty for no route.
    pub(crate) template: Arc<str>,
    requests: Family<RequestLabels, Counter>,
    cells: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
    duration: Histogram,
}

impl fmt::Debug for RouteMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteMeters").field(&self.template).finish()
    }
}

impl RouteMeters {
    /// Counts one answered request.
    pub(crate) fn count(&self, method: &Method, status: u16, elapsed: Duration) {
        let method = METHODS.iter().position(|name| *name == method.as_str());
        let method = method.unwrap_or(METHODS.len() - 1);
        let class = (usize::from(status / 100)).clamp(1, CLASSES.len()) - 1;
        self.cells[method][class]
            .get_or_init(|| {
                self.requests.get_or_create_owned(&RequestLabels {
                    method: METHODS[method],
                    route: self.template.clone(),
                    status: CLASSES[class],
                })
            })
            .inc();
        self.duration.observe(elapsed.as_secs_f64());
    }
}

/// One request being answered; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Everything the wire counts.
#[derive(Debug)]
pub(crate) struct HttpMeters {
    routes: HashMap<Arc<str>, Arc<RouteMeters>>,
    unmatched: Arc<RouteMeters>,
    in_flight: Arc<AtomicUsize>,
    /// Open connections.
    pub(crate) connections: Gauge,
    refused: Family<ReasonLabel, Counter>,
    registry: Registry,
}

/// Seconds from 100 µs to about 26 s, a factor of four apart.
fn duration_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 4.0, 10))
}

impl HttpMeters {
    /// Meters for these route templates, all at zero.
    pub(crate) fn new(templates: impl IntoIterator<Item = String>) -> Self {
        let requests = Family::<RequestLabels, Counter>::default();
        let durations: Family<RouteLabel, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(duration_histogram);
        let meters_of = |template: Arc<str>| {
            Arc::new(RouteMeters {
                requests: requests.clone(),
                cells: Default::default(),
                duration: durations.get_or_create_owned(&RouteLabel {
                    route: template.clone(),
                }),
                template,
            })
        };
        let routes = templates
            .into_iter()
            .map(Arc::from)
            .map(|template: Arc<str>| (template.clone(), meters_of(template)))
            .collect();
        let (connections, refused) = (Gauge::default(), Family::default());
        let mut registry = Registry::with_prefix("plimsoll_http");
        registry.register("requests", "Requests answered", requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time to answer",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("connections", "Open connections", connections.clone());
        registry.register(
            "connections_refused",
            "Connections refused, by reason",
            refused.clone(),
        );
        Self {
            unmatched: meters_of(Arc::from("")),
            routes,
            in_flight: Arc::default(),
            connections,
            refused,
            registry,
        }
    }

    /// Counters of the route with this template.
    pub(crate) fn route(&self, template: &str) -> Arc<RouteMeters> {
        self.routes.get(template).unwrap_or(&self.unmatched).clone()
    }

    /// How many requests are being answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request in until the answer is dropped.
    pub(crate) fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.in_flight.clone())
    }

    /// Counts a connection that was not served.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// All counters of the application and of the wire, as OpenMetrics text.
    pub(crate) fn encode(&self, application: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode_registry(&mut text, application)?;
        text::encode_registry(&mut text, &self.registry)?;
        let mut now = Registry::with_prefix("plimsoll_http");
        let in_flight = i64::try_from(self.in_flight()).unwrap_or(i64::MAX);
        now.register(
            "requests_in_flight",
            "Requests being answered",
            ConstGauge::new(in_flight),
        );
        text::encode_registry(&mut text, &now)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_route_and_class() {
        let meters = HttpMeters::new(["/a/{id}".to_owned()]);
        let elapsed = Duration::from_millis(2);
        meters.route("/a/{id}").count(&Method::GET, 200, elapsed);
        meters.route("/a/{id}").count(&Method::GET, 204, elapsed);
        meters.route("").count(&Method::TRACE, 499, elapsed);
        let entered = meters.enter();
        let text = meters.encode(&Registry::default()).unwrap();
        for line in [
            r#"plimsoll_http_requests_total{method="GET",route="/a/{id}",status="2xx"} 2"#,
            r#"plimsoll_http_requests_total{method="OTHER",route="",status="4xx"} 1"#,
            r#"plimsoll_http_request_duration_seconds_count{route="/a/{id}"} 2"#,
            "plimsoll_http_requests_in_flight 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        drop(entered);
        assert_eq!(meters.in_flight(), 0);
    }
}
