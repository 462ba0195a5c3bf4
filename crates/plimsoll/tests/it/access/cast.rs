//! Every kind of caller, and the objects they ask for.

use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, PASSWORD, Part, Reply, TestServer, fixture};
use reqwest::Method;
use serde_json::json;

use super::Sent::{File, Json, Model, Nothing, Rows};
use super::{MODEL, ROW, Sent};

/// Everybody, and the objects they ask for.
pub(super) struct Cast {
    pub(super) callers: Vec<Client>,
    pub(super) refused: Vec<Client>,
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
    pub(super) async fn assemble(s: &TestServer) -> Self {
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

    pub(super) async fn ask(&self, client: &Client, operation: &str, sent: Sent) -> Reply {
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

pub(super) async fn model_of(client: &Client, name: &str) -> String {
    let added = client.upload(name, fixture(MODEL)).await.status(201).json();
    added["model"]["id"].as_str().unwrap().to_owned()
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
