//! Runs that nobody waits for any more are told to end.
//!
//! A run of ONNX Runtime does not come back before it is done, unless another thread
//! sets the terminate flag of its options; it looks at the flag between nodes, in
//! subgraphs too. So while sessions run, one thread looks at their controls every few
//! milliseconds. It is started by a run that finds none and ends after a second
//! without runs: a process that predicts nothing has no such thread.

#![expect(
    unsafe_code,
    reason = "the watching thread looks at controls that are borrowed for the length of a run"
)]

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ort::session::RunOptions;

use crate::Control;

/// Time between two looks: a late run ends that much later, and its next node.
const PERIOD: Duration = Duration::from_millis(5);
/// Looks at nothing before the thread ends.
const IDLE_LOOKS: usize = 200;

static WATCHED: Mutex<Watched> = Mutex::new(Watched {
    runs: Vec::new(),
    next: 0,
    awake: false,
});

/// The runs that are watched.
struct Watched {
    runs: Vec<Run>,
    /// Number of the next run.
    next: u64,
    /// Whether there is a thread that looks at them.
    awake: bool,
}

struct Run {
    number: u64,
    control: NonNull<Control<'static>>,
    options: Arc<RunOptions>,
}

// SAFETY: the control is only looked at through `&Control`, which is `Sync` (asserted below).
unsafe impl Send for Run {}

const _: fn() = || {
    fn is_sync<T: Sync>() {}
    is_sync::<Control<'_>>();
};

/// Takes a run off the list, however its work ended.
struct Listed(u64);

impl Drop for Listed {
    fn drop(&mut self) {
        let mut watched = lock();
        watched.runs.retain(|run| run.number != self.0);
    }
}

/// Does `work` with options that are told to terminate once `control` says stop.
pub(super) fn watched<T>(
    control: &Control<'_>,
    work: impl FnOnce(&RunOptions) -> ort::Result<T>,
) -> ort::Result<T> {
    let options = Arc::new(RunOptions::new()?);
    let listed = list(control, options.clone());
    let done = work(&options);
    drop(listed);
    done
}

fn list(control: &Control<'_>, options: Arc<RunOptions>) -> Listed {
    let mut watched = lock();
    let number = watched.next;
    watched.next += 1;
    watched.runs.push(Run {
        number,
        control: NonNull::from(control).cast(),
        options,
    });
    if !watched.awake {
        let thread = std::thread::Builder::new().name("onnx-watch".to_owned());
        watched.awake = thread.spawn(watch).is_ok();
    }
    Listed(number)
}

/// Looks at all runs again and again, until there were none for a while.
fn watch() {
    let mut idle = 0;
    loop {
        let mut watched = lock();
        for run in &watched.runs {
            // SAFETY: a run is on the list only while `watched` borrows its control, which
            // takes it off before it returns or unwinds; the list is locked meanwhile.
            let control = unsafe { run.control.as_ref() };
            if control.stop().is_some() {
                // Nothing else can be done about a run that does not take this.
                let _ = run.options.terminate();
            }
        }
        idle = if watched.runs.is_empty() { idle + 1 } else { 0 };
        if idle > IDLE_LOOKS {
            watched.awake = false;
            return;
        }
        drop(watched);
        std::thread::sleep(PERIOD);
    }
}

fn lock() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}
