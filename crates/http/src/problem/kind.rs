//! The one table of everything the API refuses: word, status, title, explanation.
//!
//! `GET /problems/{slug}`, `docs/ERRORS.md` and every error body are read from it.

use axum::http::StatusCode;

/// What kind of problem a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is explained by its row in TABLE")]
pub enum Kind {
    MalformedRequest,
    MalformedJson,
    CredentialInUrl,
    ModelTypeMismatch,
    Unauthenticated,
    ExpiredKey,
    ExpiredToken,
    TokenReused,
    Forbidden,
    AccountDisabled,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    EmailTaken,
    NameTaken,
    LabelTaken,
    VersionInUse,
    OwnAccount,
    LastAdmin,
    KeyRevoked,
    ModelArchived,
    Archived,
    JobUnfinished,
    JobFinished,
    RetriesExhausted,
    NoResult,
    VerificationFailed,
    Deployed,
    EndpointStopped,
    EndpointChanged,
    NothingToRestore,
    WrongMode,
    IdempotencyInProgress,
    IdempotencyAnswerLost,
    PreconditionFailed,
    TooLarge,
    UriTooLong,
    UnsupportedMediaType,
    InvalidRequest,
    IdempotencyKeyReused,
    UnsafeModel,
    UnrecognisedModel,
    DamagedModel,
    UnsupportedModel,
    DigestMismatch,
    RateLimited,
    HeadersTooLarge,
    Internal,
    PredictionFailed,
    EngineUnavailable,
    Overloaded,
    NotReady,
    ModelBroken,
    ModelResting,
    Maintenance,
    Timeout,
    StorageFull,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which kind this row describes.
    pub kind: Kind,
    /// HTTP status code.
    pub status: u16,
    /// The word programs compare: last segment of `type`, and `code`.
    pub slug: &'static str,
    /// A few words for people, the same each time.
    pub title: &'static str,
    /// What it means and what to do about it.
    pub explanation: &'static str,
}

impl Kind {
    /// This kind's row.
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// HTTP status of this kind.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The kind with this word.
    pub fn from_slug(slug: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.slug == slug)
            .map(|row| row.kind)
    }
}

const fn row(
    kind: Kind,
    status: u16,
    slug: &'static str,
    title: &'static str,
    explanation: &'static str,
) -> Row {
    Row {
        kind,
        status,
        slug,
        title,
        explanation,
    }
}

