//! `Idempotency-Key`: a POST that may be sent twice and takes effect once.
//!
//! The one place on the wire: handlers know nothing of it. The request's claim
//! travels with its caller into the transaction of the change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{FromRequest, MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use plimsoll_app::idempotency::Admission;
use plimsoll_core::digest::{Digest, Hasher};
use plimsoll_core::idempotency::Claim;
use plimsoll_store::StoredAnswer;
use serde_json::Value;

use crate::context::Context;
use crate::extract::{Caller, Form, needs, read_control_body};
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const MAX_KEY: usize = 255;
/// Headers that a replay gives again.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];
/// Members of answers that exist once and are never stored.
const SECRETS: [&str; 4] = ["api_key", "access_token", "refresh_token", "secret"];

/// The digest of a request's content as it is read: of the bytes of a body, or
/// of the parts of a form, whose boundary is another one each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprint(Arc<Mutex<Hasher>>);

impl Fingerprint {
    pub(crate) fn add(&self, bytes: &[u8]) {
        self.hasher(|hasher| hasher.update(bytes));
    }

    fn digest(&self) -> Digest {
        self.hasher(|hasher| hasher.digest())
    }

    fn hasher<T>(&self, work: impl FnOnce(&mut Hasher) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lets a request pass that has no key; carries one out once that has.
pub(crate) async fn once(State(wire): State<Wire>, request: Request, next: Next) -> Response {
    if !applies(&request) {
        return next.run(request).await;
    }
    let outcome = guarded(&wire, request, next).await;
    outcome.unwrap_or_else(IntoResponse::into_response)
}

fn applies(request: &Request) -> bool {
    let template = request.extensions().get::<MatchedPath>();
    let template = template.map_or("", MatchedPath::as_str);
    request.headers().contains_key(IDEMPOTENCY_KEY) && applies_to(request.method(), template)
}

/// Whether requests of this kind may carry a key. Signing in has no principal yet;
/// predictions and rehearsals leave nothing behind.
pub(crate) fn applies_to(method: &Method, template: &str) -> bool {
    let leaves_nothing = ["/predict", "/forecast", "/validate", "/infer"];
    method == Method::POST
        && !template.starts_with("/api/v1/auth/")
        && !leaves_nothing.iter().any(|end| template.ends_with(end))
}

async fn guarded(wire: &Wire, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let key = key(parts.headers.get(IDEMPOTENCY_KEY))?;
    let context = parts.extensions.get::<Context>().cloned();
    // Spends nothing: the handler's own extractor asks again.
    let caller = Caller::<needs::Standing>::of(&parts.headers, context.as_ref(), wire)?;
    let fingerprint = Fingerprint::default();
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_form = content_type.is_some_and(|value| value.starts_with(b"multipart/"));
    let body = if is_form {
        parts.extensions.insert(fingerprint.clone());
        body
    } else {
        let bytes = read_control_body(body, wire).await?;
        fingerprint.add(&bytes);
        Body::from(bytes)
    };
    let target = format!("{} {}", parts.method, parts.uri.path());
    let request = Request::from_parts(parts, body);
    match wire.app().admit_once(&caller, &target, &key).await? {
        Admission::Fresh(claim) => {
            if let Some(context) = &context {
                context.set_claim(claim.clone());
            }
            let response = next.run(request).await;
            settle(wire, &claim, response, &fingerprint).await
        }
        Admission::Answered(answer) => {
            // Whoever repeats a request pays for it all the same.
            Caller::<needs::Anything>::of(request.headers(), context.as_ref(), wire)?;
            if is_form {
                Form::from_request(request, wire).await?.drain().await?;
            }
            replay(answer, fingerprint.digest())
        }
    }
}

fn key(value: Option<&HeaderValue>) -> Result<String, Problem> {
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_plain =
        (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if is_plain {
        return Ok(text.to_owned());
    }
    let detail = "Idempotency-Key has to be 1 to 255 visible ASCII characters";
    Err(Problem::new(Kind::MalformedRequest, detail))
}

/// Keeps the answer of what succeeded; gives back what did nothing.
async fn settle(
    wire: &Wire,
    claim: &Claim,
    response: Response,
    fingerprint: &Fingerprint,
) -> Result<Response, Problem> {
    if !response.status().is_success() {
        wire.app().release_claim(claim).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await;
    let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let kept = |name: &HeaderName| {
        let text = parts.headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), Value::from(text)))
    };
    let headers: serde_json::Map<String, Value> = KEPT.iter().filter_map(kept).collect();
    let answer = StoredAnswer {
        request_sha256: fingerprint.digest(),
        status: parts.status.as_u16(),
        headers: Value::from(headers).to_string(),
        body: without_secrets(&body),
    };
    // The change is made: its answer goes out even if it cannot be kept.
    if let Err(error) = wire.app().keep_answer(claim, &answer).await {
        tracing::warn!(error = ?error, "the answer of an idempotent request could not be kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn without_secrets(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut members)) => {
            members.retain(|name, _| !SECRETS.contains(&name.as_str()));
            Value::Object(members).to_string()
        }
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}

fn replay(answer: StoredAnswer, digest: Digest) -> Result<Response, Problem> {
    if answer.request_sha256 != digest {
        return Err(Problem::of(Kind::IdempotencyKeyReused));
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers: BTreeMap<String, String> =
        serde_json::from_str(&answer.headers).unwrap_or_default();
    for (name, value) in headers {
        let name = HeaderName::try_from(name).ok();
        if let Some((name, value)) = name.zip(HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    let replayed = HeaderValue::from_static("true");
    response
        .headers_mut()
        .insert(IDEMPOTENCY_REPLAYED, replayed);
    Ok(response)
}
