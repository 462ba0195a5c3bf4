//! What is kept of a model's requests: the change its owner asks for, checked.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_core::field::{FieldError, push_pointer};
use plimsoll_core::record::{Capture, CapturePolicy, Redaction};
use serde_json::Value;

/// How much of a request reaches the log, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMode {
    /// Every request with its values.
    Full,
    /// A part of the requests; failures always.
    Sampled,
    /// Digests instead of the values.
    Hashed,
    /// Rows without values.
    Off,
}

/// What changes about what is kept; `None` keeps.
#[derive(Clone, Debug, Default)]
pub struct CaptureChange {
    /// How much reaches the log.
    pub mode: Option<CaptureMode>,
    /// The part of the requests that are kept, between 0 and 1; only with
    /// [`CaptureMode::Sampled`], and needed to begin with it.
    pub sample_rate: Option<f64>,
    /// All redactions by the name of the input field.
    pub redact: Option<BTreeMap<String, Redaction>>,
}

impl CaptureChange {
    /// The policy after this change, for a model whose versions have inputs of
    /// these names.
    pub(super) fn apply(
        self,
        before: CapturePolicy,
        names: &BTreeSet<String>,
    ) -> Result<CapturePolicy, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mode = self.mode(before.mode).unwrap_or_else(|error| {
            errors.push(error);
            before.mode
        });
        let redact = match self.redact {
            Some(redact) => {
                let unknown = redact.keys().filter(|name| !names.contains(*name));
                errors.extend(unknown.map(|name| unknown_field(name)));
                let hides = |redaction: &Redaction| *redaction != Redaction::Keep;
                redact.into_iter().filter(|(_, r)| hides(r)).collect()
            }
            None => before.redact,
        };
        if errors.is_empty() {
            Ok(CapturePolicy { mode, redact })
        } else {
            Err(errors)
        }
    }

    fn mode(&self, before: Capture) -> Result<Capture, FieldError> {
        let refuse = |code: &'static str, detail: &str, got: &str| {
            let error = FieldError::new("/capture/sample_rate", code, detail);
            error.expected_got("number from 0 to 1", got)
        };
        let sampled = match self.mode {
            Some(mode) => mode == CaptureMode::Sampled,
            None => matches!(before, Capture::Sampled { .. }),
        };
        match (self.sample_rate, before) {
            (Some(_), _) if !sampled => Err(refuse(
                "contradiction",
                "a sample rate goes with the mode sampled only",
                "number",
            )),
            (Some(rate), _) if (0.0..=1.0).contains(&rate) => Ok(Capture::Sampled { rate }),
            (Some(_), _) => Err(refuse(
                "out-of-range",
                "expected a number from 0 to 1",
                "number",
            )),
            (None, Capture::Sampled { rate }) if sampled => Ok(Capture::Sampled { rate }),
            (None, _) => match self.mode {
                None => Ok(before),
                Some(CaptureMode::Full) => Ok(Capture::Full),
                Some(CaptureMode::Hashed) => Ok(Capture::Hashed),
                Some(CaptureMode::Off) => Ok(Capture::Off),
                Some(CaptureMode::Sampled) => Err(refuse(
                    "missing-field",
                    "the mode sampled needs a sample rate",
                    "nothing",
                )),
            },
        }
    }
}

fn unknown_field(name: &str) -> FieldError {
    let mut pointer = "/capture/redact".to_owned();
    push_pointer(&mut pointer, name);
    let mut error = FieldError::new(
        pointer,
        "unknown-field",
        "no version of this model has an input of this name",
    );
    error.expected = Some("name of an input".to_owned());
    error
}

/// The names of all inputs in the stored schemas of a model's versions.
pub(super) fn input_names(schemas: &[Value]) -> BTreeSet<String> {
    let fields = schemas.iter().filter_map(Value::as_array).flatten();
    let names = fields.filter_map(|field| field["name"].as_str());
    names.map(str::to_owned).collect()
}
