//! The small differences in content between an older path and its canonical route.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

use super::table::{Adapter, Alias};
use crate::edge::percent_decoded;
use crate::problem::Kind;

/// One row's differences, for one request.
pub(super) struct Adapted<'a> {
    alias: &'a Alias,
    parameters: &'a [(&'static str, String)],
}

impl<'a> Adapted<'a> {
    pub(super) fn new(alias: &'a Alias, parameters: &'a [(&'static str, String)]) -> Self {
        Self { alias, parameters }
    }

    /// The query that stays, and the body that is made of the request's other parts. A
    /// parameter that is not known here stays and is refused there.
    pub(super) fn request(&self, query: Option<&str>) -> (Option<String>, Option<Value>) {
        match self.alias.adapter {
            Adapter::QueryAsBody(names) => query_as_body(query.unwrap_or_default(), names),
            Adapter::PathAsBody(placeholder) => {
                let member = placeholder.trim_matches(['{', '}']);
                let body = json!({member: self.parameter(placeholder)});
                (query.map(str::to_owned), Some(body))
            }
            Adapter::None | Adapter::StoppedWithBody(_) => (query.map(str::to_owned), None),
        }
    }

    /// The answer as it was given under the older path.
    pub(super) async fn answer(&self, response: Response) -> Response {
        match (self.alias.adapter, response.status()) {
            (Adapter::StoppedWithBody(placeholder), StatusCode::NO_CONTENT) => {
                let name = self.parameter(placeholder);
                with_body(
                    response,
                    &json!({"endpoint_name": name, "status": "deleted"}),
                )
            }
            (_, StatusCode::CONFLICT) if self.alias.mode_is_forbidden => forbidden(response).await,
            _ => response,
        }
    }

    /// What a placeholder stands for, decoded.
    fn parameter(&self, placeholder: &str) -> String {
        let found = self
            .parameters
            .iter()
            .find(|(name, _)| *name == placeholder);
        let text = found.map_or("", |(_, text)| text);
        String::from_utf8_lossy(&percent_decoded(text.as_bytes())).into_owned()
    }
}

/// A JSON body in place of the one that was sent.
pub(super) fn json_body(headers: &mut HeaderMap, content: &Value) -> Body {
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Body::from(content.to_string())
}

fn query_as_body(query: &str, names: &[&str]) -> (Option<String>, Option<Value>) {
    let mut body = Map::new();
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let decoded: Vec<(String, String)> = serde_urlencoded::from_str(pair).unwrap_or_default();
        match decoded.into_iter().next() {
            Some((name, text)) if names.contains(&&*name) && !body.contains_key(&name) => {
                body.insert(name, scalar(text));
            }
            _ => rest.push(pair),
        }
    }
    let rest = (!rest.is_empty()).then(|| rest.join("&"));
    (rest, (!body.is_empty()).then_some(Value::Object(body)))
}

/// Booleans are written as words in a query.
fn scalar(text: String) -> Value {
    match text.as_str() {
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        _ => Value::String(text),
    }
}

fn with_body(mut response: Response, body: &Value) -> Response {
    *response.status_mut() = StatusCode::OK;
    let (mut head, _) = response.into_parts();
    let body = json_body(&mut head.headers, body);
    Response::from_parts(head, body)
}

/// A refusal because of the mode as 403; any other conflict stays one.
async fn forbidden(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(content) = body.collect().await else {
        return StatusCode::CONFLICT.into_response();
    };
    let content = content.to_bytes();
    let mut problem: Value = serde_json::from_slice(&content).unwrap_or_default();
    if problem["code"] != Kind::WrongMode.row().slug {
        return Response::from_parts(head, Body::from(content));
    }
    head.status = StatusCode::FORBIDDEN;
    problem["status"] = head.status.as_u16().into();
    Response::from_parts(head, Body::from(problem.to_string()))
}
