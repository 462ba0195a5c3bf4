//! The application: its parts, how they start and how they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_blob::Blobs;
use plimsoll_core::entropy::Entropy;
use plimsoll_core::id::{IdSource, UserId};
use plimsoll_core::time::{Clock, Monotonic};
use plimsoll_engine::Engine;
use plimsoll_store::{Db, LogDb};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::auth::{Passwords, SignInLimits, Tokens};
use crate::background::Background;
use crate::capture::CaptureKeys;
use crate::history::History;
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::live::{Lasting, Live, LiveView};
use crate::meters::Meters;
use crate::serving::Serving;
use crate::tasks::Tasks;
use crate::turns::Turns;
use crate::usage::Usage;
use crate::{Error, Settings};

/// How often a change made by another process is looked for.
const LIVE_POLL: Duration = Duration::from_millis(500);
/// How often usage counters are written down.
const USAGE_FLUSH: Duration = Duration::from_secs(5);
/// How often the log is looked at for what is too old or too much.
const RETENTION: Duration = Duration::from_mins(10);
/// How often models that nobody asks for are looked for.
const IDLE: Duration = Duration::from_secs(30);
/// How often expired refresh tokens are removed.
const PURGE: Duration = Duration::from_hours(1);

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct AppParts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Metadata, already migrated.
    pub db: Db,
    /// Artifacts.
    pub blobs: Blobs,
    /// Opens model files.
    pub engine: Engine,
    /// What became of predictions, already migrated.
    pub log: LogDb,
    /// Where predictions are recorded; only for whoever holds the data directory.
    pub history: Option<History>,
    /// What was configured.
    pub settings: Settings,
    /// Where work runs that gives way to answers.
    pub background: Background,
}

/// The whole product without the wire. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ids: IdSource,
    db: Db,
    log: LogDb,
    blobs: Blobs,
    settings: Settings,
    live: LiveView,
    usage: Usage,
    meters: Meters,
    tasks: Tasks,
    tokens: Tokens,
    passwords: Passwords,
    sign_in_limits: SignInLimits,
    limits: Limits,
    capture_keys: Arc<CaptureKeys>,
    serving: Serving,
    jobs: Jobs,
    deploying: Turns<(UserId, String)>,
    history: Option<History>,
    /// Shared while files are stored that no row names yet, exclusive while files
    /// that no row names are removed.
    contents: RwLock<()>,
    fatal: CancellationToken,
    started: Monotonic,
    draining: AtomicBool,
}

impl App {
    /// Puts the parts together, reads the control plane into memory and starts
    /// the background work.
    pub async fn start(parts: AppParts) -> Result<Self, Error> {
        let AppParts {
            clock,
            entropy,
            db,
            blobs,
            engine,
            log,
            history,
            settings,
            background,
        } = parts;
        let (meters, tasks) = (Meters::new(), Tasks::new(background));
        let ids = IdSource::new(clock.clone(), entropy.as_ref());
        let inner = Inner {
            jobs: Jobs::new(&ids),
            ids,
            tokens: Tokens::new(&settings.auth),
            passwords: Passwords::new(&tasks, entropy.clone()),
            sign_in_limits: SignInLimits::new(settings.limits.enabled, meters.clone()),
            limits: Limits::new(&settings.limits, meters.clone()),
            capture_keys: Arc::new(CaptureKeys::new(&settings.auth.secret)),
            serving: Serving::new(
                engine,
                &settings,
                (clock.clone(), entropy.as_ref()),
                meters.clone(),
            ),
            deploying: Turns::default(),
            started: clock.monotonic(),
            live: LiveView::default(),
            usage: Usage::default(),
            draining: AtomicBool::new(false),
            history,
            contents: RwLock::default(),
            fatal: CancellationToken::new(),
            clock,
            entropy,
            db,
            log,
            blobs,
            settings,
            meters,
            tasks,
        };
        let app = Self {
            inner: Arc::new(inner),
        };
        app.refresh_live().await?;
        if app.history().is_some() {
            app.free_abandoned_jobs().await?;
        }
        app.spawn_reconcilers();
        Ok(app)
    }

    /// Removes what interrupted uploads left behind. Only for whoever holds the
    /// data directory: to a server beside it, these are uploads under way.
    pub async fn sweep_uploads(&self) -> Result<(), Error> {
        let swept = self.inner.blobs.sweep_tmp().await?;
        if swept > 0 {
            tracing::info!(
                files = swept,
                "removed what interrupted uploads left behind"
            );
        }
        Ok(())
    }