/// Every kind, in the order of the enum.
pub static TABLE: &[Row] = &[
    row(
        Kind::MalformedRequest,
        400,
        "malformed-request",
        "The request could not be understood",
        "A path, header, cursor or multipart body is not what HTTP or the API define. `detail` says where reading stopped.",
    ),
    row(
        Kind::MalformedJson,
        400,
        "malformed-json",
        "The body is not valid JSON",
        "The body is empty, cut off, not UTF-8, nested deeper than 32 levels, names one field twice, or continues after the JSON value. Nothing was done.",
    ),
    row(
        Kind::CredentialInUrl,
        400,
        "credential-in-url",
        "A credential does not belong into a URL",
        "URLs are written to logs and histories. Send the key in the header `X-API-Key` or `Authorization: Bearer`, and revoke the key that was sent this way.",
    ),
    row(
        Kind::ModelTypeMismatch,
        400,
        "model-type-mismatch",
        "The file is not of the declared type",
        "`model_type` and what the file contains differ. Leave `model_type` out to let the content decide.",
    ),
    row(
        Kind::Unauthenticated,
        401,
        "unauthenticated",
        "A valid credential is needed",
        "No credential was sent, or it is not valid (any more). Sign in with `POST /api/v1/auth/login`, or send an API key in `X-API-Key`.",
    ),
    row(
        Kind::ExpiredKey,
        401,
        "expired-key",
        "The API key has expired",
        "The key was right, but its time is over. Create a new one with `POST /api/v1/api-keys`.",
    ),
    row(
        Kind::ExpiredToken,
        401,
        "expired-token",
        "The token has expired",
        "Get a new access token with `POST /api/v1/auth/refresh`, or sign in again.",
    ),
    row(
        Kind::TokenReused,
        401,
        "token-reused",
        "The refresh token was used before",
        "Each refresh token works once. Because a second use can mean theft, everything that grew from that sign-in has been signed out. Sign in again.",
    ),
    row(
        Kind::Forbidden,
        403,
        "insufficient-scope",
        "The credential does not reach this far",
        "The credential is valid, but lacks the scope, role or model named in `detail`.",
    ),
    row(
        Kind::AccountDisabled,
        403,
        "account-disabled",
        "The account is deactivated",
        "An administrator switched the account off. Only an administrator can switch it on again.",
    ),
    row(
        Kind::NotFound,
        404,
        "not-found",
        "Not found",
        "There is no such thing, or it belongs to somebody else; the answer does not tell which.",
    ),
    row(
        Kind::MethodNotAllowed,
        405,
        "method-not-allowed",
        "The method is not allowed here",
        "The path exists, but not with this method. The header `Allow` lists the methods it has.",
    ),
    row(
        Kind::RequestTimeout,
        408,
        "request-timeout",
        "The request arrived too slowly",
        "The body paused for too long or was too slow. Nothing was done; send it again.",
    ),
    row(
        Kind::Conflict,
        409,
        "conflict",
        "The state of things does not allow it",
        "The request is fine, but something it needs is in the wrong state. `detail` says what.",
    ),
    row(
        Kind::EmailTaken,
        409,
        "email-taken",
        "The e-mail address is taken",
        "An account with this address exists, in whatever letter case.",
    ),
    row(
        Kind::NameTaken,
        409,
        "name-taken",
        "The name was taken just now",
        "Another request used the name at the same moment. Send the request again.",
    ),
    row(
        Kind::LabelTaken,
        409,
        "label-taken",
        "The label is taken",
        "The model has a version with this label already. Choose another one, or leave it out.",
    ),
    row(
        Kind::VersionInUse,
        409,
        "version-in-use",
        "The version is in use",
        "It is in production, so it cannot be archived or deleted. Promote another version first.",
    ),
    row(
        Kind::OwnAccount,
        409,
        "own-account",
        "Not on your own account",
        "Administrators cannot change their own role or switch themselves off. Another administrator can.",
    ),
    row(
        Kind::LastAdmin,
        409,
        "last-admin",
        "This is the last administrator",
        "An installation keeps at least one active administrator. Make another one first.",
    ),
    row(
        Kind::KeyRevoked,
        409,
        "key-revoked",
        "The key is revoked",
        "A revoked key never works again and cannot be rotated. Create a new one.",
    ),
    row(
        Kind::ModelArchived,
        409,
        "model-archived",
        "The model is archived",
        "An archived model takes no new versions. Set its status to `active` first.",
    ),
    row(
        Kind::Archived,
        409,
        "archived",
        "The version is archived",
        "An archived version can be neither promoted nor served. Set its status, or that of its model, to `active` first.",
    ),
    row(
        Kind::JobUnfinished,
        409,
        "job-unfinished",
        "The job has not ended",
        "A job that waits or runs can neither be removed nor retried. Cancel it first, or wait.",
    ),
    row(
        Kind::JobFinished,
        409,
        "job-finished",
        "The job has ended",
        "There is nothing left to cancel, or nothing to retry.",
    ),
    row(
        Kind::RetriesExhausted,
        409,
        "retries-exhausted",
        "The job was retried often enough",
        "A job can be retried three times. Correct what its `error` names and send a new one.",
    ),
    row(
        Kind::NoResult,
        409,
        "no-result",
        "The job has no result",
        "Only a job that succeeded has one. `GET /api/v1/jobs/{job}` says how far it is, or why it failed.",
    ),
    row(
        Kind::VerificationFailed,
        409,
        "verification-failed",
        "The version does not answer its sample rows",
        "The version answers sample rows otherwise than the `sample_outputs` it was uploaded with. `detail` names the row, the difference and the tolerance. Upload it with the outputs of the model that was saved, or with a `tolerance` you accept.",
    ),
    row(
        Kind::Deployed,
        409,
        "deployed",
        "An endpoint serves it",
        "What an endpoint serves cannot be archived or deleted. Stop the endpoint that `detail` names, or deploy another version there first.",
    ),
    row(
        Kind::EndpointStopped,
        409,
        "endpoint-stopped",
        "The endpoint answers nobody",
        "The endpoint was stopped, or its first version could not be loaded. Deploy a version under its name (`POST /api/v1/endpoints`), then change it.",
    ),
    row(
        Kind::EndpointChanged,
        409,
        "endpoint-changed",
        "The endpoint was changed at the same time",
        "Somebody else changed the endpoint while this change was prepared. Nothing was done. Look at it again and repeat the change if it still makes sense.",
    ),
    row(
        Kind::NothingToRestore,
        409,
        "nothing-to-restore",
        "There is nothing to go back to",
        "The endpoint never served anything else of this model. Name a `target_version`.",
    ),
    row(
        Kind::WrongMode,
        409,
        "wrong-mode",
        "The platform is in another mode",
        "The mode in `current_mode` does not allow it; those in `required_modes` would. An administrator changes it with `PUT /api/v1/mode`.",
    ),
    row(
        Kind::IdempotencyInProgress,
        409,
        "idempotency-in-progress",
        "The request is being carried out",
        "A request with this `Idempotency-Key` is on its way. Send it again in a minute to get its answer.",
    ),
    row(
        Kind::IdempotencyAnswerLost,
        409,
        "idempotency-answer-lost",
        "The request took effect, its answer was lost",
        "What the request with this `Idempotency-Key` did is in `detail`; it is not done again. The answer was lost when the server or the connection ended.",
    ),
    row(
        Kind::PreconditionFailed,
        412,
        "precondition-failed",
        "It was changed meanwhile",
        "The entity tag in `If-Match` is not that of the current state: somebody changed it since you looked. Read it again and decide anew. Nothing was done.",
    ),
    row(
        Kind::TooLarge,
        413,
        "too-large",
        "The request is too large",
        "The body, the file or the number of rows is over the limit in `limit`. Send less at once.",
    ),
    row(
        Kind::UriTooLong,
        414,
        "uri-too-long",
        "The URI is too long",
        "Path and query together may have 8 KiB. Put long values into a body.",
    ),
    row(
        Kind::UnsupportedMediaType,
        415,
        "unsupported-media-type",
        "The body is of the wrong type",
        "Send `Content-Type: application/json` (UTF-8), or `multipart/form-data` where a file is uploaded, without `Content-Encoding`.",
    ),
    row(
        Kind::InvalidRequest,
        422,
        "invalid-request",
        "Some fields are not acceptable",
        "The request was understood, but some of its fields are not acceptable. `errors` names each with a JSON Pointer.",
    ),
    row(
        Kind::IdempotencyKeyReused,
        422,
        "idempotency-key-reused",
        "The Idempotency-Key belongs to another request",
        "This `Idempotency-Key` was sent within the last 24 hours with another body. Take a new one for each new request.",
    ),
    row(
        Kind::UnsafeModel,
        422,
        "unsafe-model",
        "The model file refers to code",
        "A pickle file names functions or classes that are not known to be plain data. They are never executed, so the file cannot be served. `detail` names the first of them.",
    ),
    row(
        Kind::UnrecognisedModel,
        422,
        "unrecognised-model",
        "Not a known model format",
        "The content (not the file name) matches no supported format.",
    ),
    row(
        Kind::DamagedModel,
        422,
        "damaged-model",
        "The model file is damaged",
        "The format was recognised, but the content breaks its rules. The file may have been cut off.",
    ),
    row(
        Kind::UnsupportedModel,
        422,
        "unsupported-model",
        "The model uses something unsupported",
        "The format was recognised, but the model needs an operator, estimator or option that is not supported. `detail` names it.",
    ),
    row(
        Kind::DigestMismatch,
        422,
        "digest-mismatch",
        "The content does not match its SHA-256",
        "What arrived has another SHA-256 than announced. Nothing was stored; send it again.",
    ),
    row(
        Kind::RateLimited,
        429,
        "rate-limited",
        "Too many requests",
        "The limit in `limit` is used up until `reset`; `violated-policies` names it. Come back after `retry_after` seconds.",
    ),
    row(
        Kind::HeadersTooLarge,
        431,
        "headers-too-large",
        "The header fields are too large",
        "A request may have 64 header fields with 16 KiB together.",
    ),
    row(
        Kind::Internal,
        500,
        "internal",
        "Something went wrong on our side",
        "The log holds the whole story under the request id. Quote it when you report the problem.",
    ),
    row(
        Kind::PredictionFailed,
        500,
        "prediction-failed",
        "The model failed on this input",
        "The model was loaded and the input fits its schema, but computing failed. The log holds the reason under the request id.",
    ),
    row(
        Kind::EngineUnavailable,
        501,
        "engine-unavailable",
        "The engine for this format is not installed",
        "The format is known, but what runs it is not installed on this server. `detail` says what to install.",
    ),
    row(
        Kind::Overloaded,
        503,
        "overloaded",
        "The server is at its limit",
        "More work arrived than the server accepts at once. Come back after `retry_after` seconds.",
    ),
    row(
        Kind::NotReady,
        503,
        "not-ready",
        "The server is not ready",
        "The server is starting, stopping, or cannot reach a part it needs.",
    ),
    row(
        Kind::ModelBroken,
        503,
        "model-broken",
        "The stored model cannot be loaded",
        "The stored file is missing, damaged or no longer loadable. Upload it again as a new version, or promote another one.",
    ),
    row(
        Kind::ModelResting,
        503,
        "model-resting",
        "What runs the model failed too often",
        "The model runs in a Python process that failed several times in a row. It is started again after `retry_after` seconds; other models are not affected.",
    ),
    row(
        Kind::Maintenance,
        503,
        "maintenance",
        "Maintenance",
        "An administrator works on the installation, and predictions are not served meanwhile. Come back after `Retry-After`.",
    ),
    row(
        Kind::Timeout,
        504,
        "timeout",
        "The request took too long",
        "The time of the request (or of `X-Request-Timeout-Ms`) was over before the answer was ready.",
    ),
    row(
        Kind::StorageFull,
        507,
        "storage-full",
        "No room left",
        "The server's disk is full or below its floor. Nothing was stored.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_enum_and_words_are_unique() {
        let mut words = HashSet::new();
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.kind as usize, index, "{}", row.slug);
            assert!(words.insert(row.slug), "{} appears twice", row.slug);
            assert_eq!(Kind::from_slug(row.slug), Some(row.kind));
            assert_eq!(row.kind.status().as_u16(), row.status);
            assert!(
                row.slug
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
            assert!(!row.title.ends_with('.') && row.explanation.ends_with('.'));
        }
    }
}
