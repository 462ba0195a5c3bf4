//! Lines for people: a formatter writes them piece by piece, the sink takes them whole.

use std::io::{self, Write};
use std::sync::Arc;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::sink::{Sink, is_urgent};

/// For a formatter that writes a line by several calls.
#[derive(Debug)]
pub(super) struct Lines(pub(super) Arc<Sink>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line::begin(&self.0, false)
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line::begin(&self.0, is_urgent(*meta.level()))
    }
}

/// One line while it is being made; complete when dropped.
pub(super) struct Line<'a> {
    sink: &'a Sink,
    text: Vec<u8>,
    at_once: bool,
}

impl<'a> Line<'a> {
    const fn begin(sink: &'a Sink, at_once: bool) -> Self {
        Self {
            sink,
            text: Vec::new(),
            at_once,
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.sink.append(&self.text, self.at_once);
    }
}
