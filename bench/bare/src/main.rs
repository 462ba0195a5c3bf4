//! A bare axum handler: parse, run the model, answer. Nothing else.
//!
//! The benchmark compares Plimsoll's full path (key, schema, counters, log,
//! limits) with this, in one run on one core. It uses the same engine, so the
//! difference is what the product adds around it.
//!
//! Usage: `plimsoll-bench-bare MODEL_FILE PORT`

use std::sync::Arc;

use anyhow::Context;
use axum::extract::State;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use plimsoll_core::column::{Batch, Column, Output, Values};
use plimsoll_core::schema::ClassLabel;
use plimsoll_core::time::SystemClock;
use plimsoll_engine::{Control, Engine, EngineOptions, Predictor};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    inputs: Vec<Vec<f64>>,
}

#[derive(Serialize)]
struct Response<'a> {
    predictions: Vec<&'a ClassLabel>,
    probabilities: Vec<&'a [f64]>,
}

struct Bare {
    model: Box<dyn Predictor>,
    clock: SystemClock,
}

impl Bare {
    fn predict(&self, rows: &[Vec<f64>]) -> Output {
        let width = self.model.schema().inputs().len();
        let values = Values::Float64(rows.concat());
        let columns = vec![Column {
            values,
            width,
            shape: Vec::new(),
        }];
        let batch = Batch {
            rows: rows.len(),
            columns,
        };
        let mut output = Output::default();
        let control = Control::unlimited(&self.clock);
        self.model
            .predict(&batch, &mut output, &control)
            .expect("invariant: the benchmark sends rows of the right width");
        output
    }
}

async fn handle(State(bare): State<Arc<Bare>>, Json(request): Json<Request>) -> Vec<u8> {
    let output = bare.predict(&request.inputs);
    let classes = &bare.model.schema().classes;
    let response = Response {
        predictions: output
            .labels
            .iter()
            .map(|label| &classes[*label as usize])
            .collect(),
        probabilities: output.probabilities.chunks(classes.len()).collect(),
    };
    serde_json::to_vec(&response).expect("invariant: numbers and labels serialise")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .context("usage: plimsoll-bench-bare MODEL_FILE PORT")?;
    let port: u16 = arguments.next().context("missing PORT")?.parse()?;
    let opened = Engine::new(EngineOptions::default()).open(&std::fs::read(file)?)?;
    let bare = Arc::new(Bare {
        model: opened.predictor,
        clock: SystemClock::new(),
    });
    let router = Router::new()
        .route("/predict", post(handle))
        .with_state(bare);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let listener = listener.tap_io(|stream| {
        // Without it, answers wait for the peer's acknowledgement.
        drop(stream.set_nodelay(true));
    });
    Ok(axum::serve(listener, router).await?)
}
