//! Health, readiness, liveness: what they say, when they change, what they never tell.

use std::time::Duration;

use plimsoll_testkit::{Options, TestServer, backends, fixture};
use serde_json::{Value, json};

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const FLOWER: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

/// Asserts that an answer anybody can get tells nothing about the machine.
fn assert_tells_nothing(s: &TestServer, text: &str) {
    let directory = s.directory().to_str().unwrap().to_owned();
    let inside = [
        &directory,
        "/tmp",
        "/home",
        "/nowhere",
        "plimsoll.db",
        "postgres",
        "sqlite",
        "socket",
        "only the tests sign",
        "plim_live_",
    ];
    for word in inside {
        assert!(!text.to_lowercase().contains(word), "{word} in {text}");
    }
}

fn without_onnxruntime() -> Options {
    Options::new().onnxruntime(Some("/nowhere/secret/libonnxruntime.so".into()))
}

backends! {
    /// F190, F196
    #[options(without_onnxruntime())]
    async fn health_names_each_part_without_a_credential_and_tells_nothing_else(s: TestServer) {
        s.user("ann").await.upload("iris", fixture(IRIS)).await.status(201);
        s.advance(Duration::from_secs(90));
        for path in ["/health", "/api/v1/health"] {
            let reply = s.anonymous().get(path).await.status(200);
            let health = reply.json();
            assert_eq!(health["status"], "healthy", "{health}");
            assert_eq!(health["timestamp"], "2026-01-01T00:01:30.000000Z");
            assert_eq!((&health["uptime"], &health["version"]), (&json!(90), &json!(env!("CARGO_PKG_VERSION"))));
            for part in ["database", "storage", "cache"] {
                assert_eq!(health["components"][part]["status"], "healthy", "{part}: {health}");
            }
            assert_eq!(health["components"]["onnxruntime"]["status"], "degraded");
            assert_tells_nothing(&s, &reply.text());
        }
        for path in ["/health/live", "/health/ready", "/api/v1/health/live", "/api/v1/health/ready"] {
            let reply = s.anonymous().get(path).await.status(200);
            assert_eq!(reply.json(), json!({"status": "ok"}), "{path}");
            assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        }
    }

    /// F191
    async fn without_the_database_readiness_fails_and_loaded_models_go_on_answering(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let key = ann.key(&[plimsoll_core::key::Scope::Predict]).await;
        s.expect_errors();
        s.app().db().close().await;
        for path in ["/health/ready", "/api/v1/health/ready"] {
            let reply = s.anonymous().get(path).await.status(503);
            assert_eq!(reply.header("retry-after"), "1");
            assert_tells_nothing(&s, &reply.problem("not-ready").to_string());
        }
        let reply = s.anonymous().get("/health").await.status(503);
        let health = reply.json();
        assert_eq!((&health["status"], &health["components"]["database"]["status"]), (&json!("unhealthy"), &json!("unhealthy")));
        assert_eq!(health["components"]["storage"]["status"], "healthy");
        assert_tells_nothing(&s, &reply.text());
        s.anonymous().get("/health/live").await.status(200);
        for person in [&ann, &key] {
            let answer = person.predict("iris", json!([FLOWER])).await.status(200).json();
            assert_eq!(answer["predictions"], json!([0]));
        }
        // What needs the database says that it is not ready.
        ann.get("/api/v1/models").await.status(503).problem("not-ready");
        ann.upload("iris", fixture(IRIS)).await.status(503).problem("not-ready");
    }

    /// F190
    async fn without_the_folder_of_artifacts_health_fails_and_names_no_path(s: TestServer) {
        let blobs = s.directory().join("blobs");
        std::fs::rename(&blobs, s.directory().join("away")).unwrap();
        let reply = s.anonymous().get("/health").await.status(503);
        assert_eq!(reply.json()["components"]["storage"]["status"], "unhealthy");
        assert_tells_nothing(&s, &reply.text());
        std::fs::rename(s.directory().join("away"), &blobs).unwrap();
        s.anonymous().get("/health").await.status(200);
    }

    /// F195
    async fn a_draining_server_is_not_ready_at_once_and_finishes_what_it_began(mut s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let body = json!({"inputs": [FLOWER]}).to_string();
        let (first, rest) = body.split_at(8);
        let head = format!(
            "POST /api/v1/models/iris/predict HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
            ann.credential().unwrap(), body.len(),
        );
        let mut socket = s.raw().await;
        assert!(socket.send(&head).await);
        // The server counts this request and the one that asks for the count.
        for _ in 0..20_000 {
            let text = s.anonymous().get("/metrics").await.text();
            if text.contains("plimsoll_http_requests_in_flight 2") {
                break;
            }
        }
        s.app().begin_drain();
        s.anonymous().get("/health/ready").await.status(503).problem("not-ready");
        assert_eq!(s.anonymous().get("/health").await.status(503).json()["status"], "unhealthy");
        s.anonymous().get("/health/live").await.status(200);
        let address = s.address();
        let finish = async {
            // Not before the listener is closed, that is, while the server stops.
            while tokio::net::TcpStream::connect(address).await.is_ok() {}
            assert!(socket.send(rest).await);
            socket.read_to_end().await
        };
        let (answer, ()) = tokio::join!(finish, s.stop());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["predictions"], json!([0]));
    }
}
