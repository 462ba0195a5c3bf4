//! The shortest path through everything, on both databases.

use plimsoll_core::key::Scope;
use plimsoll_testkit::{TestServer, backends, fixture};
use serde_json::json;

backends! {
    async fn an_uploaded_model_answers_a_key_of_its_owner(s: TestServer) {
        let ann = s.user("ann").await;
        let content = fixture("sklearn/1.5.2/iris_logistic.joblib");
        let added = ann.upload("iris", content).await.status(201).json();
        assert_eq!(added["version"]["version"], 1);
        let key = ann.key(&[Scope::Predict]).await;
        let answer = key.predict("iris", json!([[5.1, 3.5, 1.4, 0.2]])).await.status(200).json();
        assert_eq!(answer["predictions"].as_array().unwrap().len(), 1);
        s.anonymous().get("/api/v1/models").await.status(401).problem("unauthenticated");
    }

    async fn a_restart_keeps_people_models_and_keys(mut s: TestServer) {
        let ann = s.user("ann").await;
        let content = fixture("sklearn/1.5.2/iris_logistic.joblib");
        ann.upload("iris", content).await.status(201);
        let key = ann.key(&[Scope::Predict]).await;
        s.restart().await;
        let key = s.anonymous().bearer(key.credential().unwrap());
        key.predict("iris", json!([[5.1, 3.5, 1.4, 0.2]])).await.status(200);
        s.sign_in_again(&ann).await.get("/api/v1/models/iris").await.status(200);
    }
}
