//! One model's worker: started, asked, given up when it fails, started again.
//!
//! A worker answers one request at a time. Whoever comes next waits for the
//! turn, and gives up waiting as they would give up a prediction.

use std::cell::Cell;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use plimsoll_core::time::{Clock, Monotonic, SystemClock};
use plimsoll_engine::{Control, EngineError};

use crate::breaker::Breaker;
use crate::confine::Confinement;
use crate::frame::{Broken, Frame, Most};
use crate::launch::Launcher;
use crate::message::{Loaded, Reason, Said, garbage, said};
use crate::process::{Nameless, Process};
use crate::{Counters, PythonOptions};

/// How long an answer that nobody waits for may still come before its worker is given up.
const GRACE: Duration = Duration::from_secs(1);
/// Between two looks at whether it is one's turn.
const TURN: Duration = Duration::from_millis(2);
/// Most bytes of an answer's description; names of all inputs at loading are the longest.
const HEAD: usize = 8 << 20;

/// What every worker of an engine is started with.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) launcher: Launcher,
    pub(crate) options: PythonOptions,
    pub(crate) counters: Arc<Counters>,
    /// Real time: another process does not wait for an injected clock.
    pub(crate) clock: SystemClock,
}

/// The worker of one model.
#[derive(Debug)]
pub(crate) struct Worker {
    shop: Arc<Shop>,
    file: Nameless,
    confinement: Confinement,
    loaded: Loaded,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: Option<Live>,
    breaker: Breaker,
}

impl State {
    /// Notices a process that ended while nobody asked it.
    fn bury(&mut self, now: Monotonic) {
        if self
            .live
            .as_mut()
            .is_some_and(|live| live.process.has_ended())
        {
            self.live = None;
            self.breaker.failed(now);
        }
    }
}

/// A process, which loads its model or has it.
#[derive(Debug)]
struct Live {
    process: Process,
    since: Monotonic,
    is_ready: bool,
    _counted: Counted,
}

/// Counts a process as long as it lives.
#[derive(Debug)]
struct Counted(Arc<Counters>);

impl Counted {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.workers.fetch_add(1, Ordering::Relaxed);
        Self(counters.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.workers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a model was not loaded.
#[derive(Debug)]
pub(crate) enum NotLoaded {
    /// The worker said why.
    Said { reason: Reason, detail: String },
    /// It was given up.
    GivenUp(String),
}

impl Worker {
    /// Starts a worker and waits until its model is in memory.
    pub(crate) fn start(
        shop: Arc<Shop>,
        file: Nameless,
        confinement: Confinement,
    ) -> Result<Self, NotLoaded> {
        let live = Live::start(&shop, &file, &confinement);
        let mut live = live.map_err(|error| NotLoaded::GivenUp(error.to_string()))?;
        let loaded = match live.loaded(&shop, &|| Ok(())) {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(refused)) => return Err(refused),
            Err(broken) => return Err(NotLoaded::GivenUp(live.given_up(&broken))),
        };
        live.is_ready = true;
        let state = State {
            live: Some(live),
            breaker: Breaker::default(),
        };
        Ok(Self {
            shop,
            file,
            confinement,
            loaded,
            state: Mutex::new(state),
        })
    }

    /// What the model is.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Memory of the worker, in bytes, as far as it may be believed.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.loaded.resident_bytes.min(self.confinement.memory)
    }

    /// Asks the worker one thing; `read` makes something of the answer.
    ///
    /// Errors: [`EngineError::Resting`] while it is not started again,
    /// [`EngineError::Stopped`] if `control` said so, [`EngineError::Input`] if
    /// the model does not take these values, else [`EngineError::Failed`].
    pub(crate) fn ask<T>(
        &self,
        question: &Frame,
        most: Most,
        control: &Control<'_>,
        read: impl FnOnce(&Frame) -> Result<T, Broken>,
    ) -> Result<T, EngineError> {
        let mut state = self.turn(control)?;
        state.bury(control.now());
        if let Some(retry_after) = state.breaker.pause(control.now()) {
            return Err(EngineError::Resting { retry_after });
        }
        let was_idle = state.live.as_ref().is_some_and(|live| live.is_ready);
        let mut answered = self.answered(&mut state, question, most, control);
        if was_idle && matches!(answered, Err(Broken::Ended)) {
            // It may have been ended before it was asked, like a connection that
            // was kept; a question changes nothing, so it is asked once more.
            state.live = None;
            answered = self.answered(&mut state, question, most, control);
        }
        match answered.and_then(|frame| understood(&frame, read)) {
            Ok(answer) => {
                state.breaker.succeeded();
                answer
            }
            Err(Broken::Stopped(stop)) => Err(EngineError::Stopped(stop)),
            Err(broken) => Err(given_up(&mut state, &broken, control)),
        }
    }

