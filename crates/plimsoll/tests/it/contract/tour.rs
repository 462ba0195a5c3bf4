//! A walk over all operations, each answer held against the document.

use std::collections::BTreeSet;

use plimsoll_testkit::{Client, PASSWORD, Part, Reply, TestServer, fixture};
use serde_json::{Value, json};

use super::schema::check;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";

/// Answers held against the document, and which operations gave them.
pub(super) struct Tour {
    pub(super) document: Value,
    pub(super) seen: BTreeSet<String>,
}

impl Tour {
    pub(super) async fn new(s: &TestServer) -> Self {
        let document = s.anonymous().get("/openapi.json").await.status(200).json();
        Self {
            document,
            seen: BTreeSet::new(),
        }
    }

    /// Calls every operation at least once in a way that succeeds.
    pub(super) async fn everything(&mut self, s: &TestServer) {
        let (admin, ann) = tour_accounts(s, self).await;
        tour_users(s, self, &admin).await;
        tour_keys(self, &ann).await;
        tour_models(self, &ann).await;
        tour_server(self, &s.anonymous()).await;
    }

    /// Checks an answer of `operation`, e.g. `get /health`; answers its body.
    #[track_caller]
    pub(super) fn saw(&mut self, operation: &str, reply: &Reply) -> Value {
        let (method, path) = operation.split_once(' ').unwrap();
        let about = format!("{operation} answered {} {}", reply.code(), reply.text());
        let documented =
            &self.document["paths"][path][method]["responses"][reply.code().to_string()];
        assert!(documented.is_object(), "undocumented: {about}");
        if reply.code() < 300 {
            self.seen.insert(operation.to_owned());
        }
        let Some(content) = documented["content"].as_object() else {
            assert!(reply.bytes().is_empty(), "{about}");
            return Value::Null;
        };
        let media_type = reply.header("content-type").split(';').next().unwrap();
        let described = content.get(media_type);
        let schema = &described
            .unwrap_or_else(|| unreachable!("undocumented {media_type}: {about}"))["schema"];
        if !media_type.ends_with("json") {
            return Value::Null;
        }
        let body = reply.json();
        if let Err(error) = check(&self.document, schema, &body) {
            unreachable!("{error}: {about}");
        }
        body
    }
}

fn upload(client: &Client, path: &str, name: Option<&str>) -> plimsoll_testkit::Request {
    let name = name.map(|name| Part::Text("name", name.to_owned()));
    let file = Part::File("file", "iris.joblib".into(), fixture(IRIS));
    client.post(path).multipart(name.into_iter().chain([file]))
}

/// Everybody who signs in.
async fn tour_accounts(s: &TestServer, tour: &mut Tour) -> (Client, Client) {
    let anyone = s.anonymous();
    let account =
        |email: &str| json!({"email": email, "password": PASSWORD, "full_name": "A Person"});
    let token = s.app().new_setup_token().await.unwrap().unwrap();
    let mut claim = account("admin@example.org");
    claim["token"] = json!(token.expose());
    let signed_in = tour.saw(
        "post /api/v1/auth/setup",
        &anyone.post("/api/v1/auth/setup").json(&claim).await,
    );
    let admin = anyone.bearer(signed_in["access_token"].as_str().unwrap());
    let ann = account("ann@example.org");
    tour.saw(
        "post /api/v1/auth/register",
        &anyone.post("/api/v1/auth/register").json(&ann).await,
    );
    tour.saw(
        "post /api/v1/auth/register",
        &anyone
            .post("/api/v1/auth/register")
            .json(&ann)
            .await
            .status(409),
    );
    let login = json!({"email": "ann@example.org", "password": PASSWORD});
    let signed_in = tour.saw(
        "post /api/v1/auth/login",
        &anyone.post("/api/v1/auth/login").json(&login).await,
    );
    let refresh = json!({"refresh_token": signed_in["refresh_token"]});
    let signed_in = tour.saw(
        "post /api/v1/auth/refresh",
        &anyone.post("/api/v1/auth/refresh").json(&refresh).await,
    );
    let ann = anyone.bearer(signed_in["access_token"].as_str().unwrap());
    tour.saw("get /api/v1/auth/me", &ann.get("/api/v1/auth/me").await);
    tour.saw("get /api/v1/users/me", &ann.get("/api/v1/users/me").await);
    let change = json!({"full_name": null});
    tour.saw(
        "patch /api/v1/users/me",
        &ann.patch("/api/v1/users/me")
            .json(&change)
            .await
            .status(200),
    );
    let refresh = json!({"refresh_token": signed_in["refresh_token"]});
    tour.saw(
        "post /api/v1/auth/logout",
        &anyone
            .post("/api/v1/auth/logout")
            .json(&refresh)
            .await
            .status(204),
    );
    tour.saw(
        "post /api/v1/auth/login",
        &anyone
            .post("/api/v1/auth/login")
            .json(&json!({"email": 1}))
            .await
            .status(422),
    );
    (admin, ann)
}

