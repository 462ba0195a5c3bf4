//! Artifact to predictor: verified, loaded once, kept in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use plimsoll_core::column::{Batch, Output, Values};
use plimsoll_core::digest::Digest;
use plimsoll_core::example::example_batch;
use plimsoll_core::time::Clock;
use plimsoll_engine::{Control, Description, EngineError, Opened, Predictor};

use super::Serving;
use super::join::{Line, rows_are_independent};
use super::memory::LastUse;
use super::pace::{MANY_ROWS, Pace};
use super::pool::Pool;
use crate::live::VersionEntry;
use crate::{App, Error};

/// Nanoseconds for many example rows beyond which loading does not run them.
const WORTH_REPEATING: u64 = 1_000_000;

/// A model in memory, ready to answer.
pub struct LoadedModel {
    /// The model itself.
    pub predictor: Box<dyn Predictor>,
    /// What its file turned out to be.
    pub description: Description,
    /// How long it takes.
    pub(super) pace: Pace,
    /// Its own thread, if it waits for another process.
    pub(super) lane: Option<Pool>,
    /// Sample rows it was warmed with; unset if it had none but an example row.
    pub(super) sample_rows: OnceLock<usize>,
    /// When it was last asked for.
    pub(super) used: LastUse,
    /// Whether requests may run together: a network whose rows do not depend on each other.
    pub(super) joins: bool,
    /// Requests that wait to run together.
    pub(super) line: Line,
}

impl App {
    /// The model of a version, and whether it was in memory before.
    pub(crate) async fn loaded(
        &self,
        version: &VersionEntry,
    ) -> Result<(Arc<LoadedModel>, bool), Error> {
        if let Some(model) = self.cached(&version.artifact) {
            self.meters().cache_hits.inc();
            return Ok((model, true));
        }
        self.meters().cache_misses.inc();
        // Boxed, so that requests which find their model do not carry its room along.
        let model = Box::pin(self.load_in_turn(version)).await?;
        Ok((model, false))
    }

    /// Loads a model unless somebody else just did.
    async fn load_in_turn(&self, version: &VersionEntry) -> Result<Arc<LoadedModel>, Error> {
        let _turn = self.serving().loading.take(version.artifact).await;
        match self.cached(&version.artifact) {
            Some(model) => Ok(model),
            None => self.load(version).await,
        }
    }

    /// The model of a version, if it is in memory.
    pub(super) fn in_memory(&self, version: &VersionEntry) -> Option<Arc<LoadedModel>> {
        self.cached(&version.artifact)
    }

    fn cached(&self, artifact: &Digest) -> Option<Arc<LoadedModel>> {
        let found = locked(&self.serving().cache).get(artifact);
        found.inspect(|model| model.touch(self.clock().monotonic()))
    }

    async fn load(&self, version: &VersionEntry) -> Result<Arc<LoadedModel>, Error> {
        let started = self.clock().monotonic();
        let model = match self.load_flat(version).await? {
            Some(model) => Arc::new(model),
            None => self.translate(version).await?,
        };
        if let Some(samples) = &version.samples
            && let Some(rows) = self.warm(samples, &model).await
        {
            // Set once: nobody else has the model yet.
            let _ = model.sample_rows.set(rows);
        }
        self.meters().model_loads.inc();
        let took = self.clock().monotonic().since(started);
        self.meters().registered.load.observe(took.as_secs_f64());
        self.keep(version.artifact, &model);
        Ok(model)
    }

    /// Opens the original, and has its flat form made for the next load.
    async fn translate(&self, version: &VersionEntry) -> Result<Arc<LoadedModel>, Error> {
        let artifact = version.artifact;
        let bytes = self.blobs().read(&artifact).await;
        let bytes = bytes.map_err(|error| self.unreadable(version.id, error))?;
        let app = self.clone();
        let opened = self
            .tasks()
            .blocking(move || open(app.serving(), &bytes))
            .await
            .map_err(|error| Error::Internal(error.into()))?;
        let model = Arc::new(opened.map_err(|error| match error {
            // What was served once and is refused now lacks what ran it.
            EngineError::Unavailable { .. }
            | EngineError::Unsafe { .. }
            | EngineError::Unsupported { .. } => Error::EngineUnavailable {
                detail: error.to_string(),
            },
            other => Error::ModelBroken {
                version: version.id,
                source: other.into(),
            },
        })?);
        let (app, translated) = (self.clone(), model.clone());
        self.tasks()
            .detach(async move { app.make_flat(artifact, translated).await });
        Ok(model)
    }
}

