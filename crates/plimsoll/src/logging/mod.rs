//! Log lines on standard error: JSON for machines, text for people.

mod line;
mod sink;
mod text;

use std::io::{self, IsTerminal};
use std::panic;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{LogConfig, LogFormat};
use line::JsonLines;
use sink::Sink;
use text::Lines;

/// Libraries whose own chatter helps only when everything is asked for.
const QUIET: [&str; 5] = ["sqlx", "hyper", "hyper_util", "h2", "ort"];

/// Logging, until it is dropped: then every line is written.
#[must_use]
pub(crate) struct Logging(Arc<Sink>);

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Starts logging; later calls change nothing.
pub(crate) fn start(config: &LogConfig) -> Logging {
    let level: LevelFilter = config.level.parse().unwrap_or(LevelFilter::INFO);
    let mut targets = Targets::new().with_default(level);
    if level < LevelFilter::TRACE {
        let quiet = level.min(LevelFilter::WARN);
        targets = targets.with_targets(QUIET.map(|library| (library, quiet)));
    }
    let sink = Sink::start(io::stderr());
    let layer = match config.format {
        LogFormat::Json => JsonLines::new(sink.clone()).boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(Lines(sink.clone()))
            .boxed(),
    };
    let _ = registry().with(layer).with(targets).try_init();
    flush_before_panics(sink.clone());
    Logging(sink)
}

/// A panic that ends the process must not take the lines before it along.
fn flush_before_panics(sink: Arc<Sink>) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        sink.flush();
        report(panic);
    }));
}