/// What administrators do, and how an account ends.
async fn tour_users(s: &TestServer, tour: &mut Tour, admin: &Client) {
    let account = json!({"email": "bob@example.org", "password": PASSWORD});
    let bob = tour.saw(
        "post /api/v1/users",
        &admin.post("/api/v1/users").json(&account).await.status(201),
    );
    tour.saw(
        "get /api/v1/users",
        &admin.get("/api/v1/users").await.status(200),
    );
    tour.saw(
        "get /api/v1/users",
        &admin.get("/api/v1/users?page=0").await.status(422),
    );
    let path = format!("/api/v1/users/{}", bob["id"].as_str().unwrap());
    tour.saw(
        "patch /api/v1/users/{user}",
        &admin
            .patch(&path)
            .json(&json!({"is_admin": true}))
            .await
            .status(200),
    );
    let sign_in = async |password: &str| {
        let login = json!({"email": "bob@example.org", "password": password});
        let tokens = s
            .anonymous()
            .post("/api/v1/auth/login")
            .json(&login)
            .await
            .status(200)
            .json();
        s.anonymous()
            .bearer(tokens["access_token"].as_str().unwrap())
    };
    let other = format!("{PASSWORD} 2");
    let change = json!({"current_password": PASSWORD, "new_password": other});
    let changed = sign_in(PASSWORD)
        .await
        .post("/api/v1/users/me/password")
        .json(&change)
        .await
        .status(204);
    tour.saw("post /api/v1/users/me/password", &changed);
    let deleted = sign_in(&other)
        .await
        .delete("/api/v1/users/me")
        .json(&json!({"password": other}))
        .await;
    tour.saw("delete /api/v1/users/me", &deleted.status(204));
}

async fn tour_keys(tour: &mut Tour, ann: &Client) {
    let wanted = json!({"name": "k", "scopes": ["admin"], "burst": {"requests": 5, "window_seconds": 1}, "expires_in_days": 9});
    let made = tour.saw(
        "post /api/v1/api-keys",
        &ann.post("/api/v1/api-keys").json(&wanted).await.status(201),
    );
    let id = made["key_id"].as_str().or(made["id"].as_str()).unwrap();
    let path = format!("/api/v1/api-keys/{id}");
    tour.saw(
        "get /api/v1/api-keys/{key}",
        &ann.get(&path).await.status(200),
    );
    tour.saw(
        "patch /api/v1/api-keys/{key}",
        &ann.patch(&path)
            .json(&json!({"rate_limit": null}))
            .await
            .status(200),
    );
    tour.saw(
        "post /api/v1/api-keys/{key}/rotate",
        &ann.post(&format!("{path}/rotate")).await.status(201),
    );
    tour.saw(
        "get /api/v1/api-keys",
        &ann.get("/api/v1/api-keys").await.status(200),
    );
    tour.saw(
        "delete /api/v1/api-keys/{key}",
        &ann.delete(&path).await.status(204),
    );
    tour.saw(
        "get /api/v1/api-keys/{key}",
        &ann.get("/api/v1/api-keys/none").await.status(404),
    );
}

