//! Every operation of the API against every kind of caller.
//!
//! The table is complete: an operation without a row fails, and so does a row
//! without an operation.

mod cast;

use std::collections::BTreeSet;

use plimsoll_testkit::{Options, Part, TestServer, backends, fixture};
use serde_json::{Value, json};

use cast::{Cast, model_of};

const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";

/// What is sent to an operation.
#[derive(Clone, Copy)]
enum Sent {
    Nothing,
    Json(&'static str),
    /// The file of a model with this name.
    Model(&'static str),
    /// A file alone.
    File,
    /// Rows of a batch.
    Rows,
}

use Sent::{File, Json, Model, Nothing, Rows};

/// Callers of the table's columns; the keys are ann's, who owns the objects.
const CALLERS: [&str; 11] = [
    "anonymous",
    "somebody else",
    "key feedback",
    "key predict",
    "key read",
    "key write",
    "key admin",
    "key admin of another model",
    "owner",
    "administrator",
    "administrator's key read",
];
/// Callers whose credential is refused wherever one is needed, and how.
const REFUSED: [(&str, u16); 4] = [
    ("expired key", 401),
    ("revoked key", 401),
    ("refresh token", 401),
    ("deactivated account", 403),
];

const INPUTS: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;
const TENSOR: &str = r#"{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}"#;
/// A body for routes that would do harm: accepted callers get 422.
const WRONG_PASSWORD: &str = r#"{"password": "not the password"}"#;
const WRONG_PASSWORDS: &str =
    r#"{"current_password": "not the password", "new_password": "a new password"}"#;
const ROW: &str = "[5.1, 3.5, 1.4, 0.2]";
const DEPLOY: &str = r#"{"model": "iris", "name": "new"}"#;
const TRAFFIC: &str = r#"{"served": [{"version": 1, "weight": 100}]}"#;
const ROLLBACK: &str = r#"{"target_version": 1}"#;
const OPEN: &str = "200 200 200 200 200 200 200 200 200 200 200";
const OPEN_422: &str = "422 422 422 422 422 422 422 422 422 422 422";

/// Operation, what is sent, and the status for each of [`CALLERS`].
#[rustfmt::skip]
const TABLE: &[(&str, Sent, &str)] = &[
    ("POST /api/v1/models/{model}/predict", Json(INPUTS),                    "401 404 403 200 200 200 200 403 200 200 404"),
    ("POST /api/v1/models/{model}/versions/{version}/predict", Json(INPUTS), "401 404 403 200 200 200 200 403 200 200 404"),
    ("GET /v2", Nothing, OPEN),
    ("GET /v2/health/live", Nothing, OPEN),
    ("GET /v2/health/ready", Nothing, OPEN),
    ("GET /v2/models", Nothing,                                              "401 200 403 403 200 200 200 200 200 200 200"),
    ("GET /v2/models/{model}", Nothing,                                      "401 404 403 200 200 200 200 403 200 200 404"),
    ("GET /v2/models/{model}/ready", Nothing,                                "401 404 403 200 200 200 200 403 200 200 404"),
    ("GET /v2/models/{model}/versions/{version}", Nothing,                   "401 404 403 200 200 200 200 403 200 200 404"),
    ("GET /v2/models/{model}/versions/{version}/ready", Nothing,             "401 404 403 200 200 200 200 403 200 200 404"),
    ("POST /v2/models/{model}/infer", Json(TENSOR),                          "401 404 403 200 200 200 200 403 200 200 404"),
    ("POST /v2/models/{model}/versions/{version}/infer", Json(TENSOR),       "401 404 403 200 200 200 200 403 200 200 404"),
    ("POST /v2/repository/index", Nothing,                                   "401 200 403 403 200 200 200 200 200 200 200"),
    ("POST /v2/repository/models/{model}/load", Nothing,                     "401 404 403 403 403 403 200 403 200 200 403"),
    ("POST /v2/repository/models/{model}/unload", Nothing,                   "401 404 403 403 403 403 200 403 200 200 403"),
    ("POST /api/v1/models/{model}/batch", Rows,                              "401 404 403 202 202 202 202 403 202 202 404"),
    ("GET /api/v1/jobs", Nothing,                                            "401 200 403 403 200 200 200 200 200 200 200"),
    ("GET /api/v1/jobs/{job}", Nothing,                                      "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/jobs/{job}/events", Nothing,                               "401 404 403 403 200 200 200 403 200 200 404"),
    // Nobody works on jobs here: they have no result and need no retry.
    ("GET /api/v1/jobs/{job}/result", Nothing,                               "401 404 403 403 409 409 409 403 409 409 404"),
    ("POST /api/v1/jobs/{job}/retry", Nothing,                               "401 404 403 403 403 409 409 403 409 409 404"),
    ("DELETE /api/v1/jobs/{job}", Nothing,                                   "401 404 403 403 403 409 409 403 409 409 404"),
    ("POST /api/v1/jobs/{job}/cancel", Nothing,                              "401 404 403 403 403 200 200 403 200 200 404"),
    ("GET /api/v1/predictions", Nothing,                                     "401 200 403 403 200 200 200 200 200 200 200"),
    ("GET /api/v1/predictions/{prediction}", Nothing,                        "401 404 403 403 200 200 200 403 200 404 404"),
    ("GET /api/v1/models", Nothing,                                          "401 200 403 403 200 200 200 200 200 200 200"),
    ("POST /api/v1/models", Model("iris"),                                   "401 201 403 403 403 201 201 403 201 201 403"),
    ("GET /api/v1/models/{model}", Nothing,                                  "401 404 403 403 200 200 200 403 200 200 404"),
    ("PATCH /api/v1/models/{model}", Json("{}"),                             "401 404 403 403 403 200 200 403 200 200 403"),
    ("DELETE /api/v1/models/{model}", Nothing,                               "401 404 403 403 403 204 204 403 204 204 403"),
    ("GET /api/v1/models/{model}/info", Nothing,                             "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/models/{model}/snippets", Nothing,                         "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/models/{model}/analytics", Nothing,                        "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/models/{model}/compare?from=1&to=latest", Nothing,         "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/models/{model}/promotions", Nothing,                       "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/models/{model}/versions/{version}/artifact", Nothing,      "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/models/{model}/versions", Nothing,                         "401 404 403 403 200 200 200 403 200 200 404"),
    ("POST /api/v1/models/{model}/versions", File,                           "401 404 403 403 403 201 201 403 201 201 403"),
    ("GET /api/v1/models/{model}/versions/{version}", Nothing,               "401 404 403 403 200 200 200 403 200 200 404"),
    ("PATCH /api/v1/models/{model}/versions/{version}", Json("{}"),          "401 404 403 403 403 200 200 403 200 200 403"),
    ("DELETE /api/v1/models/{model}/versions/{version}", Nothing,            "401 404 403 403 403 409 409 403 409 409 403"),
    ("POST /api/v1/models/{model}/versions/{version}/promote", Nothing,      "401 404 403 403 403 403 200 403 200 200 403"),
    ("POST /api/v1/models/{model}/versions/{version}/verify", Nothing,       "401 404 403 403 403 200 200 403 200 200 403"),
    ("POST /api/v1/models/{model}/versions/{version}/load", Nothing,         "401 404 403 403 403 403 200 403 200 200 403"),
    ("DELETE /api/v1/models/{model}/versions/{version}/load", Nothing,       "401 404 403 403 403 403 204 403 204 204 403"),
    ("GET /api/v1/models/{model}/deployments", Nothing,                      "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/endpoints", Nothing,                                       "401 200 403 403 200 200 200 200 200 200 200"),
    // The model's name, under which some have one of their own by now.
    ("POST /api/v1/endpoints", Json(DEPLOY),                                 "401 201 403 403 403 201 200 403 200 201 403"),
    ("GET /api/v1/endpoints/{endpoint}", Nothing,                            "401 404 403 403 200 200 200 403 200 200 404"),
    ("PATCH /api/v1/endpoints/{endpoint}", Json("{}"),                       "401 404 403 403 403 200 200 403 200 200 403"),
    ("DELETE /api/v1/endpoints/{endpoint}", Nothing,                         "401 404 403 403 403 204 204 403 204 204 403"),
    ("PUT /api/v1/endpoints/{endpoint}/traffic", Json(TRAFFIC),              "401 404 403 403 403 200 200 403 200 200 403"),
    ("POST /api/v1/endpoints/{endpoint}/rollback", Json(ROLLBACK),           "401 404 403 403 403 200 200 403 200 200 403"),
    ("POST /api/v1/endpoints/{endpoint}/validate", Nothing,                  "401 404 403 403 200 200 200 403 200 200 404"),
    ("GET /api/v1/endpoints/{endpoint}/history", Nothing,                    "401 404 403 403 200 200 200 403 200 200 404"),
    ("POST /api/v1/endpoints/{endpoint}/predict", Json(INPUTS),              "401 404 403 200 200 200 200 403 200 200 404"),
    ("GET /api/v1/deployments", Nothing,                                     "401 200 403 403 200 200 200 200 200 200 200"),
    ("GET /api/v1/api-keys", Nothing,                                        "401 200 403 403 200 200 200 200 200 200 200"),
    ("POST /api/v1/api-keys", Json(r#"{"name": "new"}"#),                    "401 201 403 403 403 403 201 201 201 201 403"),
    ("GET /api/v1/api-keys/{key}", Nothing,                                  "401 404 403 403 200 200 200 200 200 404 404"),
    ("PATCH /api/v1/api-keys/{key}", Json("{}"),                             "401 404 403 403 403 403 200 200 200 404 403"),
    ("DELETE /api/v1/api-keys/{key}", Nothing,                               "401 404 403 403 403 403 204 204 204 404 403"),
    ("POST /api/v1/api-keys/{key}/rotate", Nothing,                          "401 404 403 403 403 403 201 403 201 404 403"),
    ("GET /api/v1/monitoring/api-keys/usage", Nothing,                       "401 200 403 403 200 200 200 200 200 200 200"),
    ("GET /api/v1/limits", Nothing,                                          "401 200 200 200 200 200 200 200 200 200 200"),
    ("POST /api/v1/auth/register", Json("{}"), OPEN_422),
    ("POST /api/v1/auth/login", Json("{}"), OPEN_422),
    ("POST /api/v1/auth/refresh", Json("{}"), OPEN_422),
    ("POST /api/v1/auth/logout", Json("{}"), OPEN_422),
    ("POST /api/v1/auth/setup", Json("{}"), OPEN_422),
    ("GET /api/v1/auth/me", Nothing,                                         "401 200 200 200 200 200 200 200 200 200 200"),
    ("GET /api/v1/users/me", Nothing,                                        "401 200 403 403 200 200 200 200 200 200 200"),
    ("PATCH /api/v1/users/me", Json("{}"),                                   "401 200 403 403 403 403 200 200 200 200 403"),
    ("DELETE /api/v1/users/me", Json(WRONG_PASSWORD),                        "401 422 403 403 403 403 422 422 422 422 403"),
    ("POST /api/v1/users/me/password", Json(WRONG_PASSWORDS),                "401 422 403 403 403 403 422 422 422 422 403"),
    ("GET /api/v1/users", Nothing,                                           "401 403 403 403 403 403 403 403 403 200 403"),
    ("POST /api/v1/users", Json("{}"),                                       "401 403 403 403 403 403 403 403 403 422 403"),
    ("PATCH /api/v1/users/{user}", Json("{}"),                               "401 403 403 403 403 403 403 403 403 200 403"),
    ("GET /api/v1/audit", Nothing,                                           "401 403 403 403 403 403 403 403 403 200 403"),
    ("GET /api/v1/mode", Nothing,                                            "401 200 403 403 200 200 200 200 200 200 200"),
    ("PUT /api/v1/mode", Json(r#"{"mode": "inference"}"#),                   "401 403 403 403 403 403 403 403 403 200 403"),
    ("GET /api/v1/mode/history", Nothing,                                    "401 200 403 403 200 200 200 200 200 200 200"),
    ("GET /health", Nothing, OPEN),
    ("GET /health/detailed", Nothing,                                        "401 403 403 403 403 403 403 403 403 200 403"),
    ("GET /health/live", Nothing, OPEN),
    ("GET /health/ready", Nothing, OPEN),
    ("GET /api/v1/health", Nothing, OPEN),
    ("GET /api/v1/health/live", Nothing, OPEN),
    ("GET /api/v1/health/ready", Nothing, OPEN),
    // To loopback only; see the module of the route.
    ("GET /metrics", Nothing, OPEN),
    ("GET /version", Nothing, OPEN),
    ("GET /openapi.json", Nothing, OPEN),
    ("GET /api/v1/openapi.json", Nothing, OPEN),
    ("GET /problems/{slug}", Nothing, OPEN),
];

/// Jobs stay where they are.
fn no_workers() -> Options {
    Options::new().settings(|settings| settings.jobs.workers = 0)
}

/// An operation of the table as the document names it.
fn without_query(operation: &str) -> String {
    operation.split('?').next().unwrap().to_owned()
}

/// Whether an operation has errors in the form of the Open Inference Protocol.
fn is_oip(operation: &str) -> bool {
    operation.contains(" /v2")
}

/// `METHOD /path/{template}` of every operation of the served document.
async fn operations(s: &TestServer) -> BTreeSet<String> {
    let document = s.anonymous().get("/openapi.json").await.status(200).json();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys();
        let names = methods.map(|method| format!("{} {path}", method.to_uppercase()));
        names.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

backends! {
    /// P21, F017, F029, F034, F036
    #[options(no_workers())]
    async fn each_operation_answers_each_caller_as_the_table_says(s: TestServer) {
        let rows: BTreeSet<String> = TABLE.iter().map(|(operation, ..)| without_query(operation)).collect();
        assert_eq!(rows.len(), TABLE.len(), "an operation has two rows");
        let served = operations(&s).await;
        let missing: Vec<_> = served.difference(&rows).collect();
        let stale: Vec<_> = rows.difference(&served).collect();
        assert!(missing.is_empty() && stale.is_empty(), "without a row: {missing:?}; gone: {stale:?}");
        let cast = Cast::assemble(&s).await;
        let (mut cells, mut unexpected) = (0, Vec::new());
        for (operation, sent, statuses) in TABLE {
            let statuses: Vec<u16> = statuses.split(' ').map(|status| status.parse().unwrap()).collect();
            assert_eq!(statuses.len(), CALLERS.len(), "{operation}");
            let guarded = statuses[0] == 401;
            let refused = REFUSED.iter().map(|(name, status)| (*name, if guarded { *status } else { statuses[0] }));
            let expected = CALLERS.into_iter().zip(statuses.iter().copied()).chain(refused);
            for ((caller, expected), client) in expected.zip(cast.callers.iter().chain(&cast.refused)) {
                let reply = cast.ask(client, operation, *sent).await;
                cells += 1;
                if reply.code() != expected {
                    unexpected.push(format!("{operation} as {caller}: {} instead of {expected}", reply.code()));
                }
                if expected == 401 {
                    assert_eq!(reply.header("www-authenticate"), "Bearer", "{operation} as {caller}");
                }
                if reply.code() >= 400 && is_oip(operation) {
                    assert!(reply.json()["error"].is_string(), "{operation} as {caller}");
                } else if reply.code() >= 400 {
                    let code = reply.json()["code"].as_str().unwrap_or_default().to_owned();
                    reply.problem(&code);
                }
            }
        }
        assert_eq!(cells, TABLE.len() * (CALLERS.len() + REFUSED.len()));
        assert!(unexpected.is_empty(), "{unexpected:#?}");
    }

    /// P21
    async fn what_is_foreign_looks_exactly_like_what_is_missing(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        let foreign = model_of(&ann, "iris").await;
        let missing = "mdl_01JD3T9Q2G0000000000000000";
        let about = async |operation: &str, id: &str| {
            let (method, template) = operation.split_once(' ').unwrap();
            let path = template.replace("{model}", id).replace("{version}", "1");
            let request = bob.request(method.parse().unwrap(), &path);
            let reply = match method {
                "PATCH" => request.body("{}", "application/json").await,
                _ if path.ends_with("/batch") => request.body(ROW, "application/x-ndjson").await,
                _ if path.ends_with("/predict") => request.body(INPUTS, "application/json").await,
                _ if path.ends_with("/infer") => request.body(TENSOR, "application/json").await,
                "POST" if path.ends_with("/versions") => {
                    request.multipart([Part::File("file", "x".to_owned(), fixture(MODEL))]).await
                }
                _ => request.await,
            };
            if is_oip(operation) {
                return reply.status(404).json();
            }
            let mut problem = reply.status(404).problem("not-found");
            for own in ["instance", "request_id"] {
                problem.as_object_mut().unwrap().remove(own);
            }
            problem
        };
        for (operation, ..) in TABLE.iter().filter(|(operation, ..)| operation.contains("{model}")) {
            let seen = about(operation, &foreign).await;
            assert_eq!(seen, about(operation, missing).await, "{operation}");
            assert_eq!(seen, about(operation, "iris").await, "{operation}");
        }
    }

    /// P21
    async fn fields_that_are_not_the_callers_to_set_are_refused(s: TestServer) {
        let ann = s.user("ann").await;
        let model = model_of(&ann, "iris").await;
        for (path, fields) in [
            (format!("/api/v1/models/{model}"), vec!["owner_id", "id", "name_of_owner", "sha256", "stage", "created_at"]),
            ("/api/v1/users/me".to_owned(), vec!["is_admin", "is_active", "role", "id", "token_epoch", "password"]),
        ] {
            for field in fields {
                let reply = ann.patch(&path).json(&json!({field: "x"})).await.status(422);
                let problem = reply.problem("invalid-request");
                assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"));
                assert_eq!(problem["errors"][0]["code"], "unknown-field");
            }
        }
    }
}
