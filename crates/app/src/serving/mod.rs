//! From a request for a prediction to its answer, without the database.

mod answer;
mod behind;
mod flat;
mod join;
mod load;
mod memory;
mod original;
mod pace;
mod pool;
mod predict;

pub use answer::Answer;
pub(crate) use answer::{OutputJson, RowJson};
pub(crate) use behind::{AnsweredBehind, BehindCall, BehindTarget};
pub use load::LoadedModel;
pub(crate) use load::open;
pub use memory::InMemory;
pub use predict::PredictCall;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use plimsoll_core::digest::Digest;
use plimsoll_core::time::Clock;
use plimsoll_engine::{Cache, Engine};

use crate::meters::Meters;
use crate::{PredictSettings, Settings};
use pool::Pool;

/// Loaded models and the threads that run the long predictions.
pub(crate) struct Serving {
    pub(crate) engine: Engine,
    pub(crate) cache: Mutex<Cache<Digest, LoadedModel>>,
    /// One lock per artifact that is being loaded, so that it is loaded once.
    loading: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    /// Originals that were found damaged behind a load.
    suspects: Mutex<HashSet<Digest>>,
    pool: Pool,
    settings: PredictSettings,
    meters: Meters,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Serving")
    }
}

impl Serving {
    pub(crate) fn new(
        engine: Engine,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        meters: Meters,
    ) -> Self {
        Self {
            engine,
            cache: Mutex::new(Cache::new(memory::limits(&settings.cache))),
            loading: Mutex::default(),
            suspects: Mutex::default(),
            pool: Pool::new(&settings.predict, clock.clone(), meters.clone()),
            settings: settings.predict.clone(),
            meters,
            clock,
        }
    }

    /// A thread for one model that waits for another process, so that others never wait with it.
    fn lane(&self) -> Pool {
        let settings = PredictSettings {
            pool_threads: 1,
            ..self.settings.clone()
        };
        Pool::new(&settings, self.clock.clone(), self.meters.clone())
    }
}
