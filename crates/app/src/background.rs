//! A runtime of low priority, for work that gives way to answers.
//!
//! Moving predictions into the log takes about as much CPU as making them. On a
//! busy core the two would share it in slices of milliseconds, and an answer
//! would wait for a slice. Linux lets one thread be nicer than another
//! (`nice(2)`; threads inherit it), so everything that starts here gives way:
//! the tasks, their blocking work, and the threads SQLite is used from, if the
//! database is opened here.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How much nicer than the rest: about a tenth of a core that others fill.
const NICENESS: i32 = 10;

/// A running runtime of low priority. It ends when this is dropped.
#[derive(Debug)]
pub struct Background {
    handle: Handle,
    /// Dropped to end the thread.
    _running: oneshot::Sender<()>,
}

impl Background {
    /// Starts the runtime on a thread of its own.
    ///
    /// Errors: the operating system has no thread left.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        let drive = move || {
            give_way();
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        };
        thread::Builder::new()
            .name("background".to_owned())
            .spawn(drive)?;
        Ok(Self {
            handle,
            _running: running,
        })
    }

    /// Runs a future there and waits for it here; `None` if it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.handle.spawn(future).await.ok()
    }

    /// Where tasks are spawned.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Makes the current thread, and those it starts, give way to all others.
pub(crate) fn give_way() {
    // Where it is not allowed, the work is done all the same.
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_runs_there_and_the_threads_it_starts_are_nicer() {
        let background = Background::start().unwrap();
        let nice = || rustix::process::nice(0).unwrap();
        let here = nice();
        let there = background
            .run(async move {
                let started = thread::spawn(nice).join().unwrap();
                (nice(), started)
            })
            .await
            .unwrap();
        let expected = (here + NICENESS).min(19);
        assert_eq!(there, (expected, expected));
        assert_eq!(nice(), here);
    }

    #[tokio::test]
    async fn a_panic_there_is_told_here() {
        let background = Background::start().unwrap();
        assert_eq!(background.run(async { 1 }).await, Some(1));
        let panicked = background.run(async { panic!("on purpose") }).await;
        assert_eq!(panicked, None::<()>);
    }
}
