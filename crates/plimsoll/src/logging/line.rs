//! An event as one line of JSON, written field by field without a tree.
//!
//! The members are those of `tracing-subscriber`'s flattened JSON: `timestamp`,
//! `level`, the event's own fields, `target`.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use plimsoll_core::time::{Clock, SystemClock, Timestamp};
use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::sink::{Sink, is_urgent};

/// Hands each event to the sink as one line.
#[derive(Debug)]
pub(super) struct JsonLines {
    sink: Arc<Sink>,
    clock: SystemClock,
}

impl JsonLines {
    pub(super) fn new(sink: Arc<Sink>) -> Self {
        Self {
            sink,
            clock: SystemClock::new(),
        }
    }
}

thread_local! {
    /// Memory of the last line. Taken and put back, so that a value which logs
    /// while it is printed finds it empty and nothing worse.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = LINE.take();
        line.clear();
        write_line(&mut line, event, self.clock.now());
        self.sink
            .append(&line, is_urgent(*event.metadata().level()));
        LINE.set(line);
    }
}

fn write_line(line: &mut Vec<u8>, event: &Event<'_>, at: Timestamp) {
    let meta = event.metadata();
    line.extend_from_slice(b"{\"timestamp\":");
    json(line, &at);
    line.extend_from_slice(b",\"level\":");
    json(line, meta.level().as_str());
    event.record(&mut Members(line));
    line.extend_from_slice(b",\"target\":");
    json(line, meta.target());
    line.extend_from_slice(b"}\n");
}

/// Writes each field as a member of the object that was begun.
struct Members<'a>(&'a mut Vec<u8>);

impl Members<'_> {
    fn member(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        self.name(field);
        json(self.0, value);
    }

    /// Names are identifiers of our own code or a library's, never a client's
    /// words, so there is nothing in them to escape.
    fn name(&mut self, field: &Field) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(field.name().as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        // Printed straight into the line, escaped on the way.
        let mut serializer = serde_json::Serializer::new(&mut *self.0);
        let _ = serializer.collect_str(&format_args!("{value:?}"));
    }
}

/// Into memory, which takes everything; and no value here refuses to be written.
fn json(line: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(line, value);
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use serde_json::Value;
    use tracing::{Level, error, info};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{fmt as standard, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Writes each event with `write_line`.
    struct Ours(Memory);

    impl<S: Subscriber> Layer<S> for Ours {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let at = Timestamp::from_micros(1_763_711_340_000_001);
            write_line(&mut self.0.0.lock().unwrap(), event, at);
        }
    }

    fn events() {
        let nothing: Option<u64> = None;
        info!(target: "plimsoll::request", id = "req_1", ms = 0.25, key = nothing, "request");
        error!(error = %"a \"quote\", a \\, a line\nand \u{1}", list = ?["x\ty", "é"], "broken");
        tracing::event!(
            Level::DEBUG,
            whole = 12.0,
            not = f64::NAN,
            no = -1_i8,
            big = u64::MAX,
            yes = true
        );
    }

    fn parsed(memory: &Memory) -> Vec<Value> {
        let bytes = memory.0.lock().unwrap();
        assert!(bytes.ends_with(b"\n"));
        let lines = bytes.strip_suffix(b"\n").unwrap().split(|b| *b == b'\n');
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_has_the_members_that_the_standard_formatter_gives_it() {
        let (ours, theirs) = (Memory::default(), Memory::default());
        let writer = theirs.clone();
        let standard = standard::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(move || writer.clone());
        let both = registry().with(Ours(ours.clone())).with(standard);
        tracing::subscriber::with_default(both, events);
        let (ours, theirs) = (parsed(&ours), parsed(&theirs));
        assert_eq!((ours.len(), theirs.len()), (3, 3));
        for (mut ours, mut theirs) in ours.into_iter().zip(theirs) {
            assert_eq!(ours["timestamp"], "2025-11-21T07:49:00.000001Z");
            ours["timestamp"] = Value::Null;
            theirs["timestamp"] = Value::Null;
            assert_eq!(ours, theirs);
        }
    }
}
