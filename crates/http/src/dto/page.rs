//! Lists: which page is asked for, and how it is answered.

use plimsoll_core::field::FieldError;
use plimsoll_core::page::{MAX_PAGE_SIZE, Page, PageRequest};
use plimsoll_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Items on all pages together.
    pub total: i64,
    /// Number of this page, from 1.
    pub page: u32,
    /// Items on a full page.
    pub page_size: u32,
}

impl<T> List<T> {
    /// A page of rows as a page of views.
    pub(crate) fn from_page<R>(page: Page<R>, view: impl FnMut(R) -> T) -> Self {
        let Page {
            items,
            total,
            page,
            page_size,
        } = page.map(view);
        Self {
            items,
            total,
            page,
            page_size,
        }
    }
}

/// Which page of a list is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Number of the page, from 1.
    #[param(value_type = Option<u32>, minimum = 1, default = 1)]
    page: Option<String>,
    /// Items on a page (also `per_page`).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    #[serde(alias = "per_page")]
    page_size: Option<String>,
}

impl PageQuery {
    pub(crate) fn request(&self) -> Result<PageRequest, Problem> {
        let mut errors = Vec::new();
        let request = page_request(self.page.as_deref(), self.page_size.as_deref(), &mut errors);
        if errors.is_empty() {
            Ok(request)
        } else {
            Err(Problem::invalid(errors))
        }
    }
}

/// Reads the two page parameters; what is not acceptable goes into `errors`.
pub(crate) fn page_request(
    page: Option<&str>,
    page_size: Option<&str>,
    errors: &mut Vec<FieldError>,
) -> PageRequest {
    let default = PageRequest::default();
    PageRequest {
        number: number("page", page, u32::MAX, errors).unwrap_or(default.number),
        size: number("page_size", page_size, MAX_PAGE_SIZE, errors).unwrap_or(default.size),
    }
}

fn number(name: &str, text: Option<&str>, most: u32, errors: &mut Vec<FieldError>) -> Option<u32> {
    let number = text?
        .parse::<u32>()
        .ok()
        .filter(|number| (1..=most).contains(number));
    if number.is_none() {
        errors.push(out_of_range(name, &format!("integer from 1 to {most}")));
    }
    number
}

/// 422 about one query parameter.
pub(crate) fn out_of_range(name: &str, expected: &str) -> FieldError {
    FieldError::new(
        format!("/{name}"),
        "out-of-range",
        format!("expected {expected}"),
    )
    .expected_got(expected, "string")
}

/// A parameter that is `true` or `false`.
pub(crate) fn flag(name: &str, text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid(vec![out_of_range(name, "true or false")])),
    }
}

/// Items on a page with a cursor if the query does not say.
const USUAL_LIMIT: u32 = 50;

/// Reads parameters of a query and collects what is not acceptable.
pub(crate) struct Reader<'a>(pub(crate) &'a mut Vec<FieldError>);

impl Reader<'_> {
    /// One parameter, if it is there and can be parsed.
    pub(crate) fn text<T>(
        &mut self,
        name: &str,
        text: Option<&str>,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = parse(text?);
        if value.is_none() {
            let detail = format!("expected {expected}");
            self.0.push(
                FieldError::new(format!("/{name}"), "invalid-value", detail)
                    .expected_got(expected, "string"),
            );
        }
        value
    }

    /// `from` and `to`, in this order.
    pub(crate) fn range(
        &mut self,
        from: Option<&str>,
        to: Option<&str>,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        const EXPECTED: &str = "RFC 3339 date-time";
        let from = self.text("from", from, EXPECTED, Timestamp::parse);
        let to = self.text("to", to, EXPECTED, Timestamp::parse);
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            let error = FieldError::new("/from", "out-of-range", "from lies after to");
            self.0.push(error);
        }
        (from, to)
    }

    /// `limit`, at most `most`.
    pub(crate) fn limit(&mut self, text: Option<&str>, most: u32) -> u32 {
        let parse = |text: &str| {
            let limit = text.parse::<u32>().ok();
            limit.filter(|limit| (1..=most).contains(limit))
        };
        let limit = self.text("limit", text, &format!("integer from 1 to {most}"), parse);
        limit.unwrap_or(USUAL_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_out_of_range_are_refused_by_name() {
        for (page, size, expected) in [
            (None, None, Ok((1, 20))),
            (Some("3"), Some("100"), Ok((3, 100))),
            (Some("0"), None, Err(vec!["/page"])),
            (Some("-1"), Some("101"), Err(vec!["/page", "/page_size"])),
            (Some("abc"), None, Err(vec!["/page"])),
            (None, Some("1000000000000"), Err(vec!["/page_size"])),
        ] {
            let query = PageQuery {
                page: page.map(Into::into),
                page_size: size.map(Into::into),
            };
            let got = query
                .request()
                .map(|request| (request.number, request.size))
                .map_err(|problem| {
                    problem
                        .errors()
                        .iter()
                        .map(|error| error.pointer.clone())
                        .collect::<Vec<_>>()
                });
            assert_eq!(
                got,
                expected.map_err(|names| names.into_iter().map(str::to_owned).collect())
            );
        }
    }
}
