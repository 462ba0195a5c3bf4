//! The edge: what happens to every request before and after its handler.
//!
//! One service instead of a stack of layers, because each boxed layer costs an
//! allocation per request and hides the order in which things happen: checks,
//! deadline, panic catcher, error body, headers, meters, log line.

mod check;
mod class;
mod limits;
mod line;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use plimsoll_core::id::{IdSource, RequestId};
use plimsoll_core::time::Clock;
use tower::{Layer, Service};

use crate::HttpConfig;
use crate::compat::AskedAs;
use crate::context::{Context, Peer};
use crate::metrics::{HttpMeters, RouteMeters};
use crate::problem::{Carried, Chain, Kind, Problem};
use line::RequestLine;

pub(crate) use check::percent_decoded;
pub(crate) use class::Class;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_RESPONSE_TIME: HeaderName = HeaderName::from_static("x-response-time");
const X_CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");
const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'",
);
/// Headers that every answer gets.
const HEADERS_ADDED: usize = 5;
/// How long a client waits after a 503 about too many requests in flight.
const COME_BACK: Duration = Duration::from_secs(1);

/// What the edge needs, without the application behind it.
#[derive(Debug)]
pub(crate) struct EdgeParts {
    pub clock: Arc<dyn Clock>,
    pub ids: IdSource,
    pub config: HttpConfig,
    pub meters: Arc<HttpMeters>,
    pub predict_deadline: Duration,
    /// What the edge adds to the time of a prediction before it ends it itself.
    pub predict_backstop: Duration,
}

/// Wraps each route (and the fallback) in the edge.
#[derive(Clone, Debug)]
pub(crate) struct Edge(pub Arc<EdgeParts>);

impl<S> Layer<S> for Edge {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService {
            parts: self.0.clone(),
            inner,
        }
    }
}

/// One route behind the edge.
#[derive(Clone, Debug)]
pub(crate) struct EdgeService<S> {
    parts: Arc<EdgeParts>,
    inner: S,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    /// Everything before the handler happens here and not in the future, which
    /// so need not hold the request; it is moved and boxed on its way.
    fn call(&mut self, mut request: Request) -> Self::Future {
        let entered = Open::enter(&self.parts, &Arrival::routed(&self.parts, &request));
        match entered {
            Ok(open) => {
                request.extensions_mut().insert(open.context().clone());
                let running = self.inner.call(request).map(|Ok(response)| response);
                Box::pin(async move { Ok(open.answer(running).await) })
            }
            Err(refusal) => Box::pin(ready(Ok(*refusal))),
        }
    }
}

/// What the edge looks at of a request, whichever way it goes on.
pub(crate) struct Arrival<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) has_body: bool,
    pub(crate) class: Class,
    pub(crate) route: Route,
    /// Where it came from, if it came over a connection of ours.
    pub(crate) peer: Option<Peer>,
}

impl<'a> Arrival<'a> {
    /// A request that the router gave its route.
    fn routed(parts: &EdgeParts, request: &'a Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let template = matched.map_or("", MatchedPath::as_str);
        // Its line and its counters name what was asked for.
        let asked = request.extensions().get::<AskedAs>();
        Self {
            method: asked.map_or(request.method(), |asked| &asked.method),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            has_body: !request.body().is_end_stream(),
            class: Class::of(request.method(), template),
            route: parts
                .meters
                .route(asked.map_or(template, |asked| asked.template)),
            peer: request.extensions().get::<Peer>().cloned(),
        }
    }
}

/// A request on its way, as far as the edge has to remember it.
pub(crate) struct Open {
    line: RequestLine,
    class: Class,
    is_head: bool,
    /// Whether an answer can leave a part of the body unread.
    may_close: bool,
    /// When the edge ends the handler.
    cut_after: Option<Duration>,
}

impl Open {
    /// Lets a request in, or answers it at once.
    pub(crate) fn enter(
        parts: &Arc<EdgeParts>,
        arrival: &Arrival<'_>,
    ) -> Result<Self, Box<Response>> {
        let started = parts.clock.monotonic();
        let context = parts.identify(arrival);
        let mut open = Self {
            class: arrival.class,
            line: RequestLine::open(parts, arrival, (context, started)),
            is_head: arrival.method == Method::HEAD,
            may_close: arrival.version <= Version::HTTP_11 && arrival.has_body,
            cut_after: None,
        };
        match parts.admit(arrival) {
            Ok((allowed, backstop)) => {
                if let Some(allowed) = allowed {
                    open.context().set_deadline(started.plus(allowed));
                }
                open.cut_after = allowed.map(|allowed| allowed + backstop);
                Ok(open)
            }
            Err(problem) => {
                let refusal = refused_at_once(problem, arrival.version);
                Err(Box::new(open.close(refusal)))
            }
        }
    }

    /// What the handler needs to know.
    pub(crate) fn context(&self) -> &Context {
        &self.line.context
    }

    /// Runs the handler and completes its answer.
    pub(crate) async fn answer<F>(self, running: F) -> Response
    where
        F: Future<Output = Response> + Send,
    {
        let response = run(running, self.cut_after, &self.line.context).await;
        self.close(response)
    }

