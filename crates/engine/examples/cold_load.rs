//! What a cold load costs: translating a model file against reading its flat form.
//!
//! `cargo run --release -p plimsoll-engine --example cold_load -- MODEL_FILE`.
//! Times are the best of 20 runs, files are in the page cache. Hashing is not
//! part of them: the registry hashes both files while it reads them.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "an example prints and takes times, and sizes fit into f64"
)]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use plimsoll_engine::{Engine, EngineOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("expected a model file")?;
    let engine = Engine::new(EngineOptions::default());
    let original = std::fs::read(&file)?;
    let opened = engine.open(&original)?;
    let flat = opened.predictor.flat(&opened.description);
    let flat = flat.ok_or("this model has no flat form")?;
    let folder = std::env::temp_dir().join(format!("cold-load-{}", std::process::id()));
    std::fs::write(&folder, &flat)?;
    drop(opened);

    println!("original          {:>9} bytes", original.len());
    println!("flat form         {:>9} bytes", flat.len());
    println!(
        "translate         {:>9.2?}",
        best(|| engine.open(&original))
    );
    println!(
        "open flat         {:>9.2?}",
        best(|| engine.open_flat(&flat))
    );
    let cold = || std::fs::read(&folder).map(|bytes| engine.open_flat(&bytes));
    println!("read + open flat  {:>9.2?}", best(cold));
    drop(original);

    let before = resident()?;
    let models: Result<Vec<_>, _> = (0..16).map(|_| engine.open_flat(&flat)).collect();
    let models = models?;
    let each = (resident()? - before) / models.len();
    println!(
        "resident          {each:>9} bytes, {:.2} times the flat form",
        each as f64 / flat.len() as f64
    );
    std::fs::remove_file(folder)?;
    Ok(())
}

fn best<T>(run: impl Fn() -> T) -> Duration {
    let time = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    };
    (0..20).map(time).min().unwrap_or_default()
}

/// Memory of this process, in bytes (`/proc/self/statm`, proc(5)).
fn resident() -> Result<usize, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(1).ok_or("no resident pages")?;
    Ok(pages.parse::<usize>()? * 4096)
}
