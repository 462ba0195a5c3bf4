//! Every configuration key, once: its path, kind, default and meaning.
//!
//! The loader, `config show`, `docs/CONFIG.md` and `.env.example` all read this
//! table, so a key cannot exist in one place and be missing in another.

use std::time::Duration;

/// What kind of text a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An IP address and port.
    Address,
    /// A number with a time unit, between two bounds.
    Duration { least: Duration, most: Duration },
    /// A number with a size unit, at least this many bytes.
    Size { least: u64 },
    /// A whole number between two bounds.
    Count { least: u64, most: u64 },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A path on this machine.
    Path,
    /// An `http://` or `https://` address without a path behind it.
    Url,
    /// `/`, or a path without a slash at its end.
    PathPrefix,
    /// The name of a model.
    ModelName,
    /// `postgres://…`, or `sqlite:PATH`.
    DatabaseUrl,
    /// A value that is never shown and never taken from a flag.
    Secret,
}

/// One configuration key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its path in the file, `server.listen` for instance.
    pub(crate) path: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// The value used when nothing is set, as it would be written.
    pub(crate) default: Option<&'static str>,
    /// What happens without a default.
    pub(crate) otherwise: &'static str,
    /// One or two sentences for people.
    pub(crate) help: &'static str,
}

const fn seconds(least: u64, most: u64) -> Kind {
    Kind::Duration {
        least: Duration::from_secs(least),
        most: Duration::from_secs(most),
    }
}

const fn millis(least: u64, most: u64) -> Kind {
    Kind::Duration {
        least: Duration::from_millis(least),
        most: Duration::from_millis(most),
    }
}

const fn key(path: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key {
        path,
        kind,
        default: Some(default),
        otherwise: "",
        help,
    }
}

const fn unset(path: &'static str, kind: Kind, otherwise: &'static str, help: &'static str) -> Key {
    Key {
        path,
        kind,
        default: None,
        otherwise,
        help,
    }
}

const DAY: u64 = 86_400;
const MIB: u64 = 1 << 20;

