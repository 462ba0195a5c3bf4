//! From what was written to what the program needs, with all mistakes at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_app::LimitSettings;
use plimsoll_app::history::{Durability, WhenFull};
use plimsoll_core::mode::TrainingPolicy;
use plimsoll_core::model::ModelName;
use plimsoll_core::secret::Secret;
use plimsoll_store::DatabaseUrl;

use super::raw::{Mistake, Origin, Raw};
use super::table::{KEYS, Key, Kind};
use super::units::{parse_duration, parse_size};
use super::{
    AuthConfig, CacheConfig, CompatConfig, Config, DatabaseConfig, HistoryConfig, JobConfig,
    LogConfig, LogFormat, PredictConfig, PythonConfig, ServerConfig, Shown,
};
use crate::secret::check_strength;

/// A value understood by its key's kind.
#[derive(Clone, Debug)]
enum Value {
    Address(SocketAddr),
    Duration(Duration),
    Number(u64),
    Word(String),
    Flag(bool),
    Secret(Secret<String>),
    Database(DatabaseUrl),
}

/// Understands everything, or says everything that is wrong.
pub(super) fn resolve(mut raw: Raw) -> Result<(Config, Vec<Shown>), Vec<Mistake>> {
    let mut values = Values(BTreeMap::new());
    for key in KEYS {
        let written = raw.get(key.path).map(|written| written.text.clone());
        let Some(text) = written.as_deref().or(key.default) else {
            continue;
        };
        match parse(key, text) {
            Some(value) => drop(values.0.insert(key.path, value)),
            None => raw.mistake(key.path, wrong(key, text)),
        }
    }
    check_together(&values, &mut raw);
    if !raw.mistakes.is_empty() {
        return Err(raw.mistakes);
    }
    let shown = KEYS.iter().map(|key| show(key, &raw)).collect();
    Ok((values.config(), shown))
}

fn wrong(key: &Key, text: &str) -> String {
    if key.takes_file() {
        return format!("expected {}", key.expects());
    }
    format!("expected {}, got {text:?}", key.expects())
}

fn parse(key: &Key, text: &str) -> Option<Value> {
    match key.kind {
        Kind::Address => text.parse().ok().map(Value::Address),
        Kind::Duration { least, most } => parse_duration(text)
            .filter(|duration| (least..=most).contains(duration))
            .map(Value::Duration),
        Kind::Size { least } => parse_size(text)
            .filter(|bytes| *bytes >= least)
            .map(Value::Number),
        Kind::Count { least, most } => text
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .map(Value::Number),
        Kind::Choice(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(text))
            .map(|word| Value::Word((*word).to_owned())),
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(Value::Flag(true)),
            "false" | "0" | "no" | "off" => Some(Value::Flag(false)),
            _ => None,
        },
        Kind::Path => (!text.is_empty()).then(|| Value::Word(text.to_owned())),
        Kind::Url => is_base_url(text).then(|| Value::Word(text.trim_end_matches('/').to_owned())),
        Kind::PathPrefix => {
            is_path_prefix(text).then(|| Value::Word(text.trim_end_matches('/').to_owned()))
        }
        Kind::ModelName => text
            .parse::<ModelName>()
            .ok()
            .map(|name| Value::Word(name.as_str().to_owned())),
        Kind::DatabaseUrl => text.parse().ok().map(Value::Database),
        Kind::Secret => (!text.is_empty()).then(|| Value::Secret(text.to_owned().into())),
    }
}

fn is_base_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.trim_end_matches('/');
        !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])
    })
}

fn is_path_prefix(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    text.starts_with('/') && text.chars().all(plain) && !text.contains("//")
}

/// Rules between keys.
fn check_together(values: &Values, raw: &mut Raw) {
    if let (Some(Value::Duration(access)), Some(Value::Duration(refresh))) = (
        values.get("auth.access_ttl"),
        values.get("auth.refresh_ttl"),
    ) && access >= refresh
    {
        raw.mistake("auth.refresh_ttl", "must be longer than auth.access_ttl");
    }
    if let Some(Value::Secret(secret)) = values.get("auth.secret")
        && let Err(weakness) = check_strength(secret.expose())
    {
        raw.mistake("auth.secret", weakness.to_string());
    }
    if let Some(Value::Database(DatabaseUrl::Postgres { .. })) = values.get("database.url")
        && values.get("auth.secret").is_none()
        && raw.get("auth.secret").is_none()
    {
        raw.mistake(
            "auth.secret",
            "is required with PostgreSQL, because every replica must sign with the same secret; \
             make one with `plimsoll secret generate` and set PLIMSOLL_AUTH__SECRET",
        );
    }
}

