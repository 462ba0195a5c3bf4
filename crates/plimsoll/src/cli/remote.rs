//! The commands that ask a running server.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

/// Which server is asked. The key comes from PLIMSOLL_API_KEY.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server; PLIMSOLL_URL or the address configured here otherwise
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// `model` and which server it is about.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ModelCommand,
}

/// What can be done with the models of a server.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Upload a file as a new model, or as the next version of one
    Push(PushArgs),
    /// List models
    List {
        /// Only those with this text in name, description or tags
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Show a model and its versions, or one version
    Show {
        /// Name or id, with @VERSION for one version
        #[arg(value_name = "MODEL[@VERSION]")]
        target: Target,
    },
    /// Put a version into production
    Promote {
        /// Name or id, and a number, label or `latest`
        #[arg(value_name = "MODEL@VERSION")]
        target: Target,
    },
    /// Download the file of a version, whole and checked
    Pull {
        /// Name or id; what answers for the model without @VERSION
        #[arg(value_name = "MODEL[@VERSION]")]
        target: Target,
        /// Where to; the name it was uploaded under, here, otherwise
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
}

/// Options of `model push`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The model file
    pub(crate) file: PathBuf,
    /// Name of the model; the file's, without its ending, otherwise
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A label for the version, 1.4.0 for instance
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// What it is
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Rows to try it with: a JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) sample_inputs: Option<PathBuf>,
    /// What the library answered for these rows: a JSON file
    #[arg(long, value_name = "FILE", requires = "sample_inputs")]
    pub(crate) sample_outputs: Option<PathBuf>,
    /// Put it into production, if it answers its sample rows
    #[arg(long)]
    pub(crate) promote: bool,
    /// Make a version even of what was pushed within the last day
    #[arg(long)]
    pub(crate) again: bool,
}

/// `endpoint` and which server it is about.
#[derive(Debug, Args)]
pub(crate) struct EndpointArgs {
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: EndpointCommand,
}

/// What can be done with the endpoints of a server.
#[derive(Debug, Subcommand)]
pub(crate) enum EndpointCommand {
    /// Serve a version under a lasting name
    Deploy {
        /// Name or id; what answers for the model without @VERSION
        #[arg(value_name = "MODEL[@VERSION]")]
        target: Target,
        /// Name of the endpoint; MODEL-vVERSION otherwise
        #[arg(long)]
        name: Option<String>,
        /// How many predictions run at once: 1, 2 or 4
        #[arg(long, value_enum)]
        size: Option<SizeArg>,
        /// Keep the model in memory when nobody asks for it
        #[arg(long)]
        keep_loaded: bool,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// List endpoints
    List,
    /// Show what an endpoint serves
    Status {
        /// Its name
        endpoint: String,
    },
    /// Spread requests over versions
    Traffic {
        /// Its name
        endpoint: String,
        /// Version and percent, with :canary or :shadow after it: 1=90 2=10:canary
        #[arg(required = true, value_name = "VERSION=PERCENT[:ROLE]")]
        shares: Vec<Share>,
        /// What keeps a caller with a version: none, key or header:NAME
        #[arg(long)]
        sticky: Option<String>,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Go back to what was served before
    Rollback {
        /// Its name
        endpoint: String,
        /// Go back to this version
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
    },
    /// Check files and answers of what an endpoint serves; exit code 65 if one fails
    Validate {
        /// Its name
        endpoint: String,
    },
    /// List what was changed when, newest first
    History {
        /// Its name
        endpoint: String,
    },
    /// Stop an endpoint; its name and history stay
    Rm {
        /// Its name
        endpoint: String,
    },
}

/// How much an endpoint may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SizeArg {
    /// One prediction
    Small,
    /// Two predictions
    Medium,
    /// Four predictions
    Large,
}

/// Options of `predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Name or id of a model, or with --endpoint the name of an endpoint
    #[arg(value_name = "MODEL[@VERSION]")]
    pub(crate) target: Target,
    /// Rows as JSON, or - to read them from standard input
    #[arg(required_unless_present_any = ["file", "batch"], conflicts_with_all = ["file", "batch"])]
    pub(crate) inputs: Option<String>,
    /// Read the rows from a JSON file
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    pub(crate) file: Option<PathBuf>,
    /// Ask an endpoint, not a model
    #[arg(long, conflicts_with = "batch")]
    pub(crate) endpoint: bool,
    /// Start a job for all rows of a .csv, .jsonl or .ndjson file and print its id
    #[arg(long, value_name = "FILE")]
    pub(crate) batch: Option<PathBuf>,
}

/// Options of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Of one model, by name or id
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Through one endpoint
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
    /// Only failed ones
    #[arg(long)]
    pub(crate) failed: bool,
    /// With this text in input, output or request id
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// How many, up to 200
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
}

/// `job` and which server it is about.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// Which server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: JobCommand,
}

/// What can be done with the jobs of a server.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs, newest first
    List {
        /// Only those that are queued, running, succeeded, failed or cancelled
        #[arg(long)]
        status: Option<String>,
    },
    /// Wait until a job has ended; exit code 65 if it did not succeed
    Watch {
        /// Its id
        job: String,
    },
    /// End a job
    Cancel {
        /// Its id
        job: String,
    },
    /// Download what a job made
    Result {
        /// Its id
        job: String,
        /// What it is written as
        #[arg(long, value_enum, default_value = "jsonl")]
        format: ResultForm,
        /// Where to; standard output otherwise
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
}

/// What a result is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultForm {
    /// A JSON object a line
    Jsonl,
    /// Comma-separated values
    Csv,
}

/// A model, and one of its versions if it matters: `churn@3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name or id.
    pub(crate) name: String,
    /// Number, label, `latest` or `production`.
    pub(crate) version: Option<String>,
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if name.is_empty() || version.is_some_and(str::is_empty) {
            return Err("expected MODEL or MODEL@VERSION, churn@3 for instance");
        }
        Ok(Self {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        })
    }
}

/// What a version of an endpoint gets: `2=10:canary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Number, label, `latest` or `production`.
    pub(crate) version: String,
    /// Percent of the requests.
    pub(crate) weight: u32,
    /// `primary`, `canary` or `shadow`.
    pub(crate) role: Option<String>,
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').and_then(|(version, rest)| {
            let (weight, role) = match rest.split_once(':') {
                Some((weight, role)) => (weight, Some(role)),
                None => (rest, None),
            };
            let weight = weight.parse().ok().filter(|weight| *weight <= 100)?;
            (!version.is_empty()).then(|| Self {
                version: version.to_owned(),
                weight,
                role: role.map(str::to_owned),
            })
        });
        parts.ok_or("expected VERSION=PERCENT or VERSION=PERCENT:ROLE, 2=10:canary for instance")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_with_or_without_a_version() {
        let target: Target = "sales.churn@1.4.0".parse().unwrap();
        assert_eq!(target.name, "sales.churn");
        assert_eq!(target.version.as_deref(), Some("1.4.0"));
        assert_eq!("churn".parse::<Target>().unwrap().version, None);
        for wrong in ["", "@3", "churn@"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_share_has_a_version_a_percent_and_perhaps_a_role() {
        let share: Share = "2=10:canary".parse().unwrap();
        assert_eq!((share.version.as_str(), share.weight), ("2", 10));
        assert_eq!(share.role.as_deref(), Some("canary"));
        assert_eq!("latest=100".parse::<Share>().unwrap().role, None);
        for wrong in ["2", "2=", "=10", "2=101", "2=ten", "2=-1"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong:?}");
        }
    }
}
