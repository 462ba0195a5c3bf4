//! From a request for a prediction to its answer, without the database.

mod answer;
mod asking;
mod behind;
mod flat;
mod guard;
mod join;
mod load;
mod memory;
mod offer;
mod original;
mod pace;
mod pool;
mod predict;
mod results;
mod room;
mod route;
mod shadow;

pub use answer::Answer;
pub(crate) use answer::{OutputJson, RowJson};
pub use asking::Asking;
pub(crate) use behind::{AnsweredBehind, BehindCall, BehindTarget};
pub use load::LoadedModel;
pub(crate) use load::open;
pub use memory::InMemory;
pub use offer::{Offer, Signature};
pub use predict::PredictCall;
use results::Results;
pub use results::Reuse;
pub use room::Room;
pub(crate) use room::Rooms;
use route::Route;
pub use route::{Headers, Target};
use shadow::Shadows;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use plimsoll_core::digest::Digest;
use plimsoll_core::entropy::Entropy;
use plimsoll_core::time::{Clock, Monotonic};
use plimsoll_engine::{Cache, Engine};

use crate::meters::Meters;
use crate::turns::Turns;
use crate::{PredictSettings, Settings};
use pool::{Pool, Priority};

/// Loaded models and the threads that run the long predictions.
pub(crate) struct Serving {
    pub(crate) engine: Engine,
    pub(crate) cache: Mutex<Cache<Digest, LoadedModel>>,
    /// Artifacts that are being loaded, each once.
    loading: Turns<Digest>,
    /// Originals that were found damaged behind a load.
    suspects: Mutex<HashSet<Digest>>,
    /// What was served a moment ago, and until when it stays in memory.
    warm: Mutex<HashMap<Digest, Monotonic>>,
    /// What each endpoint takes of the machine.
    pub(crate) rooms: Rooms,
    shadows: Shadows,
    /// Answers given before.
    results: Results,
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
        (clock, entropy): (Arc<dyn Clock>, &dyn Entropy),
        meters: Meters,
    ) -> Self {
        Self {
            engine,
            cache: Mutex::new(Cache::new(memory::limits(&settings.cache))),
            loading: Turns::default(),
            suspects: Mutex::default(),
            warm: Mutex::default(),
            rooms: Rooms::default(),
            shadows: Shadows::new(entropy),
            results: Results::new(&settings.predict),
            pool: Pool::new(
                &settings.predict,
                clock.clone(),
                meters.clone(),
                Priority::Usual,
            ),
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
        let (clock, meters) = (self.clock.clone(), self.meters.clone());
        Pool::new(&settings, clock, meters, Priority::Usual)
    }
}
