//! The configuration reference, written from the table of keys.

use std::fmt::Write;

use super::table::{KEYS, Key};

/// What the reference is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// `docs/CONFIG.md`.
    Markdown,
    /// `.env.example`.
    Env,
    /// An annotated configuration file.
    Toml,
}

/// The whole reference.
pub(crate) fn reference(form: Form) -> String {
    match form {
        Form::Markdown => markdown(),
        Form::Env => env(),
        Form::Toml => toml(),
    }
}

const MARKDOWN_INTRODUCTION: &str = "\
# Configuration

Plimsoll runs without any configuration. Each key below can be set in a TOML
file (`--config FILE` or `PLIMSOLL_CONFIG`), in the environment, or by
`--set KEY=VALUE`. A later place wins: default, file, environment, flag.
`plimsoll config show` prints every value and where it came from;
`plimsoll config check` reports all mistakes at once (exit code 78).
An unknown key is a mistake, with the nearest known key as a suggestion.

Durations are a number and a unit (`50ms`, `30s`, `15m`, `12h`, `7d`), sizes
likewise (`512MiB`, `2GiB`, `100MB`). A key marked *secret* can be read from a
file: append `_file` to the key or `_FILE` to the variable. Secrets are not
taken from flags.

This page is printed by `plimsoll config reference`.
";

fn markdown() -> String {
    let mut out = String::from(MARKDOWN_INTRODUCTION);
    let mut section = "";
    for key in KEYS {
        if section != section_of(key) {
            section = section_of(key);
            let _ = write!(
                out,
                "\n## {section}\n\n| Key | Variable | Default | Meaning |\n|---|---|---|---|\n"
            );
        }
        let default = match key.default {
            Some(text) => format!("`{text}`"),
            None => key.otherwise.to_owned(),
        };
        let secret = if key.takes_file() { " *secret*" } else { "" };
        let _ = writeln!(
            out,
            "| `{}`{secret} | `{}` | {default} | {} Takes {}. |",
            key.path,
            key.variable(),
            key.help,
            key.expects().replace('|', "\\|"),
        );
    }
    out.push_str(OTHER_VARIABLES);
    out
}

const OTHER_VARIABLES: &str = "
## Other variables

| Variable | Meaning |
|---|---|
| `PLIMSOLL_CONFIG` | The configuration file, when `--config` is not given. |
| `PLIMSOLL_PASSWORD` | Password for `plimsoll user create`, instead of standard input. |
| `PLIMSOLL_URL` | The server that `plimsoll health` and the client commands ask. |
| `PLIMSOLL_API_KEY` | The key the client commands show (docs/CLI.md). |
| `DATABASE_URL` | Same as `PLIMSOLL_DATABASE__URL`, which wins. |
| `HOST`, `PORT` | Parts of `server.listen`; `PLIMSOLL_SERVER__LISTEN` wins. `HOST` counts only as an IP address. |
";

fn env() -> String {
    let mut out = String::from(
        "# Every variable Plimsoll reads, with its default. Nothing here is required.\n\
         # docs/CONFIG.md says more; `plimsoll config check` finds mistakes.\n",
    );
    for key in KEYS {
        let _ = write!(out, "\n# {}\n", key.help);
        if key.takes_file() {
            let _ = writeln!(
                out,
                "# {}_FILE names a file to read it from.",
                key.variable()
            );
        }
        match key.default {
            Some(default) => {
                let _ = writeln!(out, "#{}={default}", key.variable());
            }
            None => {
                let _ = writeln!(
                    out,
                    "# Without it: {}.\n#{}=",
                    key.otherwise,
                    key.variable()
                );
            }
        }
    }
    out
}

fn toml() -> String {
    let mut out = String::from("# Every key of Plimsoll, with its default.\n");
    // Keys outside a section come first, as TOML demands.
    let mut keys: Vec<&Key> = KEYS.iter().collect();
    keys.sort_by_key(|key| key.path.contains('.'));
    let mut section = "";
    for key in keys {
        let (own_section, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if own_section != section {
            section = own_section;
            let _ = write!(out, "\n[{section}]\n");
        }
        let _ = writeln!(out, "# {}", key.help);
        match key.default {
            Some(default) => {
                let _ = writeln!(out, "#{name} = {}", quoted(key, default));
            }
            None => {
                let _ = writeln!(out, "# Without it: {}.\n#{name} = \"\"", key.otherwise);
            }
        }
    }
    out
}

fn quoted(key: &Key, text: &str) -> String {
    use super::table::Kind;
    match key.kind {
        Kind::Count { .. } | Kind::Flag => text.to_owned(),
        _ => format!("\"{text}\""),
    }
}

fn section_of(key: &Key) -> &'static str {
    key.path
        .split_once('.')
        .map_or("general", |(section, _)| section)
}
