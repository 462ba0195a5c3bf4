//! What a model over numbers costs to load and to run, on one thread.
//!
//! `cargo run --release --example tree_cost -- MODEL ROWS.f64 [libonnxruntime.so]`,
//! where `ROWS.f64` holds rows of little-endian f64 without a header. Prints the
//! least and the median time of many passes over all rows, in nanoseconds a row.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "an example prints, nanoseconds fit into f64, and some models take f32"
)]

use std::error::Error;

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::schema::DataType;
use plimsoll_core::time::{Clock, SystemClock};
use plimsoll_engine::{Control, Engine, EngineOptions, Opened};

const PASSES: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(rows)) = (arguments.next(), arguments.next()) else {
        return Err("expected a model file and a file of rows".into());
    };
    let options = EngineOptions {
        onnxruntime: arguments.next().map(Into::into),
        intra_threads: 1,
    };
    let clock = SystemClock::new();
    let bytes = std::fs::read(model)?;
    let before = clock.monotonic();
    let opened = Engine::new(options).open(&bytes)?;
    let load = clock.monotonic().since(before);
    let cost = opened.predictor.cost();
    println!("{} in {load:?}: {cost:?}", opened.description.algorithm);

    let rows = std::fs::read(rows)?;
    let rows: Vec<f64> = rows
        .as_chunks::<8>()
        .0
        .iter()
        .map(|value| f64::from_le_bytes(*value))
        .collect();
    for size in [1, 8, 16, 64, 256] {
        let (least, median) = measure(&opened, &rows, size, &clock)?;
        println!("batches of {size}: least {least:.0} ns/row, median {median:.0} ns/row");
    }
    Ok(())
}

/// Least and median nanoseconds a row over passes through all rows in batches of `size`.
fn measure(
    opened: &Opened,
    rows: &[f64],
    size: usize,
    clock: &SystemClock,
) -> Result<(f64, f64), Box<dyn Error>> {
    let schema = opened.predictor.schema();
    let width = schema.blocks()[0].width.ok_or("rows of no width")?;
    let batches: Vec<Batch> = rows
        .chunks_exact(size * width)
        .map(|rows| {
            let mut batch = Batch::empty(schema);
            batch.rows = size;
            batch.columns[0].values = match schema.blocks()[0].data_type {
                DataType::Float32 => Values::Float32(rows.iter().map(|x| *x as f32).collect()),
                _ => Values::Float64(rows.to_vec()),
            };
            batch
        })
        .collect();
    let mut output = Output::default();
    let control = Control::unlimited(clock);
    let mut times = Vec::new();
    for _ in 0..PASSES {
        let before = clock.monotonic();
        for batch in &batches {
            opened.predictor.predict(batch, &mut output, &control)?;
        }
        let nanos = clock.monotonic().since(before).as_nanos() as f64;
        times.push(nanos / (batches.len() * size) as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[0], times[PASSES / 2]))
}
