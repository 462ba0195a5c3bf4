//! The requests of the five systems this one takes the place of, in the order a user sends them.

use super::*;

/// Who sends a request.
#[derive(Clone, Copy, Debug)]
enum By {
    Nobody,
    Person,
    Key,
    Admin,
}

/// What is sent.
#[derive(Clone, Copy)]
enum Sent {
    Nothing,
    Json(&'static str),
    Model,
}

use By::{Admin, Key, Nobody, Person};
use Sent::{Json, Model, Nothing};

/// Method and path, who, what, and the expected status. `{m}` is the model of the row's
/// list, `{e}` an endpoint, `{k}` the key that was made last.
type Row = (&'static str, By, Sent, u16);

const NUMBER: &str = "sources/number.joblib";
const NUMBER_AND_TEXT: &str = "sources/number_and_text.joblib";
const TEXTS: &str = "sources/texts.joblib";

const PAIR: &str =
    r#"{"data": [{"feature1": 1, "feature2": "value"}], "include_probabilities": true}"#;
const ONE: &str = r#"{"input": {"feature1": 1}}"#;
const INPUTS: &str = r#"{"inputs": {"feature1": "value1", "feature2": "value2"}}"#;
const NEW_KEY: &str = r#"{"name": "Production App", "rate_limit": 5000, "expires_in_days": 90}"#;
const REGISTER: &str =
    r#"{"email": "new@example.com", "password": "correct horse", "full_name": "New"}"#;
const LOGIN: &str = r#"{"email": "new@example.com", "password": "correct horse"}"#;
const DEPLOY: &str = r#"{"model_name": "catalog.schema.model", "model_version": "1", "endpoint_name": "my-endpoint",
    "workload_size": "Small", "scale_to_zero": true, "environment_vars": {}}"#;

#[rustfmt::skip]
const PRODUCTION: &[Row] = &[
    ("POST /api/v1/production/api-keys", Person, Json(NEW_KEY), 201),
    ("GET /api/v1/production/api-keys", Person, Nothing, 200),
    ("POST /api/v1/production/v1/models/{m}/predict", Key, Json(PAIR), 200),
    ("GET /api/v1/production/v1/models/{m}/info", Key, Nothing, 200),
    ("GET /api/v1/monitoring/api-keys/usage", Person, Nothing, 200),
    ("DELETE /api/v1/production/api-keys/{k}", Person, Nothing, 204),
];

#[rustfmt::skip]
const HOSTING: &[Row] = &[
    ("POST /api/v1/auth/register", Nobody, Json(REGISTER), 201),
    ("POST /api/v1/auth/login", Nobody, Json(LOGIN), 200),
    ("GET /api/v1/auth/me", Person, Nothing, 200),
    ("POST /api/v1/models/upload", Person, Model, 201),
    ("GET /api/v1/models", Person, Nothing, 200),
    ("GET /api/v1/models/uploaded", Person, Nothing, 200),
    ("GET /api/v1/models/uploaded/analytics", Person, Nothing, 200),
    ("POST /api/v1/predict/uploaded", Person, Json(ONE), 200),
    ("POST /api/v1/predict/uploaded", Key, Json(ONE), 200),
    ("GET /api/v1/predict/history", Person, Nothing, 200),
    ("POST /api/v1/api-keys", Person, Json(r#"{"name": "app"}"#), 201),
    ("GET /api/v1/api-keys", Person, Nothing, 200),
    ("GET /api/v1/api-keys/{k}", Person, Nothing, 200),
    ("PATCH /api/v1/api-keys/{k}", Person, Json(r#"{"name": "other"}"#), 200),
    ("GET /health", Nobody, Nothing, 200),
    ("GET /health/ready", Nobody, Nothing, 200),
    ("GET /health/live", Nobody, Nothing, 200),
    ("GET /api/v1/docs", Nobody, Nothing, 200),
    ("GET /api/v1/redoc", Nobody, Nothing, 200),
    ("GET /api/v1/openapi.json", Nobody, Nothing, 200),
    ("PATCH /api/v1/models/uploaded", Person, Json(r#"{"description": "text", "status": "deprecated"}"#), 200),
    ("DELETE /api/v1/models/uploaded", Person, Nothing, 204),
    ("DELETE /api/v1/api-keys/{k}", Person, Nothing, 204),
];

#[rustfmt::skip]
const MODES: &[Row] = &[
    ("GET /api/health", Nobody, Nothing, 200),
    ("GET /api/status", Nobody, Nothing, 200),
    ("GET /api/health/detailed", Admin, Nothing, 200),
    ("GET /api/mode", Key, Nothing, 200),
    ("GET /api/model/versions", Nobody, Nothing, 401),
    ("GET /api/model/versions", Key, Nothing, 200),
    ("POST /api/model/promote/1.0.0", Person, Nothing, 200),
    ("POST /api/mode/training", Admin, Nothing, 200),
    ("POST /api/mode/maintenance", Admin, Nothing, 200),
    ("POST /api/mode/inference", Admin, Nothing, 200),
];

#[rustfmt::skip]
const DEPLOYMENT: &[Row] = &[
    ("GET /api/v1/deployment/models", Person, Nothing, 200),
    ("GET /api/v1/deployment/models?catalog=catalog", Person, Nothing, 200),
    ("GET /api/v1/deployment/models/{m}/versions", Person, Nothing, 200),
    ("GET /api/v1/deployment/models/{m}/deployments", Person, Nothing, 200),
    ("POST /api/v1/deployment/deploy", Person, Json(DEPLOY), 201),
    ("GET /api/v1/deployment/endpoints", Person, Nothing, 200),
    ("PUT /api/v1/deployment/endpoints/{e}?model_version=2&scale_to_zero=false", Person, Nothing, 200),
    ("GET /api/v1/deployment/endpoints/{e}", Person, Nothing, 200),
    ("POST /api/v1/deployment/endpoints/{e}/query", Person, Json(INPUTS), 200),
    ("POST /api/v1/deployment/endpoints/{e}/query", Key, Json(INPUTS), 200),
    ("PUT /api/v1/deployment/endpoints/{e}?model_version=2&workload_size=Medium", Person, Nothing, 200),
    ("POST /api/v1/deployment/endpoints/{e}/rollback?target_version=1", Person, Nothing, 200),
    ("GET /api/v1/deployment/endpoints/{e}/history?limit=10", Person, Nothing, 200),
    ("POST /api/v1/deployment/endpoints/{e}/validate", Person, Nothing, 200),
    ("GET /api/v1/deployment/deployments?page=1&page_size=20", Person, Nothing, 200),
    ("DELETE /api/v1/deployment/endpoints/{e}", Person, Nothing, 200),
    ("GET /docs", Nobody, Nothing, 200),
    ("GET /redoc", Nobody, Nothing, 200),
];

/// Requests that are not answered as they were yet, and what they wait for.
const NOT_YET: &[(&str, &[&str])] = &[
    (
        "monitoring",
        &[
            "GET /api/v1/monitoring/models/{m}/metrics",
            "GET /api/v1/monitoring/models/{m}/distribution",
            "GET /api/v1/monitoring/models/{m}/logs",
            "GET /api/v1/monitoring/overview",
            "GET /api/monitoring/stats",
            "GET /api/v1/monitoring/metrics/performance",
            "GET /api/v1/monitoring/metrics/realtime/{e}",
            "GET /api/v1/monitoring/health/{e}",
            "GET /logs",
        ],
    ),
    (
        "drift",
        &[
            "GET /api/v1/monitoring/models/{m}/drift",
            "GET /api/monitoring/drift",
            "POST /api/monitoring/baseline",
            "GET /api/v1/monitoring/drift/{e}",
        ],
    ),
    (
        "alerts",
        &[
            "POST /api/v1/monitoring/alerts",
            "GET /api/v1/monitoring/alerts",
            "GET /api/v1/monitoring/alerts/{id}",
            "POST /api/v1/monitoring/alerts/{id}/acknowledge",
            "POST /api/v1/monitoring/alerts/{id}/resolve",
            "DELETE /api/v1/monitoring/alerts/{id}",
        ],
    ),
    (
        "feedback",
        &[
            "POST /api/v1/feedback",
            "GET /api/v1/feedback",
            "GET /api/v1/feedback/{id}",
            "GET /api/v1/feedback/stats",
            "POST /api/v1/feedback/{id}/flag",
            "DELETE /api/v1/feedback/{id}/flag",
            "POST /api/v1/feedback/{id}/to-training",
            "GET /api/v1/feedback/endpoint/{e}/recent",
            "DELETE /api/v1/feedback/{id}",
        ],
    ),
    ("training", &["POST /train", "POST /retrain"]),
    ("forecasts", &["POST /predict"]),
];

/// Everybody who sends requests, and what they send them about.
struct Stage {
    nobody: Client,
    person: Client,
    key: Client,
    admin: Client,
    model: &'static str,
}

impl Stage {
    async fn set(s: &TestServer, file: &str) -> Self {
        let (admin, person) = (s.admin().await, s.user("ann").await);
        let model = "catalog.schema.model";
        for _ in 0..2 {
            person.upload(model, fixture(file)).await.status(201);
        }
        let key = person.key(&[Scope::Read]).await;
        let nobody = s.anonymous();
        Self {
            nobody,
            person,
            key,
            admin,
            model,
        }
    }

    async fn send(&self, (operation, by, sent, _): Row, last_key: &str) -> Reply {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = path
            .replace("{m}", self.model)
            .replace("{e}", "my-endpoint")
            .replace("{k}", last_key);
        let client = match by {
            Nobody => &self.nobody,
            Person => &self.person,
            Key => &self.key,
            Admin => &self.admin,
        };
        let request = client.request(method.parse().unwrap(), &path);
        match sent {
            Nothing => request.await,
            Json(body) => request.body(body, "application/json").await,
            Model => {
                let text = |name, text: &str| Part::Text(name, text.to_owned());
                let file = Part::File("file", "model.joblib".to_owned(), fixture(NUMBER));
                let about = [text("description", "text"), text("model_type", "sklearn")];
                let parts = [file, text("name", "uploaded")].into_iter().chain(about);
                request.multipart(parts).await
            }
        }
    }

    async fn replay(&self, rows: &[Row]) {
        let mut last_key = String::new();
        for row in rows {
            let reply = self.send(*row, &last_key).await;
            assert_eq!(
                reply.code(),
                row.3,
                "{} by {:?}: {}",
                row.0,
                row.1,
                reply.text()
            );
            if row.0.ends_with("/api-keys") && reply.code() == 201 {
                reply.json()["key_id"]
                    .as_str()
                    .unwrap()
                    .clone_into(&mut last_key);
            }
        }
    }
}

backends! {
    /// F289
    async fn keys_and_predictions_under_production_work_as_written(s: TestServer) {
        Stage::set(&s, NUMBER_AND_TEXT).await.replay(PRODUCTION).await;
    }

    /// F289
    async fn a_hosted_model_from_registration_to_deletion_works_as_written(s: TestServer) {
        Stage::set(&s, NUMBER).await.replay(HOSTING).await;
    }

    /// F289
    async fn one_model_with_modes_works_as_written(s: TestServer) {
        Stage::set(&s, NUMBER).await.replay(MODES).await;
    }

    /// F289
    async fn deployments_work_as_written(s: TestServer) {
        Stage::set(&s, TEXTS).await.replay(DEPLOYMENT).await;
    }

    /// F289: what is listed as missing is missing; a request that is answered moves to its list.
    async fn what_waits_is_answered_as_absent(s: TestServer) {
        let stage = Stage::set(&s, NUMBER).await;
        for (reason, requests) in NOT_YET {
            assert!(!reason.is_empty());
            for request in *requests {
                let reply = stage.send((request, Admin, Json("{}"), 404), "").await;
                assert!([404, 405].contains(&reply.code()), "{request} is answered: {}", reply.code());
            }
        }
    }
}