    /// Everything that runs in the background, in one screen.
    fn spawn_reconcilers(&self) {
        self.reconcile(
            "live",
            LIVE_POLL,
            |app| async move { app.refresh_live().await },
        );
        self.reconcile("usage", USAGE_FLUSH, |app| async move {
            app.flush_usage().await
        });
        self.reconcile("idle models", IDLE, |app| async move {
            app.unload_idle();
            Ok(())
        });
        self.reconcile(
            "purge",
            PURGE,
            |app| async move { app.purge_expired().await },
        );
        let Some(history) = &self.inner.history else {
            return;
        };
        self.reconcile("journal sync", history.sync_interval(), |app| async move {
            app.sync_journal().await
        });
        self.reconcile(
            "retention",
            RETENTION,
            |app| async move { app.retain().await },
        );
        self.reconcile("old jobs", RETENTION, |app| async move {
            app.remove_old_jobs().await
        });
        for _ in 0..self.inner.settings.jobs.workers {
            let app = self.clone();
            self.inner.tasks.spawn_behind("job worker", move || {
                let app = app.clone();
                async move { app.work_on_jobs().await }
            });
        }
        let app = self.clone();
        self.inner.tasks.spawn_behind("ingester", move || {
            let app = app.clone();
            async move { app.ingest().await }
        });
    }

    /// Repeats idempotent work; a failure is logged and repaired by the next turn.
    fn reconcile<F, Fut>(&self, name: &'static str, period: Duration, work: F)
    where
        F: Fn(Self) -> Fut + Send + Sync + Copy + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        // A weak reference: background work must not keep a stopped app alive.
        let weak = Arc::downgrade(&self.inner);
        self.inner.tasks.every(name, period, move || {
            let weak = weak.clone();
            async move {
                let Some(inner) = weak.upgrade() else { return };
                if let Err(error) = work(Self { inner }).await {
                    tracing::warn!(task = name, error = ?error, "background work failed and will be tried again");
                }
            }
        });
    }

    /// Ends the background work and writes down what is still in memory.
    /// Says whether everything ended within `deadline`.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.begin_drain();
        let ended = self.inner.tasks.stop(deadline).await;
        if let Err(error) = self.release_jobs().await {
            tracing::warn!(error = ?error, "running jobs wait until their leases run out");
        }
        if let Err(error) = self.ingest_rest().await {
            tracing::warn!(error = ?error, "the rest of the journal waits for the next start");
        }
        if let Err(error) = self.flush_usage().await {
            tracing::error!(error = ?error, "usage counters could not be written down");
        }
        self.inner.log.close().await;
        self.inner.db.close().await;
        ended
    }

    /// Makes readiness fail so that load balancers look elsewhere.
    pub fn begin_drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is on its way out.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// Says that what was acknowledged may be lost, so that the process must end.
    pub(crate) fn fail_for_good(&self, why: &'static str) {
        tracing::error!(why, "this process cannot go on");
        self.inner.fatal.cancel();
    }

    /// Becomes ready when the process must end.
    pub async fn failed_for_good(&self) {
        self.inner.fatal.cancelled().await;
    }

    /// Where predictions are recorded, if they are.
    pub(crate) fn history(&self) -> Option<&History> {
        self.inner.history.as_ref()
    }

    /// The injected clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The source of ids.
    pub fn ids(&self) -> &IdSource {
        &self.inner.ids
    }

    /// What was configured.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// What the product counts about itself.
    pub fn meters(&self) -> &Meters {
        &self.inner.meters
    }

    /// The one spawner.
    pub fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    /// The metadata database.
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// What became of predictions.
    pub(crate) fn log(&self) -> &LogDb {
        &self.inner.log
    }

    /// The artifacts.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// The lock on files without rows.
    pub(crate) fn contents(&self) -> &RwLock<()> {
        &self.inner.contents
    }

    /// The control plane as it is now.
    pub fn live(&self) -> arc_swap::Guard<Arc<Live>> {
        self.inner.live.load()
    }

    /// Time since this app was started.
    pub fn uptime(&self) -> Duration {
        self.inner.clock.monotonic().since(self.inner.started)
    }

    /// Makes every change committed before this call visible to requests.
    pub async fn refresh_live(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let lasting = Lasting {
            usage: &inner.usage,
            meters: &inner.meters,
            rooms: &inner.serving.rooms,
        };
        Ok(inner.live.refresh(&inner.db, lasting).await?)
    }

    /// Writes all usage counters down.
    pub async fn flush_usage(&self) -> Result<(), Error> {
        Ok(self.inner.usage.flush(&self.inner.db).await?)
    }

    async fn purge_expired(&self) -> Result<(), Error> {
        let now = self.inner.clock.now();
        let mut tx = self.inner.db.begin().await?;
        tx.purge_refresh(now).await?;
        tx.purge_requests(now).await?;
        Ok(tx.commit().await?)
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy.as_ref()
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    pub(crate) fn sign_in_limits(&self) -> &SignInLimits {
        &self.inner.sign_in_limits
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn capture_keys(&self) -> &Arc<CaptureKeys> {
        &self.inner.capture_keys
    }

    /// Endpoints that are being changed, by owner and name.
    pub(crate) fn deploying(&self) -> &Turns<(UserId, String)> {
        &self.inner.deploying
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.inner.serving
    }

    pub(crate) fn jobs(&self) -> &Jobs {
        &self.inner.jobs
    }
}
