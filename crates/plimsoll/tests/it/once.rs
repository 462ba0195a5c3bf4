//! `Idempotency-Key`: sent twice, done once.

use std::time::Duration;

use plimsoll_app::auth::{Caller, Origin};
use plimsoll_app::idempotency::Admission;
use plimsoll_core::digest::Digest;
use plimsoll_core::key::Scope;
use plimsoll_core::user::Role;
use plimsoll_store::StoredAnswer;
use plimsoll_testkit::{Client, Part, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const KEYS: &str = "/api/v1/api-keys";
const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";

async fn make(client: &Client, key: &str, body: &Value) -> Reply {
    client
        .post(KEYS)
        .json(body)
        .header("idempotency-key", key)
        .await
}

async fn total(client: &Client, path: &str) -> i64 {
    client.get(path).await.status(200).json()["total"]
        .as_i64()
        .unwrap()
}

backends! {
    async fn a_repeated_request_gets_the_same_answer_without_the_secret_and_does_nothing(s: TestServer) {
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        let body = json!({"name": "app"});
        let first = make(&ann, "one", &body).await.status(201).json();
        let secret = first["api_key"].as_str().unwrap()[20..].to_owned();
        let again = make(&ann, "one", &body).await.status(201);
        assert_eq!(again.header("idempotency-replayed"), "true");
        let mut expected = first.clone();
        expected.as_object_mut().unwrap().remove("api_key");
        assert_eq!(again.json(), expected);
        assert!(!s.stores(&secret).await, "the secret of the key is stored");
        assert_eq!(total(&ann, KEYS).await, 1);
        // Another body, another person, another key, another path.
        make(&ann, "one", &json!({"name": "other"})).await.status(422).problem("idempotency-key-reused");
        make(&bob, "one", &body).await.status(201);
        make(&ann, "two", &body).await.status(201);
        let rotate = format!("{KEYS}/{}/rotate", first["key_id"].as_str().unwrap());
        let rotated = ann.post(&rotate).header("idempotency-key", "one").await.status(201).json();
        let again = ann.post(&rotate).header("idempotency-key", "one").await.status(201).json();
        assert_eq!(again["key_id"], rotated["key_id"]);
        assert_eq!(total(&ann, KEYS).await, 3);
        for bad in ["", "a b", &"x".repeat(256)] {
            make(&ann, bad, &body).await.status(400).problem("malformed-request");
        }
        s.anonymous().post(KEYS).json(&body).header("idempotency-key", "one").await.status(401);
    }

    async fn what_was_refused_may_be_corrected_and_what_is_old_is_forgotten(s: TestServer) {
        let ann = s.user("ann").await;
        make(&ann, "one", &json!({"name": ""})).await.status(422).problem("invalid-request");
        make(&ann, "one", &json!({"name": "app"})).await.status(201);
        make(&ann, "one", &json!({"name": "app"})).await.status(201);
        assert_eq!(total(&ann, KEYS).await, 1);
        s.advance(Duration::from_hours(24));
        let ann = s.sign_in_again(&ann).await;
        make(&ann, "one", &json!({"name": "new"})).await.status(201);
        assert_eq!(total(&ann, KEYS).await, 2);
    }

    async fn twenty_at_once_do_it_once(s: TestServer) {
        let ann = s.user("ann").await;
        let mut tries = JoinSet::new();
        for _ in 0..20 {
            let ann = ann.clone();
            tries.spawn(async move {
                let reply = make(&ann, "one", &json!({"name": "app"})).await;
                if reply.code() == 409 {
                    reply.problem("idempotency-in-progress");
                }
                reply.code()
            });
        }
        let codes = tries.join_all().await;
        assert!(codes.contains(&201) && codes.iter().all(|code| [201, 409].contains(code)), "{codes:?}");
        assert_eq!(total(&ann, KEYS).await, 1);
        make(&ann, "one", &json!({"name": "app"})).await.status(201);
    }

    async fn an_upload_is_known_by_its_parts_whatever_their_boundary(s: TestServer) {
        let ann = s.user("ann").await;
        let upload = async |name: &str, file: &str| {
            let parts = [Part::Text("name", name.to_owned()), Part::File("file", "m".to_owned(), fixture(file))];
            ann.post("/api/v1/models").multipart(parts).header("idempotency-key", "one").await
        };
        let first = upload("iris", IRIS).await.status(201);
        let again = upload("iris", IRIS).await.status(201);
        assert_eq!((again.json(), again.header("location")), (first.json(), first.header("location")));
        upload("iris", "sklearn/1.5.2/iris_tree.pkl").await.status(422).problem("idempotency-key-reused");
        upload("other", IRIS).await.status(422).problem("idempotency-key-reused");
        assert_eq!(total(&ann, "/api/v1/models/iris/versions").await, 1);
        let key = ann.key(&[Scope::Admin]).await;
        for _ in 0..2 {
            key.post("/api/v1/models/iris/versions/1/promote").header("idempotency-key", "p").await.status(200);
        }
    }

    /// A process that dies between the effect and the stored answer, and one that dies before the effect.
    async fn after_a_crash_nothing_is_done_twice(s: TestServer) {
        let ann = s.user("ann").await;
        let body = json!({"name": "app"});
        let made = make(&ann, "one", &body).await.status(201).json();
        // As a crash after the commit leaves it.
        s.damage("update idempotent_requests set status = null, body = null, headers = null, request_sha256 = null").await;
        make(&ann, "one", &body).await.status(409).problem("idempotency-in-progress");
        s.advance(Duration::from_secs(61));
        let lost = make(&ann, "one", &body).await.status(409).problem("idempotency-answer-lost");
        let detail = lost["detail"].as_str().unwrap();
        assert!(detail.contains(made["key_id"].as_str().unwrap()), "{detail}");
        s.advance(Duration::from_hours(1));
        let ann = s.sign_in_again(&ann).await;
        make(&ann, "one", &body).await.status(409).problem("idempotency-answer-lost");
        assert_eq!(total(&ann, KEYS).await, 1);
        // As a crash before the commit leaves it: for a minute it may still be under way.
        s.damage("update idempotent_requests set effect = null").await;
        s.damage("update idempotent_requests set claimed_at = claimed_at + 3661000000").await;
        make(&ann, "one", &body).await.status(409).problem("idempotency-in-progress");
        s.advance(Duration::from_secs(61));
        make(&ann, "one", &body).await.status(201);
        assert_eq!(total(&ann, KEYS).await, 2);
    }

    /// Between the commit of the effect and the stored answer the first one is still at work,
    /// however long it took to come that far.
    async fn while_the_answer_is_on_its_way_the_request_is_in_progress(s: TestServer) {
        let ann = s.user("ann").await;
        let user = ann.get("/api/v1/users/me").await.json()["id"].as_str().unwrap().parse().unwrap();
        let body = json!({"name": "app"});
        let caller = Caller::person(user, Role::User);
        let target = format!("POST {KEYS}");
        let Ok(Admission::Fresh(claim)) = s.app().admit_once(&caller, &target, "one").await else {
            unreachable!("nobody has claimed the request");
        };
        s.advance(Duration::from_secs(61));
        let origin = Origin::default().claiming(Some(claim.clone()));
        let caller = Caller::person(user, Role::User).with_origin(origin);
        s.app().begin(&caller).await.unwrap().commit().await.unwrap();
        s.advance(Duration::from_secs(59));
        make(&ann, "one", &body).await.status(409).problem("idempotency-in-progress");
        let answer = StoredAnswer {
            request_sha256: Digest::of(body.to_string().as_bytes()),
            status: 201,
            headers: "{}".to_owned(),
            body: "{}".to_owned(),
        };
        s.app().keep_answer(&claim, &answer).await.unwrap();
        make(&ann, "one", &body).await.status(201);
        assert_eq!(total(&ann, KEYS).await, 0);
    }

    /// Who lost the claim to a later attempt commits nothing.
    async fn an_attempt_that_was_taken_over_commits_nothing(s: TestServer) {
        let ann = s.user("ann").await;
        let user = ann.get("/api/v1/users/me").await.json()["id"].as_str().unwrap().parse().unwrap();
        let caller = Caller::person(user, Role::User);
        let admit = async || match s.app().admit_once(&caller, "POST /x", "one").await {
            Ok(Admission::Fresh(claim)) => Some(claim),
            _ => None,
        };
        let first = admit().await.unwrap();
        assert!(admit().await.is_none());
        s.advance(Duration::from_secs(61));
        let second = admit().await.unwrap();
        let change = async |claim| {
            let origin = Origin::default().claiming(Some(claim));
            let caller = Caller::person(user, Role::User).with_origin(origin);
            s.app().begin(&caller).await.unwrap().commit().await
        };
        assert!(change(first).await.is_err());
        assert!(change(second).await.is_ok());
        assert!(admit().await.is_none());
    }
}
