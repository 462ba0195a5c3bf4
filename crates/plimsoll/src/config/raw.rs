//! What was written where: file, environment and flags, before anything is understood.
//!
//! A later place wins over an earlier one: default, file, environment, flag.
//! Unknown keys are mistakes here, because a misspelt key that is silently
//! ignored costs somebody an evening.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::table::{ENV_PREFIX, KEYS, Key, find};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// The command line.
    Flag(String),
}

impl Origin {
    /// One word for programs.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(_) => "file",
            Self::Environment(_) => "env",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The key, or what was written instead of one.
    pub(crate) key: String,
    /// Where it was written.
    pub(crate) origin: Origin,
    /// What is wrong and what would be right.
    pub(crate) detail: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (from {})", self.key, self.detail, self.origin)
    }
}

/// What the command line and the process bring: everything the loader looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The configuration file named on the command line.
    pub(crate) file: Option<PathBuf>,
    /// Environment variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// Keys set by flags, with the flag's name.
    pub(crate) flags: Vec<Assignment>,
}

/// A key set by a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The flag as it was typed, `--listen` for instance.
    pub(crate) flag: String,
    /// The key's path.
    pub(crate) key: String,
    /// Its text.
    pub(crate) text: String,
}

/// A value as it was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The text.
    pub(crate) text: String,
    /// Where it was written.
    pub(crate) origin: Origin,
}

/// Everything that was written, and every mistake in how it was written.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    values: BTreeMap<&'static str, Written>,
    /// Mistakes found so far.
    pub(crate) mistakes: Vec<Mistake>,
}

/// Variables with the product's prefix that are not configuration keys.
pub(crate) const OTHER_VARIABLES: &[&str] = &[
    "PLIMSOLL_CONFIG",
    "PLIMSOLL_PASSWORD",
    "PLIMSOLL_URL",
    "PLIMSOLL_API_KEY",
    "PLIMSOLL_SKIP_POSTGRES",
    "PLIMSOLL_TEST_POSTGRES",
];

impl Raw {
    /// Reads all sources, the file included.
    pub(crate) fn collect(sources: &Sources) -> Self {
        let mut raw = Self::default();
        let named = sources
            .environment
            .get("PLIMSOLL_CONFIG")
            .map(PathBuf::from);
        if let Some(path) = sources.file.clone().or(named) {
            raw.read_file(&path);
        }
        raw.read_common_variables(&sources.environment);
        raw.read_environment(&sources.environment);
        for flag in &sources.flags {
            raw.read_flag(flag);
        }
        raw
    }

    /// What was written for a key, if anything was.
    pub(crate) fn get(&self, path: &str) -> Option<&Written> {
        self.values.get(path)
    }

    /// Notes a mistake about a key, with the place it was written.
    pub(crate) fn mistake(&mut self, path: &str, detail: impl Into<String>) {
        let origin = self.get(path).map_or(Origin::Default, |w| w.origin.clone());
        self.refuse(path, origin, detail);
    }

    fn refuse(&mut self, key: impl Into<String>, origin: Origin, detail: impl Into<String>) {
        self.mistakes.push(Mistake {
            key: key.into(),
            origin,
            detail: detail.into(),
        });
    }

    fn set(&mut self, key: &'static Key, text: String, origin: Origin) {
        self.values.insert(key.path, Written { text, origin });
    }

    fn read_file(&mut self, path: &Path) {
        let origin = Origin::File(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => return self.refuse("--config", origin, format!("cannot be read: {e}")),
        };
        match text.parse::<toml::Table>() {
            Ok(table) => self.read_table("", &table, &origin),
            Err(e) => {
                let line = e
                    .span()
                    .map_or(1, |s| 1 + text[..s.start].matches('\n').count());
                let detail = format!("line {line} is not TOML: {}", e.message());
                self.refuse("--config", origin, detail);
            }
        }
    }

