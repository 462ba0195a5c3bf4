//! `serve`: puts the parts together, listens, and ends in order.
//!
//! Stopping: readiness fails first, so load balancers look elsewhere; then the
//! listener closes; requests that are being answered finish; counters are
//! written down; the exit code is 0.

mod announce;
mod demo;
mod register;

pub(crate) use register::digest_of;

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::process::ExitCode;
use std::time::Duration;

use plimsoll_app::App;
use plimsoll_http::{HttpConfig, Limits, Server};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{Cli, ServeArgs};
use crate::config::{Config, ServerConfig, load};
use crate::installation::{Serving, admin, lock, open_blobs, open_migrated, start_app};
use crate::output::{Exit, Failure, Outcome, Output};
use crate::{logging, process, secret};

/// Time for background work to end once the last request was answered.
const STOP: Duration = Duration::from_secs(10);

pub(crate) fn run(cli: &Cli, args: &ServeArgs, output: Output) -> Outcome {
    let (config, _) = load(&cli.sources())?;
    if args.dev && !config.server.listen.ip().is_loopback() {
        let text = format!(
            "--dev opens the API to everybody, and {} is not loopback",
            config.server.listen
        );
        return Err(
            Failure::new(Exit::Config, text).next("leave --dev out, or listen on 127.0.0.1")
        );
    }
    let mut files = args.files.clone();
    if args.demo {
        files.extend(demo::find(&config.data_dir)?);
    }
    // Held to the end: dropping it writes what was logged last.
    let _logging = logging::start(&config.log);
    process::prepare();
    let runtime = runtime(config.server.threads).enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
    runtime.block_on(serve(&config, &files, args.dev, output))
}

/// One thread for connections a core. Where there is one core, in a small
/// container for instance, a scheduler for several threads is only a cost.
fn runtime(threads: Option<usize>) -> Builder {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    match threads.unwrap_or_else(cores) {
        0 | 1 => Builder::new_current_thread(),
        threads => {
            let mut runtime = Builder::new_multi_thread();
            runtime.worker_threads(threads);
            runtime
        }
    }
}

async fn serve(
    config: &Config,
    files: &[std::path::PathBuf],
    dev: bool,
    output: Output,
) -> Outcome {
    // From here on a stop signal is ours to answer, also while models are registered.
    let mut signals = Signals::listen().map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
    make_data_dir(config)?;
    let _lock = lock(&config.data_dir)?;
    let db = open_migrated(config).await?;
    let blobs = open_blobs(config).await?;
    let app = start_app(config, db, blobs, Some(Serving { dev })).await?;
    app.sweep_uploads().await?;
    let outcome = serve_app(config, files, &app, output, &mut signals).await;
    if !app.stop(STOP).await {
        tracing::warn!("background work was cut because it did not end in time");
    }
    outcome?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn serve_app(
    config: &Config,
    files: &[std::path::PathBuf],
    app: &App,
    output: Output,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let server = bind(config, app).await?;
    let url = config.server.url(server.local_addr());
    let caller = admin(app.ensure_admin_row().await?);
    let models = register::all(app, &caller, files).await?;
    let key = if files.is_empty() {
        None
    } else {
        Some(register::serve_key(app, &caller).await?)
    };
    let setup_token = app.new_setup_token().await?;
    let dev = app.settings().dev;
    tracing::info!(address = %server.local_addr(), %url, dev, "listening");
    let announcement = announce::Announcement {
        url: match &config.server.base_url {
            Some(url) => format!("{url}{}", config.server.base_path),
            None => url,
        },
        setup_token,
        key,
        models,
        dev,
    };
    output.data(announcement.text(), &announcement.json());
    let drained = server.run(stop_signal(app, &config.server, signals)).await;
    tracing::info!(cut = drained.cut, "the last connection is closed");
    Ok(())
}

fn make_data_dir(config: &Config) -> Result<(), Failure> {
    secret::make_private_dir(&config.data_dir).map_err(|e| {
        let text = format!(
            "the data directory {} cannot be made: {e}",
            config.data_dir.display()
        );
        Failure::new(Exit::NoPermission, text).next("choose another one with --data-dir")
    })
}

async fn bind(config: &Config, app: &App) -> Result<Server, Failure> {
    let address = config.server.listen;
    Server::bind(address, app.clone(), http_config(config))
        .await
        .map_err(|error| cannot_listen(address, &error))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    let text = format!("cannot listen on {address}: {error}");
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::new(Exit::NoPermission, text)
            .next("ports below 1024 need rights; choose another one with --listen"),
        _ => Failure::new(Exit::Unavailable, text)
            .next("another program may use it; choose another one with --listen"),
    }
}

fn http_config(config: &Config) -> HttpConfig {
    let server = &config.server;
    HttpConfig {
        limits: Limits {
            connections: server.max_connections,
            connections_per_address: server.max_connections_per_address,
            first_request: server.header_timeout,
            header_read: server.header_timeout,
            keep_alive: server.keep_alive,
            body_idle: server.body_idle_timeout,
            predict_body: config.predict.max_body,
            drain: server.shutdown_grace,
            ..Limits::default()
        },
        slow_request: config.log.slow_request,
        base_path: server.base_path.clone(),
        x_ratelimit: config.compat.x_ratelimit,
        aliases: config.compat.aliases,
        default_model: config.compat.default_model.clone(),
        ..HttpConfig::default()
    }
}

/// Ready once the server should stop accepting: a signal, then the drain delay.
async fn stop_signal(app: &App, server: &ServerConfig, signals: &mut Signals) {
    tokio::select! {
        name = signals.next() => tracing::info!(signal = name, "stopping"),
        // What was acknowledged may be lost: stop at once, a restart recovers.
        () = app.failed_for_good() => return,
    }
    app.begin_drain();
    // A second signal means: now.
    tokio::select! {
        () = tokio::time::sleep(server.drain_delay) => {}
        _ = signals.next() => {}
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
