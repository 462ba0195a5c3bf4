//! What `serve` prints once it is ready: everything needed for the first request.

use std::fmt::Write;

use plimsoll_core::secret::Secret;
use serde_json::{Value, json};

use super::register::{ServeKey, Served};
use crate::commands::version::VERSION;

/// Everything needed for the first request.
#[derive(Debug)]
pub(super) struct Announcement {
    /// Address of the server, without a trailing slash.
    pub(super) url: String,
    /// Lets somebody claim the administrator's account.
    pub(super) setup_token: Option<Secret<String>>,
    /// The key that printed requests use, if models were named.
    pub(super) key: Option<ServeKey>,
    /// The models that were named.
    pub(super) models: Vec<Served>,
    /// Whether credentials are not asked for.
    pub(super) dev: bool,
}

impl Announcement {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = format!("\nPlimsoll {VERSION} is ready.\n\n");
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(out, "  {name:<9} {value}");
        };
        line("URL", &self.url);
        line("API docs", &format!("{}/docs", self.url));
        if let Some(link) = self.setup_link() {
            line("Set up", &format!("{link}  (valid for one hour)"));
        }
        match &self.key {
            Some(ServeKey::New(key)) => line("Key", &format!("{}  (shown once)", key.expose())),
            Some(ServeKey::Known(prefix)) => {
                line(
                    "Key",
                    &format!(
                        "{prefix}…  (made earlier; `plimsoll key rotate {prefix}` replaces it)"
                    ),
                );
            }
            None => {}
        }
        if self.dev {
            line("Mode", "--dev: the API asks for no credentials");
        }
        for model in &self.models {
            let version = &model.version;
            let _ = write!(
                out,
                "\n{} version {} ({}, {})\n{}\n",
                model.name,
                version.number,
                version.algorithm,
                version.format,
                self.curl(model)
            );
        }
        out
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let models: Vec<Value> = self
            .models
            .iter()
            .map(|model| {
                json!({
                    "name": model.name,
                    "version": model.version.number,
                    "algorithm": model.version.algorithm,
                    "format": model.version.format,
                    "predict_url": self.predict_url(model),
                    "example": model.example.as_deref().map(parsed),
                    "curl": self.curl(model),
                })
            })
            .collect();
        let (key, prefix) = match &self.key {
            Some(ServeKey::New(key)) => (Some(key.expose().as_str()), None),
            Some(ServeKey::Known(prefix)) => (None, Some(prefix.as_str())),
            None => (None, None),
        };
        json!({
            "url": self.url,
            "docs_url": format!("{}/docs", self.url),
            "setup_url": self.setup_link(),
            "api_key": key,
            "api_key_prefix": prefix,
            "dev": self.dev,
            "models": models,
        })
    }

    fn setup_link(&self) -> Option<String> {
        // After the #, so that the token reaches no access log.
        let token = self.setup_token.as_ref()?;
        Some(format!("{}/ui/setup#token={}", self.url, token.expose()))
    }

    fn predict_url(&self, model: &Served) -> String {
        format!("{}/api/v1/models/{}/predict", self.url, model.name)
    }

    /// A line for a shell. Without an example, the model's own description.
    fn curl(&self, model: &Served) -> String {
        let key = match &self.key {
            Some(ServeKey::New(key)) => quoted(&format!("Authorization: Bearer {}", key.expose())),
            _ => "\"Authorization: Bearer $PLIMSOLL_API_KEY\"".to_owned(),
        };
        match &model.example {
            Some(example) => format!(
                "  curl -sS {} -H {key} -H 'Content-Type: application/json' -d {}",
                self.predict_url(model),
                quoted(example)
            ),
            None => format!(
                "  curl -sS {}/api/v1/models/{} -H {key}",
                self.url, model.name
            ),
        }
    }
}

fn parsed(example: &str) -> Value {
    serde_json::from_str(example).unwrap_or_default()
}

/// In single quotes, as POSIX shells read them (XCU 2.2.2).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_an_example_does_not_end_it() {
        assert_eq!(quoted("{\"d'or\": 1}"), r#"'{"d'\''or": 1}'"#);
    }

    #[test]
    fn without_models_only_addresses_are_printed() {
        let announcement = Announcement {
            url: "http://127.0.0.1:1".into(),
            setup_token: Some(Secret::new("t0ken".into())),
            key: None,
            models: Vec::new(),
            dev: false,
        };
        let text = announcement.text();
        assert!(
            text.contains("http://127.0.0.1:1/ui/setup#token=t0ken"),
            "{text}"
        );
        assert!(!text.contains("curl") && !text.contains("Key"), "{text}");
        assert_eq!(
            announcement.json()["setup_url"],
            "http://127.0.0.1:1/ui/setup#token=t0ken"
        );
    }
}
