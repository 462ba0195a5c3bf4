//! Clients that hold a connection without using it are cut off in time, and a
//! well-behaved client never notices them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_testkit::{Client, Options, RawSocket, TestServer, backends, fixture};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";
const H2_PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What the tests set instead of ten seconds and more.
const LIMIT: Duration = Duration::from_millis(400);
/// How often a slow client sends a byte: never long enough apart to be idle.
const PAUSE: Duration = Duration::from_millis(40);
/// An answered client is listened to for two seconds more; the rest is for a busy machine.
const LATEST: Duration = Duration::from_secs(6);
/// Slow clients of each kind at once.
const CROWD: usize = 20;

/// Every time short, so that each kind of slowness meets its own.
fn short() -> Options {
    Options::new()
        .settings(|settings| settings.predict.timeout = LIMIT)
        .http(|http| {
            let limits = &mut http.limits;
            limits.first_request = LIMIT;
            limits.header_read = LIMIT;
            limits.keep_alive = LIMIT * 2;
            limits.body_idle = LIMIT;
            limits.control_deadline = LIMIT;
            limits.upload_window = LIMIT;
        })
}

/// What became of a slow client.
#[derive(Debug)]
struct Outcome {
    answer: String,
    /// Until the first byte of an answer, or the end.
    answered: Duration,
    closed: Duration,
}

/// Sends the head at once and the rest byte by byte, for ever, until the server closes.
async fn dribble(socket: RawSocket, head: String, rest: String) -> Outcome {
    let began = Instant::now();
    let (mut reader, mut writer) = socket.into_stream().into_split();
    let sending = async {
        let mut beat = interval(PAUSE);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = writer.write_all(head.as_bytes()).await.is_ok();
        for byte in rest.bytes() {
            beat.tick().await;
            // A server that closed is what this waits for.
            open = open && writer.write_all(&[byte]).await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    let receiving = async {
        let (mut answer, mut answered) = (Vec::new(), None);
        let mut chunk = [0; 4096];
        // A reset is a way of closing, too.
        while let Ok(read @ 1..) = reader.read(&mut chunk).await {
            answered.get_or_insert_with(|| began.elapsed());
            answer.extend_from_slice(&chunk[..read]);
        }
        let closed = began.elapsed();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        Outcome {
            answer,
            answered: answered.unwrap_or(closed),
            closed,
        }
    };
    let outcome = async {
        tokio::select! {
            () = sending => unreachable!("sending never ends"),
            outcome = receiving => outcome,
        }
    };
    timeout(LATEST * 2, outcome)
        .await
        .expect("the server never closed the connection")
}

/// Runs a crowd of slow clients while somebody else is served all along.
async fn crowd(s: &TestServer, head: &str, rest: &str) -> Vec<Outcome> {
    let over = AtomicBool::new(false);
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        crowd.spawn(dribble(s.raw().await, head.to_owned(), rest.to_owned()));
    }
    let slow = async {
        let outcomes = crowd.join_all().await;
        over.store(true, Ordering::Relaxed);
        outcomes
    };
    let somebody = s.anonymous();
    let (outcomes, ()) = tokio::join!(slow, behave(&somebody, &over));
    outcomes
}

/// A client that is served, and quickly, until the others are gone.
async fn behave(client: &Client, over: &AtomicBool) {
    let mut served = 0;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        client.get("/health/ready").await.status(200);
        let took = began.elapsed();
        assert!(
            took < Duration::from_secs(2),
            "a well-behaved client waited {took:?}"
        );
        served += 1;
    }
    assert!(served > 5, "only {served} requests were served meanwhile");
}

