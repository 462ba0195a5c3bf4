//! The files of versions, as they were uploaded.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plimsoll_app::App;
use plimsoll_app::registry::Artifact;
use plimsoll_core::model::{ModelRef, VersionRef};

use crate::extract::{Caller, Path, needs};
use crate::openapi::ArtifactProblems;
use crate::problem::Problem;

/// RFC 9530, section 3.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Download a version's file
///
/// As it was uploaded. `ETag` is its SHA-256 in hex, `Repr-Digest` the same as RFC 9530 writes it.
/// The bytes are checked on the way: a damaged file ends before its last byte.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}/artifact", tag = "Versions",
    security(("bearer" = []), ("api_key" = [])),
    params(
        ("model" = String, Path, description = "Id or name of the model"),
        ("version" = String, Path, description = "Number, label, id, `latest` or `production`"),
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "The file of `If-None-Match`"),
        ArtifactProblems
    )
)]
pub(crate) async fn download_artifact(
    State(app): State<App>,
    caller: Caller<needs::Read>,
    Path((model, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (model, version) = (ModelRef::from(&*model), VersionRef::from(&*version));
    let artifact = app.artifact(&caller, &model, &version).await?;
    let tag = format!("\"{}\"", artifact.version.sha256);
    let known = headers.get(IF_NONE_MATCH);
    let known = known.and_then(|value| value.to_str().ok()).unwrap_or("");
    if known.split(',').any(|one| one.trim() == tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = described(&artifact, &tag);
    *response.body_mut() = Body::from_stream(artifact.content);
    Ok(response)
}

fn described(artifact: &Artifact, tag: &str) -> HeaderMap {
    let version = &artifact.version;
    let digest = STANDARD.encode(version.sha256.as_bytes());
    let fields = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, artifact.size.to_string()),
        (CONTENT_DISPOSITION, disposition(&version.file_name)),
        (ETAG, tag.to_owned()),
        (REPR_DIGEST, format!("sha-256=:{digest}:")),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let fields = fields.into_iter().filter_map(|(name, text)| {
        let value = HeaderValue::try_from(text).ok()?;
        Some((name, value))
    });
    fields.collect()
}

/// To be saved and never shown, under a name without anything a shell or a path
/// means (RFC 6266), and the whole name beside it (RFC 8187).
fn disposition(file_name: &str) -> String {
    // What would be a folder to whoever saves it is none of the name.
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.trim_start_matches('.');
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let safe: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let safe = if safe.is_empty() { "model" } else { &safe };
    let mut whole = String::new();
    for byte in name.bytes() {
        if plain(char::from(byte)) {
            whole.push(char::from(byte));
        } else {
            let _ = write!(whole, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{safe}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_becomes_a_safe_header() {
        for (name, expected) in [
            (
                "iris.onnx",
                "attachment; filename=\"iris.onnx\"; filename*=UTF-8''iris.onnx",
            ),
            ("", "attachment; filename=\"model\"; filename*=UTF-8''"),
            (
                "../a\"b",
                "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b",
            ),
            (
                "ä;x",
                "attachment; filename=\"__x\"; filename*=UTF-8''%C3%A4%3Bx",
            ),
        ] {
            assert_eq!(disposition(name), expected);
        }
    }
}
