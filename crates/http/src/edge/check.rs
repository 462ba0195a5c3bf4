//! What is refused before a handler is asked: sizes, malformed heads,
//! credentials in URLs.

use std::time::Duration;

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName, Method, Version};
use plimsoll_core::id::KeyId;

use super::Arrival;
use crate::config::Limits;
use crate::problem::{Kind, Problem};

const X_REQUEST_TIMEOUT_MS: HeaderName = HeaderName::from_static("x-request-timeout-ms");
/// Query parameters that hold nothing but credentials.
const CREDENTIAL_PARAMETERS: [&str; 4] = ["api_key", "key", "token", "access_token"];
/// How every API key starts; a value that contains it is a credential.
const KEY_START: &str = "plim_live_";

/// Checks method, URI and header fields.
pub(super) fn head(arrival: &Arrival<'_>, limits: &Limits) -> Result<(), Problem> {
    if arrival.method == Method::CONNECT {
        return Err(Problem::new(
            Kind::MethodNotAllowed,
            "this server is not a proxy",
        ));
    }
    let uri = arrival.uri;
    let query = uri.query().unwrap_or_default();
    if uri.path().len() + query.len() > limits.uri_bytes {
        return Err(Problem::of(Kind::UriTooLong).limit(limits.uri_bytes as u64));
    }
    header_fields(arrival.headers, limits)?;
    if arrival.peer.is_some() {
        host(arrival)?;
    }
    decodable(
        uri.path(),
        "the path is not percent-encoded UTF-8 without NUL",
    )?;
    decodable(query, "the query is not percent-encoded UTF-8 without NUL")?;
    if !query.is_empty() && holds_credential(query) {
        return Err(Problem::of(Kind::CredentialInUrl));
    }
    Ok(())
}

/// The time a request gets: what its route allows, or less if the client says so.
pub(super) fn deadline(
    headers: &HeaderMap,
    allowed: Option<Duration>,
) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(&X_REQUEST_TIMEOUT_MS) else {
        return Ok(allowed);
    };
    let millis = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .ok_or_else(|| {
            Problem::new(
                Kind::MalformedRequest,
                "the header X-Request-Timeout-Ms has to be a whole number of milliseconds",
            )
        })?;
    if millis == 0 {
        return Err(Problem::of(Kind::Timeout));
    }
    let wanted = Duration::from_millis(millis);
    Ok(Some(allowed.map_or(wanted, |allowed| allowed.min(wanted))))
}

fn header_fields(headers: &HeaderMap, limits: &Limits) -> Result<(), Problem> {
    // Name, value, colon, space and line end, as they were on the wire.
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if headers.len() > limits.header_count || bytes > limits.header_bytes {
        return Err(Problem::of(Kind::HeadersTooLarge).limit(limits.header_bytes as u64));
    }
    Ok(())
}

/// RFC 9112 section 3.2: exactly one `Host` in HTTP/1.1, at most one elsewhere.
fn host(arrival: &Arrival<'_>) -> Result<(), Problem> {
    let count = arrival.headers.get_all(HOST).iter().count();
    let missing = count == 0 && arrival.version == Version::HTTP_11;
    if missing || count > 1 {
        let detail = "an HTTP/1.1 request has exactly one Host header";
        return Err(Problem::new(Kind::MalformedRequest, detail));
    }
    Ok(())
}

/// Path and query are ASCII; decoded they are UTF-8 without NUL, which no
/// name of ours has and PostgreSQL does not take.
fn decodable(text: &str, otherwise: &'static str) -> Result<(), Problem> {
    if text.is_ascii() && !text.contains('%') {
        return Ok(());
    }
    let decoded = percent_decoded(text.as_bytes());
    if !text.is_ascii() || decoded.contains(&0) || std::str::from_utf8(&decoded).is_err() {
        return Err(Problem::new(Kind::MalformedRequest, otherwise));
    }
    Ok(())
}

pub(crate) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| {
        (byte as char)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let byte = match tail {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = byte {
            decoded.push(high << 4 | low);
            rest = &tail[2..];
        } else {
            decoded.push(first);
            rest = tail;
        }
    }
    decoded
}

fn holds_credential(query: &str) -> bool {
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value.as_bytes());
        let value = String::from_utf8_lossy(&value);
        // `key=key_01J…` filters by the id of a key, which proves nothing.
        let is_id = name == "key" && value.parse::<KeyId>().is_ok();
        let suspicious = CREDENTIAL_PARAMETERS
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word));
        value.contains(KEY_START) || suspicious && !is_id
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};

    use super::*;
    use crate::edge::Class;
    use crate::metrics::HttpMeters;

    fn refusal(request: &Request<()>) -> Option<Kind> {
        let arrival = Arrival {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            has_body: false,
            class: Class::Control,
            route: HttpMeters::new([]).route(""),
            peer: None,
        };
        head(&arrival, &Limits::default())
            .err()
            .map(|problem| problem.kind())
    }

    fn check(uri: &str) -> Option<Kind> {
        refusal(&Request::builder().uri(uri).body(()).unwrap())
    }

    #[test]
    fn paths_and_queries_are_checked() {
        let id = "key_01JD3T9Q2G0000000000000000";
        for (uri, expected) in [
            ("/api/v1/models", None),
            ("/api/v1/models/catalog%2Eschema", None),
            ("/a%zz", None),
            ("/a%00", Some(Kind::MalformedRequest)),
            ("/a%c0%af", Some(Kind::MalformedRequest)),
            ("/x?search=%00", Some(Kind::MalformedRequest)),
            ("/x?search=%ff", Some(Kind::MalformedRequest)),
            ("/x?search=%F0%9F%9A%A2", None),
            ("/x?api_key=1", Some(Kind::CredentialInUrl)),
            ("/x?Token=1", Some(Kind::CredentialInUrl)),
            ("/x?page=1&access_token=", Some(Kind::CredentialInUrl)),
            ("/x?search=plim%5flive_0", Some(Kind::CredentialInUrl)),
            ("/x?search=token&page=2", None),
            (&format!("/x?key={id}"), None),
            ("/x?key=iris", Some(Kind::CredentialInUrl)),
            (
                &format!("/{}", "a".repeat(8 * 1024)),
                Some(Kind::UriTooLong),
            ),
        ] {
            assert_eq!(check(uri), expected, "{uri:.60}");
        }
    }

    #[test]
    fn too_many_or_too_large_headers_are_refused() {
        let with = |count: usize, size: usize| {
            let mut request = Request::new(());
            for index in 0..count {
                let name = HeaderName::try_from(format!("x-{index}")).unwrap();
                let value = HeaderValue::try_from("v".repeat(size)).unwrap();
                request.headers_mut().insert(name, value);
            }
            refusal(&request)
        };
        assert_eq!(with(64, 10), None);
        assert_eq!(with(65, 1), Some(Kind::HeadersTooLarge));
        assert_eq!(with(1, 17 * 1024), Some(Kind::HeadersTooLarge));
    }

    #[test]
    fn a_client_can_shorten_its_time_but_not_lengthen_it() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_TIMEOUT_MS, HeaderValue::from_static(value));
            deadline(&headers, Some(Duration::from_secs(10))).map_err(|problem| problem.kind())
        };
        assert_eq!(with("250"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(with("3600000"), Ok(Some(Duration::from_secs(10))));
        assert_eq!(with("0"), Err(Kind::Timeout));
        assert_eq!(with("abc"), Err(Kind::MalformedRequest));
        assert_eq!(with("-1"), Err(Kind::MalformedRequest));
    }
}
