//! Whether a model answers its sample rows as its library did.
//!
//! Labels, texts and truth values have to be equal. A number `a` that should be
//! `b` differs by `|a − b| / max(1, |b|)`; so large numbers are compared
//! relative to their size, and small ones are not blown up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::digest::Digest;
use plimsoll_core::example::example_batch;
use plimsoll_core::field::FieldError;
use plimsoll_core::schema::Schema;
use plimsoll_engine::{Control, EngineError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::comparison::Comparison;
use super::samples::Samples;
use crate::live::VersionEntry;
use crate::serving::{LoadedModel, OutputJson};
use crate::{App, Error};

/// Longest time a load spends on sample rows.
const WARMING: Duration = Duration::from_millis(100);

/// Outcome of a comparison with sample outputs, as the registry keeps and shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Rows that were compared.
    pub rows: usize,
    /// Largest difference of a number; nothing if no numbers were compared.
    pub max_difference: Option<f64>,
    /// Largest difference that is accepted.
    pub tolerance: f64,
    /// Whether everything was equal or near enough.
    pub passed: bool,
    /// Where the answer is farthest from the expected one, if it is too far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<Worst>,
}

/// One answer that is not the expected one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Index of the row, from 0.
    pub row: usize,
    /// Which part of the row's answer, e.g. `predictions` or `probabilities/2`.
    pub field: String,
    /// What the library answered.
    pub expected: Value,
    /// What the model answers here.
    pub got: Value,
    /// The difference of two numbers; nothing between other things.
    pub difference: Option<f64>,
}

impl Verification {
    /// Why a version with this outcome is not promoted; `None` if it may be.
    pub(super) fn refusal(&self) -> Option<String> {
        let worst = self.worst.as_ref().filter(|_| !self.passed)?;
        let Worst {
            row,
            field,
            expected,
            got,
            ..
        } = worst;
        let place = format!(
            "the version answers {got} instead of {expected} in {field} of sample row {row}"
        );
        let tolerance = self.tolerance;
        Some(match worst.difference {
            Some(difference) => {
                format!("{place}: they differ by {difference}, and {tolerance} is accepted")
            }
            None => format!("{place}: these have to be equal; numbers may differ by {tolerance}"),
        })
    }
}

impl App {
    /// Runs the sample rows through a model, and compares if anything is expected of them.
    pub(super) async fn hold_to(
        &self,
        samples: Arc<Samples>,
        loaded: Arc<LoadedModel>,
    ) -> Result<Option<Verification>, Error> {
        let app = self.clone();
        let held = self.tasks().blocking(move || {
            let batch = samples.batch(loaded.predictor.schema())?;
            let timeout = app.settings().predict.timeout;
            let output = app.answer(&loaded, &batch, timeout)?;
            verify(&samples, loaded.predictor.schema(), &output)
        });
        held.await.map_err(|error| Error::Internal(error.into()))?
    }

    /// Runs the sample rows of a loaded model, as far as [`WARMING`] allows, so
    /// that its first caller does not pay for cold caches. Answers how many there are.
    pub(crate) async fn warm(&self, samples: &Digest, loaded: &Arc<LoadedModel>) -> Option<usize> {
        let (app, loaded) = (self.clone(), loaded.clone());
        let warmed = async {
            let samples = self.samples(samples).await?;
            let run = self.tasks().blocking(move || {
                let batch = samples.batch(loaded.predictor.schema())?;
                match app.answer(&loaded, &batch, WARMING) {
                    Ok(_) | Err(Error::Timeout) => Ok(batch.rows),
                    Err(error) => Err(error),
                }
            });
            run.await.map_err(|error| Error::Internal(error.into()))?
        };
        let warmed = warmed.await.inspect_err(
            |error| tracing::warn!(%error, "a model was not warmed with its sample rows"),
        );
        warmed.ok()
    }

    /// Whether a loaded version answers as it should: its sample rows as expected,
    /// or a row made of its schema at all.
    pub(crate) async fn try_out(
        &self,
        version: &VersionEntry,
        loaded: &Arc<LoadedModel>,
    ) -> Result<(), Error> {
        let Some(name) = &version.samples else {
            let (app, loaded) = (self.clone(), loaded.clone());
            let tried = self.tasks().blocking(move || {
                let example = example_batch(loaded.predictor.schema());
                app.answer(&loaded, &example, app.settings().predict.timeout)
            });
            let tried = tried.await.map_err(|error| Error::Internal(error.into()))?;
            return tried.map(drop);
        };
        let samples = Arc::new(self.samples(name).await?);
        let found = self.hold_to(samples, loaded.clone()).await?;
        match found.and_then(|found| found.refusal()) {
            Some(detail) => Err(Error::conflict("verification-failed", detail)),
            None => Ok(()),
        }
    }

    fn answer(
        &self,
        loaded: &LoadedModel,
        batch: &Batch,
        timeout: Duration,
    ) -> Result<Output, Error> {
        let clock = self.clock().as_ref();
        let never = std::sync::atomic::AtomicBool::new(false);
        let deadline = clock.monotonic().plus(timeout);
        let control = Control::new(clock, deadline, &never);
        let mut output = Output::default();
        let run = AssertUnwindSafe(|| loaded.predictor.predict(batch, &mut output, &control));
        let unpredictable = |detail: String| {
            Error::Invalid(vec![FieldError::new(
                "/sample_inputs",
                "unpredictable",
                detail,
            )])
        };
        match catch_unwind(run) {
            Ok(Ok(())) => Ok(output),
            Ok(Err(EngineError::Stopped(_))) => Err(Error::Timeout),
            Ok(Err(error)) => Err(unpredictable(error.to_string())),
            Err(_) => Err(unpredictable(
                "the engine panicked on these rows".to_owned(),
            )),
        }
    }
}

/// Compares what a model answered with what is expected of it, if anything is.
fn verify(
    samples: &Samples,
    schema: &Schema,
    output: &Output,
) -> Result<Option<Verification>, Error> {
    let Some(expected) = &samples.outputs else {
        return Ok(None);
    };
    let answer = OutputJson {
        output,
        outputs: &schema.outputs,
        classes: &schema.classes,
    };
    let answer = serde_json::to_value(&answer).map_err(|error| Error::Internal(error.into()))?;
    let mut comparison = Comparison::new(&schema.outputs, !output.labels.is_empty());
    comparison
        .parts(expected, &answer, output.rows)
        .map_err(|error| Error::Invalid(vec![error]))?;
    Ok(Some(comparison.outcome(output.rows, samples.tolerance)))
}
