//! The wire as a whole: what is documented is served, what is served is
//! guarded, and the generated pages are up to date.

use std::collections::HashSet;
use std::path::Path;

use axum::http::Method;
use plimsoll_testkit::{Backend, TestServer};
use serde_json::{Value, json};

/// One operation of the OpenAPI document.
struct Operation {
    method: Method,
    path: String,
    value: Value,
}

impl Operation {
    /// Whether it can be called without a credential.
    fn is_open(&self) -> bool {
        let alternatives = self.value["security"]
            .as_array()
            .expect("every operation says who may call it");
        alternatives.contains(&json!({}))
    }

    /// The path with a name in each place.
    fn filled(&self) -> String {
        self.path.replace(['{', '}'], "")
    }
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(plimsoll_http::openapi()).expect("the document is JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"]
        .as_object()
        .expect("the document has paths")
        .clone();
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (method, value) in item.as_object().expect("a path has operations") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            operations.push(Operation {
                method,
                path: path.clone(),
                value: value.clone(),
            });
        }
    }
    operations
}

#[test]
fn every_operation_has_an_id_a_tag_a_summary_and_an_error() {
    let mut ids = HashSet::new();
    for Operation {
        method,
        path,
        value,
    } in operations()
    {
        let id = value["operationId"]
            .as_str()
            .expect("an operation has an id")
            .to_owned();
        assert!(ids.insert(id.clone()), "{id} names two operations");
        assert_eq!(
            value["tags"].as_array().map(Vec::len),
            Some(1),
            "{method} {path}"
        );
        assert!(
            value["summary"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{method} {path}"
        );
        assert!(value["security"].is_array(), "{method} {path}");
        let responses = value["responses"]
            .as_object()
            .expect("an operation has answers");
        let error = responses
            .iter()
            .find(|(status, _)| status.starts_with(['4', '5']));
        let (_, error) =
            error.unwrap_or_else(|| unreachable!("{method} {path} documents no error"));
        assert!(error["content"].is_object(), "{method} {path}");
    }
    assert!(ids.len() > 35);
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document = serde_json::to_value(plimsoll_http::openapi()).expect("the document is JSON");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap_or_default();
        assert!(
            document.pointer(pointer).is_some(),
            "{pointer} leads nowhere"
        );
    }
}

#[tokio::test]
async fn what_is_documented_is_served_and_asks_for_a_credential() {
    let server = TestServer::start(Backend::Sqlite).await;
    let anyone = server.anonymous();
    for operation in operations() {
        let Operation { method, path, .. } = &operation;
        let reply = anyone.request(method.clone(), &operation.filled()).await;
        if operation.is_open() {
            let body = reply.text();
            assert!(!body.contains("there is no such route"), "{method} {path}");
            assert!(!body.contains("method-not-allowed"), "{method} {path}");
        } else {
            if path.starts_with("/v2") {
                // Errors of that protocol have its own shape.
                assert_eq!(reply.code(), 401, "{method} {path}");
                assert!(reply.json()["error"].is_string(), "{method} {path}");
            } else {
                let body = reply.problem("unauthenticated");
                assert_eq!(body["status"], 401, "{method} {path}");
            }
            assert_eq!(
                reply.header("www-authenticate"),
                "Bearer",
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn pages_are_served_with_a_strict_policy() {
    let server = TestServer::start(Backend::Sqlite).await;
    let anyone = server.anonymous();
    for path in [
        "/docs",
        "/redoc",
        "/api/v1/docs",
        "/api/v1/redoc",
        "/ui/setup",
    ] {
        let reply = anyone.get(path).await.status(200);
        assert!(
            reply.header("content-type").starts_with("text/html"),
            "{path}"
        );
        assert!(
            reply
                .header("content-security-policy")
                .starts_with("default-src 'self';"),
            "{path}"
        );
        for asset in reply.text().split("\"/assets/").skip(1) {
            let asset = asset.split('"').next().unwrap_or_default();
            anyone.get(&format!("/assets/{asset}")).await.status(200);
        }
    }
    anyone.get("/openapi.json").await.status(200);
    let page = anyone
        .get("/problems/not-found")
        .header("accept", "text/html")
        .await
        .status(200);
    assert!(page.text().contains("Not found"));
    assert_eq!(
        anyone.get("/problems/not-found").await.status(200).json()["status"],
        404
    );
    anyone.get("/problems/nothing").await.problem("not-found");
}

#[tokio::test]
async fn counters_of_the_wire_and_of_the_application_are_one_text() {
    let server = TestServer::start(Backend::Sqlite).await;
    server
        .anonymous()
        .get("/api/v1/models")
        .await
        .problem("unauthenticated");
    let text = server.anonymous().get("/metrics").await.status(200).text();
    for line in [
        r#"plimsoll_http_requests_total{method="GET",route="/api/v1/models",status="4xx"} 1"#,
        "plimsoll_http_requests_in_flight 1",
        "plimsoll_loaded_models 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(text.matches("# EOF").count(), 1);
}

#[test]
fn the_page_of_errors_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let committed = std::fs::read_to_string(root.join("docs/ERRORS.md")).unwrap_or_default();
    let written = plimsoll_http::errors_markdown();
    if committed != written {
        let place = root.join("target/ERRORS.md");
        std::fs::write(&place, written).expect("the target folder can be written to");
        unreachable!("docs/ERRORS.md is out of date; copy target/ERRORS.md over it");
    }
}
