//! What was deleted does not come back out of the journal.

use plimsoll_core::id::{KeyId, ModelId};
use plimsoll_core::key::Scope;
use plimsoll_store::{DatabaseUrl, DbOptions, LogDb, LogOptions};
use plimsoll_testkit::{PASSWORD, TestServer, backends, fixture};
use serde_json::json;
use tokio::task::JoinSet;

const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";
const ROW: [f64; 4] = [5.1, 3.5, 1.4, 0.2];
const CLIENTS: usize = 4;

/// The log, looked at beside the server.
async fn log(s: &TestServer) -> LogDb {
    let url = match s.database_url() {
        DatabaseUrl::Sqlite { path } => DatabaseUrl::Sqlite {
            path: path.with_file_name("log.db"),
        },
        postgres @ DatabaseUrl::Postgres { .. } => postgres,
    };
    let mut options = LogOptions::new(DbOptions::new(url));
    options.database.pool_size = 1;
    LogDb::open(&options).await.unwrap()
}

backends! {
    /// F016, F110
    async fn nothing_of_a_deleted_account_comes_back_into_the_log(s: TestServer) {
        let ann = s.user("ann").await;
        let added = ann.upload("iris", fixture(MODEL)).await.status(201).json();
        let model: ModelId = added["model"]["id"].as_str().unwrap().parse().unwrap();
        let key = ann.key(&[Scope::Predict]).await;
        let me = key.get("/api/v1/auth/me").await.status(200).json();
        let key_id: KeyId = me["api_key_id"].as_str().unwrap().parse().unwrap();
        let (first, seen) = tokio::sync::oneshot::channel();
        let mut first = Some(first);
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (key, mut first) = (key.clone(), first.take());
            clients.spawn(async move {
                // Until the account is gone.
                while key.predict("iris", json!([ROW])).await.code() == 200 {
                    if let Some(first) = first.take() {
                        let _ = first.send(());
                    }
                }
            });
        }
        seen.await.unwrap();
        let body = json!({"password": PASSWORD});
        ann.delete("/api/v1/users/me").json(&body).await.status(204);
        clients.join_all().await;
        s.recorded().await;
        let log = log(&s).await;
        assert_eq!(log.recent(model, 10).await.unwrap(), []);
        assert_eq!(log.model_usage(&[model]).await.unwrap(), []);
        assert_eq!(log.stored_predictions().await.unwrap(), []);
        // What the key did while it was there is a number without a name.
        assert!(log.key_usage(&[key_id]).await.unwrap().len() <= 1);
        log.close().await;
    }
}
