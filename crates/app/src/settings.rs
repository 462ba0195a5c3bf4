//! What the rest of the program was configured to do, already resolved.

use std::time::Duration;

use plimsoll_core::mode::TrainingPolicy;
use plimsoll_core::secret::Secret;

/// Everything an [`App`](crate::App) needs to know that is not a part of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Accounts and tokens.
    pub auth: AuthSettings,
    /// Predictions.
    pub predict: PredictSettings,
    /// Largest model file accepted, in bytes.
    pub upload_max_bytes: u64,
    /// Free space below which nothing is uploaded, in bytes.
    pub min_free_bytes: u64,
    /// Models in memory.
    pub cache: CacheSettings,
    /// How often callers may ask.
    pub limits: LimitSettings,
    /// Long work.
    pub jobs: JobSettings,
    /// When models may be trained and saved.
    pub training_policy: TrainingPolicy,
    /// Open the API without credentials, for trying things out on loopback.
    pub dev: bool,
}

/// Accounts and tokens.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// The installation's signing secret; keys for each use are derived from it.
    pub secret: Secret<Vec<u8>>,
    /// Life of an access token.
    pub access_ttl: Duration,
    /// Life of a refresh token that is not used.
    pub refresh_ttl: Duration,
    /// Life of everything that grew from one sign-in.
    pub refresh_absolute_ttl: Duration,
    /// Whether strangers may register.
    pub registration_open: bool,
    /// Shortest password accepted, in characters (8 to 15).
    pub min_password_length: usize,
}

/// How often callers may ask.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// Whether anything is limited at all.
    pub enabled: bool,
    /// Requests per window of a person, and of an address without a credential.
    pub requests: u64,
    /// That window.
    pub window: Duration,
    /// Uploads of a person per hour; 0 for as many as they like.
    pub uploads_per_hour: u64,
    /// Batches of a person per hour; 0 for as many as they like.
    pub batches_per_hour: u64,
}

/// Predictions.
#[derive(Clone, Debug)]
pub struct PredictSettings {
    /// Most rows in one synchronous request.
    pub max_rows: usize,
    /// Longest time one request may take.
    pub timeout: Duration,
    /// Predicted work up to this runs on the connection's own thread.
    pub inline_limit: Duration,
    /// Threads of the engine pool.
    pub pool_threads: usize,
    /// Requests that may wait for the engine pool.
    pub queue: usize,
    /// Longest time a request may wait for the engine pool.
    pub queue_max_age: Duration,
    /// Most rows of waiting requests to one network that are run together; 0 for none.
    pub batch_rows: usize,
    /// Most time that is expected of such a joint run.
    pub batch_delay: Duration,
    /// Memory that answers given before may take, in bytes; 0 to remember none.
    pub result_cache_bytes: u64,
    /// How long an answer is given again.
    pub result_ttl: Duration,
}

/// Models in memory.
#[derive(Clone, Copy, Debug)]
pub struct CacheSettings {
    /// Memory that loaded models may take together, in bytes.
    pub max_bytes: u64,
    /// Most models at once; 0 for as many as there is memory for.
    pub max_models: usize,
    /// How long a model in production stays after it was last asked for.
    pub idle_unload: Duration,
}

/// Long work.
#[derive(Clone, Copy, Debug)]
pub struct JobSettings {
    /// Jobs that are worked on at once.
    pub workers: usize,
    /// How long a job and its files stay after it has ended.
    pub retention: Duration,
    /// Largest file of a batch, in bytes.
    pub batch_max_bytes: u64,
}

const GIB: u64 = 1 << 30;

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: AuthSettings {
                secret: Secret::new(Vec::new()),
                access_ttl: Duration::from_mins(30),
                refresh_ttl: Duration::from_hours(168),
                refresh_absolute_ttl: Duration::from_hours(720),
                registration_open: true,
                min_password_length: plimsoll_core::user::MIN_PASSWORD,
            },
            predict: PredictSettings {
                max_rows: 1000,
                timeout: Duration::from_secs(30),
                inline_limit: Duration::from_micros(100),
                pool_threads: std::thread::available_parallelism().map_or(1, usize::from),
                queue: 256,
                queue_max_age: Duration::from_millis(250),
                batch_rows: 0,
                batch_delay: Duration::from_millis(10),
                result_cache_bytes: 0,
                result_ttl: Duration::from_mins(5),
            },
            upload_max_bytes: 2 * GIB,
            min_free_bytes: GIB / 4,
            cache: CacheSettings {
                max_bytes: 4 * GIB,
                max_models: 0,
                idle_unload: Duration::from_mins(15),
            },
            limits: LimitSettings {
                enabled: true,
                requests: 100,
                window: Duration::from_mins(1),
                uploads_per_hour: 0,
                batches_per_hour: 0,
            },
            jobs: JobSettings {
                workers: 1,
                retention: Duration::from_hours(7 * 24),
                batch_max_bytes: 512 << 20,
            },
            training_policy: TrainingPolicy::default(),
            dev: false,
        }
    }
}
