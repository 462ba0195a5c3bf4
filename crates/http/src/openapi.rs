//! The OpenAPI 3.1 document: what `routes!` collects, and what all operations share.

mod headers;

use std::collections::BTreeMap;

use plimsoll_core::field::FieldError;
use serde::Serialize;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, Info, License, OpenApi, RefOr, Response, ResponseBuilder, Server,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::problem::Kind;

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
    headers::add(&mut document.paths);
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
pub(crate) const TAGS: &[(&str, &str)] = &[
    ("Predictions", "Send rows, get predictions."),
    (
        "Open Inference Protocol",
        "The protocol of Triton, KServe and MLServer, version 2.",
    ),
    ("Jobs", "Long work: how far it is, and what came of it."),
    ("Models", "Upload model files, look at them, change them."),
    (
        "Versions",
        "Each upload is an immutable version; one may be in production.",
    ),
    (
        "Endpoints",
        "Lasting names for versions: deploy, split, roll back.",
    ),
    ("API keys", "Keys for programs, with scopes and limits."),
    ("Sign-in", "Accounts and tokens for people."),
    (
        "Users",
        "One's own account, and other people's for administrators.",
    ),
    (
        "Administration",
        "What administrators see of the whole installation.",
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
    /// Names of the limits that were passed.
    #[serde(rename = "violated-policies")]
    violated_policies: Option<Vec<String>>,
    /// The mode the platform is in.
    current_mode: Option<String>,
    /// The modes that would allow it.
    required_modes: Option<Vec<String>>,
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

/// Every request with a credential can meet these.
const ACCESS: &[Kind] = &[
    Kind::MalformedRequest,
    Kind::CredentialInUrl,
    Kind::Unauthenticated,
    Kind::ExpiredKey,
    Kind::ExpiredToken,
    Kind::Forbidden,
    Kind::AccountDisabled,
    Kind::RateLimited,
];
/// Every request with a JSON body can meet these.
const BODY: &[Kind] = &[
    Kind::MalformedJson,
    Kind::TooLarge,
    Kind::UnsupportedMediaType,
    Kind::InvalidRequest,
    Kind::RequestTimeout,
];
/// Every request that uses a model's file can meet these.
const SERVING: &[Kind] = &[
    Kind::EngineUnavailable,
    Kind::ModelBroken,
    Kind::NotReady,
    Kind::Internal,
];
/// A change of what an endpoint serves can meet these.
const SWITCH: &[Kind] = &[
    Kind::NotFound,
    Kind::Archived,
    Kind::VerificationFailed,
    Kind::EndpointStopped,
    Kind::WrongMode,
    Kind::EndpointChanged,
    Kind::NothingToRestore,
];
/// An upload can meet these.
const FILE: &[Kind] = &[
    Kind::NotFound,
    Kind::ModelTypeMismatch,
    Kind::RequestTimeout,
    Kind::NameTaken,
    Kind::LabelTaken,
    Kind::ModelArchived,
    Kind::WrongMode,
    Kind::TooLarge,
    Kind::UnsupportedMediaType,
    Kind::InvalidRequest,
    Kind::UnsafeModel,
    Kind::UnrecognisedModel,
    Kind::DamagedModel,
    Kind::UnsupportedModel,
    Kind::DigestMismatch,
    Kind::EngineUnavailable,
    Kind::StorageFull,
];

/// Error answers of these kinds, one for each status, for `responses(…)` of an operation.
pub(crate) fn problem_responses(groups: &[&[Kind]]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for row in groups.iter().copied().flatten().map(|kind| kind.row()) {
        by_status.entry(row.status).or_default().push(row.slug);
    }
    by_status
        .into_iter()
        .map(|(status, kinds)| {
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
    ($(#[$doc:meta])* $name:ident: $($group:expr),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problem_responses(&[$($group),+])
            }
        }
    };
}

problems! {
    /// Of operations that only read, without a credential.
    PublicProblems: &[Kind::MalformedRequest, Kind::CredentialInUrl, Kind::NotFound]
}
problems! {
    /// Of sign-in and registration.
    SignInProblems: BODY, &[
        Kind::Unauthenticated, Kind::TokenReused, Kind::Forbidden, Kind::AccountDisabled,
        Kind::EmailTaken, Kind::RateLimited, Kind::Overloaded
    ]
}
problems! {
    /// Of operations that every credential may call.
    AccessProblems: ACCESS
}
problems! {
    /// Of operations that read.
    ReadProblems: ACCESS, &[Kind::NotFound, Kind::InvalidRequest]
}
problems! {
    /// Of operations that change something.
    WriteProblems: ACCESS, BODY, &[Kind::NotFound, Kind::Conflict]
}
problems! {
    /// Of changes that may be conditional.
    ConditionalProblems: ACCESS, BODY, &[Kind::NotFound, Kind::Conflict, Kind::PreconditionFailed]
}
problems! {
    /// Of changes of accounts.
    AccountProblems: ACCESS, BODY, &[Kind::NotFound, Kind::EmailTaken, Kind::OwnAccount, Kind::LastAdmin]
}
problems! {
    /// Of operations that take no body and change one thing.
    ActionProblems: ACCESS, &[Kind::NotFound, Kind::Conflict]
}
problems! {
    /// Of the download of a file.
    ArtifactProblems: ACCESS, &[Kind::NotFound, Kind::ModelBroken]
}
problems! {
    /// Of programs that ask a model.
    SnippetProblems: ACCESS, SERVING, &[Kind::NotFound]
}
problems! {
    /// Of conditional changes without a body.
    StopProblems: ACCESS, &[Kind::NotFound, Kind::Conflict, Kind::PreconditionFailed]
}
problems! {
    /// Of changes of versions.
    ChangeProblems: ACCESS, BODY, &[Kind::NotFound, Kind::VersionInUse, Kind::PreconditionFailed]
}
problems! {
    /// Of the removal of versions.
    DeleteProblems: ACCESS, &[
        Kind::NotFound, Kind::InvalidRequest, Kind::VersionInUse, Kind::PreconditionFailed
    ]
}
problems! {
    /// Of operations that load a version.
    VersionProblems: ACCESS, SERVING, &[Kind::NotFound, Kind::Archived, Kind::WrongMode]
}
problems! {
    /// Of promotions.
    PromoteProblems: ACCESS, SERVING, &[
        Kind::NotFound, Kind::Archived, Kind::WrongMode, Kind::VerificationFailed, Kind::PreconditionFailed
    ]
}
problems! {
    /// Of what begins to serve a version.
    DeployProblems: ACCESS, BODY, SERVING, SWITCH
}
problems! {
    /// Of changes of what an endpoint serves.
    SwitchProblems: ACCESS, BODY, SERVING, SWITCH, &[Kind::PreconditionFailed]
}
problems! {
    /// Of the rotation of a key.
    RotateProblems: ACCESS, BODY, &[Kind::NotFound, Kind::KeyRevoked]
}
problems! {
    /// Of uploads.
    UploadProblems: ACCESS, FILE
}
problems! {
    /// Of predictions.
    PredictProblems: ACCESS, BODY, SERVING, &[
        Kind::NotFound, Kind::PredictionFailed, Kind::Overloaded, Kind::ModelResting,
        Kind::Maintenance, Kind::Timeout
    ]
}
problems! {
    /// Of files of rows.
    BatchProblems: ACCESS, &[
        Kind::NotFound, Kind::RequestTimeout, Kind::TooLarge, Kind::UnsupportedMediaType,
        Kind::InvalidRequest, Kind::StorageFull
    ]
}
problems! {
    /// Of changes of a job.
    JobChangeProblems: ACCESS, &[
        Kind::NotFound, Kind::JobUnfinished, Kind::JobFinished, Kind::RetriesExhausted
    ]
}
problems! {
    /// Of results of jobs.
    ResultProblems: ACCESS, &[Kind::NotFound, Kind::NoResult, Kind::InvalidRequest]
}
problems! {
    /// Of checks that fail while the server is not ready.
    ReadyProblems: &[Kind::NotReady]
}
