//! Older paths: a request to one becomes the request to its canonical route.
//!
//! In front of the router and in one place. The canonical route then runs with its
//! own credential, limits, deadline and idempotency; only the log line and the
//! counters name the path that was asked for.

mod adapt;
mod table;

use std::net::Ipv4Addr;

use axum::extract::{Request, State};
use axum::http::header::LINK;
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use plimsoll_app::auth::ClientAddress;
use plimsoll_app::limits::Spend;
use plimsoll_core::time::Timestamp;
use serde_json::Value;

use crate::context::Peer;
use crate::deprecation::{DEPRECATION, since};
use crate::extract::credential;
use crate::wire::Wire;

use adapt::Adapted;

pub use table::{ALIASES, Alias};

/// Since when older paths should not be used any more: 2026-11-21, the day their
/// successors were there.
const DEPRECATED_SINCE: Timestamp = Timestamp::from_micros(1_795_219_200_000_000);
/// Stands for the default model in a target.
const DEFAULT_MODEL: &str = "{default}";
/// What the default model is called while there is none: nothing has this name for its caller.
const NO_MODEL: &str = "default";

/// What was asked for before a request was rewritten.
#[derive(Clone, Debug)]
pub(crate) struct AskedAs {
    /// The method.
    pub(crate) method: Method,
    /// The older path, as the table writes it.
    pub(crate) template: &'static str,
}

/// The paths of all rows, for the counters.
pub(crate) fn templates() -> impl Iterator<Item = String> {
    ALIASES.iter().map(|alias| alias.asked().1.to_owned())
}

/// Rewrites a request to an older path; lets any other pass.
pub(crate) async fn rewrite(State(wire): State<Wire>, request: Request, next: Next) -> Response {
    let found = find(request.method(), request.uri().path());
    let Some((alias, parameters)) = found else {
        return next.run(request).await;
    };
    let path = canonical_path(&wire, &request, alias, &parameters);
    let link = successor(&wire.config().base_path, &path);
    let adapted = Adapted::new(alias, &parameters);
    let (query, content) = adapted.request(request.uri().query());
    let Some(uri) = canonical(request.uri(), path, query.as_deref()) else {
        return next.run(request).await;
    };
    let request = redirected(request, alias, uri, content);
    let response = adapted.answer(next.run(request).await).await;
    announced(response, link)
}

/// The row of a path, and what its placeholders stand for.
fn find(method: &Method, path: &str) -> Option<(&'static Alias, Vec<(&'static str, String)>)> {
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    ALIASES.iter().find_map(|alias| {
        let (asked, template) = alias.asked();
        let parameters = (asked == method).then(|| matched(template, path))??;
        let owned = parameters
            .into_iter()
            .map(|(name, text)| (name, text.to_owned()));
        Some((alias, owned.collect()))
    })
}

/// What the placeholders of a template stand for in a path it describes.
fn matched<'a>(template: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(name), Some(text)) if name.starts_with('{') && !text.is_empty() => {
                parameters.push((name, text));
            }
            (Some(name), Some(text)) if name == text => {}
            _ => return None,
        }
    }
}

/// Where a request goes instead.
fn canonical_path(
    wire: &Wire,
    request: &Request,
    alias: &Alias,
    parameters: &[(&'static str, String)],
) -> String {
    let (_, target) = alias.target();
    if !target.contains(DEFAULT_MODEL) {
        return fill(target, parameters, "");
    }
    match (default_model(wire, request), alias.without_model) {
        (None, Some(path)) => path.to_owned(),
        (model, _) => fill(target, parameters, model.as_deref().unwrap_or(NO_MODEL)),
    }
}

/// A target with its placeholders filled in; they stay as the client encoded them.
fn fill(target: &str, parameters: &[(&'static str, String)], model: &str) -> String {
    let value = |segment: &str| {
        let found = parameters.iter().find(|(name, _)| *name == segment);
        found.map(|(_, text)| text.clone())
    };
    let segments = target.split('/').map(|segment| match segment {
        DEFAULT_MODEL => model.to_owned(),
        _ => value(segment).unwrap_or_else(|| segment.to_owned()),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The configured model, else the newest the caller may see. Whoever may see none is told
/// so by the canonical route.
fn default_model(wire: &Wire, request: &Request) -> Option<String> {
    if let Some(name) = &wire.config().default_model {
        return Some(name.clone());
    }
    let peer = request.extensions().get::<Peer>();
    let from = ClientAddress(peer.map_or(Ipv4Addr::UNSPECIFIED.into(), Peer::address));
    let credential = credential(request.headers()).ok()?;
    // Spends nothing: the route's own extractor asks again.
    let caller = wire
        .app()
        .authenticate(credential, from, Spend::Nothing)
        .ok()?;
    let live = wire.app().live();
    live.default_model(&caller)
        .map(|model| model.id.to_string())
}

/// The address of the canonical route, if the name of the default model can be in one.
fn canonical(asked: &Uri, path: String, query: Option<&str>) -> Option<Uri> {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut uri = asked.clone().into_parts();
    uri.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(uri).ok()
}

fn redirected(request: Request, alias: &Alias, uri: Uri, content: Option<Value>) -> Request {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(AskedAs {
        template: alias.asked().1,
        method: head.method.clone(),
    });
    if head.method != Method::HEAD {
        head.method = alias.target().0.parse().unwrap_or(head.method);
    }
    head.uri = uri;
    let body = match content {
        Some(content) => adapt::json_body(&mut head.headers, &content),
        None => body,
    };
    Request::from_parts(head, body)
}

/// RFC 8288 with the relation of RFC 5829.
fn successor(base_path: &str, path: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("<{base_path}{path}>; rel=\"successor-version\"")).ok()
}

/// The answer with where to go from now on. A model that is deprecated itself says so.
fn announced(mut response: Response, link: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(DEPRECATION)
        .or_insert_with(|| since(DEPRECATED_SINCE));
    if let Some(link) = link {
        headers.append(LINK, link);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_row_and_keeps_its_names_encoded() {
        let asked = "/api/v1/deployment/endpoints/a%2Fb/query";
        let (alias, parameters) = find(&Method::POST, asked).unwrap();
        let path = fill(alias.target().1, &parameters, NO_MODEL);
        assert_eq!(path, "/api/v1/endpoints/a%2Fb/predict");
        for (method, path) in [
            (Method::GET, asked),
            (Method::POST, "/api/v1/deployment/endpoints//query"),
            (Method::POST, "/api/v1/deployment/endpoints/a/query/"),
            (Method::POST, "/api/v1/models/iris/predict"),
            (Method::GET, "/api/v1/models/upload"),
        ] {
            assert!(find(&method, path).is_none(), "{method} {path}");
        }
        assert!(find(&Method::HEAD, "/api/health").is_some());
    }

    #[test]
    fn every_placeholder_of_a_target_is_in_its_path() {
        for alias in ALIASES {
            let (_, template) = alias.asked();
            for segment in alias.target().1.split('/').filter(|s| s.starts_with('{')) {
                let known = segment == DEFAULT_MODEL || template.split('/').any(|s| s == segment);
                assert!(known, "{segment} of {template}");
            }
        }
    }
}
