//! Runs beside each other, and runs that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

#[test]
fn many_threads_share_one_session() {
    let Some(engine) = engine() else { return };
    for name in ["cancer_pipeline", "iris_zipmap", "tokens"] {
        let model: Arc<dyn Predictor> = Arc::from(open(&engine, name).predictor);
        let record = expected(name);
        let Value::Array(rows) = &record["inputs"] else {
            panic!("{name} has no rows")
        };
        let one = |row: &Value| batch(model.schema(), &serde_json::json!({ "inputs": [row] }));
        let batches: Vec<Batch> = rows.iter().map(one).collect();
        let serial: Vec<Output> = batches
            .iter()
            .map(|batch| predict(&*model, batch).unwrap())
            .collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (model, batches, serial) = (&model, &batches, &serial);
                scope.spawn(move || {
                    let (clock, mut output) = (SystemClock::new(), Output::default());
                    for run in 0..2000 {
                        let at = (run * 7 + thread) % batches.len();
                        model
                            .predict(&batches[at], &mut output, &Control::unlimited(&clock))
                            .unwrap();
                        assert_eq!(output, serial[at], "{name}, thread {thread}, run {run}");
                    }
                });
            }
        });
    }
}

/// A clock that stands still until it was read so often, and then is late or says to cancel.
#[derive(Debug)]
struct Impatient {
    looks: AtomicUsize,
    deadline: Monotonic,
    cancel: Option<Arc<AtomicBool>>,
}

impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn monotonic(&self) -> Monotonic {
        if self.looks.fetch_add(1, Ordering::Relaxed) < 5 {
            return Monotonic::from_nanos(0);
        }
        let Some(cancel) = &self.cancel else {
            return self.deadline;
        };
        cancel.store(true, Ordering::Relaxed);
        Monotonic::from_nanos(0)
    }
}

#[test]
fn a_run_that_nobody_waits_for_is_ended() {
    let Some(engine) = engine() else { return };
    // The loop of 5000 rounds becomes one of 2^40.
    let mut bytes = bytes("slow.onnx");
    let rounds = 5000_i64.to_le_bytes();
    let at = bytes.windows(8).position(|word| word == rounds).unwrap();
    bytes[at..at + 8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    let model = engine.open(&bytes).unwrap().predictor;
    let rows = batch(model.schema(), &expected("slow"));
    for (cancels, wanted) in [(false, Stop::Deadline), (true, Stop::Cancelled)] {
        let flag = Arc::new(AtomicBool::new(false));
        let clock = Impatient {
            looks: AtomicUsize::new(0),
            deadline: Monotonic::from_nanos(1),
            cancel: cancels.then(|| flag.clone()),
        };
        let control = Control::new(&clock, clock.deadline, &flag);
        let error = model.predict(&rows, &mut Output::default(), &control);
        let error = error.unwrap_err();
        assert!(
            matches!(error, EngineError::Stopped(stop) if stop == wanted),
            "{error:?}"
        );
        assert!(clock.looks.load(Ordering::Relaxed) > 5);
    }
}