    fn read_table(&mut self, prefix: &str, table: &toml::Table, origin: &Origin) {
        for (name, value) in table {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                toml::Value::Table(inner) => self.read_table(&path, inner, origin),
                toml::Value::String(text) => self.assign(&path, text.clone(), origin.clone()),
                toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Float(_) => {
                    self.assign(&path, value.to_string(), origin.clone());
                }
                toml::Value::Array(_) | toml::Value::Datetime(_) => {
                    let detail = format!("a {} is not expected here", value.type_str());
                    self.refuse(path, origin.clone(), detail);
                }
            }
        }
    }

    /// `DATABASE_URL`, `HOST` and `PORT`, which many platforms set.
    fn read_common_variables(&mut self, environment: &BTreeMap<String, String>) {
        let listen = find("server.listen").expect("invariant: the table has server.listen");
        let database = find("database.url").expect("invariant: the table has database.url");
        let present = |name: &str| environment.get(name).filter(|text| !text.is_empty());
        if let Some(url) = present("DATABASE_URL") {
            self.set(
                database,
                url.clone(),
                Origin::Environment("DATABASE_URL".into()),
            );
        }
        let (host, port) = (present("HOST"), present("PORT"));
        let (default_host, default_port) = ("127.0.0.1", "8080");
        // Some shells export HOST as the machine's name, so HOST counts only as an address.
        let host = host.filter(|host| host.parse::<std::net::IpAddr>().is_ok());
        let origin = match (host, port) {
            (None, None) => return,
            (Some(_), None) => "HOST",
            (None, Some(_)) => "PORT",
            (Some(_), Some(_)) => "HOST and PORT",
        };
        let host = host.map_or(default_host, String::as_str);
        let port = port.map_or(default_port, String::as_str);
        let text = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        self.set(listen, text, Origin::Environment(origin.into()));
    }

    fn read_environment(&mut self, environment: &BTreeMap<String, String>) {
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
                continue;
            };
            if OTHER_VARIABLES.contains(&name.as_str()) || is_service_link(rest, text) {
                continue;
            }
            // Compose files and scripts pass on variables that nobody set.
            if text.is_empty() {
                continue;
            }
            let path = rest.to_ascii_lowercase().replace("__", ".");
            self.assign(&path, text.clone(), Origin::Environment(name.clone()));
        }
    }

    fn read_flag(&mut self, flag: &Assignment) {
        let origin = Origin::Flag(flag.flag.clone());
        let base = flag.key.strip_suffix("_file").unwrap_or(&flag.key);
        if find(base).is_some_and(Key::takes_file) && base == flag.key {
            let detail = "holds a secret, which other users of this machine could read from \
                          the list of processes; use the environment, the file, or the key with _file";
            return self.refuse(flag.key.clone(), origin, detail);
        }
        self.assign(&flag.key, flag.text.clone(), origin);
    }

    fn assign(&mut self, path: &str, text: String, origin: Origin) {
        if let Some(key) = find(path) {
            return self.assign_once(key, text, origin);
        }
        let Some(key) = path
            .strip_suffix("_file")
            .and_then(find)
            .filter(|k| k.takes_file())
        else {
            let detail = unknown(path, &origin);
            return self.refuse(path, origin, detail);
        };
        match std::fs::read_to_string(&text) {
            Ok(content) => self.assign_once(key, content.trim().to_owned(), origin),
            Err(e) => self.refuse(path, origin, format!("{text} cannot be read: {e}")),
        }
    }

    /// Refuses a key and its `_file` twin in the same place: which one wins would be a guess.
    fn assign_once(&mut self, key: &'static Key, text: String, origin: Origin) {
        let twice = self.get(key.path).is_some_and(|before| {
            before.origin.word() == origin.word() && key.takes_file() && before.text != text
        });
        let from_common =
            |o: &Origin| matches!(o, Origin::Environment(n) if !n.starts_with(ENV_PREFIX));
        if twice && !self.get(key.path).is_some_and(|b| from_common(&b.origin)) {
            let detail = format!("is set twice, by {} and {}_file", key.path, key.path);
            return self.refuse(key.path, origin, detail);
        }
        self.set(key, text, origin);
    }
}

/// Kubernetes and old Docker links set such variables for every service called `plimsoll`
/// (kubernetes.io, "Discovering services", environment variables).
fn is_service_link(rest: &str, text: &str) -> bool {
    rest.starts_with("SERVICE_HOST")
        || rest.starts_with("SERVICE_PORT")
        || (rest.starts_with("PORT_") && !rest.starts_with("PORT__"))
        || (rest == "PORT" && text.starts_with("tcp://"))
}

/// The sentence about an unknown key, with the nearest known one if it is near enough.
fn unknown(path: &str, origin: &Origin) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let nearness = |key: &&Key| {
        let whole = strsim::damerau_levenshtein(key.path, path);
        let joined = key.path.replace('.', "_");
        let flattened = strsim::damerau_levenshtein(&joined, &path.replace('.', "_"));
        let same_name = usize::from(last(key.path) == last(path));
        whole.min(flattened) - whole.min(flattened).min(same_name * 6)
    };
    let nearest = KEYS.iter().min_by_key(nearness).filter(|key| {
        let most = (path.len() / 3).max(2);
        nearness(key) <= most
    });
    match (nearest, origin) {
        (Some(key), Origin::Environment(_)) => {
            format!(
                "is not a configuration key; did you mean {}?",
                key.variable()
            )
        }
        (Some(key), _) => format!("is not a configuration key; did you mean {}?", key.path),
        (None, _) => "is not a configuration key; `plimsoll config show` lists them".into(),
    }
}
