//! What a key may be asked to be.

use plimsoll_core::field::FieldError;
use plimsoll_core::id::ModelId;
use plimsoll_core::key::{Scope, Scopes};
use plimsoll_store::Burst;

use super::{DEFAULT_RATE_LIMIT, RateLimit};
use crate::Error;
use crate::auth::Caller;

/// Highest limit that can be asked for, per hour.
const MAX_RATE_LIMIT: i64 = 1_000_000_000;
/// Most requests of a burst.
const MAX_BURST: i64 = 1_000_000;
/// Longest window of a burst, in seconds: what is longer is a matter of the hour.
const MAX_BURST_WINDOW_S: i64 = 3600;

/// A key that is limited to models passes no key on that reaches further.
pub(super) fn check_reach(caller: &Caller, models: &[ModelId]) -> Result<(), Error> {
    let unlimited = models.is_empty() && !caller.models().is_empty();
    if unlimited || !models.iter().all(|model| caller.reaches(*model)) {
        return Err(Error::Forbidden {
            need: "the models it wants to give away",
        });
    }
    Ok(())
}

pub(super) fn check_texts(
    name: Option<&str>,
    description: Option<&str>,
    errors: &mut Vec<FieldError>,
) {
    let printable = |text: &str| !text.chars().any(char::is_control);
    if let Some(name) = name
        && (name.trim().is_empty() || name.chars().count() > 100 || !printable(name))
    {
        errors.push(
            FieldError::new(
                "/name",
                "invalid-name",
                "expected 1 to 100 characters, none of them control characters",
            )
            .expected_got("string of 1 to 100 characters", "string"),
        );
    }
    // PostgreSQL stores no NUL, and terminals obey the other control characters.
    let unprintable = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if description.is_some_and(|text| text.chars().count() > 500 || text.contains(unprintable)) {
        errors.push(
            FieldError::new(
                "/description",
                "invalid-value",
                "expected at most 500 printable characters",
            )
            .expected_got("at most 500 printable characters", "string"),
        );
    }
}

pub(super) fn check_rate_limit(limit: RateLimit, errors: &mut Vec<FieldError>) -> Option<i64> {
    match limit {
        RateLimit::Default => Some(DEFAULT_RATE_LIMIT),
        RateLimit::Unlimited => None,
        RateLimit::PerHour(limit) if (1..=MAX_RATE_LIMIT).contains(&limit) => Some(limit),
        RateLimit::PerHour(_) => {
            errors.push(
                FieldError::new(
                    "/rate_limit",
                    "out-of-range",
                    "expected at least 1 request per hour, or null for no limit",
                )
                .expected_got(
                    format!("integer from 1 to {MAX_RATE_LIMIT}, or null"),
                    "integer",
                ),
            );
            None
        }
    }
}

pub(super) fn check_burst(burst: Burst, errors: &mut Vec<FieldError>) {
    for (pointer, value, most) in [
        ("/burst/requests", burst.requests, MAX_BURST),
        ("/burst/window_seconds", burst.window_s, MAX_BURST_WINDOW_S),
    ] {
        if value.is_some_and(|value| !(1..=most).contains(&value)) {
            let expected = format!("integer from 1 to {most}");
            let error = FieldError::new(pointer, "out-of-range", format!("expected {expected}"));
            errors.push(error.expected_got(expected, "integer"));
        }
    }
}

pub(super) fn check_scopes(
    caller: &Caller,
    scopes: &[Scope],
    errors: &mut Vec<FieldError>,
) -> Result<(), Error> {
    if scopes.is_empty() {
        errors.push(
            FieldError::new(
                "/scopes",
                "empty",
                "a key needs at least one scope; leave scopes out for [\"read\"]",
            )
            .expected_got(
                "at least one of predict, feedback, read, write, admin",
                "array",
            ),
        );
    }
    let wanted: Scopes = scopes.iter().copied().collect();
    if caller.scopes.include(wanted) {
        Ok(())
    } else {
        Err(Error::Forbidden {
            need: "the scopes it wants to give away",
        })
    }
}
