//! The edge around handlers of the test's own, without an application.

use std::cell::RefCell;
use std::sync::Once;

use axum::Router;
use axum::body::to_bytes;
use axum::http::header::{ALLOW, WWW_AUTHENTICATE};
use axum::routing::{get, post};
use plimsoll_core::entropy::SeededEntropy;
use plimsoll_core::time::{ManualClock, Timestamp};
use serde_json::Value;
use tower::ServiceExt;
use tracing::field::{Field, Visit};
use tracing::span;

use super::*;

/// A router with one handler for each thing that can happen.
fn router(config: HttpConfig) -> Router {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
        1_700_000_000_000_000,
    )));
    let slow_clock = clock.clone();
    let templates = ["/ok", "/panic", "/fail/{id}", "/slow/predict", "/hang"];
    let parts = EdgeParts {
        ids: IdSource::new(clock.clone(), &SeededEntropy::new(1)),
        clock,
        meters: Arc::new(HttpMeters::new(templates.map(str::to_owned))),
        config,
        predict_deadline: Duration::from_millis(20),
        predict_backstop: Duration::from_millis(20),
    };
    Router::new()
        .route("/ok", get(async || "fine"))
        .route(
            "/panic",
            get(async || -> String { panic!("the secret reason") }),
        )
        .route(
            "/fail/{id}",
            get(async || -> Result<(), Problem> {
                let cause = std::io::Error::other("the secret cause");
                Err(Problem::of(Kind::Internal).caused_by(cause))
            }),
        )
        .route(
            "/denied",
            get(async || -> Result<(), Problem> { Err(Problem::of(Kind::Unauthenticated)) }),
        )
        .route(
            "/slow/predict",
            post(async || std::future::pending::<()>().await),
        )
        .route(
            "/took",
            get(async move || slow_clock.advance(Duration::from_millis(1500))),
        )
        .fallback(async || Problem::of(Kind::NotFound))
        .layer(Edge(Arc::new(parts)))
}

fn request(method: &str, uri: &str) -> Request {
    Request::builder()
        .method(method)
        .uri(uri)
        .body(Body::empty())
        .unwrap()
}

async fn answer(request: Request) -> (Response, Value) {
    let mut response = router(HttpConfig::default())
        .oneshot(request)
        .await
        .unwrap();
    let body = std::mem::take(response.body_mut());
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (response, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn every_refusal_is_a_problem_document() {
    for (method, uri, status, code) in [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/ok/", 404, "not-found"),
        ("POST", "/ok", 405, "method-not-allowed"),
        ("TRACE", "/ok", 405, "method-not-allowed"),
        ("GET", "/%00", 400, "malformed-request"),
        ("GET", "/panic", 500, "internal"),
        ("GET", "/fail/7", 500, "internal"),
        ("GET", "/denied", 401, "unauthenticated"),
        ("POST", "/slow/predict", 504, "timeout"),
        ("GET", "/ok?token=x", 400, "credential-in-url"),
    ] {
        let (response, body) = answer(request(method, uri)).await;
        let id = response.headers()[X_REQUEST_ID]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(response.status().as_u16(), status, "{method} {uri}");
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "application/problem+json",
            "{method} {uri}"
        );
        assert_eq!(body["code"], code, "{method} {uri}");
        assert_eq!(body["type"], format!("/problems/{code}"));
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], id.as_str());
        assert_eq!(body["instance"], format!("/requests/{id}"));
        assert!(!body.to_string().contains("secret"), "{body}");
        assert_eq!(
            response.headers().contains_key(ALLOW),
            status == 405,
            "{method} {uri}"
        );
        assert_eq!(
            response.headers().contains_key(WWW_AUTHENTICATE),
            status == 401
        );
    }
}

#[tokio::test]
async fn a_request_id_is_taken_if_it_is_printable_and_made_otherwise() {
    for (given, taken) in [
        ("abc-1", true),
        ("a b", false),
        ("", false),
        (&"x".repeat(128), true),
        (&"x".repeat(129), false),
    ] {
        let mut request = request("GET", "/ok");
        request
            .headers_mut()
            .insert(X_REQUEST_ID, HeaderValue::from_str(given).unwrap());
        let (response, _) = answer(request).await;
        let id = response.headers()[X_REQUEST_ID].to_str().unwrap();
        assert_eq!(id == given, taken, "{given}");
        assert!(taken || id.starts_with("req_"), "{id}");
    }
}

#[tokio::test]
async fn a_head_request_gets_the_length_but_not_the_body() {
    for (uri, length) in [("/ok", "4"), ("/nowhere", "")] {
        let (response, _) = answer(request("HEAD", uri)).await;
        let (get, _) = answer(request("GET", uri)).await;
        assert_eq!(response.status(), get.status());
        assert!(response.body().is_end_stream(), "{uri}");
        let got = &response.headers()[CONTENT_LENGTH];
        assert!(
            got == length || length.is_empty() && got != "0",
            "{uri}: {got:?}"
        );
    }
}

#[tokio::test]
async fn a_malformed_head_ends_the_connection() {
    let (response, _) = answer(request("GET", "/%00")).await;
    assert_eq!(response.headers()[CONNECTION], "close");
}

