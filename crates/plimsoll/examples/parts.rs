//! What each part of a prediction costs on its own.
//!
//! `cargo run --release -p plimsoll --example parts -- MODEL_FILE BODIES 2>/dev/null`,
//! with the model and `rows.jsonl` or `rows64.json` of `bench/make_model.py`. Prints
//! nanoseconds: the fastest of many rounds, so that what else the machine does
//! is left out. The parts run warm and alone; in a server each one finds colder
//! caches, so their sum is less than a request.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a measurement prints what it measured, by the real clock"
)]

// The program is no library: its log lines are compiled in from their files.
#[path = "../src/logging/line.rs"]
mod line;
#[path = "../src/logging/sink.rs"]
mod sink;

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_app::App;
use plimsoll_app::auth::{Caller, ClientAddress, Credential};
use plimsoll_app::limits::Spend;
use plimsoll_app::serving::{Asking, PredictCall, Reuse, Target};
use plimsoll_core::column::Output;
use plimsoll_core::decode::predict_body;
use plimsoll_core::entropy::SystemEntropy;
use plimsoll_core::id::{IdSource, KeyId, RequestId, UserId};
use plimsoll_core::key::{PresentedKey, Scope};
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_core::time::{Clock, SystemClock};
use plimsoll_engine::{Control, Engine, EngineOptions};
use plimsoll_testkit::{Backend, Client, Options, TestServer};
use serde_json::json;
use tokio::runtime::Runtime;
use tracing_subscriber::layer::SubscriberExt;

const ROUNDS: u32 = 40;
const ROUND: Duration = Duration::from_millis(5);

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let model = std::fs::read(arguments.next().ok_or("expected a model file")?)?;
    let bodies = std::fs::read_to_string(arguments.next().ok_or("expected a file of bodies")?)?;
    let bodies: Vec<&[u8]> = bodies.lines().map(str::as_bytes).collect();
    let clock = SystemClock::new();
    let ids = IdSource::new(Arc::new(SystemClock::new()), &SystemEntropy);
    show("clock", || clock.monotonic());
    show("request id", || RequestId::new(&ids).to_string());
    show("time as text", || clock.now().to_string());
    engine(&model, &bodies, &clock)?;
    log_line(&ids);
    application(&Runtime::new()?, model, &bodies)
}

/// Reading the body and running the model.
fn engine(model: &[u8], bodies: &[&[u8]], clock: &SystemClock) -> Done {
    let predictor = Engine::new(EngineOptions::default()).open(model)?.predictor;
    let mut turn = bodies.iter().cycle();
    let mut decode = || {
        let body = turn.next().copied().unwrap_or_default();
        predict_body(body, predictor.schema(), 1000)
    };
    let batches: Vec<_> = bodies
        .iter()
        .map(|_| decode().map(|decoded| decoded.batch))
        .collect::<Result<_, _>>()?;
    show("body to columns", decode);
    let (mut output, mut turn) = (Output::default(), batches.iter().cycle());
    show("engine", || {
        let batch = turn.next().ok_or(())?;
        let control = Control::unlimited(clock);
        predictor
            .predict(batch, &mut output, &control)
            .map_err(|_| ())
    });
    Ok(())
}

/// The line that each request leaves, without the write that many lines share.
fn log_line(ids: &IdSource) {
    let sink = sink::Sink::start(io::stderr());
    let lines = tracing_subscriber::registry().with(line::JsonLines::new(sink));
    let (user, key) = (UserId::new(ids), KeyId::new(ids));
    let id = RequestId::new(ids).to_string();
    tracing::subscriber::with_default(lines, || {
        show("log line", || {
            tracing::info!(
                target: "plimsoll::request",
                request_id = id.as_str(),
                method = "POST",
                path = "/api/v1/models/{model}/predict",
                status = 200,
                duration_ms = 0.123,
                client = %Ipv4Addr::LOCALHOST,
                user_id = %user,
                key_id = %key,
                "request"
            );
        });
    });
}

/// What the application does around the model.
fn application(runtime: &Runtime, model: Vec<u8>, bodies: &[&[u8]]) -> Done {
    let (server, plain, limited) = runtime.block_on(prepare(model))?;
    let app = server.app();
    let key = text(&plain)?;
    show("key: form and checksum", || {
        PresentedKey::parse(key).is_ok()
    });
    show("key: all checks", || authenticate(app, key).is_ok());
    let with_limit = text(&limited)?;
    show("key: all checks and its limit", || {
        authenticate(app, with_limit).is_ok()
    });
    let caller = authenticate(app, key)?;
    let mut turn = bodies.iter().cycle();
    let answer = runtime.block_on(app.predict(call(&caller, bodies[0])))?;
    show("answer to JSON", || answer.to_json());
    show("counters of a version", || {
        answer.version.meters.answered(1, Duration::from_micros(2));
    });
    show("predict, with the journal", || {
        let body = turn.next().copied().unwrap_or_default();
        runtime.block_on(app.predict(call(&caller, body))).is_ok()
    });
    runtime.block_on(async move { drop(server) });
    Ok(())
}

/// A server with the model `forest` and two keys, the second one limited.
async fn prepare(model: Vec<u8>) -> Result<(TestServer, Client, Client), Box<dyn Error>> {
    let options = Options::new().settings(|settings| settings.limits.enabled = true);
    let server = options.start(Backend::Sqlite).await;
    let server = server.ok_or("the server did not start")?;
    let ann = server.user("ann").await;
    ann.upload("forest", model).await.status(201);
    let plain = ann.key(&[Scope::Predict]).await;
    let limit = json!({"name": "limited", "scopes": ["predict"], "rate_limit": 1_000_000_000});
    let limited = ann.key_with(&limit).await;
    Ok((server, plain, limited))
}

fn text(client: &Client) -> Result<&str, Box<dyn Error>> {
    client.credential().ok_or_else(|| "expected a key".into())
}

/// Where the requests come from.
const HERE: ClientAddress = ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));

fn authenticate(app: &App, key: &str) -> Result<Caller, plimsoll_app::Error> {
    app.authenticate(Credential::ApiKey(key), HERE, Spend::One)
}

fn call<'a>(caller: &'a Caller, body: &'a [u8]) -> PredictCall<'a> {
    PredictCall {
        caller,
        target: Target::Model {
            model: ModelRef::from("forest"),
            version: VersionRef::Default,
        },
        body: Asking::Rows(body),
        request_id: "req_01JD3T9Q2G0000000000000000",
        deadline: None,
        reuse: Reuse::Never,
    }
}

/// Prints the fastest round of `work`.
fn show<T>(name: &str, mut work: impl FnMut() -> T) {
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (began, mut count) = (Instant::now(), 0_u32);
        while began.elapsed() < ROUND {
            // The clock is asked once for ten, so that it does not show.
            for _ in 0..10 {
                black_box(work());
            }
            count += 10;
        }
        fastest = fastest.min(began.elapsed().as_nanos() as f64 / f64::from(count));
    }
    println!("{name:32} {fastest:10.0} ns");
}