fn show(key: &Key, raw: &Raw) -> Shown {
    let written = raw.get(key.path);
    let text = written.map(|w| w.text.as_str()).or(key.default);
    let value = text.map(|text| match key.kind {
        Kind::Secret => "[secret]".to_owned(),
        Kind::DatabaseUrl => without_password(text),
        _ => text.to_owned(),
    });
    let origin = written.map_or(Origin::Default, |w| w.origin.clone());
    Shown {
        key: key.path,
        value,
        otherwise: key.otherwise,
        origin: origin.word(),
        from: match origin {
            Origin::Default => None,
            other => Some(other.to_string()),
        },
    }
}

/// A database address with `***` in place of its password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    // A password may hold an unescaped slash, so the last @ decides.
    let at = rest.rfind('@').unwrap_or(authority_end.min(rest.len()));
    let (user_info, host) = rest.split_at(at);
    let user = match user_info.split_once(':') {
        Some((user, _)) if host.starts_with('@') => format!("{user}:***"),
        _ => user_info.to_owned(),
    };
    let shown = format!("{scheme}://{user}{host}");
    match shown.find("password=") {
        Some(start) => {
            let end = shown[start..].find('&').map_or(shown.len(), |n| start + n);
            format!("{}password=***{}", &shown[..start], &shown[end..])
        }
        None => shown,
    }
}

