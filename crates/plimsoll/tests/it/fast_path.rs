//! Predictions take a way past the router; the router's way answers the same.
//!
//! A name with an escape in it (`ir%69s`) goes through the router, the plain name
//! does not, so that each request is sent once in either spelling.

use plimsoll_core::key::Scope;
use plimsoll_testkit::{TestServer, backends, fixture};
use serde_json::Value;

const IRIS: &str = "sklearn/1.5.2/iris_logistic.joblib";
const ROW: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;

/// One request, except for its path and its credential.
struct Case {
    method: &'static str,
    headers: &'static str,
    body: &'static str,
    status: &'static str,
}

const fn case(
    method: &'static str,
    headers: &'static str,
    body: &'static str,
    status: &'static str,
) -> Case {
    Case {
        method,
        headers,
        body,
        status,
    }
}

const JSON: &str = "Host: a\r\nContent-Type: application/json\r\n";
const CASES: [Case; 12] = [
    case("POST", JSON, ROW, "200"),
    case(
        "POST",
        "Host: a\r\nContent-Type: application/json\r\nX-Request-Timeout-Ms: 0\r\n",
        ROW,
        "504",
    ),
    case(
        "POST",
        "Host: a\r\nContent-Type: application/json\r\nX-Request-Timeout-Ms: no\r\n",
        ROW,
        "400",
    ),
    case("POST", "Host: a\r\n", ROW, "415"),
    case("POST", "Host: a\r\nContent-Type: text/csv\r\n", ROW, "415"),
    case("POST", "Content-Type: application/json\r\n", ROW, "400"),
    case("POST", JSON, "", "400"),
    case("POST", JSON, "{\"inputs\": [[1, 2", "400"),
    case("POST", JSON, r#"{"inputs": [[1, 2, 3, "four"]]}"#, "422"),
    case("GET", JSON, "", "405"),
    case("DELETE", JSON, "", "405"),
    case("HEAD", JSON, "", "405"),
];

/// What a request is answered, without what differs between any two answers.
async fn answer(
    s: &TestServer,
    model: &str,
    key: &str,
    case: &Case,
) -> (String, Vec<String>, Value) {
    let Case {
        method,
        headers,
        body,
        ..
    } = case;
    let mut socket = s.raw().await;
    let request = format!(
        "{method} /api/v1/models/{model}/predict HTTP/1.1\r\n{headers}{key}X-Request-ID: one\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    );
    socket.send(request).await;
    let text = socket.read_to_end().await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines().map(str::to_owned);
    let status = lines.next().unwrap();
    let differs = |line: &String| {
        ["date:", "x-response-time:", "content-length:"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let mut lines: Vec<_> = lines.filter(|line| !differs(line)).collect();
    lines.sort();
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    for member in ["prediction_id", "latency_ms", "cached"] {
        if let Some(value) = body.get_mut(member) {
            *value = Value::Null;
        }
    }
    (status, lines, body)
}

backends! {
    /// F091
    async fn both_ways_of_a_prediction_answer_the_same(s: TestServer) {
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(IRIS)).await.status(201);
        let (predict, feedback) = (ann.key(&[Scope::Predict]).await, ann.key(&[Scope::Feedback]).await);
        let header = |key: &str| format!("X-API-Key: {key}\r\n");
        let key = header(predict.credential().unwrap());
        for case in &CASES {
            let (plain, routed) = (
                answer(&s, "iris", &key, case).await,
                answer(&s, "ir%69s", &key, case).await,
            );
            assert_eq!(plain, routed);
            assert!(plain.0.contains(case.status), "{plain:?}");
        }
        for (key, status) in [
            (String::new(), "401"),
            (header("plim_live_none"), "401"),
            (header(feedback.credential().unwrap()), "403"),
        ] {
            let (plain, routed) = (
                answer(&s, "iris", &key, &CASES[0]).await,
                answer(&s, "ir%69s", &key, &CASES[0]).await,
            );
            assert_eq!(plain, routed);
            assert!(plain.0.contains(status), "{plain:?}");
        }
        let (none, routed) = (
            answer(&s, "none", &key, &CASES[0]).await,
            answer(&s, "n%6Fne", &key, &CASES[0]).await,
        );
        assert_eq!(none, routed);
        assert!(none.0.contains("404"), "{none:?}");
    }
}
