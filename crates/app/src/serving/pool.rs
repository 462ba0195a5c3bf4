//! Threads that run the long predictions, behind a bounded queue.
//!
//! A prediction that would block a connection's thread for long runs here. A
//! full queue, or one that moves too slowly, refuses at once: an early 503 is
//! worth more to a client than a late answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use plimsoll_core::time::{Clock, Monotonic};
use tokio::sync::oneshot;

use crate::background::give_way;
use crate::meters::Meters;
use crate::{Error, PredictSettings};

type Work = Box<dyn FnOnce(&AtomicBool) + Send>;

struct Job {
    work: Work,
    queued_at: Monotonic,
    cancelled: Arc<AtomicBool>,
}

/// Sets its flag when dropped: nobody waits for the answer any more.
#[derive(Default)]
pub(super) struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    /// The flag.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether threads give way to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// As all threads.
    Usual,
    /// Behind all that answer.
    Behind,
}

/// The engine pool. Its threads end when it is dropped.
pub(crate) struct Pool {
    queue: Sender<Job>,
    clock: Arc<dyn Clock>,
    meters: Meters,
}

impl Pool {
    pub(crate) fn new(
        settings: &PredictSettings,
        clock: Arc<dyn Clock>,
        meters: Meters,
        priority: Priority,
    ) -> Self {
        let (queue, jobs) = bounded(settings.queue.max(1));
        for index in 0..settings.pool_threads.max(1) {
            let (jobs, clock, meters) = (jobs.clone(), clock.clone(), meters.clone());
            let max_age = settings.queue_max_age;
            let named = std::thread::Builder::new().name(format!("engine-{index}"));
            let started = named.spawn(move || {
                if priority == Priority::Behind {
                    give_way();
                }
                run(&jobs, clock.as_ref(), &meters, max_age);
            });
            if let Err(error) = started {
                tracing::error!(%error, "an engine thread could not be started");
            }
        }
        Self {
            queue,
            clock,
            meters,
        }
    }

    /// Runs `work` on an engine thread and waits for it. Dropping the future
    /// raises the flag that `work` was given.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let _cancel = CancelOnDrop(cancelled.clone());
        let job = Job {
            // A closed channel means that the caller left: nothing to tell.
            work: Box::new(move |flag| drop(reply.send(work(flag)))),
            queued_at: self.clock.monotonic(),
            cancelled,
        };
        self.meters.queue_depth.inc();
        match self.queue.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.meters.queue_depth.dec();
                return Err(self.overloaded());
            }
        }
        // No answer: the job waited too long and was dropped unrun.
        answer.await.map_err(|_| self.overloaded())
    }

    fn overloaded(&self) -> Error {
        self.meters.overloads.inc();
        Error::Overloaded {
            retry_after: Duration::from_secs(1),
        }
    }
}

fn run(jobs: &Receiver<Job>, clock: &dyn Clock, meters: &Meters, max_age: Duration) {
    while let Ok(job) = jobs.recv() {
        let waited = clock.monotonic().since(job.queued_at);
        if waited <= max_age && !job.cancelled.load(Ordering::Relaxed) {
            (job.work)(&job.cancelled);
        }
        meters.queue_depth.dec();
    }
}
