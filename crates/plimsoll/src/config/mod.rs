//! Configuration: defaults, a TOML file, the environment and flags become one [`Config`].
//!
//! [`raw`] collects what was written, [`resolve`] understands it and reports
//! every mistake at once; the rest of the program sees [`Config`] only. This is
//! also the one place that reads the process environment.

mod raw;
mod reference;
mod resolve;
mod table;
mod units;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_app::LimitSettings;
use plimsoll_app::history::{Durability, WhenFull};
use plimsoll_core::mode::TrainingPolicy;
use plimsoll_core::secret::Secret;
use plimsoll_store::DatabaseUrl;
use serde::Serialize;

pub(crate) use raw::{Assignment, Mistake, Sources};
pub(crate) use reference::{Form, reference};
pub(crate) use units::parse_duration;

/// Everything the program was configured to do.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where and how to listen.
    pub(crate) server: ServerConfig,
    /// Folder of everything this installation owns.
    pub(crate) data_dir: PathBuf,
    /// Which database, and how to use it.
    pub(crate) database: DatabaseConfig,
    /// Accounts and tokens.
    pub(crate) auth: AuthConfig,
    /// How often callers may ask.
    pub(crate) limits: LimitSettings,
    /// What is still served as it was elsewhere.
    pub(crate) compat: CompatConfig,
    /// When models may be trained and saved.
    pub(crate) training: TrainingPolicy,
    /// Predictions.
    pub(crate) predict: PredictConfig,
    /// Largest model file accepted, in bytes.
    pub(crate) upload_max_bytes: u64,
    /// Long work.
    pub(crate) jobs: JobConfig,
    /// Free space below which nothing is uploaded, in bytes.
    pub(crate) min_free_bytes: u64,
    /// Models in memory.
    pub(crate) cache: CacheConfig,
    /// The ONNX Runtime library; `None` to search for it.
    pub(crate) onnxruntime: Option<PathBuf>,
    /// The Python that runs what no reader here serves, if an operator allows one.
    pub(crate) python: Option<PythonConfig>,
    /// Logging.
    pub(crate) log: LogConfig,
    /// The record of predictions.
    pub(crate) history: HistoryConfig,
}

/// Models in Python workers.
#[derive(Clone, Debug)]
pub(crate) struct PythonConfig {
    /// The interpreter.
    pub(crate) path: PathBuf,
    /// Most address space of a worker, in bytes.
    pub(crate) memory: u64,
    /// Longest time a worker may take to load its model, and to answer.
    pub(crate) timeout: Duration,
}

/// What is still served as it was elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct CompatConfig {
    /// Whether the older header fields about limits are sent too.
    pub(crate) x_ratelimit: bool,
    /// Whether older paths are served.
    pub(crate) aliases: bool,
    /// The model that older paths without a model's name mean.
    pub(crate) default_model: Option<String>,
}

/// Where and how to listen.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// Address and port.
    pub(crate) listen: SocketAddr,
    /// The address people use, without a trailing slash.
    pub(crate) base_url: Option<String>,
    /// Threads that handle connections; `None` for one per core.
    pub(crate) threads: Option<usize>,
    /// What a proxy puts before our paths, without a slash at its end.
    pub(crate) base_path: String,
    /// Open connections at one time.
    pub(crate) max_connections: usize,
    /// Open connections of one address.
    pub(crate) max_connections_per_address: usize,
    /// Time to send a request's headers.
    pub(crate) header_timeout: Duration,
    /// Silence allowed within a request body.
    pub(crate) body_idle_timeout: Duration,
    /// Idle time of a connection.
    pub(crate) keep_alive: Duration,
    /// Time for running requests after a stop signal.
    pub(crate) shutdown_grace: Duration,
    /// Time between a stop signal and closing the listener.
    pub(crate) drain_delay: Duration,
}

/// Which database, and how to use it.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseConfig {
    /// Which one.
    pub(crate) url: DatabaseUrl,
    /// Connections kept.
    pub(crate) pool_size: u32,
    /// Wait for a free connection.
    pub(crate) acquire_timeout: Duration,
    /// Longest statement on PostgreSQL.
    pub(crate) statement_timeout: Duration,
    /// Statements slower than this are logged.
    pub(crate) slow_query: Duration,
}

