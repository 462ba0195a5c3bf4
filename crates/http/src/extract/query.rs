//! Query parameters: each is known and acceptable, or named in a 422.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::field_error;
use crate::problem::Problem;

/// The query of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// All parameters are read as text, so what can go wrong here is their names.
fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    serde_urlencoded::from_str(query).map_err(|error| {
        Problem::invalid(vec![field_error(String::new(), None, &error.to_string())])
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Wanted {
        page: Option<String>,
        #[serde(alias = "per_page")]
        page_size: Option<String>,
    }

    #[test]
    fn parameters_are_decoded_and_unknown_ones_named() {
        let wanted: Wanted = parse("page=2&per_page=1%30").unwrap();
        assert_eq!(
            wanted,
            Wanted {
                page: Some("2".into()),
                page_size: Some("10".into())
            }
        );
        assert_eq!(parse::<Wanted>("").unwrap(), Wanted::default());
        for (query, pointer) in [
            ("pages=2", "/pages"),
            ("page=1&page=2", "/page"),
            ("page_size=1&per_page=2", "/page_size"),
        ] {
            let problem = parse::<Wanted>(query).unwrap_err();
            assert_eq!(problem.errors()[0].pointer, pointer, "{query}");
        }
    }
}
