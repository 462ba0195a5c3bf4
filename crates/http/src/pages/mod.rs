//! Our own pages for browsers: the API reference and the first sign-in.
//!
//! Scripts and styles are files of ours, compiled into the binary, so the pages
//! work offline and under a content security policy without exceptions.

pub(crate) mod reference;
mod schema;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Redirect, Response};

use crate::html::page;
use crate::wire::Wire;

const STYLE: &str = include_str!("pages.css");
const REFERENCE_SCRIPT: &str = include_str!("reference.js");
const SETUP_SCRIPT: &str = include_str!("setup.js");
const ICON: &str = include_str!("icon.svg");
const SETUP: &str = include_str!("setup.html");

/// Browsers start at the reference.
pub(crate) async fn home(State(wire): State<Wire>) -> Redirect {
    Redirect::temporary(&format!("{}/docs", wire.config().base_path))
}

/// The API reference.
pub(crate) async fn reference(State(wire): State<Wire>) -> Response {
    ([(CACHE_CONTROL, "no-cache")], Html(wire.reference())).into_response()
}

/// The page on which the administrator's account is claimed.
pub(crate) async fn setup(State(wire): State<Wire>) -> Html<String> {
    Html(page(
        "Set up",
        SETUP,
        &wire.config().base_path,
        &["/assets/setup.js"],
    ))
}

/// The style sheet of all pages.
pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// The script of the reference.
pub(crate) async fn reference_script() -> Response {
    asset("text/javascript; charset=utf-8", REFERENCE_SCRIPT)
}

/// The script of the set-up page.
pub(crate) async fn setup_script() -> Response {
    asset("text/javascript; charset=utf-8", SETUP_SCRIPT)
}

/// The icon that browsers ask for.
pub(crate) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(content_type: &'static str, content: &'static str) -> Response {
    // The names carry no hash yet, so browsers have to ask again.
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")];
    (headers, content).into_response()
}