#[tokio::test]
async fn a_refusal_that_leaves_the_body_unread_says_that_the_connection_ends() {
    for (body, closes) in [("", false), ("unread", true)] {
        let mut refused = request("POST", "/nowhere");
        *refused.body_mut() = Body::from(body);
        let (response, _) = answer(refused).await;
        assert_eq!(
            response.headers().contains_key(CONNECTION),
            closes,
            "{body}"
        );
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_of_the_house() {
    let (response, _) = answer(request("GET", "/ok")).await;
    let headers = response.headers();
    assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[REFERRER_POLICY], "no-referrer");
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    assert_eq!(headers[X_RESPONSE_TIME], "0.000");
    assert!(!headers.contains_key(CONTENT_SECURITY_POLICY));
}

/// An event as it would be logged: target and fields.
type Event = (String, Value);

thread_local! {
    /// What was logged on this thread; each test has its own.
    static LOGGED: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
}

/// Keeps events apart by thread. It is the one subscriber of the whole process,
/// because subscribers that come and go race for what tracing caches about them.
struct Events;

/// What `work` leaves in the log.
async fn logged_by<T>(work: impl Future<Output = T>) -> Vec<Event> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| tracing::subscriber::set_global_default(Events).unwrap());
    LOGGED.take();
    work.await;
    LOGGED.take()
}

struct Fields<'a>(&'a mut serde_json::Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

impl tracing::Subscriber for Events {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = serde_json::Map::new();
        event.record(&mut Fields(&mut fields));
        LOGGED.with_borrow_mut(|logged| {
            logged.push((event.metadata().target().to_owned(), Value::Object(fields)));
        });
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What one request leaves in the log: its line, and everything else.
async fn logged(request: Request) -> (Vec<Value>, Vec<Value>) {
    let events = logged_by(router(HttpConfig::default()).oneshot(request)).await;
    let (lines, others) = events
        .into_iter()
        .partition::<Vec<_>, _>(|(target, _)| target == "plimsoll::request");
    let fields = |events: Vec<Event>| events.into_iter().map(|(_, fields)| fields).collect();
    (fields(lines), fields(others))
}

#[tokio::test]
async fn one_line_per_request_names_the_route_and_never_the_query() {
    let mut asked = request("GET", "/fail/7?search=hunter2");
    asked
        .headers_mut()
        .insert(X_REQUEST_ID, HeaderValue::from_static("mine"));
    let (lines, others) = logged(asked).await;
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(line["path"], "/fail/{id}");
    assert_eq!(line["status"], 500);
    assert_eq!(line["method"], "GET");
    assert_eq!(line["request_id"], "mine");
    assert!(line.get("slow_request").is_none());
    let [cause] = others.as_slice() else {
        panic!("{others:?}")
    };
    assert_eq!(cause["request_id"], "mine");
    assert_eq!(cause["error"], "the secret cause");
    assert!(!format!("{lines:?}{others:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_panic_is_logged_with_its_message_under_the_request_id() {
    let (lines, others) = logged(request("GET", "/panic")).await;
    assert_eq!(lines[0]["request_id"], others[0]["request_id"]);
    assert_eq!(others[0]["panic"], "the secret reason");
}

#[tokio::test]
async fn a_slow_request_says_so() {
    let (lines, _) = logged(request("GET", "/took")).await;
    assert_eq!(lines[0]["slow_request"], true);
    assert_eq!(lines[0]["duration_ms"], 1500.0);
}

#[tokio::test]
async fn a_client_that_leaves_is_logged_as_499() {
    let events = logged_by(async {
        let waiting = router(HttpConfig::default()).oneshot(request("POST", "/slow/predict"));
        assert!(waiting.now_or_never().is_none());
    });
    assert_eq!(events.await[0].1["status"], 499);
}

#[tokio::test]
async fn more_requests_than_allowed_at_once_are_shed() {
    let mut config = HttpConfig::default();
    config.limits.in_flight = 1;
    let router = router(config);
    let mut waiting = Box::pin(router.clone().oneshot(request("POST", "/slow/predict")));
    assert!((&mut waiting).now_or_never().is_none());
    let shed = router.clone().oneshot(request("GET", "/ok")).await.unwrap();
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(shed.headers().contains_key("retry-after"));
    drop(waiting);
    let served = router.oneshot(request("GET", "/ok")).await.unwrap();
    assert_eq!(served.status(), StatusCode::OK);
}

#[test]
fn operations_that_load_models_get_more_time() {
    for (method, template, class) in [
        (Method::POST, "/api/v1/endpoints", Class::Load),
        (Method::GET, "/api/v1/endpoints", Class::Control),
        (Method::PATCH, "/api/v1/endpoints/{endpoint}", Class::Load),
        (Method::PATCH, "/api/v1/models/{model}", Class::Control),
        (
            Method::PUT,
            "/api/v1/endpoints/{endpoint}/traffic",
            Class::Load,
        ),
        (
            Method::POST,
            "/api/v1/models/{model}/versions/{version}/load",
            Class::Load,
        ),
        (
            Method::DELETE,
            "/api/v1/models/{model}/versions/{version}/load",
            Class::Control,
        ),
        (
            Method::POST,
            "/api/v1/endpoints/{endpoint}/predict",
            Class::Predict,
        ),
        (Method::POST, "/api/v1/models", Class::Upload),
    ] {
        assert_eq!(Class::of(&method, template), class, "{method} {template}");
    }
}
