//! Starting workers, from a thread that lives as long as the engine.
//!
//! The kernel ends a worker with the *thread* that started it (`prctl(2)`,
//! `PR_SET_PDEATHSIG`). Threads that answer requests come and go, so one
//! thread starts all workers and ends when the engine is dropped.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};

struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// Starts processes that do not outlive it.
#[derive(Debug)]
pub(crate) struct Launcher(Sender<Order>);

impl Launcher {
    /// The thread, waiting.
    pub(crate) fn start() -> io::Result<Self> {
        let (orders, ordered) = channel::<Order>();
        let thread = std::thread::Builder::new().name("python-launcher".to_owned());
        thread.spawn(move || {
            for mut order in ordered {
                let started = order.command.spawn();
                // Whoever ordered it may be gone; the process then is nobody's.
                if let Err(unwanted) = order.reply.send(started)
                    && let Ok(mut child) = unwanted.0
                {
                    let _ = child.kill().and_then(|()| child.wait());
                }
            }
        })?;
        Ok(Self(orders))
    }

    /// Starts one process.
    pub(crate) fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, started) = channel();
        let gone = || io::Error::other("the launcher ended");
        let order = Order { command, reply };
        self.0.send(order).map_err(|_| gone())?;
        started.recv().map_err(|_| gone())?
    }
}
