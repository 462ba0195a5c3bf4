//! Log lines on standard error: JSON for machines, text for people.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{LogConfig, LogFormat};

/// Libraries whose own chatter helps only when everything is asked for.
const QUIET: [&str; 5] = ["sqlx", "hyper", "hyper_util", "h2", "ort"];

/// Starts logging; later calls change nothing.
pub(crate) fn start(config: &LogConfig) {
    let level: LevelFilter = config.level.parse().unwrap_or(LevelFilter::INFO);
    let mut targets = Targets::new().with_default(level);
    if level < LevelFilter::TRACE {
        let quiet = level.min(LevelFilter::WARN);
        targets = targets.with_targets(QUIET.map(|library| (library, quiet)));
    }
    let layer = match config.format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(io::stderr)
            .boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .boxed(),
    };
    let _ = registry().with(layer.with_filter(targets)).try_init();
}
