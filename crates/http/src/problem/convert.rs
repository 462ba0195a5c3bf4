//! What the application refuses, as problems.

use plimsoll_app::{AuthFailure, Error};
use plimsoll_core::field::FieldError;

use super::{Kind, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { what } => Self::new(Kind::NotFound, format!("{what} not found")),
            Error::Conflict { code, detail } => conflict(code, detail),
            Error::Invalid(errors) => Self::invalid(errors),
            // The application parses nothing but JSON bodies.
            Error::Malformed { detail } => Self::new(Kind::MalformedJson, detail),
            failure @ Error::UnknownCursor => {
                Self::new(Kind::MalformedRequest, failure.to_string())
            }
            Error::Unauthenticated(failure) => unauthenticated(failure),
            Error::Forbidden { need } => {
                Self::new(Kind::Forbidden, format!("the credential lacks {need}"))
            }
            Error::AccountDisabled => Self::of(Kind::AccountDisabled),
            Error::RateLimited {
                retry_after,
                standings,
            } => Self::of(Kind::RateLimited)
                .retry_after(retry_after)
                .limited(standings),
            Error::Overloaded { retry_after } => {
                Self::of(Kind::Overloaded).retry_after(retry_after)
            }
            Error::ModelResting { retry_after } => {
                Self::of(Kind::ModelResting).retry_after(retry_after)
            }
            Error::NotReady { what } => Self::new(Kind::NotReady, format!("{what} is not ready"))
                .retry_after(std::time::Duration::from_secs(1)),
            Error::Timeout => Self::of(Kind::Timeout),
            Error::TooLarge { limit, detail } => Self::new(Kind::TooLarge, detail).limit(limit),
            Error::UnsafeModel { detail, .. } => Self::new(Kind::UnsafeModel, detail),
            Error::ModelRefused { code, detail } => Self::new(
                Kind::from_slug(code).unwrap_or(Kind::UnsupportedModel),
                detail,
            ),
            Error::TypeMismatch { detail } => Self::new(Kind::ModelTypeMismatch, detail),
            Error::EngineUnavailable { detail } => Self::new(Kind::EngineUnavailable, detail),
            Error::DigestMismatch { expected, got } => digest_mismatch(expected, got),
            Error::WrongMode { current, required } => {
                Self::of(Kind::WrongMode).modes(current, required)
            }
            Error::Maintenance { retry_after } => {
                Self::of(Kind::Maintenance).retry_after(retry_after)
            }
            Error::PreconditionFailed => Self::of(Kind::PreconditionFailed),
            Error::StorageFull => Self::of(Kind::StorageFull),
            failure @ Error::ModelBroken { .. } => Self::of(Kind::ModelBroken).caused_by(failure),
            failure @ Error::PredictionFailed { .. } => {
                Self::of(Kind::PredictionFailed).caused_by(failure)
            }
            failure @ Error::Internal(_) => Self::of(Kind::Internal).caused_by(failure),
        }
    }
}

/// Conflicts with a row of their own, else the general one.
fn conflict(code: &'static str, detail: String) -> Problem {
    let kind = Kind::from_slug(code).filter(|kind| kind.row().status < 500);
    Problem::new(kind.unwrap_or(Kind::Conflict), detail)
}

/// One sentence for all, so that an attacker learns nothing from comparing.
fn unauthenticated(failure: AuthFailure) -> Problem {
    Problem::of(match failure {
        AuthFailure::Missing | AuthFailure::Invalid => Kind::Unauthenticated,
        AuthFailure::ExpiredKey => Kind::ExpiredKey,
        AuthFailure::ExpiredToken => Kind::ExpiredToken,
        AuthFailure::ReusedToken => Kind::TokenReused,
    })
}

fn digest_mismatch(expected: String, got: String) -> Problem {
    let error = FieldError::new(
        "/sha256",
        "digest-mismatch",
        "the content has another SHA-256",
    )
    .expected_got(expected, got);
    Problem::of(Kind::DigestMismatch).with_errors(vec![error])
}
