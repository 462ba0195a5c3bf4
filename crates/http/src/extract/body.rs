//! Reading a request body: its type, its size, its speed.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;

use plimsoll_app::serving::Reuse;

use crate::config::Limits;
use crate::problem::{Kind, Problem};
use crate::wire::Wire;

/// The bytes of a JSON body that the application decodes itself, and what their
/// sender accepts of answers given before.
#[derive(Debug)]
pub(crate) struct RawJson(pub Bytes, pub Reuse);

impl FromRequest<Wire> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, wire: &Wire) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Self::of(&parts.headers, body, wire).await
    }
}

impl RawJson {
    /// Reads a body of which the headers say that it is JSON.
    pub(crate) async fn of<B>(headers: &HeaderMap, body: B, wire: &Wire) -> Result<Self, Problem>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let limits = &wire.config().limits;
        expect_json(headers)?;
        let reuse = reuse(headers, wire);
        Ok(Self(read(body, limits.predict_body, limits).await?, reuse))
    }
}

/// What `Cache-Control` says, as far as answers are remembered at all.
pub(crate) fn reuse(headers: &HeaderMap, wire: &Wire) -> Reuse {
    if wire.app().settings().predict.result_cache_bytes == 0 {
        return Reuse::Never;
    }
    let values = headers.get_all(CACHE_CONTROL).iter();
    let directives = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let mut reuse = Reuse::Accepted;
    for directive in directives.map(str::trim) {
        if directive.eq_ignore_ascii_case("no-store") {
            return Reuse::Never;
        }
        if directive.eq_ignore_ascii_case("no-cache") {
            reuse = Reuse::Fresh;
        }
    }
    reuse
}

/// Reads a whole body of a control route.
pub(crate) async fn read_control_body(body: Body, wire: &Wire) -> Result<Bytes, Problem> {
    let limits = &wire.config().limits;
    read(body, limits.control_body, limits).await
}

/// Reads a whole body of a prediction, whatever it is.
pub(crate) async fn read_body(body: Body, wire: &Wire) -> Result<Bytes, Problem> {
    let limits = &wire.config().limits;
    read(body, limits.predict_body, limits).await
}

/// Refuses bodies that are not plain JSON in UTF-8.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    expect_identity(headers)?;
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "the header Content-Type is missing; send application/json",
        ));
    };
    let value = value.to_str().unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || essence
            .get(..12)
            .is_some_and(|start| start.eq_ignore_ascii_case("application/"))
            && essence
                .get(essence.len() - 5..)
                .is_some_and(|end| end.eq_ignore_ascii_case("+json"));
    if !is_json {
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "the body has to be application/json",
        ));
    }
    for parameter in parts {
        let (name, charset) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is_utf8 = charset.trim_matches('"').eq_ignore_ascii_case("utf-8");
        if name.eq_ignore_ascii_case("charset") && !is_utf8 {
            return Err(Problem::new(
                Kind::UnsupportedMediaType,
                "JSON is sent in UTF-8",
            ));
        }
    }
    Ok(())
}

/// Refuses compressed bodies: unpacking them would undo every size limit.
pub(super) fn expect_identity(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(CONTENT_ENCODING);
    let compressed = encodings
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if compressed {
        let detail =
            "compressed request bodies are not accepted; send the body without Content-Encoding";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    Ok(())
}

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn read<B>(body: B, limit: usize, limits: &Limits) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large(limit));
    }
    let mut body = body;
    let Some(first) = next_chunk(&mut body, limits.body_idle).await? else {
        return Ok(Bytes::new());
    };
    if first.len() == announced && body.is_end_stream() && first.len() <= limit {
        // The usual case: everything came in one piece and needs no copy.
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(announced.max(first.len()));
    let mut chunk = Some(first);
    while let Some(bytes) = chunk {
        if whole.len() + bytes.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&bytes);
        chunk = next_chunk(&mut body, limits.body_idle).await?;
    }
    Ok(whole.freeze())
}

/// The next data of a body; `None` at its end.
pub(super) async fn next_chunk<B>(body: &mut B, idle: Duration) -> Result<Option<Bytes>, Problem>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    loop {
        // Most bodies are there with their head; only the others need a timer.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => tokio::time::timeout(idle, body.frame())
                .await
                .map_err(|_| Problem::of(Kind::RequestTimeout))?,
        };
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                // Trailers carry nothing for us.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => {
                return Err(Problem::new(
                    Kind::MalformedRequest,
                    "the body ended before it was complete",
                ));
            }
        }
    }
}

pub(crate) fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than {limit} bytes");
    Problem::new(Kind::TooLarge, detail).limit(limit as u64)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_plain_json_in_utf8_is_accepted() {
        for (content_type, accepted) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"", true),
            ("application/merge-patch+json", true),
            ("application/json; charset=latin1", false),
            ("application/jsonp", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(expect_json(&headers).is_ok(), accepted, "{content_type}");
        }
        assert!(expect_json(&HeaderMap::new()).is_err());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(
            expect_json(&headers).unwrap_err().kind(),
            Kind::UnsupportedMediaType
        );
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_announced_or_not() {
        let limits = Limits::default();
        let announced = Body::from(vec![0; 11]);
        assert_eq!(
            read(announced, 10, &limits).await.unwrap_err().kind(),
            Kind::TooLarge
        );
        let pieces = (0..4).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"abc")));
        let streamed = Body::from_stream(futures_util::stream::iter(pieces));
        assert_eq!(
            read(streamed, 10, &limits).await.unwrap_err().kind(),
            Kind::TooLarge
        );
        let pieces = (0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"abc")));
        let streamed = Body::from_stream(futures_util::stream::iter(pieces));
        assert_eq!(read(streamed, 10, &limits).await.unwrap(), "abcabcabc");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_too_long_is_cut() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let outcome = read(Body::from_stream(never), 10, &Limits::default()).await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::RequestTimeout);
    }
}
