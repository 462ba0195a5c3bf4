//! Mistakes in a body, collected up to a limit, with a guess at what was meant.

use super::DecodeError;
use crate::field::{FieldError, push_pointer};

/// Mistakes listed one by one; the rest is only counted.
const MAX_LISTED: usize = 20;
/// Names longer than this are cut in messages and pointers.
const MAX_NAME: usize = 80;
/// Candidates that are compared letter by letter for one suggestion.
const MAX_COMPARED: usize = 256;

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    errors: Vec<FieldError>,
    unlisted: usize,
}

impl Report {
    /// Adds a mistake; its message is made only if it will be listed.
    #[cold]
    pub(super) fn add(&mut self, make: impl FnOnce() -> FieldError) {
        if self.errors.len() < MAX_LISTED {
            self.errors.push(make());
        } else {
            self.unlisted += 1;
        }
    }

    /// Adds a value of the wrong JSON type.
    #[cold]
    pub(super) fn wrong_type(
        &mut self,
        pointer: &str,
        detail: impl FnOnce() -> String,
        expected: &str,
        got: &str,
    ) {
        self.add(|| FieldError::new(pointer, "wrong-type", detail()).expected_got(expected, got));
    }

    /// Mistakes found so far.
    pub(super) fn count(&self) -> usize {
        self.errors.len() + self.unlisted
    }

    /// All mistakes, or none.
    pub(super) fn finish(mut self) -> Result<(), DecodeError> {
        if self.unlisted > 0 {
            let detail = match self.unlisted {
                1 => "1 more error is not listed".to_owned(),
                more => format!("{more} more errors are not listed"),
            };
            self.errors.push(FieldError::new("", "more-errors", detail));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Invalid(self.errors))
        }
    }
}

/// `base` plus one segment, which is cut if it is very long.
pub(super) fn pointer_to(base: &str, segment: &str) -> String {
    let mut pointer = base.to_owned();
    push_pointer(&mut pointer, shortened(segment));
    pointer
}

/// The beginning of a name that a client may have made any length.
pub(super) fn shortened(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// `; did you mean "age"?` if one of the candidates is close to `name`, else nothing.
pub(super) fn suggestion<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    if name.len() > MAX_NAME {
        return String::new();
    }
    let wanted = folded(name);
    let tolerated = (name.chars().count() / 3).clamp(1, 4);
    let closest = candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= 4 + tolerated)
        .take(MAX_COMPARED)
        .map(|candidate| (strsim::osa_distance(&wanted, &folded(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance);
    match closest {
        Some((distance, candidate)) if distance <= tolerated => {
            format!("; did you mean {:?}?", shortened(candidate))
        }
        _ => String::new(),
    }
}

/// Letters and digits in lower case: `Mean Radius` and `mean_radius` are one name.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}
