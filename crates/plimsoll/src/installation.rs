//! The parts of one installation, put together as configured.
//!
//! `serve` and the commands that work beside a running server open the same
//! database here. The commands leave files alone, so they never disturb an
//! upload that the server is just receiving.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_app::auth::{Caller, Origin};
use plimsoll_app::history::{History, HistoryOptions, log_place, open_log};
use plimsoll_app::{
    App, AppParts, AuthSettings, Background, CacheSettings, Error, JobSettings, PredictSettings,
    Settings,
};
use plimsoll_blob::{Blobs, Limits};
use plimsoll_core::entropy::SystemEntropy;
use plimsoll_core::id::UserId;
use plimsoll_core::secret::Secret;
use plimsoll_core::time::{Clock, SystemClock};
use plimsoll_core::user::{Email, Role};
use plimsoll_engine::{Engine, EngineOptions};
use plimsoll_python::{Python, PythonOptions};
use plimsoll_store::{DatabaseUrl, Db, DbOptions, LogDb, StoreError, UserRow};

use crate::config::{Config, PythonConfig};
use crate::output::{Exit, Failure, chain};
use crate::secret;

/// How long a command waits for its background work to end.
const STOP: Duration = Duration::from_secs(2);

/// Opens the database; the schema is left as it is.
pub(crate) async fn open_database(config: &Config) -> Result<Db, Failure> {
    secret::make_private_dir(&config.data_dir).map_err(|e| {
        let text = format!(
            "the data directory {} cannot be made: {e}",
            config.data_dir.display()
        );
        Failure::new(Exit::NoPermission, text)
            .next("choose another one with --data-dir or PLIMSOLL_DATA_DIR")
    })?;
    Db::open(&database_options(config))
        .await
        .map_err(|error| no_database(config, &error))
}

fn database_options(config: &Config) -> DbOptions {
    DbOptions {
        url: config.database.url.clone(),
        pool_size: config.database.pool_size,
        acquire_timeout: config.database.acquire_timeout,
        statement_timeout: config.database.statement_timeout,
        slow_query: config.database.slow_query,
    }
}

/// The log's database.
pub(crate) fn log_options(config: &Config) -> DbOptions {
    log_place(database_options(config))
}

/// Opens the database and brings its schema up to date.
pub(crate) async fn open_migrated(config: &Config) -> Result<Db, Failure> {
    let db = open_database(config).await?;
    db.migrate().await.map_err(|error| match error {
        StoreError::SchemaTooNew { .. } => {
            Failure::caused(Exit::Data, &error).next("use the program that made it, or a newer one")
        }
        other => no_database(config, &other),
    })?;
    Ok(db)
}

/// What a server has and a command beside it has not.
pub(crate) struct Serving {
    /// Whether credentials are not asked for.
    pub(crate) dev: bool,
}