/// All keys, in the order they are documented.
pub(crate) const KEYS: &[Key] = &[
    key(
        "server.listen",
        Kind::Address,
        "127.0.0.1:8080",
        "Address and port to listen on. `HOST` and `PORT` are understood too.",
    ),
    unset(
        "server.base_url",
        Kind::Url,
        "derived from `server.listen`",
        "Address under which people reach this server, for printed links; set it behind a proxy.",
    ),
    key(
        "server.base_path",
        Kind::PathPrefix,
        "/",
        "What a proxy puts before this server's paths; links in pages and the OpenAPI document start with it.",
    ),
    unset(
        "server.threads",
        Kind::Count {
            least: 1,
            most: 1024,
        },
        "one per core",
        "Threads that handle connections.",
    ),
    key(
        "server.max_connections",
        Kind::Count {
            least: 1,
            most: 1_000_000,
        },
        "10000",
        "Open connections at one time; more are refused.",
    ),
    key(
        "server.max_connections_per_address",
        Kind::Count {
            least: 1,
            most: 1_000_000,
        },
        "512",
        "Open connections of one address; loopback has no such limit.",
    ),
    key(
        "server.header_timeout",
        millis(100, 600_000),
        "10s",
        "How long a client may take to send a request's headers.",
    ),
    key(
        "server.body_idle_timeout",
        millis(100, 3_600_000),
        "15s",
        "How long a request body may stay silent before it is given up.",
    ),
    key(
        "server.keep_alive",
        millis(100, 3_600_000),
        "75s",
        "How long an idle connection is kept open.",
    ),
    key(
        "server.shutdown_grace",
        millis(0, 3_600_000),
        "25s",
        "How long running requests may take to finish after a stop signal.",
    ),
    key(
        "server.drain_delay",
        millis(0, 600_000),
        "0s",
        "How long to answer normally, but not ready, between a stop signal and closing the listener.",
    ),
    key(
        "data_dir",
        Kind::Path,
        "./plimsoll-data",
        "Folder of the embedded database, model files and the signing secret.",
    ),
    unset(
        "database.url",
        Kind::DatabaseUrl,
        "SQLite in the data directory",
        "`postgres://…` to use PostgreSQL instead of the embedded database. `DATABASE_URL` is understood too.",
    ),
    key(
        "database.pool_size",
        Kind::Count {
            least: 1,
            most: 1000,
        },
        "10",
        "Connections kept to the database.",
    ),
    key(
        "database.acquire_timeout",
        millis(10, 600_000),
        "5s",
        "How long to wait for a free connection.",
    ),
    key(
        "database.statement_timeout",
        millis(10, 3_600_000),
        "30s",
        "PostgreSQL gives up a statement after this time.",
    ),
    key(
        "database.slow_query",
        millis(1, 3_600_000),
        "250ms",
        "Statements slower than this are logged.",
    ),
    unset(
        "auth.secret",
        Kind::Secret,
        "the file `secret` in the data directory, made at the first start",
        "Signs sign-in tokens: 32 characters or more, from `plimsoll secret generate`. Required with PostgreSQL.",
    ),
    key(
        "auth.access_ttl",
        seconds(60, DAY),
        "30m",
        "Lifetime of an access token.",
    ),
    key(
        "auth.refresh_ttl",
        seconds(300, 90 * DAY),
        "7d",
        "How long a sign-in lasts without being used.",
    ),
    key(
        "auth.registration",
        Kind::Choice(&["open", "closed"]),
        "open",
        "Whether anybody who reaches the server may make an account.",
    ),
    key(
        "auth.min_password_length",
        Kind::Count { least: 8, most: 15 },
        "8",
        "Shortest password accepted for an account.",
    ),
    key(
        "limits.enabled",
        Kind::Flag,
        "true",
        "Whether anybody is limited: keys, people, addresses, sign-in. Health, metrics and pages never are.",
    ),
    key(
        "limits.requests",
        Kind::Count {
            least: 1,
            most: 1_000_000_000,
        },
        "100",
        "Requests per `limits.window` of each person who signed in, and of each address without a credential; \
         keys have limits of their own.",
    ),
    key(
        "limits.window",
        seconds(1, DAY),
        "60s",
        "The window of `limits.requests`: so many at once, and as many again spread over each window.",
    ),
    key(
        "limits.uploads_per_hour",
        Kind::Count {
            least: 0,
            most: 1_000_000,
        },
        "0",
        "Model files each person may upload in an hour; 0 for as many as they like.",
    ),
    key(
        "limits.batches_per_hour",
        Kind::Count {
            least: 0,
            most: 1_000_000,
        },
        "0",
        "Batches each person may start in an hour; 0 for as many as they like.",
    ),
    key(
        "compat.x_ratelimit",
        Kind::Flag,
        "true",
        "Whether callers with limits get the header fields `X-RateLimit-*` besides `RateLimit` and \
         `RateLimit-Policy`.",
    ),
    key(
        "compat.aliases",
        Kind::Flag,
        "true",
        "Whether the older paths of docs/API.md are served besides the canonical ones.",
    ),
    unset(
        "compat.default_model",
        Kind::ModelName,
        "the caller's newest model",
        "The model that older paths without a model's name mean.",
    ),
    key(
        "modes.training",
        Kind::Choice(&["auto", "strict"]),
        "auto",
        "When models may be uploaded and trained: in every mode but maintenance, or (strict) only \
         in the mode training.",
    ),
    key(
        "predict.max_rows",
        Kind::Count {
            least: 1,
            most: 1_000_000,
        },
        "1000",
        "Most rows in one prediction request.",
    ),
    key(
        "predict.max_body",
        Kind::Size { least: 1024 },
        "16MiB",
        "Largest body of one prediction request.",
    ),
    key(
        "predict.timeout",
        millis(1, 3_600_000),
        "30s",
        "How long a prediction may take, its time in the queue included.",
    ),
    key(
        "predict.batch_rows",
        Kind::Count {
            least: 0,
            most: 1024,
        },
        "0",
        "Rows of requests that wait for the same model of ONNX Runtime and are run together; 0 runs each request alone.",
    ),
    key(
        "predict.batch_delay",
        millis(0, 1000),
        "10ms",
        "Most time that a joint run may be expected to take; nobody waits for requests that are not there yet.",
    ),
    key(
        "predict.result_cache",
        Kind::Size { least: 0 },
        "0B",
        "Memory for answers that are given again to whoever asks the same of the same version; 0 remembers none.",
    ),
    key(
        "predict.result_ttl",
        seconds(1, 86_400),
        "5m",
        "How long an answer is given again.",
    ),
    unset(
        "predict.threads",
        Kind::Count {
            least: 1,
            most: 1024,
        },
        "one per core",
        "Threads that compute predictions.",
    ),
    key(
        "upload.max_bytes",
        Kind::Size { least: 1024 },
        "2GiB",
        "Largest model file accepted.",
    ),
    key(
        "batch.max_bytes",
        Kind::Size { least: 1024 },
        "512MiB",
        "Largest file of rows accepted for a batch.",
    ),
    key(
        "jobs.workers",
        Kind::Count { least: 0, most: 64 },
        "1",
        "Jobs that are worked on at once, behind predictions; 0 leaves them to other processes.",
    ),
    key(
        "jobs.retention",
        seconds(60, 3650 * DAY),
        "7d",
        "How long a job that has ended is kept, with the files it read and wrote.",
    ),
    key(
        "storage.min_free",
        Kind::Size { least: 0 },
        "256MiB",
        "Free disk space below which uploads are refused and health is degraded.",
    ),
    unset(
        "cache.max_bytes",
        Kind::Size { least: MIB },
        "a quarter of the memory",
        "Memory for loaded models; the least recently used give way.",
    ),
    key(
        "cache.max_models",
        Kind::Count {
            least: 0,
            most: 1_000_000,
        },
        "0",
        "Most models in memory at once; 0 for as many as fit.",
    ),
    key(
        "cache.idle_unload",
        seconds(0, 30 * DAY),
        "15m",
        "How long a model in production stays in memory after it was last asked for; until then it gives way to no other.",
    ),
    unset(
        "engine.onnxruntime",
        Kind::Path,
        "searched in the usual places",
        "The ONNX Runtime library (`libonnxruntime.so`) for ONNX models.",
    ),
    unset(
        "engine.python",
        Kind::Path,
        "no Python is run",
        "A Python interpreter, `/path/to/venv/bin/python` for instance, for models that only their own library can \
         run. **This runs the code in uploaded files**, in confined processes; see FORMATS.md.",
    ),
    key(
        "engine.python_memory",
        Kind::Size { least: 256 * MIB },
        "4GiB",
        "Most address space of one Python worker; there is one for each such model in memory.",
    ),
    key(
        "engine.python_timeout",
        seconds(1, 3600),
        "60s",
        "Longest time a Python worker may take to load its model, and to answer; then it is ended.",
    ),
    key(
        "log.durability",
        Kind::Choice(&["process", "disk", "off"]),
        "process",
        "When a prediction may be answered: once it is in the journal, which a killed process does \
         not lose (`process`); once the journal is on disk, which a power failure does not lose \
         (`disk`); or without a journal (`off`).",
    ),
    key(
        "log.sync_interval",
        millis(1, 60_000),
        "50ms",
        "How often the journal is synced to disk: what a power failure may take.",
    ),
    key(
        "log.max_spool",
        Kind::Size { least: 1 << 20 },
        "1GiB",
        "Most journal that may wait to be moved into the log, while the database is away for instance.",
    ),
    key(
        "log.when_full",
        Kind::Choice(&["shed_log", "reject"]),
        "shed_log",
        "Beyond `log.max_spool`, predictions are answered and not recorded (`shed_log`) or refused (`reject`).",
    ),
    key(
        "log.retention",
        seconds(3_600, 3_650 * 86_400),
        "30d",
        "How long a prediction stays in the log.",
    ),
    key(
        "log.max_bytes",
        Kind::Size { least: 1 << 20 },
        "10GiB",
        "How much the log may hold; the newest 10,000 predictions of each model stay all the same.",
    ),
    key(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "Least important level that is logged.",
    ),
    key(
        "log.format",
        Kind::Choice(&["json", "text"]),
        "json",
        "One JSON object a line, or text for people. Logs go to standard error.",
    ),
    key(
        "log.slow_request",
        millis(1, 3_600_000),
        "1s",
        "Requests slower than this are logged as warnings.",
    ),
];

