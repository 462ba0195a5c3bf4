//! Where lines wait for company: one `write(2)` for many of them, but soon.
//!
//! Each request leaves a line, and a system call for each would cost as much as
//! everything else about it. So a line waits for at most [`DELAY`]; a warning or
//! an error is written at once, together with what waits before it.

use std::fmt::{self, Debug};
use std::io::{Stderr, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Level;

/// Longest time a line waits, if the machine is not overloaded.
const DELAY: Duration = Duration::from_millis(50);
/// Lines beyond this many bytes are written by whoever brings them, so a
/// standard error that is read slowly slows the server down instead of filling
/// its memory.
const MOST_WAITING: usize = 64 * 1024;

/// Lines on their way to `W`, in the order in which they came.
pub(super) struct Sink<W = Stderr> {
    waiting: Mutex<Vec<u8>>,
    arrived: Condvar,
    /// Locked before `waiting`, so that what was taken first is written first.
    out: Mutex<Out<W>>,
}

struct Out<W> {
    to: W,
    /// Memory that changes places with `waiting`.
    lines: Vec<u8>,
}

impl<W> Debug for Sink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl<W: Write + Send + 'static> Sink<W> {
    /// A sink, with a thread that writes what has waited long enough.
    pub(super) fn start(to: W) -> Arc<Self> {
        let sink = Arc::new(Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            out: Mutex::new(Out {
                to,
                lines: Vec::new(),
            }),
        });
        let tended = sink.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        // Without it, lines are written when there are enough of them.
        let _ = thread.spawn(move || tended.tend());
        sink
    }

    /// Takes whole lines; `at_once` writes them, and all before them, before it returns.
    pub(super) fn append(&self, lines: &[u8], at_once: bool) {
        let mut waiting = lock(&self.waiting);
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(lines);
        let is_enough = waiting.len() >= MOST_WAITING;
        drop(waiting);
        if at_once || is_enough {
            self.flush();
        } else if is_first {
            self.arrived.notify_one();
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&self) {
        let mut out = lock(&self.out);
        let Out { to, lines } = &mut *out;
        std::mem::swap(lines, &mut lock(&self.waiting));
        // Nobody is left to tell that standard error cannot be written.
        let _ = to.write_all(lines).and_then(|()| to.flush());
        lines.clear();
    }

    fn tend(&self) {
        loop {
            let waiting = self
                .arrived
                .wait_while(lock(&self.waiting), |waiting| waiting.is_empty());
            drop(waiting);
            std::thread::sleep(DELAY);
            self.flush();
        }
    }
}

/// Whether a line of this level is written before the program goes on.
pub(super) fn is_urgent(level: Level) -> bool {
    level <= Level::WARN
}

/// Lines are whole after every operation, whatever a panicking thread did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Each call of `write` as one message.
    struct Calls(Sender<String>);

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.send(text).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink() -> (Arc<Sink<Calls>>, Receiver<String>) {
        let (calls, written) = channel();
        (Sink::start(Calls(calls)), written)
    }

    #[test]
    fn lines_are_written_together_and_nobody_has_to_ask() {
        let (sink, written) = sink();
        sink.append(b"one\n", false);
        sink.append(b"two\n", false);
        let soon = Duration::from_secs(10);
        assert_eq!(written.recv_timeout(soon).unwrap(), "one\ntwo\n");
        sink.append(b"three\n", false);
        assert_eq!(written.recv_timeout(soon).unwrap(), "three\n");
    }

    #[test]
    fn an_urgent_line_is_written_before_the_call_returns_and_after_those_before_it() {
        let (sink, written) = sink();
        sink.append(b"before\n", false);
        sink.append(b"urgent\n", true);
        let text: String = written.try_iter().collect();
        assert_eq!(text, "before\nurgent\n");
    }

    #[test]
    fn many_lines_do_not_wait_and_none_is_lost_or_mixed_with_another() {
        let (sink, written) = sink();
        let line = [b'a'; 1023];
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let sink = sink.clone();
                std::thread::spawn(move || {
                    for _ in 0..1000 {
                        sink.append(&[&line[..], b"\n"].concat(), false);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        sink.flush();
        let text: String = written.try_iter().collect();
        assert_eq!(text.len(), 4 * 1000 * 1024);
        assert!(text.lines().all(|found| found.as_bytes() == line));
    }
}