#[track_caller]
fn cut_in_time(outcomes: &[Outcome], answer: &str) {
    assert_eq!(outcomes.len(), CROWD);
    for outcome in outcomes {
        assert!(outcome.answer.starts_with(answer), "{outcome:?}");
        assert_eq!(outcome.answer.is_empty(), answer.is_empty(), "{outcome:?}");
        let is_problem = outcome.answer.contains("application/problem+json");
        assert!(answer.is_empty() || is_problem, "{outcome:?}");
        assert!(
            outcome.answered >= LIMIT / 2 && outcome.answered < LATEST / 2,
            "{outcome:?}"
        );
        assert!(outcome.closed < LATEST, "{outcome:?}");
    }
}

/// A request with a body that never comes as announced.
fn request(token: &str, path: &str, media_type: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: {media_type}\r\nContent-Length: 60000\r\n\r\n"
    )
}

backends! {
    /// P19
    #[options(short())]
    async fn a_silent_client_is_cut_off(s: TestServer) {
        cut_in_time(&crowd(&s, "", "").await, "");
    }

    /// P19
    #[options(short())]
    async fn a_client_that_dribbles_its_header_is_told_and_cut_off(s: TestServer) {
        let fields = "X-A: b\r\n".repeat(50);
        cut_in_time(&crowd(&s, "GET /health HTTP/1.1\r\nHost: x\r\n", &fields).await, "HTTP/1.1 408 ");
    }

    /// P19
    #[options(short())]
    async fn a_client_that_dribbles_a_preface_is_cut_off(s: TestServer) {
        cut_in_time(&crowd(&s, "", H2_PREFACE).await, "");
    }

    /// P19
    #[options(short())]
    async fn a_preface_without_a_request_is_cut_off(s: TestServer) {
        for outcome in crowd(&s, H2_PREFACE, "").await {
            assert!(outcome.closed >= LIMIT / 2 && outcome.closed < LATEST, "{outcome:?}");
        }
    }

    /// P19
    #[options(short())]
    async fn an_idle_connection_is_closed(s: TestServer) {
        for outcome in crowd(&s, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n", "").await {
            assert!(outcome.answer.starts_with("HTTP/1.1 200 "), "{outcome:?}");
            assert!(outcome.closed >= LIMIT && outcome.closed < LATEST, "{outcome:?}");
        }
    }

    /// P19
    #[options(short())]
    async fn a_second_request_that_is_dribbled_is_cut_off(s: TestServer) {
        let head = "GET /version HTTP/1.1\r\nHost: x\r\n\r\nGET /version HTTP/1.1\r\n";
        for outcome in crowd(&s, head, &"X-A: b\r\n".repeat(50)).await {
            assert!(outcome.answer.contains("HTTP/1.1 408 "), "{outcome:?}");
            assert!(outcome.closed >= LIMIT / 2 && outcome.closed < LATEST, "{outcome:?}");
        }
    }

    /// P19
    #[options(short())]
    async fn a_body_that_pauses_is_told_and_cut_off(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        let token = ann.credential().unwrap();
        let predict = request(token, "/api/v1/models/iris/predict", "application/json");
        cut_in_time(&crowd(&s, &predict, "").await, "HTTP/1.1 408 ");
        let upload = request(token, "/api/v1/models", "multipart/form-data; boundary=x");
        cut_in_time(&crowd(&s, &upload, "").await, "HTTP/1.1 408 ");
    }

    /// P19
    #[options(short())]
    async fn a_body_that_is_dribbled_is_told_and_cut_off(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        let token = ann.credential().unwrap();
        let body = " ".repeat(400);
        let control = request(token, "/api/v1/api-keys", "application/json");
        cut_in_time(&crowd(&s, &control, &body).await, "HTTP/1.1 504 ");
        let predict = request(token, "/api/v1/models/iris/predict", "application/json");
        cut_in_time(&crowd(&s, &predict, &body).await, "HTTP/1.1 504 ");
        let upload = request(token, "/api/v1/models", "multipart/form-data; boundary=x");
        let form = format!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{body}");
        cut_in_time(&crowd(&s, &upload, &form).await, "HTTP/1.1 408 ");
        let models = ann.get("/api/v1/models").await.status(200).json();
        assert_eq!(models["total"], json!(1), "half a model became visible");
    }
}