/// The running application over an open database and the model files.
pub(crate) async fn start_app(
    config: &Config,
    db: Db,
    blobs: Blobs,
    serving: Option<Serving>,
) -> Result<App, Failure> {
    let secret = secret::load_or_make(config).map_err(|error| {
        Failure::caused(Exit::Config, &error).next("set PLIMSOLL_AUTH__SECRET, or mend the file")
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let background =
        Background::start().map_err(|error| Failure::caused(Exit::Unavailable, &error))?;
    let log = open_log(&background, database_options(config)).await?;
    let history = match &serving {
        Some(_) => Some(open_history(config, log.clone(), &clock)?),
        None => None,
    };
    let engine = open_engine(config)?;
    if serving.is_some() {
        announce_python(&engine);
    }
    let dev = serving.is_some_and(|serving| serving.dev);
    let parts = AppParts {
        clock,
        entropy: Arc::new(SystemEntropy),
        db,
        blobs,
        engine,
        log,
        history,
        settings: settings(config, secret, dev),
        background,
    };
    App::start(parts).await.map_err(Failure::from)
}

fn open_history(config: &Config, log: LogDb, clock: &Arc<dyn Clock>) -> Result<History, Failure> {
    let options = HistoryOptions {
        folder: journal_folder(config),
        log,
        durability: config.history.durability,
        sync_interval: config.history.sync_interval,
        max_spool_bytes: config.history.max_spool,
        when_full: config.history.when_full,
        retention: config.history.retention,
        max_bytes: i64::try_from(config.history.max_bytes).unwrap_or(i64::MAX),
    };
    History::open(options, clock, &SystemEntropy).map_err(Failure::from)
}

/// Where the journal lies.
pub(crate) fn journal_folder(config: &Config) -> PathBuf {
    config.data_dir.join("journal")
}

/// The model files.
pub(crate) async fn open_blobs(config: &Config) -> Result<Blobs, Failure> {
    let max_bytes = config.upload_max_bytes;
    Blobs::open(&config.data_dir, Limits { max_bytes })
        .await
        .map_err(|error| Failure::caused(Exit::NoPermission, &error))
}

/// What runs models.
pub(crate) fn open_engine(config: &Config) -> Result<Engine, Failure> {
    let engine = Engine::new(EngineOptions {
        onnxruntime: config.onnxruntime.clone(),
        intra_threads: 1,
    });
    let Some(python) = &config.python else {
        return Ok(engine);
    };
    let python = open_python(config, python);
    let python = python.map_err(|error| Failure::caused(Exit::Unavailable, &error))?;
    Ok(engine.asking(Arc::new(python)))
}

fn open_python(config: &Config, python: &PythonConfig) -> io::Result<Python> {
    Python::new(PythonOptions {
        python: std::path::absolute(&python.path)?,
        // This very program, even if its file has been replaced by a newer one.
        program: PathBuf::from("/proc/self/exe"),
        work_dir: std::env::temp_dir(),
        data_dir: config.data_dir.clone(),
        memory: python.memory,
        timeout: python.timeout,
    })
}

/// Says at the start what runs foreign code here, and what keeps it in.
fn announce_python(engine: &Engine) {
    match engine.outside_status() {
        Some(status) if status.ready => {
            tracing::warn!(
                workers = status.detail,
                "engine.python is set: code in uploaded model files is run"
            );
        }
        Some(status) => tracing::error!(why = status.detail, "engine.python cannot be used"),
        None => {}
    }
}

/// What the application needs to know of the configuration.
fn settings(config: &Config, secret: Secret<String>, dev: bool) -> Settings {
    let usual = Settings::default();
    Settings {
        auth: AuthSettings {
            secret: Secret::new(secret.into_exposed().into_bytes()),
            access_ttl: config.auth.access_ttl,
            refresh_ttl: config.auth.refresh_ttl,
            refresh_absolute_ttl: usual.auth.refresh_absolute_ttl.max(config.auth.refresh_ttl),
            registration_open: config.auth.registration_open,
            min_password_length: config.auth.min_password_length,
        },
        predict: PredictSettings {
            max_rows: config.predict.max_rows,
            timeout: config.predict.timeout,
            pool_threads: config.predict.threads.unwrap_or(usual.predict.pool_threads),
            batch_rows: config.predict.batch_rows,
            batch_delay: config.predict.batch_delay,
            result_cache_bytes: config.predict.result_cache,
            result_ttl: config.predict.result_ttl,
            ..usual.predict
        },
        upload_max_bytes: config.upload_max_bytes,
        min_free_bytes: config.min_free_bytes,
        limits: config.limits,
        jobs: JobSettings {
            workers: config.jobs.workers,
            retention: config.jobs.retention,
            batch_max_bytes: config.jobs.batch_max_bytes,
        },
        cache: CacheSettings {
            max_bytes: config.cache.max_bytes.unwrap_or_else(quarter_of_memory),
            max_models: config.cache.max_models,
            idle_unload: config.cache.idle_unload,
        },
        training_policy: config.training,
        dev,
    }
}

/// Runs one command against the installation, beside a server or without one.
pub(crate) fn with_app<T>(
    config: &Config,
    work: impl AsyncFnOnce(&App) -> Result<T, Failure>,
) -> Result<T, Failure> {
    block_on(async {
        let db = open_migrated(config).await?;
        let app = start_app(config, db, open_blobs(config).await?, None).await?;
        let outcome = work(&app).await;
        app.stop(STOP).await;
        outcome
    })
}

/// Runs a future on this thread alone: commands are short and start at once.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Software, e.to_string()))?;
    runtime.block_on(work)
}

/// The lock of a data directory: held as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataDirLock(
    #[expect(dead_code, reason = "closing the file gives the lock back")] File,
);

/// Refuses a second server on the same data directory.
pub(crate) fn lock(data_dir: &Path) -> Result<DataDirLock, Failure> {
    let path = data_dir.join("lock");
    let failed = |e: io::Error| {
        Failure::new(
            Exit::NoPermission,
            format!("{} cannot be locked: {e}", path.display()),
        )
    };
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(data_dir, &mut file)),
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    // The process id is for people; the lock is the operating system's.
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(failed)?;
    Ok(DataDirLock(file))
}