    /// Waits until nobody else asks.
    fn turn(&self, control: &Control<'_>) -> Result<MutexGuard<'_, State>, EngineError> {
        loop {
            match self.state.try_lock() {
                Ok(state) => return Ok(state),
                // Nothing here panics halfway through a change.
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some(stop) = control.stop() {
                return Err(EngineError::Stopped(stop));
            }
            std::thread::park_timeout(TURN);
        }
    }

    /// Past the end of its caller's patience an answer is still read and thrown
    /// away for a moment: starting again costs more than a sound worker needs.
    fn answered(
        &self,
        state: &mut State,
        question: &Frame,
        most: Most,
        control: &Control<'_>,
    ) -> Result<Frame, Broken> {
        let live = self.ready(state, control)?;
        let (clock, timeout) = (&self.shop.clock, self.shop.options.timeout);
        let (asked, given_up) = (clock.monotonic(), Cell::new(None));
        let patience = || {
            let now = clock.monotonic();
            if let (None, Some(stop)) = (given_up.get(), control.stop()) {
                given_up.set(Some((stop, now)));
            }
            let overdue = given_up.get().is_some_and(|(_, at)| now.since(at) > GRACE);
            if overdue || now.since(asked) > timeout {
                return Err(Broken::Slow);
            }
            Ok(())
        };
        live.process.channel.send(question, &patience)?;
        let frame = live.process.channel.receive(most, &patience)?;
        match given_up.get() {
            Some((stop, _)) => Err(Broken::Stopped(stop)),
            None => Ok(frame),
        }
    }

    /// The process with its model in memory, started if there is none. A caller
    /// who cannot wait that long leaves it loading for the next one.
    fn ready<'s>(
        &self,
        state: &'s mut State,
        control: &Control<'_>,
    ) -> Result<&'s mut Live, Broken> {
        if state.live.is_none() {
            state.live = Some(self.restarted()?);
        }
        let live = state.live.as_mut();
        let live = live.expect("invariant: it was started above");
        if live.is_ready {
            return Ok(live);
        }
        let patience = || {
            control
                .stop()
                .map_or(Ok(()), |stop| Err(Broken::Stopped(stop)))
        };
        match live.loaded(&self.shop, &patience)? {
            Ok(loaded) if loaded.answers_like(&self.loaded) => live.is_ready = true,
            Ok(_) => return Err(garbage("the file describes another model than before")),
            Err(NotLoaded::Said { detail, .. } | NotLoaded::GivenUp(detail)) => {
                return Err(Broken::Garbage(detail));
            }
        }
        Ok(live)
    }

    fn restarted(&self) -> Result<Live, Broken> {
        self.shop.counters.restarts.fetch_add(1, Ordering::Relaxed);
        let live = Live::start(&self.shop, &self.file, &self.confinement);
        live.map_err(|error| Broken::Garbage(error.to_string()))
    }
}

impl Live {
    fn start(shop: &Shop, file: &Nameless, confinement: &Confinement) -> io::Result<Self> {
        let confinement = confinement.of_one_process(&shop.options.work_dir);
        let (launcher, program) = (&shop.launcher, &shop.options.program);
        let process = Process::start(launcher, program, &confinement, file.open()?)?;
        Ok(Self {
            process,
            since: shop.clock.monotonic(),
            is_ready: false,
            _counted: Counted::new(&shop.counters),
        })
    }

    /// Waits for the worker to say what it loaded, as long as loading may take.
    fn loaded(
        &mut self,
        shop: &Shop,
        patience: &dyn Fn() -> Result<(), Broken>,
    ) -> Result<Result<Loaded, NotLoaded>, Broken> {
        const MOST: Most = Most {
            head: HEAD,
            body: 0,
        };
        let patience = || {
            let took = shop.clock.monotonic().since(self.since);
            if took > shop.options.timeout {
                return Err(Broken::Slow);
            }
            patience()
        };
        loop {
            let frame = self.process.channel.receive(MOST, &patience)?;
            return match said(&frame)? {
                Said::Hello { .. } => continue,
                Said::Loaded(loaded) => Ok(Ok(loaded)),
                Said::Failed { reason, detail } => Ok(Err(NotLoaded::Said { reason, detail })),
                Said::Answer { .. } => Err(garbage("an answer before a question")),
            };
        }
    }

    /// Ends the process; why, and how it ended if it did so by itself.
    fn given_up(self, broken: &Broken) -> String {
        let ending = self.process.end();
        match broken {
            Broken::Ended => format!("the Python process {ending}"),
            other => format!("the Python process was ended: {other}"),
        }
    }
}

/// What the answer means; an orderly refusal is no failure of the worker.
fn understood<T>(
    frame: &Frame,
    read: impl FnOnce(&Frame) -> Result<T, Broken>,
) -> Result<Result<T, EngineError>, Broken> {
    match said(frame)? {
        Said::Answer { .. } => read(frame).map(Ok),
        Said::Failed { reason, detail } => Ok(Err(match reason {
            Reason::Input => EngineError::Input { detail },
            Reason::MissingModule | Reason::Error => EngineError::Failed { detail },
        })),
        Said::Hello { .. } | Said::Loaded(_) => Err(garbage("no answer to the question")),
    }
}

/// Ends a worker that failed and counts it.
fn given_up(state: &mut State, broken: &Broken, control: &Control<'_>) -> EngineError {
    state.breaker.failed(control.now());
    let last = state.live.take().map(|live| live.given_up(broken));
    let detail = last.unwrap_or_else(|| broken.to_string());
    tracing::warn!(detail, "the Python worker of a model was given up");
    match control.stop() {
        Some(stop) => EngineError::Stopped(stop),
        None => EngineError::Failed { detail },
    }
}
