//! The document and the server say the same: routes, methods, answers, pages.

mod oip;
mod schema;
mod service;
mod tour;
mod versions;

use std::collections::BTreeSet;

use plimsoll_testkit::{Backend, TestServer, backends, fixture_path};
use reqwest::Method;
use serde_json::{Value, json};

use tour::Tour;

const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];

/// One operation of the document.
struct Operation {
    method: Method,
    path: String,
    value: Value,
}

impl Operation {
    fn is_open(&self) -> bool {
        self.value["security"]
            .as_array()
            .unwrap()
            .contains(&json!({}))
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let (path, item) = (path.clone(), item.as_object().unwrap().clone());
        item.into_iter().map(move |(method, value)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            value,
        })
    };
    paths.iter().flat_map(of_path).collect()
}

backends! {
    /// F287
    async fn every_answer_is_what_the_document_says(s: TestServer) {
        let mut tour = Tour::new(&s).await;
        tour.everything(&s).await;
        let mut untried = Vec::new();
        for operation in operations(&tour.document) {
            let Operation { method, path, .. } = &operation;
            let name = format!("{} {path}", method.as_str().to_lowercase());
            if !tour.seen.contains(&name) {
                untried.push(name.clone());
            }
            if !operation.is_open() {
                let filled = path.replace(['{', '}'], "");
                tour.saw(&name, &s.anonymous().request(method.clone(), &filled).await.status(401));
            }
        }
        assert_eq!(untried, Vec::<String>::new(), "a new operation has a place in tour.rs");
    }
}

/// F287
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_documented_path_has_exactly_the_documented_methods() {
    let s = TestServer::start(Backend::Sqlite).await;
    let document = s.anonymous().get("/openapi.json").await.status(200).json();
    assert_eq!(
        document,
        serde_json::to_value(plimsoll_http::openapi()).unwrap()
    );
    assert_eq!(
        document,
        s.anonymous().get("/api/v1/openapi.json").await.json()
    );
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut documented: BTreeSet<String> = item
            .as_object()
            .unwrap()
            .keys()
            .map(|m| m.to_uppercase())
            .collect();
        if documented.contains("GET") {
            documented.insert("HEAD".into());
        }
        for method in METHODS {
            let reply = s
                .anonymous()
                .request(method.clone(), &path.replace(['{', '}'], ""))
                .await;
            let about = format!("{method} {path} answered {}", reply.code());
            assert_eq!(
                reply.code() == 405,
                !documented.contains(method.as_str()),
                "{about}"
            );
            if reply.code() == 405 {
                let allowed: BTreeSet<String> = reply
                    .header("allow")
                    .split(',')
                    .map(|m| m.trim().to_owned())
                    .collect();
                assert_eq!(allowed, documented, "{about}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_documented_is_not_served() {
    let s = TestServer::start(Backend::Sqlite).await;
    for path in [
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/models",
        "/api/v1/models/",
        "/api/v1//models",
        "/admin",
        "/debug",
        "/.env",
        "/.git/config",
        "/static",
        "/assets",
        "/assets/",
        "/health/",
        "/server-status",
    ] {
        let refused = s
            .anonymous()
            .get(path)
            .await
            .status(404)
            .problem("not-found");
        assert_eq!(refused["detail"], "there is no such route", "{path}");
    }
}

/// F287
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_named_grouped_guarded_and_on_the_reference_page() {
    let s = TestServer::start(Backend::Sqlite).await;
    let document = s.anonymous().get("/openapi.json").await.status(200).json();
    let mut pages = Vec::new();
    for path in ["/docs", "/redoc", "/api/v1/docs", "/api/v1/redoc"] {
        pages.push(s.anonymous().get(path).await.status(200).text());
    }
    let mut ids = BTreeSet::new();
    for Operation {
        method,
        path,
        value,
    } in operations(&document)
    {
        let about = format!("{method} {path}");
        let id = value["operationId"]
            .as_str()
            .unwrap_or_else(|| unreachable!("{about} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} names two operations");
        assert_eq!(value["tags"].as_array().map(Vec::len), Some(1), "{about}");
        assert!(value["security"].is_array(), "{about}");
        let responses = value["responses"].as_object().unwrap();
        assert!(
            responses
                .keys()
                .any(|status| status.starts_with(['4', '5'])),
            "{about} has no error"
        );
        for page in &pages {
            assert!(page.contains(path.as_str()), "{about} is not on the page");
        }
    }
    let known = s.anonymous().get("/version").await.status(200).json();
    assert_eq!(
        (&known["name"], &known["version"]),
        (&json!("plimsoll"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let committed = std::fs::read_to_string(fixture_path("../docs/ERRORS.md")).unwrap();
    assert_eq!(committed, plimsoll_http::errors_markdown());
}
