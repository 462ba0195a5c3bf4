//! Every operation of the API against every kind of caller.
//!
//! The table is complete: an operation without a row fails, and so does a row
//! without an operation.

use std::collections::BTreeSet;
use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, Options, PASSWORD, Part, Reply, TestServer, backends, fixture};
use reqwest::Method;
use serde_json::{Value, json};

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

/// Everybody, and the objects they ask for.
struct Cast {
    callers: Vec<Client>,
    refused: Vec<Client>,
    /// Ids of ann's model, of one to delete, of her key, of one to revoke, and her own.
    model: String,
    spare_model: String,
    prediction: String,
    job: String,
    endpoint: String,
    spare_endpoint: String,
    key: String,
    spare_key: String,
    user: String,
}

impl Cast {
    async fn assemble(s: &TestServer) -> Self {
        let early = s.user("ann").await;
        let expired = early
            .key_with(&json!({"name": "expired", "expires_in_days": 1}))
            .await;
        s.advance(Duration::from_hours(24));
        let (ann, admin) = (s.sign_in_again(&early).await, s.admin().await);
        let (bob, eve) = (s.user("bob").await, s.user("eve").await);
        let model = model_of(&ann, "iris").await;
        let spare_model = model_of(&ann, "spare").await;
        // In production it is not deleted: every caller meets the same.
        let promote = format!("/api/v1/models/{spare_model}/versions/1/promote");
        ann.post(&promote).await.status(200);
        let predicted = ann
            .predict(&model, json!([[5.1, 3.5, 1.4, 0.2]]))
            .await
            .status(200)
            .json();
        s.recorded().await;
        let job = job_of(&ann, &model).await;
        let revoked = ann.key(&[Scope::Admin]).await;
        let path = format!("/api/v1/api-keys/{}", id(&revoked).await);
        ann.delete(&path).await.status(204);
        let path = format!("/api/v1/users/{}", id(&eve).await);
        admin
            .patch(&path)
            .json(&json!({"is_active": false}))
            .await
            .status(200);
        let refresh = with_refresh_token(s, "ann@example.org").await;
        let limited = json!({"name": "limited", "model_ids": ["other"], "scopes": ["admin"]});
        model_of(&ann, "other").await;
        model_of(&ann, "served").await;
        Self {
            key: id(&ann.key(&[Scope::Admin]).await).await,
            spare_key: id(&ann.key(&[Scope::Admin]).await).await,
            user: id(&ann).await,
            callers: vec![
                s.anonymous(),
                bob,
                ann.key(&[Scope::Feedback]).await,
                ann.key(&[Scope::Predict]).await,
                ann.key(&[Scope::Read]).await,
                ann.key(&[Scope::Write]).await,
                ann.key(&[Scope::Admin]).await,
                ann.key_with(&limited).await,
                ann.clone(),
                admin.clone(),
                admin.key(&[Scope::Read]).await,
            ],
            refused: vec![expired, revoked, refresh, eve],
            endpoint: endpoint_of(&ann, "iris").await,
            // Of a model that is not archived by another row.
            spare_endpoint: endpoint_of(&ann, "served").await,
            model,
            spare_model,
            job,
            prediction: predicted["prediction_id"].as_str().unwrap().to_owned(),
        }
    }

    async fn ask(&self, client: &Client, operation: &str, sent: Sent) -> Reply {
        let (method, template) = operation.split_once(' ').unwrap();
        let ends = method == "DELETE";
        let (model, endpoint, key) = if ends {
            (&self.spare_model, &self.spare_endpoint, &self.spare_key)
        } else {
            (&self.model, &self.endpoint, &self.key)
        };
        let path = template
            .replace("{model}", model)
            .replace("{version}", "1")
            .replace("{prediction}", &self.prediction)
            .replace("{job}", &self.job)
            .replace("{endpoint}", endpoint)
            .replace("{key}", key)
            .replace("{user}", &self.user)
            .replace("{slug}", "not-found");
        assert!(
            !path.contains('{'),
            "{operation} has a parameter without a value"
        );
        let request = client.request(method.parse::<Method>().unwrap(), &path);
        let file = || Part::File("file", "model.joblib".to_owned(), fixture(MODEL));
        match sent {
            Nothing => request.await,
            Json(body) => request.body(body, "application/json").await,
            Model(name) => {
                request
                    .multipart([Part::Text("name", name.to_owned()), file()])
                    .await
            }
            File => request.multipart([file()]).await,
            Rows => request.body(ROW, "application/x-ndjson").await,
        }
    }
}

/// Id of the key a client uses, or of the person.
async fn id(client: &Client) -> String {
    let me = client.get("/api/v1/auth/me").await.status(200).json();
    let id = if me["api_key_id"].is_string() {
        &me["api_key_id"]
    } else {
        &me["id"]
    };
    id.as_str().unwrap().to_owned()
}

/// Somebody who takes their refresh token for an access token.
async fn with_refresh_token(s: &TestServer, email: &str) -> Client {
    let body = json!({"email": email, "password": PASSWORD});
    let login = s.anonymous().post("/api/v1/auth/login").json(&body);
    let session = login.await.status(200).json();
    s.anonymous()
        .bearer(session["refresh_token"].as_str().unwrap())
}

async fn model_of(client: &Client, name: &str) -> String {
    let added = client.upload(name, fixture(MODEL)).await.status(201).json();
    added["model"]["id"].as_str().unwrap().to_owned()
}

/// An operation of the table as the document names it.
fn without_query(operation: &str) -> String {
    operation.split('?').next().unwrap().to_owned()
}

async fn job_of(client: &Client, model: &str) -> String {
    let batch = client.batch(model, ROW, "application/x-ndjson").await;
    let job = batch.status(202).json();
    job["job_id"].as_str().unwrap().to_owned()
}

async fn endpoint_of(client: &Client, model: &str) -> String {
    let request = client.post("/api/v1/endpoints");
    let made = request.json(&json!({"model": model})).await.status(201);
    made.json()["id"].as_str().unwrap().to_owned()
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
                if reply.code() >= 400 {
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
                "POST" if path.ends_with("/versions") => {
                    request.multipart([Part::File("file", "x".to_owned(), fixture(MODEL))]).await
                }
                _ => request.await,
            };
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
