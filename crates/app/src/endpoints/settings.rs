//! What is set of an endpoint besides its versions.

use std::collections::BTreeMap;

use plimsoll_core::endpoint::{Bounds, Guardrails, Sticky, WorkloadSize};
use plimsoll_core::field::{FieldError, push_pointer};
use plimsoll_store::EndpointRow;

use crate::Error;

/// Most variables of an environment.
const MAX_VARIABLES: usize = 64;
/// Longest value of a variable, in bytes.
const MAX_VALUE: usize = 4096;
/// Most inputs with bounds.
const MAX_BOUNDS: usize = 256;
/// Longest window of a limit: 31 days, in seconds.
const MAX_WINDOW_S: u64 = 31 * 24 * 3600;

/// What changes; `None` keeps.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    /// Its share of the machine.
    pub workload_size: Option<WorkloadSize>,
    /// Whether its models leave memory when nobody asks.
    pub scale_to_zero: Option<bool>,
    /// Variables for the process of a model that runs in one.
    pub environment: Option<BTreeMap<String, String>>,
    /// What is refused.
    pub guardrails: Option<Guardrails>,
    /// What keeps a caller with a version.
    pub sticky: Option<Sticky>,
}

impl SettingsChange {
    /// Refuses what makes no sense, with all mistakes at once.
    pub(super) fn check(&self) -> Result<(), Error> {
        let mut errors = Vec::new();
        if let Some(environment) = &self.environment {
            check_environment(environment, &mut errors);
        }
        if let Some(guardrails) = &self.guardrails {
            check_guardrails(guardrails, &mut errors);
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(errors))
        }
    }

    /// Puts the change into a row.
    pub(super) fn apply(self, row: &mut EndpointRow) {
        row.workload_size = self.workload_size.unwrap_or(row.workload_size);
        row.scale_to_zero = self.scale_to_zero.unwrap_or(row.scale_to_zero);
        if let Some(environment) = self.environment {
            row.environment = environment;
        }
        if let Some(guardrails) = self.guardrails {
            row.guardrails = guardrails;
        }
        if let Some(sticky) = self.sticky {
            row.sticky = sticky;
        }
    }
}

fn check_environment(environment: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) {
    if environment.len() > MAX_VARIABLES {
        let detail = format!("expected at most {MAX_VARIABLES} variables");
        errors.push(FieldError::new("/environment", "too-many", detail));
    }
    for (name, value) in environment {
        let mut pointer = "/environment".to_owned();
        push_pointer(&mut pointer, name);
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name || name.len() > 128 {
            let detail = "expected letters, digits and underscores, not starting with a digit";
            errors.push(FieldError::new(pointer, "invalid-name", detail));
        } else if value.len() > MAX_VALUE || value.contains('\0') {
            let detail = format!("expected at most {MAX_VALUE} bytes without NUL");
            errors.push(FieldError::new(pointer, "invalid-value", detail));
        }
    }
}

fn check_guardrails(guardrails: &Guardrails, errors: &mut Vec<FieldError>) {
    let mut range = |pointer: &str, value: u64, largest: u64| {
        if !(1..=largest).contains(&value) {
            let detail = format!("expected 1 to {largest}");
            let error = FieldError::new(format!("/guardrails/{pointer}"), "out-of-range", detail);
            errors.push(error.expected_got(format!("integer from 1 to {largest}"), "integer"));
        }
    };
    if let Some(limit) = guardrails.rate_limit {
        range(
            "rate_limit/requests",
            limit.requests,
            plimsoll_limit::MAX_LIMIT,
        );
        range(
            "rate_limit/window_seconds",
            limit.window_seconds,
            MAX_WINDOW_S,
        );
    }
    if let Some(rows) = guardrails.max_rows {
        range("max_rows", rows as u64, plimsoll_limit::MAX_LIMIT);
    }
    if guardrails.bounds.len() > MAX_BOUNDS {
        let detail = format!("expected at most {MAX_BOUNDS} inputs");
        errors.push(FieldError::new("/guardrails/bounds", "too-many", detail));
    }
    for (index, bounds) in guardrails.bounds.iter().enumerate() {
        if !is_range(bounds) {
            let pointer = format!("/guardrails/bounds/{index}");
            let detail = "expected a smallest and a largest value, or one of them, in this order";
            errors.push(FieldError::new(pointer, "invalid-bounds", detail));
        }
    }
}

/// Whether some value lies within.
fn is_range(bounds: &Bounds) -> bool {
    match (bounds.min, bounds.max) {
        (Some(min), Some(max)) => min <= max,
        (Some(_), None) | (None, Some(_)) => true,
        (None, None) => false,
    }
}