struct Values(BTreeMap<&'static str, Value>);

impl Values {
    fn get(&self, path: &str) -> Option<&Value> {
        debug_assert!(super::table::find(path).is_some(), "unknown key {path}");
        self.0.get(path)
    }

    fn duration(&self, path: &str) -> Duration {
        match self.get(path) {
            Some(Value::Duration(duration)) => *duration,
            _ => unreachable!("invariant: {path} is a duration with a default"),
        }
    }

    fn number(&self, path: &str) -> Option<u64> {
        match self.get(path) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    fn count(&self, path: &str) -> usize {
        let number = self.number(path);
        let number = number.expect("invariant: this key is a count with a default");
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    fn word(&self, path: &str) -> Option<&str> {
        match self.get(path) {
            Some(Value::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn flag(&self, path: &str) -> bool {
        matches!(self.get(path), Some(Value::Flag(true)))
    }

    fn secret(&self, path: &str) -> Option<Secret<String>> {
        match self.get(path) {
            Some(Value::Secret(secret)) => Some(secret.clone()),
            _ => None,
        }
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        self.word(path).map(PathBuf::from)
    }

    fn config(&self) -> Config {
        let data_dir = self.path("data_dir");
        let data_dir = data_dir.expect("invariant: data_dir has a default");
        Config {
            server: self.server(),
            database: self.database(&data_dir),
            data_dir,
            auth: self.auth(),
            limits: self.limits(),
            compat: CompatConfig {
                x_ratelimit: self.flag("compat.x_ratelimit"),
                aliases: self.flag("compat.aliases"),
                default_model: self.word("compat.default_model").map(str::to_owned),
            },
            training: match self.word("modes.training") {
                Some("strict") => TrainingPolicy::Strict,
                _ => TrainingPolicy::Auto,
            },
            predict: self.predict(),
            upload_max_bytes: self.number("upload.max_bytes").unwrap_or(u64::MAX),
            jobs: JobConfig {
                workers: self.count("jobs.workers"),
                retention: self.duration("jobs.retention"),
                batch_max_bytes: self.number("batch.max_bytes").unwrap_or(u64::MAX),
            },
            min_free_bytes: self.number("storage.min_free").unwrap_or(0),
            cache: CacheConfig {
                max_bytes: self.number("cache.max_bytes"),
                max_models: self.count("cache.max_models"),
                idle_unload: self.duration("cache.idle_unload"),
            },
            onnxruntime: self.path("engine.onnxruntime"),
            python: self.python(),
            log: self.log(),
            history: self.history(),
        }
    }

    fn python(&self) -> Option<PythonConfig> {
        Some(PythonConfig {
            path: self.path("engine.python")?,
            memory: self.number("engine.python_memory").unwrap_or(u64::MAX),
            timeout: self.duration("engine.python_timeout"),
        })
    }

    fn server(&self) -> ServerConfig {
        let Some(Value::Address(listen)) = self.get("server.listen") else {
            unreachable!("invariant: server.listen is an address with a default")
        };
        ServerConfig {
            listen: *listen,
            base_url: self.word("server.base_url").map(str::to_owned),
            threads: self
                .number("server.threads")
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            base_path: self.word("server.base_path").unwrap_or("").to_owned(),
            max_connections: self.count("server.max_connections"),
            max_connections_per_address: self.count("server.max_connections_per_address"),
            header_timeout: self.duration("server.header_timeout"),
            body_idle_timeout: self.duration("server.body_idle_timeout"),
            keep_alive: self.duration("server.keep_alive"),
            shutdown_grace: self.duration("server.shutdown_grace"),
            drain_delay: self.duration("server.drain_delay"),
        }
    }

    fn database(&self, data_dir: &std::path::Path) -> DatabaseConfig {
        let url = match self.get("database.url") {
            Some(Value::Database(url)) => url.clone(),
            _ => DatabaseUrl::Sqlite {
                path: data_dir.join("plimsoll.db"),
            },
        };
        DatabaseConfig {
            url,
            pool_size: u32::try_from(self.count("database.pool_size")).unwrap_or(u32::MAX),
            acquire_timeout: self.duration("database.acquire_timeout"),
            statement_timeout: self.duration("database.statement_timeout"),
            slow_query: self.duration("database.slow_query"),
        }
    }

    fn auth(&self) -> AuthConfig {
        AuthConfig {
            secret: self.secret("auth.secret"),
            access_ttl: self.duration("auth.access_ttl"),
            refresh_ttl: self.duration("auth.refresh_ttl"),
            registration_open: self.word("auth.registration") == Some("open"),
            min_password_length: self.count("auth.min_password_length"),
        }
    }

    fn limits(&self) -> LimitSettings {
        LimitSettings {
            enabled: self.flag("limits.enabled"),
            requests: self.number("limits.requests").unwrap_or(u64::MAX),
            window: self.duration("limits.window"),
            uploads_per_hour: self.number("limits.uploads_per_hour").unwrap_or(0),
            batches_per_hour: self.number("limits.batches_per_hour").unwrap_or(0),
        }
    }

    fn predict(&self) -> PredictConfig {
        PredictConfig {
            max_rows: self.count("predict.max_rows"),
            max_body: self.count("predict.max_body"),
            timeout: self.duration("predict.timeout"),
            threads: self
                .number("predict.threads")
                .map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            batch_rows: self.count("predict.batch_rows"),
            batch_delay: self.duration("predict.batch_delay"),
            result_cache: self.number("predict.result_cache").unwrap_or(0),
            result_ttl: self.duration("predict.result_ttl"),
        }
    }

    fn history(&self) -> HistoryConfig {
        HistoryConfig {
            durability: match self.word("log.durability") {
                Some("disk") => Durability::Disk,
                Some("off") => Durability::Off,
                _ => Durability::Process,
            },
            sync_interval: self.duration("log.sync_interval"),
            max_spool: self.number("log.max_spool").unwrap_or(u64::MAX),
            when_full: match self.word("log.when_full") {
                Some("reject") => WhenFull::Reject,
                _ => WhenFull::ShedLog,
            },
            retention: self.duration("log.retention"),
            max_bytes: self.number("log.max_bytes").unwrap_or(u64::MAX),
        }
    }

    fn log(&self) -> LogConfig {
        LogConfig {
            level: self.word("log.level").unwrap_or("info").to_owned(),
            format: match self.word("log.format") {
                Some("text") => LogFormat::Text,
                _ => LogFormat::Json,
            },
            slow_request: self.duration("log.slow_request"),
        }
    }
}