async fn tour_models(tour: &mut Tour, ann: &Client) {
    let (models, model) = ("/api/v1/models", "/api/v1/models/iris");
    let added = upload(ann, models, Some("iris")).await.status(201);
    tour.saw("post /api/v1/models", &added);
    let added = upload(ann, &format!("{model}/versions"), None)
        .await
        .status(201);
    tour.saw("post /api/v1/models/{model}/versions", &added);
    tour.saw(
        "post /api/v1/models",
        &upload(ann, models, None).await.status(422),
    );
    tour.saw("get /api/v1/models", &ann.get(models).await.status(200));
    tour.saw(
        "get /api/v1/models/{model}",
        &ann.get(model).await.status(200),
    );
    tour.saw(
        "patch /api/v1/models/{model}",
        &ann.patch(model)
            .json(&json!({"tags": ["a"]}))
            .await
            .status(200),
    );
    tour.saw(
        "get /api/v1/models/{model}/versions",
        &ann.get(&format!("{model}/versions")).await.status(200),
    );
    let version = "/api/v1/models/{model}/versions/{version}";
    let path = format!("{model}/versions/1");
    tour.saw(&format!("get {version}"), &ann.get(&path).await.status(200));
    tour.saw(
        &format!("post {version}/promote"),
        &ann.post(&format!("{path}/promote")).await.status(200),
    );
    tour.saw(
        &format!("post {version}/verify"),
        &ann.post(&format!("{path}/verify")).await.status(200),
    );
    let body = json!({"inputs": [[1, 2, 3, 4]], "include_metadata": true, "request_id": "r"});
    tour.saw(
        &format!("post {version}/predict"),
        &ann.post(&format!("{path}/predict"))
            .json(&body)
            .await
            .status(200),
    );
    for (file, body, status) in [
        (IRIS, json!({"inputs": [[1, 2, 3, 4]]}), 200),
        (
            "sklearn/1.5.2/iris_text.pkl",
            json!({"inputs": [[1, 2, 3, 4]]}),
            200,
        ),
        (
            "sklearn/1.5.2/diabetes_linear.pkl",
            json!({"inputs": [vec![0.1; 10]]}),
            200,
        ),
        (
            "sklearn/1.5.2/wine_scaler.joblib",
            json!({"inputs": [vec![1.0; 13]]}),
            200,
        ),
        (IRIS, json!({"inputs": [["1"]]}), 422),
    ] {
        let name = file.split(['/', '.']).rev().nth(1).unwrap();
        ann.upload(name, fixture(file)).await.status(201);
        let reply = ann
            .post(&format!("{models}/{name}/predict"))
            .json(&body)
            .await
            .status(status);
        tour.saw("post /api/v1/models/{model}/predict", &reply);
        tour.saw(
            "get /api/v1/models/{model}",
            &ann.get(&format!("{models}/{name}")).await.status(200),
        );
    }
    tour.saw(
        "delete /api/v1/models/{model}",
        &ann.delete(model).await.status(204),
    );
    tour.saw(
        "get /api/v1/models/{model}",
        &ann.get(model).await.status(200),
    );
}

async fn tour_server(tour: &mut Tour, anyone: &Client) {
    for path in [
        "/health",
        "/health/live",
        "/health/ready",
        "/api/v1/health",
        "/api/v1/health/live",
        "/api/v1/health/ready",
        "/metrics",
        "/version",
        "/openapi.json",
        "/api/v1/openapi.json",
    ] {
        tour.saw(&format!("get {path}"), &anyone.get(path).await.status(200));
    }
    for row in &plimsoll_http::PROBLEM_KINDS {
        let path = format!("/problems/{}", row.slug);
        let explained = tour.saw("get /problems/{slug}", &anyone.get(&path).await.status(200));
        assert_eq!(explained["status"], row.status, "{}", row.slug);
        let page = anyone
            .get(&path)
            .header("accept", "text/html")
            .await
            .status(200);
        assert!(
            page.header("content-type").starts_with("text/html") && page.text().contains(row.title)
        );
    }
    tour.saw(
        "get /problems/{slug}",
        &anyone.get("/problems/none").await.status(404),
    );
}
