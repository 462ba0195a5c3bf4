//! The accept loop over real sockets, with limits short enough to wait for.

use axum::Router;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;

const SHORT: Duration = Duration::from_millis(150);
/// A wait that ends a broken test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Drained>,
    meters: Arc<HttpMeters>,
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) -> Drained {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.ended)
            .await
            .unwrap()
            .unwrap()
    }
}

fn start(change: impl FnOnce(&mut Limits)) -> Running {
    let mut limits = Limits::default();
    change(&mut limits);
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(SHORT * 2).await;
                "slept"
            }),
        )
        .route("/never", get(async || std::future::pending::<()>().await))
        .route(
            "/refuse",
            post(async || axum::http::StatusCode::PAYLOAD_TOO_LARGE),
        );
    let meters = Arc::new(HttpMeters::new(["/".to_owned()]));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::with_front(address, Front::from(router), meters.clone(), limits).unwrap();
    let (stop, stopped) = oneshot::channel();
    let address = server.local_addr();
    let run = async move { server.run(async { drop(stopped.await) }).await };
    let ended = tokio::runtime::Handle::current().spawn(run);
    Running {
        address,
        stop,
        ended,
        meters,
    }
}

/// Reads until the server closes; says what came and how long it took.
async fn read_to_close(mut stream: TcpStream) -> (String, Duration) {
    let started = Instant::now();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset is a close, too.
    let _ = read.expect("the server never closed the connection");
    (
        String::from_utf8_lossy(&answer).into_owned(),
        started.elapsed(),
    )
}

#[tokio::test]
async fn a_client_that_does_not_reach_the_router_is_cut() {
    const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let server = start(|limits| limits.first_request = SHORT);
    for (name, bytes, answered) in [
        ("silent", &b""[..], false),
        ("half a header", b"GET / HTTP/1.1\r\nHost: x\r\n", true),
        ("half a preface", &H2_PREFACE[..10], false),
        ("a preface without a stream", H2_PREFACE, false),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(bytes).await.unwrap();
        let (answer, took) = read_to_close(stream).await;
        assert!(took >= SHORT / 2 && took < SHORT * 10, "{name}: {took:?}");
        assert_eq!(
            answer.starts_with("HTTP/1.1 408 "),
            answered,
            "{name}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_dribbled_header_is_cut_on_a_connection_that_was_used_before() {
    let server = start(|limits| limits.header_read = SHORT);
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 512];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).ends_with("hello"));
    stream.write_all(b"GET / HT").await.unwrap();
    let (_, took) = read_to_close(stream).await;
    assert!(took >= SHORT / 2 && took < SHORT * 10, "{took:?}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_and_not_before() {
    let server = start(|limits| {
        limits.first_request = SHORT / 3;
        limits.header_read = SHORT / 3;
        limits.keep_alive = SHORT * 2;
    });
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let (answer, took) = read_to_close(stream).await;
    assert!(answer.ends_with("hello"));
    assert!(took >= SHORT && took < SHORT * 10, "{took:?}");
}

#[tokio::test]
async fn a_request_being_answered_is_never_cut_by_the_watch() {
    let server = start(|limits| {
        limits.first_request = SHORT / 3;
        limits.header_read = SHORT / 3;
        limits.keep_alive = SHORT / 3;
    });
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let (answer, _) = read_to_close(stream).await;
    assert!(answer.ends_with("slept"), "{answer}");
}

#[tokio::test]
async fn connections_over_the_caps_are_refused_with_an_answer() {
    for (all, per_address, status) in [(2, 9, "503"), (9, 2, "429")] {
        let server = start(|limits| {
            limits.connections = all;
            limits.connections_per_address = per_address;
            limits.loopback_unlimited = false;
        });
        let mut kept = Vec::new();
        for _ in 0..2 {
            let mut stream = server.connect().await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let mut answer = [0; 512];
            let read = stream.read(&mut answer).await.unwrap();
            assert!(read > 0);
            kept.push(stream);
        }
        let (answer, _) = read_to_close(server.connect().await).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains("application/problem+json"));
        assert_eq!(server.meters.connections.get(), 2);
    }
}

#[tokio::test]
async fn stopping_lets_open_requests_finish_and_closes_idle_connections() {
    let server = start(|_| {});
    let idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    while server.meters.connections.get() < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(SHORT / 3).await;
    let address = server.address;
    assert_eq!(server.stop().await, Drained { cut: 0 });
    assert!(read_to_close(busy).await.0.ends_with("slept"));
    assert_eq!(read_to_close(idle).await.0, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_when_the_drain_time_is_over() {
    let server = start(|limits| limits.drain = SHORT);
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    while server.meters.connections.get() < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.stop().await, Drained { cut: 1 });
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let server = start(|_| {});
    for _ in 0..20 {
        let mut stream = server.connect().await;
        let head = "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let body = vec![b'x'; 4_000_000];
        let sending = async { drop(writer.write_all(&body).await) };
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer));
        let ((), read) = tokio::join!(sending, reading);
        read.unwrap().unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 413 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}