impl Key {
    /// The environment variable of this key.
    pub(crate) fn variable(&self) -> String {
        format!(
            "{}{}",
            ENV_PREFIX,
            self.path.to_ascii_uppercase().replace('.', "__")
        )
    }

    /// Whether the value can be read from a file named by `<key>_file`.
    pub(crate) fn takes_file(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::DatabaseUrl)
    }

    /// What the key takes, in words.
    pub(crate) fn expects(&self) -> String {
        use super::units::{show_duration, show_size};
        match self.kind {
            Kind::Address => "an IP address and port, such as 127.0.0.1:8080".into(),
            Kind::Duration { least, most } => format!(
                "a duration such as 30s or 50ms, from {} to {}",
                show_duration(least),
                show_duration(most)
            ),
            Kind::Size { least } => {
                format!(
                    "a size such as 512MiB or 2GiB, at least {}",
                    show_size(least)
                )
            }
            Kind::Count { least, most } => format!("a whole number from {least} to {most}"),
            Kind::Choice(words) => words.join(" or "),
            Kind::Flag => "true or false".into(),
            Kind::Path => "a path".into(),
            Kind::Url => "an address such as https://models.example.org".into(),
            Kind::PathPrefix => "a path such as / or /models".into(),
            Kind::ModelName => "the name of a model".into(),
            Kind::DatabaseUrl => "postgres://user@host/name or sqlite:PATH".into(),
            Kind::Secret => "a secret".into(),
        }
    }
}

/// What every variable of this product starts with.
pub(crate) const ENV_PREFIX: &str = "PLIMSOLL_";

/// The key with this path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}
