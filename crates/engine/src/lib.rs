//! Bytes of a model file to a [`Predictor`].
//!
//! CPU code only: no tokio, no network, no database. A model file is foreign
//! data; it is read, never executed. What cannot be served is refused with a
//! sentence that names the part and, where one exists, the way out.

mod cache;
mod control;
mod error;
mod flat;
mod formats;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod kernel;
mod open;
mod outside;
mod reader;

pub use cache::{Cache, CacheLimits, CacheStats, DoesNotFit};
pub use control::{Control, Stop};
pub use error::EngineError;
pub use flat::FLAT_VERSION;
pub use formats::onnx::find_onnxruntime;
pub use open::{Description, Engine, EngineOptions, OnnxStatus, Opened};
pub use outside::{ForeignKind, Outside, OutsideStatus};

use plimsoll_core::column::{Batch, Output};
use plimsoll_core::schema::Schema;

/// A decoded, bounds-checked model: immutable, shared by all threads.
pub trait Predictor: Send + Sync + 'static {
    /// What the model takes and what it answers.
    fn schema(&self) -> &Schema;

    /// What the model costs to hold and to run.
    fn cost(&self) -> Cost;

    /// Whether a prediction waits for another process, so that it must hold up
    /// nobody but others who ask this model.
    fn waits(&self) -> bool {
        false
    }

    /// The model in the form [`Engine::open_flat`] reads; `None` if it has none.
    fn flat(&self, description: &Description) -> Option<Vec<u8>> {
        let _ = description;
        None
    }

    /// Whether many rows at once take much less time than one after the other,
    /// so that requests may be joined.
    fn joins(&self) -> bool {
        false
    }

    /// Predicts every row of `batch` into `output`, which is cleared first.
    ///
    /// `batch` has the blocks of [`Predictor::schema`]. Long work asks
    /// `control` between blocks of rows whether anybody still waits.
    fn predict(
        &self,
        batch: &Batch,
        output: &mut Output,
        control: &Control<'_>,
    ) -> Result<(), EngineError>;
}

/// What a model costs to hold and to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of memory the model keeps.
    pub resident_bytes: u64,
    /// Rough nanoseconds of CPU for one row, before anything was measured.
    pub nanos_per_row: u64,
}
