//! Models that only their own library can run, in confined Python processes.
//!
//! The operator names an interpreter (`engine.python`); what the native readers
//! refuse then becomes a [`Predictor`](plimsoll_engine::Predictor) that asks a
//! worker: one process per model, without network, without other files than
//! Python's, with limits on memory and time. Loading such a model runs its
//! code; docs/adr/0006 says what keeps that code where it is.

mod breaker;
mod confine;
mod files;
mod frame;
mod interpreter;
mod launch;
mod message;
mod model;
mod process;
mod system_calls;
mod worker;

pub use confine::Confinement;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plimsoll_core::time::SystemClock;
use plimsoll_engine::{Description, EngineError, ForeignKind, Opened, Outside, OutsideStatus};

use crate::interpreter::Interpreter;
use crate::launch::Launcher;
use crate::message::Reason;
use crate::model::PythonModel;
use crate::process::Nameless;
use crate::worker::{NotLoaded, Shop, Worker};

/// What the operator chose, and where things are.
#[derive(Clone, Debug)]
pub struct PythonOptions {
    /// The interpreter.
    pub python: PathBuf,
    /// This program, which confines itself before it becomes Python.
    pub program: PathBuf,
    /// Where workers get their folders.
    pub work_dir: PathBuf,
    /// What no worker may reach.
    pub data_dir: PathBuf,
    /// Most address space of a worker, in bytes.
    pub memory: u64,
    /// Longest time a worker may take to load its model, and to answer.
    pub timeout: Duration,
}

/// What workers did and are.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) workers: AtomicU64,
    pub(crate) restarts: AtomicU64,
}

/// The engine of last resort.
#[derive(Debug)]
pub struct Python {
    shop: Arc<Shop>,
    /// What is known of the interpreter, once it was found to work.
    interpreter: Mutex<Option<Arc<Interpreter>>>,
}

impl Python {
    /// An engine that starts nothing until a file or a question needs it.
    pub fn new(options: PythonOptions) -> io::Result<Self> {
        let shop = Shop {
            launcher: Launcher::start()?,
            options,
            counters: Arc::default(),
            clock: SystemClock::new(),
        };
        Ok(Self {
            shop: Arc::new(shop),
            interpreter: Mutex::default(),
        })
    }

    /// The interpreter; why it cannot be used otherwise.
    fn interpreter(&self) -> Result<Arc<Interpreter>, String> {
        let mut known = self
            .interpreter
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let found = Arc::new(Interpreter::examine(&self.shop)?);
        Ok(known.insert(found).clone())
    }
}

impl Outside for Python {
    fn open(&self, kind: ForeignKind, bytes: &[u8]) -> Result<Opened, EngineError> {
        let interpreter = self.interpreter().map_err(|why| EngineError::Unavailable {
            what: "the Python of engine.python".to_owned(),
            advice: why,
        })?;
        let file = Nameless::with(bytes, &self.shop.options.work_dir);
        let file = file.map_err(|error| refused(&error.to_string()))?;
        let confinement = interpreter.confinement(&self.shop.options, kind);
        let worker = Worker::start(self.shop.clone(), file, confinement).map_err(not_loaded)?;
        let description = described(kind, &worker);
        let model = PythonModel::new(worker).map_err(|broken| refused(&broken.to_string()))?;
        Ok(Opened {
            predictor: Box::new(model),
            description,
        })
    }

    fn status(&self) -> OutsideStatus {
        let (ready, detail) = match self.interpreter() {
            Ok(interpreter) => (true, interpreter.described()),
            Err(why) => (false, why),
        };
        let counters = &self.shop.counters;
        OutsideStatus {
            ready,
            detail,
            workers: counters.workers.load(Ordering::Relaxed),
            restarts: counters.restarts.load(Ordering::Relaxed),
        }
    }

    fn counts(&self) -> (u64, u64) {
        let counters = &self.shop.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&counters.workers), count(&counters.restarts))
    }
}

fn described(kind: ForeignKind, worker: &Worker) -> Description {
    let loaded = worker.loaded();
    Description {
        format: format!("python-{}", kind.word()),
        algorithm: loaded.algorithm.clone(),
        library: Some(loaded.library.clone()),
        notes: vec!["a Python worker runs the code in this file".to_owned()],
    }
}

fn not_loaded(error: NotLoaded) -> EngineError {
    match error {
        NotLoaded::Said {
            reason: Reason::MissingModule,
            detail,
        } => EngineError::Unavailable {
            what: format!("the Python module {detail}"),
            advice: "the operator can install it into the environment of engine.python".to_owned(),
        },
        NotLoaded::Said { detail, .. } | NotLoaded::GivenUp(detail) => refused(&detail),
    }
}

fn refused(why: &str) -> EngineError {
    EngineError::Unsupported {
        what: "a file that its Python worker could not load".to_owned(),
        advice: format!("it said: {why}"),
    }
}
