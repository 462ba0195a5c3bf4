//! Models run natively against the same models run by ONNX Runtime.
//!
//! `cargo run --release -p plimsoll-engine --example engines -- FOLDER LIBRARY NAME…`,
//! where `FOLDER` holds `NAME.joblib`, `.ubj` or `.txt`, `NAME.onnx`, perhaps
//! `NAME.f64.onnx`, and `rows.f64`: rows of little-endian f64 without a header.
//! Everything runs in this process on one thread over different rows; passes take
//! turns, so that what else the machine does meets both sides alike. Prints a
//! table of medians: nanoseconds a row, their ratio, milliseconds to open the
//! file (for the native engine also its flat form), and memory.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "an example prints, nanoseconds fit into f64, and some models take f32"
)]

use std::error::Error;
use std::path::{Path, PathBuf};

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::schema::DataType;
use plimsoll_core::time::{Clock, SystemClock};
use plimsoll_engine::{Control, Engine, EngineError, EngineOptions, Opened};

/// Turns of each side; the medians of so many passes over all rows are compared.
const TURNS: usize = 40;
/// Models opened at once to see what one takes.
const COPIES: usize = 4;

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(library)) = (arguments.next(), arguments.next()) else {
        return Err("expected a folder, the library of ONNX Runtime, and names of models".into());
    };
    let engine = Engine::new(EngineOptions {
        onnxruntime: Some(library.into()),
        intra_threads: 1,
    });
    let folder = PathBuf::from(folder);
    let rows = rows(&folder.join("rows.f64"))?;
    println!(
        "| model | against | rows | native ns/row | ONNX Runtime ns/row | times faster | open: native, flat, ONNX ms | MiB: native, ONNX |"
    );
    println!("|---|---|---:|---:|---:|---:|---|---|");
    for name in arguments {
        let endings =
            ["joblib", "ubj", "txt"].map(|ending| folder.join(format!("{name}.{ending}")));
        let native = endings.into_iter().find(|file| file.exists());
        let native = native.ok_or_else(|| format!("there is no {name}"))?;
        for (against, ending) in [("float32", "onnx"), ("float64", "f64.onnx")] {
            let other = folder.join(format!("{name}.{ending}"));
            if other.exists() {
                compare(&engine, &rows, (&name, against), (&native, &other))?;
            }
        }
    }
    Ok(())
}

fn rows(file: &Path) -> Done<Vec<f64>> {
    let bytes = std::fs::read(file)?;
    let numbers = bytes.as_chunks::<8>().0.iter();
    Ok(numbers.map(|number| f64::from_le_bytes(*number)).collect())
}

/// Metadata behind an ONNX file that leaves it to ONNX Runtime; without it these
/// models would be served natively, and compared with themselves.
const FOR_RUNTIME: &[u8] = b"\x72\x1e\x0a\x0fplimsoll_engine\x12\x0bonnxruntime";

/// A model with what it takes to open it.
struct Side {
    opened: Opened,
    open_ms: f64,
    flat_ms: Option<f64>,
    bytes: f64,
}

impl Side {
    fn open(engine: &Engine, file: &Path) -> Done<Self> {
        let mut content = std::fs::read(file)?;
        if file.extension().is_some_and(|ending| ending == "onnx") {
            content.extend_from_slice(FOR_RUNTIME);
        }
        let opened = engine.open(&content)?;
        let flat = opened.predictor.flat(&opened.description);
        let before = resident()?;
        let copies: Result<Vec<_>, EngineError> = match &flat {
            Some(flat) => (0..COPIES).map(|_| engine.open_flat(flat)).collect(),
            None => (0..COPIES).map(|_| engine.open(&content)).collect(),
        };
        let copies = copies?;
        let bytes = (resident()? - before) / COPIES as f64;
        drop(copies);
        Ok(Self {
            open_ms: milliseconds(|| engine.open(&content)),
            flat_ms: flat.map(|flat| milliseconds(|| engine.open_flat(&flat))),
            opened,
            bytes,
        })
    }
}

/// The median time of some calls.
fn milliseconds<T>(call: impl Fn() -> T) -> f64 {
    let clock = SystemClock::new();
    let time = |_| {
        let before = clock.monotonic();
        std::hint::black_box(call());
        clock.monotonic().since(before).as_secs_f64() * 1e3
    };
    median((0..9).map(time).collect())
}

fn compare(engine: &Engine, rows: &[f64], names: (&str, &str), files: (&Path, &Path)) -> Done<()> {
    let (native, other) = (Side::open(engine, files.0)?, Side::open(engine, files.1)?);
    for size in [1, 256] {
        let batches = [&native, &other].map(|side| batches(&side.opened, rows, size));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.push(pass(&native.opened, &batches[0])?);
            // Some converted graphs take one row at a time.
            theirs.extend(pass(&other.opened, &batches[1]));
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let flat = native
            .flat_ms
            .map_or("-".to_owned(), |ms| format!("{ms:.2}"));
        println!(
            "| {} | {} | {size} | {ours:.0} | {theirs:.0} | **{:.2}** | {:.2}, {flat}, {:.2} | {:.2}, {:.2} |",
            names.0,
            names.1,
            theirs / ours,
            native.open_ms,
            other.open_ms,
            native.bytes / f64::from(1 << 20),
            other.bytes / f64::from(1 << 20),
        );
    }
    Ok(())
}

fn batches(opened: &Opened, rows: &[f64], size: usize) -> Vec<Batch> {
    let schema = opened.predictor.schema();
    let block = &schema.blocks()[0];
    let width = block.width.unwrap_or(1);
    let batch = |rows: &[f64]| {
        let mut batch = Batch::empty(schema);
        batch.rows = size;
        batch.columns[0].values = match block.data_type {
            DataType::Float32 => Values::Float32(rows.iter().map(|x| *x as f32).collect()),
            _ => Values::Float64(rows.to_vec()),
        };
        batch
    };
    rows.chunks_exact(size * width).map(batch).collect()
}

/// Nanoseconds a row of one pass over all rows.
fn pass(opened: &Opened, batches: &[Batch]) -> Done<f64> {
    let clock = SystemClock::new();
    let control = Control::unlimited(&clock);
    let mut output = Output::default();
    // A pass over few batches is too short to time.
    let repeats = 8;
    let before = clock.monotonic();
    for batch in batches.iter().cycle().take(batches.len() * repeats) {
        opened.predictor.predict(batch, &mut output, &control)?;
    }
    let nanos = clock.monotonic().since(before).as_nanos() as f64;
    let done: usize = batches.iter().map(|batch| batch.rows).sum();
    Ok(nanos / (done * repeats) as f64)
}

/// The figure in the middle; NaN if there is none.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.get(figures.len() / 2);
    middle.copied().unwrap_or(f64::NAN)
}

/// Memory of this process, in bytes (`/proc/self/statm`, proc(5)).
fn resident() -> Done<f64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(1).ok_or("no resident pages")?;
    Ok(pages.parse::<f64>()? * 4096.0)
}
