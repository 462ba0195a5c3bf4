//! The wire put together: what handlers share, and the router behind the edge.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use plimsoll_app::App;
use tower::Layer;

use crate::config::HttpConfig;
use crate::edge::{Edge, EdgeParts};
use crate::front::{FastPath, Front};
use crate::metrics::HttpMeters;
use crate::once::once;
use crate::problem::{Kind, Problem};
use crate::{compat, openapi, routes};

/// The application ends a prediction at its deadline and counts it; the edge
/// steps in only if that did not happen within this time.
const PREDICT_BACKSTOP: Duration = Duration::from_secs(1);

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: App,
    config: HttpConfig,
    meters: Arc<HttpMeters>,
    openapi_json: Bytes,
    reference: Bytes,
}

impl Wire {
    /// The application.
    pub(crate) fn app(&self) -> &App {
        &self.0.app
    }

    /// How the wire was configured.
    pub(crate) fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    pub(crate) fn meters(&self) -> &HttpMeters {
        &self.0.meters
    }

    /// The OpenAPI document, rendered once.
    pub(crate) fn openapi_json(&self) -> Bytes {
        self.0.openapi_json.clone()
    }

    /// The reference page, rendered once.
    pub(crate) fn reference(&self) -> Bytes {
        self.0.reference.clone()
    }
}

impl FromRef<Wire> for App {
    fn from_ref(wire: &Wire) -> Self {
        wire.0.app.clone()
    }
}

/// The whole API over `app`, as a router that any server can serve.
pub fn router(app: App, config: HttpConfig) -> Router {
    build(app, config).0.into_router()
}

/// All routes and what they count, for our own server.
pub(crate) fn build(app: App, config: HttpConfig) -> (Front, Arc<HttpMeters>) {
    let (api, document) = routes::api().split_for_parts();
    let document = openapi::finish(document, &config.base_path);
    let templates = document.paths.paths.keys().cloned();
    let pages = routes::page_paths().map(str::to_owned);
    let routes = templates.chain(pages).chain(compat::templates());
    let meters = Arc::new(HttpMeters::new(routes));
    let edge = Arc::new(EdgeParts {
        clock: app.clock().clone(),
        ids: app.ids().clone(),
        config: config.clone(),
        meters: meters.clone(),
        predict_deadline: app.settings().predict.timeout,
        predict_backstop: PREDICT_BACKSTOP,
    });
    let wire = Wire(Arc::new(Inner {
        openapi_json: openapi::json(&document).into(),
        reference: crate::pages::reference::render(&document, &config.base_path).into(),
        app,
        config,
        meters: meters.clone(),
    }));
    let router = api
        .merge(routes::pages())
        .fallback(no_such_route)
        .layer(from_fn_with_state(wire.clone(), once))
        .with_state(wire.clone())
        .layer(Edge(edge.clone()));
    let router = behind_aliases(router, &wire);
    (Front::new(router, FastPath::new(edge, wire)), meters)
}

/// Older paths become canonical ones before the router sees them.
fn behind_aliases(router: Router, wire: &Wire) -> Router {
    if !wire.config().aliases {
        return router;
    }
    let rewriting = from_fn_with_state(wire.clone(), compat::rewrite);
    Router::new().fallback_service(rewriting.layer(router))
}

async fn no_such_route() -> Problem {
    Problem::new(Kind::NotFound, "there is no such route")
}
