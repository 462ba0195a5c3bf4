//! The OpenAPI 3.1 document: what `routes!` collects, and what all operations share.

use std::collections::BTreeMap;

use plimsoll_core::field::FieldError;
use serde::Serialize;
use utoipa::openapi::schema::{Ref, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, Info, License, ObjectBuilder, OpenApi, RefOr, Response, ResponseBuilder,
    Schema, Server,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::problem::kind::TABLE;

/// The document for the API as it is served at the root of a host.
pub fn openapi() -> OpenApi {
    let (_, document) = crate::routes::api().split_for_parts();
    finish(document, "")
}

/// Adds what no single route knows: title, servers, tags, credentials.
pub(crate) fn finish(mut document: OpenApi, base_path: &str) -> OpenApi {
    let mut info = Info::new("Plimsoll", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Turns a model file into a versioned, key-protected, monitored prediction API. \
         Errors are problem documents (RFC 9457); lists are `{items, total, page, page_size}`; \
         times are RFC 3339 in UTC."
            .to_owned(),
    );
    info.license = Some(License::new("MIT OR Apache-2.0"));
    document.info = info;
    document.servers = (!base_path.is_empty()).then(|| vec![Server::new(base_path)]);
    document.tags = Some(
        TAGS.iter()
            .map(|(name, text)| {
                TagBuilder::new()
                    .name(*name)
                    .description(Some(*text))
                    .build()
            })
            .collect(),
    );
    let components = document.components.get_or_insert_default();
    components
        .schemas
        .insert("Problem".to_owned(), ProblemDocument::schema());
    components
        .schemas
        .insert("FieldProblem".to_owned(), FieldProblem::schema());
    components.add_security_scheme(
        "api_key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
    );
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token from `/auth/login`, or an API key"));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    document
}

/// The document as it is served.
pub(crate) fn json(document: &OpenApi) -> Vec<u8> {
    serde_json::to_vec(document).expect("invariant: an OpenAPI document has only text keys")
}

/// Groups of operations, in the order of the reference page.
pub(crate) const TAGS: [(&str, &str); 7] = [
    ("Predictions", "Send rows, get predictions."),
    ("Models", "Upload model files, look at them, change them."),
    (
        "Versions",
        "Each upload is an immutable version; one may be in production.",
    ),
    ("API keys", "Keys for programs, with scopes and limits."),
    ("Sign-in", "Accounts and tokens for people."),
    (
        "Users",
        "One's own account, and other people's for administrators.",
    ),
    ("Server", "Health, metrics and documentation."),
];

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
struct ProblemDocument {
    /// `/problems/{code}`, where it is explained.
    r#type: String,
    /// A few words, the same each time.
    title: String,
    /// HTTP status.
    status: u16,
    /// A sentence about this one case.
    detail: String,
    /// `/requests/{request_id}`.
    instance: String,
    /// The word to compare in programs.
    code: String,
    /// Under which the request is logged.
    request_id: String,
    /// What is wrong with which field.
    #[schema(value_type = Option<Vec<FieldProblem>>)]
    errors: Option<Vec<FieldError>>,
    /// Seconds after which trying again makes sense.
    retry_after: Option<u64>,
    /// The limit that was passed.
    limit: Option<u64>,
    /// When the limit starts anew.
    #[schema(format = DateTime)]
    reset: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Serialize, ToSchema)]
struct FieldProblem {
    /// JSON Pointer in the names that were sent.
    pointer: String,
    /// The word to compare in programs.
    code: String,
    /// A sentence for people.
    detail: String,
    /// What would have been accepted.
    expected: Option<String>,
    /// The JSON type that was received.
    got: Option<String>,
}

/// Error answers with these statuses, for `responses(…)` of an operation.
pub(crate) fn problem_responses(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    statuses
        .iter()
        .map(|status| {
            let kinds: Vec<&str> = TABLE
                .iter()
                .filter(|row| row.status == *status)
                .map(|row| row.slug)
                .collect();
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Problem")))
                .build();
            let response = ResponseBuilder::new()
                .description(format!("`{}`", kinds.join("`, `")))
                .content("application/problem+json", content)
                .build();
            (status.to_string(), RefOr::T(response))
        })
        .collect()
}

/// Declares a set of error answers that several operations share.
macro_rules! problems {
    ($(#[$doc:meta])* $name:ident: $($status:literal),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problem_responses(&[$($status),+])
            }
        }
    };
}

problems! {
    /// Of operations that only read, without a credential.
    PublicProblems: 400, 404
}
problems! {
    /// Of sign-in and registration.
    SignInProblems: 400, 401, 403, 409, 413, 415, 422, 429
}
problems! {
    /// Of operations that read.
    ReadProblems: 400, 401, 403, 404, 422
}
problems! {
    /// Of operations that change something.
    WriteProblems: 400, 401, 403, 404, 409, 413, 415, 422
}
problems! {
    /// Of operations that take no body and change one thing.
    ActionProblems: 400, 401, 403, 404, 409
}
problems! {
    /// Of uploads.
    UploadProblems: 400, 401, 403, 404, 408, 409, 413, 415, 422, 501, 507
}
problems! {
    /// Of predictions.
    PredictProblems: 400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 501, 503, 504
}
problems! {
    /// Of checks that fail while the server is not ready.
    ReadyProblems: 503
}

/// A JSON value of any type, as a schema.
#[derive(Debug)]
pub(crate) struct AnyValue;

impl PartialSchema for AnyValue {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .into()
    }
}

impl ToSchema for AnyValue {}

/// Text that is not JSON, as a schema.
#[derive(Debug)]
pub(crate) struct PlainText;

impl PartialSchema for PlainText {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .into()
    }
}

impl ToSchema for PlainText {}
