//! The production server on a runtime of its own.
//!
//! A runtime per server keeps its log lines apart from those of tests that run
//! beside it, and shows at the end whether a task was left behind.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_app::history::{History, HistoryOptions, open_log};
use plimsoll_app::{App, AppParts, Background};
use plimsoll_blob::{Blobs, Limits};
use plimsoll_core::entropy::SeededEntropy;
use plimsoll_core::time::Clock;
use plimsoll_core::time::ManualClock;
use plimsoll_engine::{Engine, EngineOptions};
use plimsoll_http::{Drained, Server};
use plimsoll_python::{Python, PythonOptions};
use plimsoll_store::{DatabaseUrl, Db, DbOptions};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::dispatcher::DefaultGuard;

use crate::log::LogBuffer;
use crate::options::Options;

/// Time for a server to end; more means that something hangs.
const STOP: Duration = Duration::from_secs(20);

/// A server that is serving.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) app: App,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
    runtime: Runtime,
}

/// What a server left behind when it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Connections that had to be cut.
    pub(crate) cut: usize,
    /// Whether the application's tasks ended in time.
    pub(crate) in_time: bool,
    /// Tasks that are still alive.
    pub(crate) leaked: usize,
}

/// What outlives a restart.
pub(crate) struct Place {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) database: DatabaseUrl,
    pub(crate) directory: PathBuf,
}

thread_local! {
    static LOGGING: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

impl Running {
    /// Composes the application exactly as `plimsoll serve` does.
    pub(crate) async fn start(options: &Options, log: &LogBuffer, place: Place) -> Self {
        let dispatch = log.dispatch();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || {
                let guard = tracing::dispatcher::set_default(&dispatch);
                LOGGING.with_borrow_mut(|slot| *slot = Some(guard));
            })
            .build()
            .expect("a runtime can be built");
        let options = options.clone();
        let started = runtime.spawn(async move {
            let http = options.http.clone();
            let app = compose(options, place).await;
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            let server = Server::bind(address, app.clone(), http).await;
            (app, server.expect("a free port can be bound"))
        });
        let (app, server) = started.await.expect("the start does not panic");
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let ended = runtime.spawn(server.run(async {
            // An error means that the sender is gone, which is a reason to stop as well.
            let _ = stopped.await;
        }));
        Self {
            app,
            address,
            stop,
            ended,
            runtime,
        }
    }

    /// The runtime the server lives on.
    pub(crate) fn handle(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// Ends in the order that `plimsoll serve` keeps.
    pub(crate) async fn stop(self) -> Ended {
        let Self {
            app,
            stop,
            ended,
            runtime,
            ..
        } = self;
        app.begin_drain();
        let _ = stop.send(());
        let drained = ended.await.expect("the accept loop does not panic");
        let stopping = runtime.spawn(async move { app.stop(STOP).await });
        let in_time = stopping.await.expect("stopping does not panic");
        let leaked = wait_until_idle(&runtime).await;
        // Not dropped here: a runtime must not be dropped inside another one.
        runtime.shutdown_background();
        Ended {
            cut: drained.cut,
            in_time,
            leaked,
        }
    }

    /// Ends at once, as a killed process does: what runs in the background,
    /// on threads of its own, stops where it is.
    pub(crate) async fn kill(self) {
        self.app.tasks().stop(Duration::ZERO).await;
        self.runtime.shutdown_background();
    }
}

async fn compose(options: Options, place: Place) -> App {
    let mut database = DbOptions::new(place.database);
    database.pool_size = 4;
    let db = Db::open(&database).await.expect("the database opens");
    db.migrate()
        .await
        .expect("the schema can be brought up to date");
    let limits = Limits {
        max_bytes: options.upload_max_bytes,
    };
    let blobs = Blobs::open(&place.directory, limits).await;
    let clock: Arc<dyn Clock> = place.clock;
    let background = Background::start().expect("there are threads");
    let log = open_log(&background, database).await;
    let log = log.expect("the log opens");
    let record = HistoryOptions::new(place.directory.join("journal"), log.clone());
    let history = History::open(record, &clock, place.entropy.as_ref());
    let parts = AppParts {
        log,
        history: Some(history.expect("the journal opens")),
        clock,
        entropy: place.entropy,
        db,
        blobs: blobs.expect("the folder of model files can be made"),
        engine: engine(options.onnxruntime, options.python, &place.directory),
        settings: options.settings,
        background,
    };
    let app = App::start(parts).await.expect("the application starts");
    let swept = app.sweep_uploads().await;
    swept.expect("the folder of unfinished uploads can be read");
    let admin = app.ensure_admin_row().await;
    admin.expect("the administrator has a row");
    app
}

fn engine(onnxruntime: Option<PathBuf>, python: Option<PythonOptions>, data_dir: &Path) -> Engine {
    let engine = Engine::new(EngineOptions {
        onnxruntime,
        intra_threads: 1,
    });
    let Some(python) = python else {
        return engine;
    };
    let options = PythonOptions {
        data_dir: data_dir.to_owned(),
        work_dir: std::env::temp_dir(),
        ..python
    };
    engine.asking(Arc::new(Python::new(options).expect("there are threads")))
}

/// Tasks that ended a moment ago may still be counted, so they get that moment.
async fn wait_until_idle(runtime: &Runtime) -> usize {
    for _ in 0..200 {
        if runtime.metrics().num_alive_tasks() == 0 {
            return 0;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    runtime.metrics().num_alive_tasks()
}