fn in_use(data_dir: &Path, file: &mut File) -> Failure {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    let holder = match holder.trim() {
        "" => String::new(),
        process => format!(" (process {process})"),
    };
    let text = format!(
        "another server{holder} uses the data directory {}",
        data_dir.display()
    );
    Failure::new(Exit::TemporaryFailure, text)
        .next("stop it, or start this one with another --data-dir and --listen")
}

/// Whose things a command works on: the person with this address, else the administrator.
pub(crate) async fn caller_for(app: &App, email: Option<&str>) -> Result<Caller, Failure> {
    let Some(email) = email else {
        let admin = app.ensure_admin_row().await?;
        return Ok(operator(admin, Role::Admin));
    };
    let user = user_by_email(app, email).await?;
    Ok(operator(user.id, user.role))
}

/// A person in whose name somebody works who can write the data directory.
pub(crate) fn operator(user: UserId, role: Role) -> Caller {
    Caller::person(user, role).with_origin(Origin::command_line())
}

/// The account with this address.
pub(crate) async fn user_by_email(app: &App, email: &str) -> Result<UserRow, Failure> {
    let address = Email::parse(email).map_err(|e| Failure::new(Exit::Data, e.to_string()))?;
    let found = app.db().user_by_email(address.as_str()).await;
    found.map_err(Error::from)?.ok_or_else(|| {
        Failure::new(Exit::Data, format!("there is no account {email}"))
            .next("`plimsoll user list` shows all accounts")
    })
}

/// The administrator's caller, for work the server does for itself.
pub(crate) fn admin(id: UserId) -> Caller {
    Caller::person(id, Role::Admin)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::Invalid(_)
            | Error::Malformed { .. }
            | Error::UnknownCursor
            | Error::TooLarge { .. }
            | Error::UnsafeModel { .. }
            | Error::ModelRefused { .. }
            | Error::TypeMismatch { .. }
            | Error::DigestMismatch { .. }
            | Error::PreconditionFailed => Exit::Data,
            Error::Unauthenticated(_) | Error::Forbidden { .. } | Error::AccountDisabled => {
                Exit::NoPermission
            }
            Error::RateLimited { .. }
            | Error::Overloaded { .. }
            | Error::ModelResting { .. }
            | Error::WrongMode { .. }
            | Error::Maintenance { .. }
            | Error::Timeout => Exit::TemporaryFailure,
            Error::NotReady { .. } | Error::EngineUnavailable { .. } | Error::StorageFull => {
                Exit::Unavailable
            }
            Error::ModelBroken { .. } | Error::PredictionFailed { .. } | Error::Internal(_) => {
                Exit::Software
            }
        };
        let Error::Invalid(fields) = &error else {
            return Self::caused(exit, &error);
        };
        let fields: Vec<String> = fields
            .iter()
            .map(|field| {
                format!(
                    "{}: {}",
                    field.pointer.trim_start_matches('/'),
                    field.detail
                )
            })
            .collect();
        Self::new(exit, fields.join("; "))
    }
}

fn no_database(config: &Config, error: &StoreError) -> Failure {
    let next = match &config.database.url {
        DatabaseUrl::Sqlite { path } => format!("check the rights of {}", path.display()),
        DatabaseUrl::Postgres { .. } => {
            "check database.url with `plimsoll config show`, and that the server runs".to_owned()
        }
    };
    Failure::new(
        Exit::Unavailable,
        format!("the database cannot be opened: {}", chain(error)),
    )
    .next(next)
}

/// Total memory as Linux reports it, or the limit of the control group where it is lower.
fn quarter_of_memory() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
    let total = total.map_or(4 << 30, |kibibytes| kibibytes * 1024);
    // cgroup v2; "max" does not parse and means no limit.
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    total.min(group.unwrap_or(u64::MAX)) / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_has_one_server() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let refused = format!("{:?}", lock(dir.path()).unwrap_err());
        let process = format!("(process {})", std::process::id());
        assert!(
            refused.contains(&process) && refused.contains("TemporaryFailure"),
            "{refused}"
        );
        drop(first);
        assert!(lock(dir.path()).is_ok());
    }

    #[test]
    fn a_quarter_of_the_memory_is_a_sensible_amount() {
        let bytes = quarter_of_memory();
        assert!((16 << 20..1 << 44).contains(&bytes), "{bytes}");
    }
}
