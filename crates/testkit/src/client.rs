//! Somebody who talks to the server over real HTTP.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_core::secret::Secret;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::Reply;

/// Somebody who talks to the server, with or without a credential.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) bearer: Option<Secret<String>>,
    /// The e-mail address of a person who signed in.
    pub email: Option<String>,
}

/// A part of a multipart body.
#[derive(Clone, Debug)]
pub enum Part {
    /// A form field.
    Text(&'static str, String),
    /// A file with its name.
    File(&'static str, String, Vec<u8>),
}

/// A request that is sent when it is awaited.
#[derive(Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct Request {
    name: String,
    builder: reqwest::RequestBuilder,
}

impl Client {
    /// Somebody without a credential who talks to a server that the test
    /// started as a process of its own.
    pub fn elsewhere(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build();
        Self {
            http: http.expect("a client can be built"),
            base: url.to_owned(),
            bearer: None,
            email: None,
        }
    }

    /// The same client with another credential.
    #[must_use]
    pub fn bearer(&self, token: impl Into<String>) -> Self {
        Self {
            bearer: Some(Secret::new(token.into())),
            ..self.clone()
        }
    }

    /// The credential in use.
    pub fn credential(&self) -> Option<&str> {
        self.bearer.as_ref().map(|token| token.expose().as_str())
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// `POST path`.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// `PUT path`.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// `PATCH path`.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// Any method on any path.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let name = format!("{method} {path}");
        let mut builder = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = self.credential() {
            builder = builder.bearer_auth(token);
        }
        Request { name, builder }
    }

    /// A new key of this person, as a client that uses it.
    pub async fn key(&self, scopes: &[Scope]) -> Self {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        self.key_with(&json!({"name": "test", "scopes": names, "rate_limit": null}))
            .await
    }

    /// A new key of this person made from this body, as a client that uses it.
    pub async fn key_with(&self, body: &Value) -> Self {
        let created = self
            .post("/api/v1/api-keys")
            .json(body)
            .await
            .status(201)
            .json();
        let key = created["api_key"]
            .as_str()
            .expect("a created key shows its text");
        self.bearer(key)
    }

    /// Uploads a file as a model, or as the next version of one.
    pub async fn upload(&self, name: &str, content: Vec<u8>) -> Reply {
        let parts = [
            Part::Text("name", name.to_owned()),
            Part::File("file", format!("{name}.bin"), content),
        ];
        self.post("/api/v1/models").multipart(parts).await
    }

    /// Sends a file of rows to a model.
    pub async fn batch(&self, model: &str, rows: impl Into<Vec<u8>>, media_type: &str) -> Reply {
        let path = format!("/api/v1/models/{model}/batch");
        self.post(&path).body(rows, media_type).await
    }

    /// The job with this id, once it has this status.
    pub async fn job_with(&self, id: &str, status: &str) -> Value {
        let path = format!("/api/v1/jobs/{id}");
        let mut job = Value::Null;
        for _ in 0..6_000 {
            job = self.get(&path).await.status(200).json();
            if job["status"] == status {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!("the job was not {status} within a minute: {job}");
    }

    /// Asks a model for predictions.
    pub async fn predict(&self, model: &str, inputs: Value) -> Reply {
        let path = format!("/api/v1/models/{model}/predict");
        self.post(&path).json(&json!({"inputs": inputs})).await
    }
}

impl Request {
    /// Sends JSON.
    pub fn json(self, body: &Value) -> Self {
        self.map(|builder| builder.json(body))
    }

    /// Sends bytes as they are.
    pub fn body(self, body: impl Into<Vec<u8>>, media_type: &str) -> Self {
        let body = body.into();
        self.map(|builder| builder.header("content-type", media_type).body(body))
    }

    /// Uses this credential instead of the client's.
    pub fn bearer(self, token: &str) -> Self {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let value = value.expect("a credential in a test is ASCII");
        // Replaces what the client set; `header` would add a second one.
        self.map(|builder| {
            builder.headers(
                [(reqwest::header::AUTHORIZATION, value)]
                    .into_iter()
                    .collect(),
            )
        })
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header in a test has a valid name");
        self.map(|builder| builder.header(name, value))
    }

    /// Sends a form with files.
    pub fn multipart(self, parts: impl IntoIterator<Item = Part>) -> Self {
        let form =
            parts
                .into_iter()
                .fold(reqwest::multipart::Form::new(), |form, part| match part {
                    Part::Text(name, text) => form.text(name, text),
                    Part::File(name, file_name, content) => form.part(
                        name,
                        reqwest::multipart::Part::bytes(content).file_name(file_name),
                    ),
                });
        self.map(|builder| builder.multipart(form))
    }

    fn map(self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        Self {
            builder: change(self.builder),
            ..self
        }
    }
}

impl IntoFuture for Request {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let sent = self.builder.send().await;
            let response = sent.unwrap_or_else(|error| unreachable!("{}: {error:?}", self.name));
            Reply::read(self.name, response).await
        })
    }
}
