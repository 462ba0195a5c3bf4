//! The one place that spawns.
//!
//! Every long-lived task has a name, ends when the server stops, and is
//! restarted with a growing pause if it panics.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::background::Background;

/// Spawns and ends background work.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
    panics: Arc<AtomicU64>,
    background: Arc<Background>,
}

/// A blocking call panicked or was cut off by the runtime's end.
#[derive(Debug, thiserror::Error)]
#[error("a blocking task did not finish")]
pub struct Unfinished;

#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
impl Tasks {
    /// A group without tasks.
    pub fn new(background: Background) -> Self {
        Self {
            tracker: TaskTracker::new(),
            cancel: CancellationToken::new(),
            panics: Arc::default(),
            background: Arc::new(background),
        }
    }

    /// Runs `make()` until it returns or the group is cancelled; a panic is
    /// logged, counted, and followed by a fresh `make()` after 1 s, 2 s, … 60 s.
    pub fn spawn<F, Fut>(&self, name: &'static str, make: F)
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(self.supervised(name, make));
    }

    /// The same at low priority: for work that may wait while answers are made.
    pub fn spawn_behind<F, Fut>(&self, name: &'static str, make: F)
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let supervised = self.supervised(name, make);
        self.tracker.spawn_on(supervised, self.background.handle());
    }

    fn supervised<F, Fut>(
        &self,
        name: &'static str,
        make: F,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (cancel, panics) = (self.cancel.clone(), self.panics.clone());
        async move {
            let mut pause = Duration::from_secs(1);
            loop {
                let mut running = tokio::spawn(make());
                let ended = tokio::select! {
                    ended = &mut running => ended,
                    () = cancel.cancelled() => { running.abort(); return; }
                };
                if ended.is_ok() {
                    return;
                }
                panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    task = name,
                    "background task panicked and will be restarted"
                );
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancel.cancelled() => return,
                }
                pause = (pause * 2).min(Duration::from_mins(1));
            }
        }
    }

    /// Runs `tick()` every `period` until the group is cancelled.
    pub fn every<F, Fut>(&self, name: &'static str, period: Duration, tick: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let tick = Arc::new(tick);
        self.spawn(name, move || {
            let tick = tick.clone();
            async move {
                loop {
                    tokio::time::sleep(period).await;
                    tick().await;
                }
            }
        });
    }

    /// Runs CPU-bound or blocking work off the async threads and waits for it.
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, Unfinished>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let handle = self.tracker.spawn_blocking(work);
        handle.await.map_err(|_| Unfinished)
    }

    /// Runs one future in the background; it is waited for when the server stops.
    pub fn detach(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(future);
    }

    /// The same at low priority.
    pub fn detach_behind(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(future, self.background.handle());
    }

    /// Becomes ready when the group is cancelled.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        self.cancel.clone().cancelled_owned()
    }

    /// How many background tasks have panicked since the start.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// How many tasks are running.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Cancels everything and waits for it, at most `deadline`. Says whether all ended.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait())
            .await
            .is_ok()
    }
}
