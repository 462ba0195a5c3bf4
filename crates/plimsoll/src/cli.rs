//! The command line, as it is typed.

mod remote;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Assignment, Form, Sources, environment};

pub(crate) use remote::{
    EndpointArgs, EndpointCommand, JobArgs, JobCommand, LogsArgs, ModelArgs, ModelCommand,
    PredictArgs, PushArgs, ResultForm, Share, SizeArg, Target,
};

/// Turns a model file into a versioned, key-protected, monitored prediction API.
#[derive(Debug, Parser)]
#[command(
    name = "plimsoll",
    disable_version_flag = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of database, model files and secret
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Set any configuration key
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Everything the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server; with files, serve these models at once
    Serve(ServeArgs),
    /// People who may sign in
    #[command(subcommand)]
    User(UserCommand),
    /// API keys, in the data directory or with --url of a running server
    Key(KeyArgs),
    /// Models of a running server
    Model(ModelArgs),
    /// Lasting names under which a running server serves versions
    Endpoint(EndpointArgs),
    /// Ask a running server for predictions
    Predict(PredictArgs),
    /// Show the newest predictions of a running server
    Logs(LogsArgs),
    /// Long work of a running server
    Job(JobArgs),
    /// Bring the database's schema up to date
    Migrate,
    /// Check this installation and say how to mend it
    Doctor {
        /// Hash every model file
        #[arg(long)]
        deep: bool,
    },
    /// The log of who changed what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The signing secret
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Print the OpenAPI document of the API
    Openapi,
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running server whether it is ready
    Health {
        /// Its address; PLIMSOLL_URL or the configured one otherwise
        #[arg(long)]
        url: Option<String>,
    },
    /// Print the version
    Version,
    /// What the server starts a Python worker as; not for people
    #[command(hide = true)]
    PythonWorker {
        /// What to run, and how to confine it
        order: String,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Model files to serve, each under its own name
    #[arg(value_name = "MODEL_FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Open the API without credentials, on loopback only
    #[arg(long)]
    pub(crate) dev: bool,
    /// Serve the demonstration models
    #[arg(long)]
    pub(crate) demo: bool,
    /// The ONNX Runtime library, for ONNX models
    #[arg(long, value_name = "LIBRARY")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

/// What can be done with people.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account; the password comes from standard input or PLIMSOLL_PASSWORD
    Create {
        /// E-mail address
        #[arg(long)]
        email: String,
        /// Full name
        #[arg(long)]
        name: Option<String>,
        /// May run the installation
        #[arg(long)]
        admin: bool,
    },
    /// List all accounts
    List,
    /// Lock an account out
    Disable {
        /// E-mail address
        email: String,
    },
    /// Let a locked account in again
    Enable {
        /// E-mail address
        email: String,
    },
}

/// `key`, and which server if it is not the installation in the data directory.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Ask this server, in the name of PLIMSOLL_API_KEY; the data directory otherwise
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, once
    Create(KeyCreateArgs),
    /// List keys
    List {
        /// Whose, by e-mail address; the administrator's otherwise
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
        /// Revoked ones too
        #[arg(long)]
        all: bool,
    },
    /// Replace a key by a new one; the old one works on for a while
    Rotate {
        /// Id or prefix of the key
        key: String,
        /// How long the old key still works, 24h for instance
        #[arg(long, value_name = "DURATION", default_value = "0s")]
        overlap: String,
    },
    /// End a key at once
    Revoke {
        /// Id or prefix of the key
        key: String,
    },
    /// Look for keys in files; exit code 1 if there are any
    Scan {
        /// Files and folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
}

/// Options of `key create`.
#[derive(Debug, Args)]
pub(crate) struct KeyCreateArgs {
    /// What the key is for
    #[arg(long)]
    pub(crate) name: String,
    /// Whose it is, by e-mail address; the administrator's otherwise
    #[arg(long, value_name = "EMAIL")]
    pub(crate) user: Option<String>,
    /// What it allows; read (which includes predictions) otherwise
    #[arg(long, value_enum)]
    pub(crate) scope: Vec<ScopeArg>,
    /// Limit it to a model, by name or id
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Vec<String>,
    /// Requests per hour; 0 for no limit; 1000 otherwise
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<u32>,
    /// Requests at once, and the time in which they come back: 20/10s
    #[arg(long, value_name = "N/TIME")]
    pub(crate) burst: Option<String>,
    /// When it ends; never otherwise, 90 is a good choice
    #[arg(long, value_name = "D")]
    pub(crate) expires_in_days: Option<u32>,
}

/// A scope as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// Ask for predictions
    Predict,
    /// Submit feedback
    Feedback,
    /// Look at everything, and predict
    Read,
    /// Change things
    Write,
    /// Promote and other far-reaching changes
    Admin,
}

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no row was changed, removed, added or moved; exit code 65 if one was
    Verify {
        /// An earlier answer of `audit checkpoint`, kept elsewhere
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Print the number and hash of the last row, to be kept elsewhere
    Checkpoint,
}

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Print a new random secret
    Generate,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every value and where it came from
    Show,
    /// Report every mistake; exit code 78 if there is one
    Check,
    /// Print the reference of all keys
    Reference {
        /// What it is written as
        #[arg(long, value_enum, default_value = "markdown")]
        format: Form,
    },
}

impl Cli {
    /// Everything the configuration is made from.
    pub(crate) fn sources(&self) -> Sources {
        let mut flags = Vec::new();
        let mut add = |flag: &str, key: &str, text: String| {
            flags.push(Assignment {
                flag: flag.to_owned(),
                key: key.to_owned(),
                text,
            });
        };
        for (key, text) in &self.common.set {
            add("--set", key, text.clone());
        }
        if let Some(path) = &self.common.data_dir {
            add("--data-dir", "data_dir", path.display().to_string());
        }
        if let Command::Serve(serve) = &self.command {
            if let Some(listen) = &serve.listen {
                add("--listen", "server.listen", listen.clone());
            }
            if let Some(library) = &serve.onnxruntime {
                let library = library.display().to_string();
                add("--onnxruntime", "engine.onnxruntime", library);
            }
        }
        Sources {
            file: self.common.config.clone(),
            environment: environment(),
            flags,
        }
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected KEY=VALUE, predict.max_rows=500 for instance")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_configuration_keys() {
        let cli = Cli::try_parse_from([
            "plimsoll",
            "serve",
            "--listen",
            "127.0.0.1:1",
            "--data-dir",
            "d",
            "--set",
            "log.level = warn",
            "m.onnx",
        ])
        .unwrap();
        let flags = cli.sources().flags;
        let keys: Vec<_> = flags
            .iter()
            .map(|f| (f.key.as_str(), f.text.as_str()))
            .collect();
        assert_eq!(
            keys,
            [
                ("log.level", "warn"),
                ("data_dir", "d"),
                ("server.listen", "127.0.0.1:1")
            ]
        );
    }
}
