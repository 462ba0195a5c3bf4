//! What stands in front of the routes: the router, and a fast path past it.
//!
//! axum's router serves any route, and each request pays for that: boxed
//! services and futures, a table of extensions, parameters in lists. On a busy
//! server nearly all requests are of one kind, so a prediction of an endpoint or of
//! a model's default version runs the same edge, the same extractors and the same handler
//! without them (bench/README.md has the figures). Whatever is unusual about a
//! request goes the general way; a test holds both ways to the same answers.

use std::future::{Future, ready};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{Method, Request, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::Either;
use hyper::body::Incoming;
use plimsoll_app::serving::Target;
use plimsoll_core::model::{ModelRef, VersionRef};
use tower::Service;

use crate::context::{Context, Peer};
use crate::edge::{Arrival, Class, EdgeParts, Open};
use crate::extract::{Caller, RawJson, needs};
use crate::metrics::RouteMeters;
use crate::problem::Problem;
use crate::routes::predict as handler;
use crate::wire::Wire;

/// The routes of the fast path.
const PREDICT: &str = "/api/v1/models/{model}/predict";
const PREDICT_ENDPOINT: &str = "/api/v1/endpoints/{endpoint}/predict";

/// All that is served.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    router: Router,
    fast: Option<FastPath>,
}

impl From<Router> for Front {
    fn from(router: Router) -> Self {
        Self { router, fast: None }
    }
}

impl Front {
    /// `router`, except for what `fast` takes.
    pub(crate) fn new(router: Router, fast: FastPath) -> Self {
        Self {
            router,
            fast: Some(fast),
        }
    }

    /// The router alone, which serves everything.
    pub(crate) fn into_router(self) -> Router {
        self.router
    }

    /// Answers one request that came over a connection.
    pub(crate) fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: &Peer,
    ) -> impl Future<Output = Response> + Send + use<> {
        let asked = Asked::by(request.method(), request.uri());
        if let (Some(fast), Some(asked)) = (&self.fast, asked) {
            let route = fast.route(asked);
            return Either::Left(fast.answer(request, peer, route));
        }
        request.extensions_mut().insert(peer.clone());
        let answering = self.router.clone().call(request.map(Body::new));
        Either::Right(answering.map(|Ok(response)| response))
    }
}

/// What a request asks for in the usual manner, by id or name.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Model(&'a str),
    Endpoint(&'a str),
}

impl<'a> Asked<'a> {
    fn by(method: &Method, uri: &'a Uri) -> Option<Self> {
        let path = uri.path().strip_prefix("/api/v1/")?;
        let (kind, name) = path.strip_suffix("/predict")?.split_once('/')?;
        let is_plain = !name.is_empty() && !name.contains(['/', '%']);
        match kind {
            _ if !is_plain || method != Method::POST => None,
            "models" => Some(Self::Model(name)),
            "endpoints" => Some(Self::Endpoint(name)),
            _ => None,
        }
    }
}

/// A prediction without the router.
#[derive(Clone, Debug)]
pub(crate) struct FastPath {
    edge: Arc<EdgeParts>,
    models: Arc<RouteMeters>,
    endpoints: Arc<RouteMeters>,
    wire: Wire,
}

impl FastPath {
    /// The fast path behind the edge of the router.
    pub(crate) fn new(edge: Arc<EdgeParts>, wire: Wire) -> Self {
        Self {
            models: edge.meters.route(PREDICT),
            endpoints: edge.meters.route(PREDICT_ENDPOINT),
            edge,
            wire,
        }
    }

    fn route(&self, asked: Asked<'_>) -> &Arc<RouteMeters> {
        match asked {
            Asked::Model(_) => &self.models,
            Asked::Endpoint(_) => &self.endpoints,
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        route: &Arc<RouteMeters>,
    ) -> impl Future<Output = Response> + Send + use<> {
        let open = match Open::enter(&self.edge, &arrival(&request, peer, route)) {
            Ok(open) => open,
            Err(refusal) => return Either::Left(ready(*refusal)),
        };
        let wire = self.wire.clone();
        Either::Right(async move {
            let context = open.context().clone();
            // Pinned here: what is handed on by value is in the future once more.
            let running = pin!(predict(&wire, &context, request));
            open.answer(running.map(IntoResponse::into_response)).await
        })
    }
}

fn arrival<'a>(
    request: &'a Request<Incoming>,
    peer: &Peer,
    route: &Arc<RouteMeters>,
) -> Arrival<'a> {
    Arrival {
        method: request.method(),
        uri: request.uri(),
        version: request.version(),
        headers: request.headers(),
        has_body: !request.body().is_end_stream(),
        class: Class::Predict,
        route: route.clone(),
        peer: Some(peer.clone()),
    }
}

/// What the extractors of the handler do, in their order, and then the handler.
async fn predict(
    wire: &Wire,
    context: &Context,
    request: Request<Incoming>,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let caller = Caller::<needs::Predict>::of(&head.headers, Some(context), wire)?;
    let RawJson(body, reuse) = RawJson::of(&head.headers, body, wire).await?;
    let name = match Asked::by(&head.method, &head.uri) {
        Some(Asked::Endpoint(endpoint)) => {
            let asked = (endpoint, &head.headers, reuse);
            return handler::answer_endpoint(wire.app(), context, &caller, asked, &body).await;
        }
        Some(Asked::Model(model)) => model,
        None => "",
    };
    let target = Target::Model {
        model: ModelRef::from(name),
        version: VersionRef::Default,
    };
    handler::answer(wire.app(), context, &caller, (target, reuse), &body).await
}
