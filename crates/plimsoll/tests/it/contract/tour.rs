//! A walk over all operations, each answer held against the document.

use std::collections::BTreeSet;

use plimsoll_testkit::{Client, PASSWORD, Part, Reply, TestServer, fixture};
use serde_json::{Value, json};

use super::schema::check;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
/// A request without a body.
pub(super) const NOTHING: Value = Value::Null;

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
        let token = s.app().new_setup_token().await.unwrap().unwrap();
        let anyone = s.anonymous();
        let admin = self.claim(&anyone, token.expose()).await;
        let ann = self.sign_in(&anyone).await;
        self.users(&anyone, &admin).await;
        self.keys(&ann).await;
        self.models(&ann).await;
        self.predictions(&ann).await;
        self.open_inference(&ann).await;
        self.jobs(&ann).await;
        s.recorded().await;
        self.history(&ann).await;
        self.server(&anyone).await;
    }

    /// Checks an answer of `operation`, e.g. `get /health`; answers its body.
    #[track_caller]
    pub(super) fn saw(&mut self, operation: &str, reply: &Reply) -> Value {
        let (method, path) = operation.split_once(' ').unwrap();
        let about = format!("{operation} answered {} {}", reply.code(), reply.text());
        let responses = &self.document["paths"][path][method]["responses"];
        let documented = &responses[reply.code().to_string()];
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
        let described = described.unwrap_or_else(|| unreachable!("{media_type}: {about}"));
        let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
        if !is_json {
            return Value::Null;
        }
        let body = reply.json();
        if let Err(error) = check(&self.document, &described["schema"], &body) {
            unreachable!("{error}: {about}");
        }
        body
    }

    /// Calls an operation, whose places are filled with `names` in their order.
    pub(super) async fn call(
        &mut self,
        client: &Client,
        operation: &str,
        names: &[&str],
        (body, status): (Value, u16),
    ) -> Value {
        let (method, template) = operation.split_once(' ').unwrap();
        let mut path = template.to_owned();
        for name in names {
            let (start, rest) = path.split_once('{').unwrap();
            path = format!("{start}{name}{}", rest.split_once('}').unwrap().1);
        }
        let mut request = client.request(method.to_uppercase().parse().unwrap(), &path);
        if body != NOTHING {
            request = request.json(&body);
        }
        let reply = request.await.status(status);
        self.saw(operation, &reply)
    }

    async fn claim(&mut self, anyone: &Client, token: &str) -> Client {
        let claim = json!({"token": token, "email": "admin@example.org", "password": PASSWORD});
        let setup = "post /api/v1/auth/setup";
        let tokens = self.call(anyone, setup, &[], (claim, 201)).await;
        anyone.bearer(tokens["access_token"].as_str().unwrap())
    }

    async fn sign_in(&mut self, anyone: &Client) -> Client {
        let (register, login) = ("post /api/v1/auth/register", "post /api/v1/auth/login");
        let mut ann = json!({"email": "ann@example.org", "password": PASSWORD});
        let tokens = {
            let mut account = ann.clone();
            account["full_name"] = json!("Ann");
            self.call(anyone, register, &[], (account.clone(), 201))
                .await;
            self.call(anyone, register, &[], (account, 409)).await;
            self.call(anyone, login, &[], (ann.clone(), 200)).await
        };
        ann["email"] = json!(1);
        self.call(anyone, login, &[], (ann, 422)).await;
        let refresh = json!({"refresh_token": tokens["refresh_token"]});
        let refreshing = "post /api/v1/auth/refresh";
        let tokens = self.call(anyone, refreshing, &[], (refresh, 200)).await;
        let ann = anyone.bearer(tokens["access_token"].as_str().unwrap());
        self.call(&ann, "get /api/v1/auth/me", &[], (NOTHING, 200))
            .await;
        self.call(&ann, "get /api/v1/users/me", &[], (NOTHING, 200))
            .await;
        let change = json!({"full_name": null});
        self.call(&ann, "patch /api/v1/users/me", &[], (change, 200))
            .await;
        let refresh = json!({"refresh_token": tokens["refresh_token"]});
        self.call(anyone, "post /api/v1/auth/logout", &[], (refresh, 204))
            .await;
        ann
    }

    /// What administrators do, and how an account ends.
    async fn users(&mut self, anyone: &Client, admin: &Client) {
        let account = json!({"email": "bob@example.org", "password": PASSWORD});
        let bob = self
            .call(admin, "post /api/v1/users", &[], (account, 201))
            .await;
        self.call(admin, "get /api/v1/users", &[], (NOTHING, 200))
            .await;
        self.call(admin, "get /api/v1/audit", &[], (NOTHING, 200))
            .await;
        self.call(admin, "get /health/detailed", &[], (NOTHING, 200))
            .await;
        self.mode(admin).await;
        let listed = admin.get("/api/v1/users?page=0").await.status(422);
        self.saw("get /api/v1/users", &listed);
        let (one, id) = ("patch /api/v1/users/{user}", bob["id"].as_str().unwrap());
        self.call(admin, one, &[id], (json!({"is_admin": true}), 200))
            .await;
        let sign_in = async |password: &str| {
            let login = json!({"email": "bob@example.org", "password": password});
            let reply = anyone
                .post("/api/v1/auth/login")
                .json(&login)
                .await
                .status(200);
            anyone.bearer(reply.json()["access_token"].as_str().unwrap())
        };
        let other = format!("{PASSWORD} 2");
        let change = json!({"current_password": PASSWORD, "new_password": other});
        let (bob, password) = (sign_in(PASSWORD).await, "post /api/v1/users/me/password");
        self.call(&bob, password, &[], (change, 204)).await;
        let (bob, sure) = (sign_in(&other).await, json!({"password": other}));
        self.call(&bob, "delete /api/v1/users/me", &[], (sure, 204))
            .await;
    }

    async fn mode(&mut self, admin: &Client) {
        let mode = "/api/v1/mode";
        self.call(admin, &format!("get {mode}"), &[], (NOTHING, 200))
            .await;
        for change in [json!({"mode": "training"}), json!({"mode": "inference"})] {
            self.call(admin, &format!("put {mode}"), &[], (change, 200))
                .await;
        }
        self.call(admin, &format!("get {mode}/history"), &[], (NOTHING, 200))
            .await;
    }

    async fn keys(&mut self, ann: &Client) {
        let burst = json!({"requests": 5, "window_seconds": 1});
        let wanted =
            json!({"name": "k", "scopes": ["admin"], "burst": burst, "expires_in_days": 9});
        let made = self
            .call(ann, "post /api/v1/api-keys", &[], (wanted, 201))
            .await;
        let id = made["key_id"].as_str().or(made["id"].as_str()).unwrap();
        let one = "/api/v1/api-keys/{key}";
        self.call(ann, &format!("get {one}"), &[id], (NOTHING, 200))
            .await;
        for looking in [
            "get /api/v1/limits",
            "get /api/v1/monitoring/api-keys/usage",
        ] {
            self.call(ann, looking, &[], (NOTHING, 200)).await;
        }
        let change = (json!({"rate_limit": null, "burst": null}), 200);
        self.call(ann, &format!("patch {one}"), &[id], change).await;
        self.call(ann, &format!("post {one}/rotate"), &[id], (NOTHING, 201))
            .await;
        self.call(ann, "get /api/v1/api-keys", &[], (NOTHING, 200))
            .await;
        self.call(ann, &format!("delete {one}"), &[id], (NOTHING, 204))
            .await;
        self.call(ann, &format!("get {one}"), &["none"], (NOTHING, 404))
            .await;
    }

    async fn models(&mut self, ann: &Client) {
        let form = |name: Option<&str>| {
            let name = name.map(|name| Part::Text("name", name.to_owned()));
            let file = Part::File("file", "iris.joblib".into(), fixture(IRIS));
            name.into_iter().chain([file])
        };
        let (all, one) = ("/api/v1/models", "/api/v1/models/{model}");
        let added = ann
            .post(all)
            .multipart(form(Some("iris")))
            .await
            .status(201);
        self.saw("post /api/v1/models", &added);
        self.saw(
            "post /api/v1/models",
            &ann.post(all).multipart(form(None)).await.status(422),
        );
        let added = ann
            .post("/api/v1/models/iris/versions")
            .multipart(form(None))
            .await
            .status(201);
        self.saw(&format!("post {one}/versions"), &added);
        self.call(ann, "get /api/v1/models", &[], (NOTHING, 200))
            .await;
        self.call(
            ann,
            &format!("patch {one}"),
            &["iris"],
            (json!({"tags": ["a"]}), 200),
        )
        .await;
        self.call(
            ann,
            &format!("get {one}/versions"),
            &["iris"],
            (NOTHING, 200),
        )
        .await;
        self.versions(ann).await;
        self.endpoints(ann).await;
        self.call(ann, &format!("delete {one}"), &["iris"], (NOTHING, 204))
            .await;
        self.call(ann, &format!("get {one}"), &["iris"], (NOTHING, 200))
            .await;
    }

    /// A batch from its file to its end.
    async fn jobs(&mut self, ann: &Client) {
        ann.upload("rows", fixture(IRIS)).await.status(201);
        let send = "post /api/v1/models/{model}/batch";
        let accepted = ann
            .batch("rows", "[1, 2, 3, 4]", "application/x-ndjson")
            .await;
        let id = self.saw(send, &accepted.status(202))["job_id"].clone();
        let refused = ann.batch("rows", "", "text/csv").await.status(422);
        self.saw(send, &refused);
        let (one, id) = ("/api/v1/jobs/{job}", id.as_str().unwrap());
        ann.job_with(id, "succeeded").await;
        for (operation, status) in [
            (format!("get {one}"), 200),
            (format!("get {one}/events"), 200),
            (format!("get {one}/result"), 200),
            (format!("post {one}/retry"), 409),
            (format!("post {one}/cancel"), 409),
            (format!("delete {one}"), 204),
            (format!("get {one}"), 404),
        ] {
            self.call(ann, &operation, &[id], (NOTHING, status)).await;
        }
        // Long enough to be cancelled before its end.
        let rows = "[1, 2, 3, 4]\n".repeat(50_000);
        let accepted = ann.batch("rows", rows, "application/x-ndjson").await;
        let id = accepted.status(202).json()["job_id"].clone();
        let id = id.as_str().unwrap();
        self.call(ann, &format!("post {one}/cancel"), &[id], (NOTHING, 200))
            .await;
        ann.job_with(id, "cancelled").await;
        self.call(ann, &format!("get {one}/result"), &[id], (NOTHING, 409))
            .await;
        self.call(ann, &format!("post {one}/retry"), &[id], (NOTHING, 200))
            .await;
        self.call(ann, &format!("delete {one}"), &[id], (NOTHING, 409))
            .await;
        self.call(ann, "get /api/v1/jobs", &[], (NOTHING, 200))
            .await;
    }

    async fn history(&mut self, ann: &Client) {
        let (all, one) = (
            "get /api/v1/predictions",
            "get /api/v1/predictions/{prediction}",
        );
        let page = self.call(ann, all, &[], (NOTHING, 200)).await;
        let id = page["items"][0]["id"].as_str().unwrap().to_owned();
        self.call(ann, one, &[&id], (NOTHING, 200)).await;
        self.call(ann, one, &["none"], (NOTHING, 404)).await;
    }

    /// Answers of each kind: numbers, names, one value, lists, refusals.
    async fn predictions(&mut self, ann: &Client) {
        for (file, row, status) in [
            ("iris_logistic.joblib", json!([1, 2, 3, 4]), 200),
            ("iris_text.pkl", json!([1, 2, 3, 4]), 200),
            ("diabetes_linear.pkl", json!(vec![0.1; 10]), 200),
            ("wine_scaler.joblib", json!(vec![1.0; 13]), 200),
            ("iris_text.pkl", json!(["1"]), 422),
        ] {
            let content = fixture(&format!("sklearn/1.5.2/{file}"));
            ann.upload(file, content).await.status(201);
            let one = "/api/v1/models/{model}";
            let body = json!({"inputs": [row]});
            self.call(ann, &format!("post {one}/predict"), &[file], (body, status))
                .await;
            self.call(ann, &format!("get {one}"), &[file], (NOTHING, 200))
                .await;
        }
    }

    async fn server(&mut self, anyone: &Client) {
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
            self.call(anyone, &format!("get {path}"), &[], (NOTHING, 200))
                .await;
        }
        let one = "get /problems/{slug}";
        for row in plimsoll_http::PROBLEM_KINDS {
            let explained = self.call(anyone, one, &[row.slug], (NOTHING, 200)).await;
            assert_eq!(explained["status"], row.status, "{}", row.slug);
            let page = anyone
                .get(&format!("/problems/{}", row.slug))
                .header("accept", "text/html");
            let page = page.await.status(200);
            assert!(
                page.header("content-type").starts_with("text/html"),
                "{}",
                row.slug
            );
            assert!(page.text().contains(row.title), "{}", row.slug);
        }
        self.call(anyone, one, &["none"], (NOTHING, 404)).await;
    }
}
