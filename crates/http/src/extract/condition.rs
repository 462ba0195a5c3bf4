//! Conditional changes: the `ETag` of what is answered, and `If-Match` of a change.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use plimsoll_core::revision::{self, Revision};

use crate::problem::{Kind, Problem};

/// What a change is conditional on, from the header `If-Match`.
#[derive(Clone, Debug)]
pub(crate) struct IfMatch(pub revision::IfMatch);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        condition(&parts.headers).map(Self)
    }
}

/// An answer with the state of the thing it shows.
#[derive(Debug)]
pub(crate) struct Tagged<T>(pub Revision, pub T);

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self(revision, answer) = self;
        let mut response = answer.into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

fn condition(headers: &HeaderMap) -> Result<revision::IfMatch, Problem> {
    let mut seen = Vec::new();
    for value in headers.get_all(IF_MATCH) {
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(revision::IfMatch::Any);
        }
        for part in text.split(',') {
            let tag: Tag = part.trim().parse()?;
            // A weak tag promises too little and matches nothing (RFC 9110, section 8.8.3.2).
            seen.extend(tag.strong);
        }
    }
    if headers.contains_key(IF_MATCH) {
        Ok(revision::IfMatch::Among(seen))
    } else {
        Ok(revision::IfMatch::Always)
    }
}

struct Tag {
    /// What stands between the quotes, unless the tag is weak.
    strong: Option<String>,
}

impl FromStr for Tag {
    type Err = Problem;

    /// Our own tags hold no commas and no quotes, so a tag that does is not one of ours.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let (is_weak, quoted) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let inner = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.filter(|inner| !inner.contains('"')).ok_or_else(|| {
            Problem::new(
                Kind::MalformedRequest,
                "If-Match has to be * or a list of entity tags in quotes",
            )
        })?;
        Ok(Self {
            strong: (!is_weak).then(|| inner.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_tags_are_read_weak_ones_match_nothing_and_the_rest_is_refused() {
        let among = |tags: &[&str]| {
            let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
            Some(revision::IfMatch::Among(tags))
        };
        for (value, expected) in [
            ("*", Some(revision::IfMatch::Any)),
            ("\"7\"", among(&["7"])),
            ("\"7\" , \"8\"", among(&["7", "8"])),
            ("W/\"7\"", among(&[])),
            ("7", None),
            ("\"7", None),
            ("", None),
            ("\"7\",", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, HeaderValue::from_static(value));
            assert_eq!(condition(&headers).ok(), expected, "{value}");
        }
        assert_eq!(
            condition(&HeaderMap::new()).ok(),
            Some(revision::IfMatch::Always)
        );
    }
}