    /// Completes the answer and the request's line.
    fn close(mut self, mut response: Response) -> Response {
        let elapsed = self.line.elapsed();
        finish(&mut response, &self.line, elapsed);
        if self.may_close && leaves_body_unread(self.class, response.status()) {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        if self.is_head {
            forget_body(&mut response);
        }
        self.line.close(response.status(), elapsed);
        response
    }
}

impl EdgeParts {
    /// Takes the client's request id if it is short and printable, else makes one.
    fn identify(&self, arrival: &Arrival<'_>) -> Context {
        let given = arrival.headers.get(&X_REQUEST_ID).filter(|id| {
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        let request_id = given.cloned().unwrap_or_else(|| {
            HeaderValue::from_str(RequestId::new(&self.ids).text().as_str())
                .expect("invariant: an id is visible ASCII")
        });
        Context::new(request_id, arrival.peer.clone())
    }

    /// Checks what can be checked without a handler. Answers what time the handler
    /// is told to have, and what the edge adds before it ends it.
    fn admit(&self, arrival: &Arrival<'_>) -> Result<(Option<Duration>, Duration), Problem> {
        check::head(arrival, &self.config.limits)?;
        if self.meters.in_flight() > self.config.limits.in_flight {
            return Err(Problem::of(Kind::Overloaded).retry_after(COME_BACK));
        }
        let (allowed, backstop) = match arrival.class {
            Class::Control => (Some(self.config.limits.control_deadline), Duration::ZERO),
            Class::Load => (Some(self.config.limits.load_deadline), Duration::ZERO),
            Class::Predict => (Some(self.predict_deadline), self.predict_backstop),
            Class::Upload => (None, Duration::ZERO),
        };
        Ok((check::deadline(arrival.headers, allowed)?, backstop))
    }
}

/// Writes the error body and the headers that every answer has.
fn finish(response: &mut Response, line: &RequestLine, elapsed: Duration) {
    let context = &line.context;
    let mut standings = context.standings();
    if let Some(carried) = carried(response) {
        standings = carried.standings().or(standings);
        carried.write(response, context.request_id(), line.dialect);
        if let Some(cause) = carried.cause() {
            tracing::error!(
                request_id = context.request_id(),
                status = response.status().as_u16(),
                error = %Chain(cause),
                "request failed"
            );
        }
    }
    let headers = response.headers_mut();
    match standings {
        None => headers.reserve(HEADERS_ADDED),
        Some(standings) => {
            headers.reserve(HEADERS_ADDED + limits::FIELDS);
            limits::write(headers, &standings, line.parts.config.x_ratelimit);
        }
    }
    let is_html = headers
        .get(CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/html"));
    if is_html {
        headers.insert(CONTENT_SECURITY_POLICY, CSP);
    }
    // Answers belong to whoever asked; what may be kept says so itself.
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    headers.insert(X_REQUEST_ID, context.request_id_header().clone());
    headers.insert(X_RESPONSE_TIME, line::response_time(elapsed));
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
}

/// The answer to a request that no handler saw. Where the head was malformed,
/// the next bytes of an HTTP/1 connection cannot be trusted to be a request.
fn refused_at_once(problem: Problem, version: Version) -> Response {
    let malformed = problem.kind() == Kind::MalformedRequest;
    let mut response = problem.into_response();
    if malformed && version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    response
}

/// Whether an answer is given without the whole request body having been read.
/// Then hyper closes the connection, and a client that was not told so (RFC
/// 9112 section 9.6) sends its next request into the closing socket.
fn leaves_body_unread(class: Class, status: StatusCode) -> bool {
    const BEFORE_THE_BODY: [u16; 10] = [401, 403, 404, 405, 408, 413, 414, 415, 431, 503];
    let failed = status.is_client_error() || status.is_server_error();
    failed && (class == Class::Upload || BEFORE_THE_BODY.contains(&status.as_u16()))
}

/// HEAD is GET without its body (RFC 9110 section 9.3.2); the length stays.
fn forget_body(response: &mut Response) {
    let length = response.body().size_hint().exact();
    *response.body_mut() = Body::empty();
    if let Some(length @ 1..) = length {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Runs the handler within its time; a panic becomes a 500 whose story is in the log.
async fn run<F>(running: F, deadline: Option<Duration>, context: &Context) -> Response
where
    F: Future<Output = Response> + Send,
{
    let mut guarded = pin!(AssertUnwindSafe(running).catch_unwind());
    // Most handlers are done when they are first asked and need no timer.
    let outcome = match (guarded.as_mut().now_or_never(), deadline) {
        (Some(outcome), _) => Ok(outcome),
        (None, None) => Ok(guarded.await),
        (None, Some(deadline)) => tokio::time::timeout(deadline, guarded).await,
    };
    match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(
                request_id = context.request_id(),
                panic = panic_message(panic.as_ref()),
                "the handler panicked"
            );
            Problem::of(Kind::Internal).into_response()
        }
        Err(_elapsed) => Problem::of(Kind::Timeout).into_response(),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}

/// The problem a response carries; a bare error of the router becomes one.
fn carried(response: &mut Response<Body>) -> Option<Carried> {
    if let Some(carried) = response.extensions_mut().remove::<Carried>() {
        return Some(carried);
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let bare = match status {
        StatusCode::METHOD_NOT_ALLOWED => Kind::MethodNotAllowed,
        StatusCode::NOT_FOUND => Kind::NotFound,
        // Anything else was answered by a handler that chose its own body.
        _ => return None,
    };
    if response.headers().contains_key(CONTENT_TYPE) {
        return None;
    }
    Problem::of(bare)
        .into_response()
        .extensions_mut()
        .remove::<Carried>()
}

/// Meters of a route, as the request line needs them.
type Route = Arc<RouteMeters>;