/// Accounts and tokens.
#[derive(Clone, Debug)]
pub(crate) struct AuthConfig {
    /// The signing secret, if it is configured.
    pub(crate) secret: Option<Secret<String>>,
    /// Life of an access token.
    pub(crate) access_ttl: Duration,
    /// Life of an unused refresh token.
    pub(crate) refresh_ttl: Duration,
    /// Whether strangers may register.
    pub(crate) registration_open: bool,
    /// Shortest password, in characters.
    pub(crate) min_password_length: usize,
}

/// Predictions.
#[derive(Clone, Debug)]
pub(crate) struct PredictConfig {
    /// Most rows in one request.
    pub(crate) max_rows: usize,
    /// Largest request body, in bytes.
    pub(crate) max_body: usize,
    /// Longest time of one request.
    pub(crate) timeout: Duration,
    /// Threads that compute; `None` for one per core.
    pub(crate) threads: Option<usize>,
    /// Most rows of requests that are run together; 0 for none.
    pub(crate) batch_rows: usize,
    /// Most time expected of a joint run.
    pub(crate) batch_delay: Duration,
    /// Memory for answers given before, in bytes; 0 for none.
    pub(crate) result_cache: u64,
    /// How long an answer is given again.
    pub(crate) result_ttl: Duration,
}

/// Long work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobConfig {
    /// Jobs that are worked on at once.
    pub(crate) workers: usize,
    /// How long a job that has ended is kept.
    pub(crate) retention: Duration,
    /// Largest file of a batch, in bytes.
    pub(crate) batch_max_bytes: u64,
}

/// Models in memory.
#[derive(Clone, Debug)]
pub(crate) struct CacheConfig {
    /// Memory for all of them, in bytes; `None` to derive it from the machine.
    pub(crate) max_bytes: Option<u64>,
    /// Most of them; 0 for as many as fit.
    pub(crate) max_models: usize,
    /// How long one in production stays without being asked for.
    pub(crate) idle_unload: Duration,
}

/// Logging.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    /// Least important level that is logged.
    pub(crate) level: String,
    /// How lines look.
    pub(crate) format: LogFormat,
    /// Requests slower than this are warnings.
    pub(crate) slow_request: Duration,
}

/// The record of predictions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryConfig {
    /// When a prediction may be answered.
    pub(crate) durability: Durability,
    /// How often the journal is synced.
    pub(crate) sync_interval: Duration,
    /// Most bytes of journal that may wait.
    pub(crate) max_spool: u64,
    /// What happens beyond that.
    pub(crate) when_full: WhenFull,
    /// How long a prediction stays.
    pub(crate) retention: Duration,
    /// How much the log may hold, in bytes.
    pub(crate) max_bytes: u64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// One key as `config show` prints it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    /// The key's path.
    pub(crate) key: &'static str,
    /// Its value; secrets are replaced by a placeholder.
    pub(crate) value: Option<String>,
    /// What happens while there is no value.
    #[serde(skip)]
    pub(crate) otherwise: &'static str,
    /// `default`, `file`, `env` or `flag`.
    pub(crate) origin: &'static str,
    /// The file, variable or flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
}

/// Every mistake in the configuration; the process ends with exit code 78.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} mistake{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
pub(crate) struct Mistakes(pub(crate) Vec<Mistake>);

/// Reads, understands and checks everything.
pub(crate) fn load(sources: &Sources) -> Result<(Config, Vec<Shown>), Mistakes> {
    resolve::resolve(raw::Raw::collect(sources)).map_err(Mistakes)
}

/// The process environment, apart from variables that are not text.
pub(crate) fn environment() -> std::collections::BTreeMap<String, String> {
    // Not `vars`, which panics on a variable that is not UTF-8.
    std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
        .collect()
}

impl ServerConfig {
    /// The address people type: the configured one, else the one listened on.
    pub(crate) fn url(&self, bound: SocketAddr) -> String {
        if let Some(url) = &self.base_url {
            return url.clone();
        }
        let host = match bound.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            std::net::IpAddr::V4(ip) => ip.to_string(),
        };
        format!("http://{host}:{}", bound.port())
    }
}