/// Opens a model file and runs it on an example row: a model that cannot
/// predict at all is found here, and its cost per row becomes known.
pub(crate) fn open(serving: &Serving, bytes: &[u8]) -> Result<LoadedModel, EngineError> {
    let mut model = ready(|| serving.engine.open(bytes), serving.clock.as_ref())?;
    if model.predictor.waits() {
        model.lane = Some(serving.lane());
    }
    Ok(model)
}

/// What `open` opens, after it ran on an example row.
pub(super) fn ready(
    open: impl FnOnce() -> Result<Opened, EngineError>,
    clock: &dyn Clock,
) -> Result<LoadedModel, EngineError> {
    let opening = catch_unwind(AssertUnwindSafe(open));
    let Opened {
        predictor,
        description,
    } = opening.unwrap_or_else(|_| {
        Err(EngineError::Failed {
            detail: "the reader panicked on this file".to_owned(),
        })
    })?;
    let pace = measured(predictor.as_ref(), clock);
    let joins = predictor.joins() && {
        let example = example_batch(predictor.schema());
        rows_are_independent(&example, |batch| answered(predictor.as_ref(), batch, clock))
    };
    Ok(LoadedModel {
        predictor,
        description,
        pace,
        lane: None,
        sample_rows: OnceLock::new(),
        used: LastUse::default(),
        joins,
        line: Line::default(),
    })
}

fn answered(predictor: &dyn Predictor, batch: &Batch, clock: &dyn Clock) -> Option<Output> {
    let mut output = Output::default();
    let control = Control::unlimited(clock);
    let run = AssertUnwindSafe(|| predictor.predict(batch, &mut output, &control));
    matches!(catch_unwind(run), Ok(Ok(()))).then_some(output)
}

fn measured(predictor: &dyn Predictor, clock: &dyn Clock) -> Pace {
    if predictor.waits() {
        let estimate = predictor.cost().nanos_per_row;
        return Pace::new(estimate, estimate);
    }
    let example = example_batch(predictor.schema());
    // The first run pays for cold caches; those that follow are alike.
    let few = measure(predictor, &example, clock, 3);
    // What takes longer is not worth measuring: it will not run on a connection's thread.
    if few > WORTH_REPEATING / MANY_ROWS as u64 {
        return Pace::new(few, few);
    }
    Pace::new(
        few,
        measure(predictor, &repeated(example, MANY_ROWS), clock, 2),
    )
}

/// `example`, which is one row, this many times.
fn repeated(example: Batch, rows: usize) -> Batch {
    fn repeat<T: Clone>(values: &mut Vec<T>, times: usize) {
        let row = values.clone();
        (1..times).for_each(|_| values.extend_from_slice(&row));
    }
    let mut batch = Batch { rows, ..example };
    for column in &mut batch.columns {
        match &mut column.values {
            Values::Float32(v) => repeat(v, rows),
            Values::Float64(v) => repeat(v, rows),
            Values::Int64(v) => repeat(v, rows),
            Values::Bool(v) => repeat(v, rows),
            Values::Text(v) => repeat(v, rows),
        }
    }
    batch
}

/// Nanoseconds per row, the fastest of some runs.
fn measure(predictor: &dyn Predictor, batch: &Batch, clock: &dyn Clock, runs: usize) -> u64 {
    let mut output = Output::default();
    let mut fastest = u64::MAX;
    for _ in 0..runs {
        let start = clock.monotonic();
        let control = Control::unlimited(clock);
        let run = AssertUnwindSafe(|| predictor.predict(batch, &mut output, &control));
        if !matches!(catch_unwind(run), Ok(Ok(()))) {
            // The example row is our guess; that it fails says nothing about
            // real rows. Without a measurement, the model's own estimate holds.
            return predictor.cost().nanos_per_row.max(1);
        }
        let took = clock.monotonic().since(start).as_nanos() / (batch.rows as u128).max(1);
        // Never nothing: a limit of zero means that no work is short enough.
        fastest = fastest.min(u64::try_from(took).unwrap_or(u64::MAX).max(1));
    }
    fastest
}

/// The cache is whole after every operation, whatever a panicking thread did.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
