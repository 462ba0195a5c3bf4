//! Two answers for the same rows, compared value by value.

use plimsoll_core::field::{FieldError, push_pointer};
use plimsoll_core::schema::Field;
use serde_json::{Map, Value};

use super::verification::{Verification, Worst};

/// A comparison that is going on.
pub(super) struct Comparison<'s> {
    outputs: &'s [Field],
    /// Whether predictions are labels, which are equal or not.
    labels: bool,
    largest: Option<f64>,
    /// The first unequal pair, else the one that is farthest apart.
    worst: Option<Worst>,
}

/// Where a pair of values stands.
struct Place<'p> {
    part: &'static str,
    row: usize,
    /// Below the row.
    path: &'p str,
    /// Of the expected value in what was sent.
    pointer: &'p str,
}

type Compared = Result<(), FieldError>;

impl<'s> Comparison<'s> {
    /// Nothing compared yet. `outputs` are the model's; `labels` says whether
    /// its predictions are labels.
    pub(super) fn new(outputs: &'s [Field], labels: bool) -> Self {
        Self {
            outputs,
            labels,
            largest: None,
            worst: None,
        }
    }

    /// Compares an answer with `expected`: a list of predictions, or an object of both parts.
    pub(super) fn parts(&mut self, expected: &Value, answer: &Value, rows: usize) -> Compared {
        const PLACE: &str = "/sample_outputs";
        let parts = match expected {
            Value::Array(_) => return self.rows("predictions", (PLACE, expected), answer, rows),
            Value::Object(parts) => parts,
            _ => return Err(wrong_type(PLACE, "array or object", expected)),
        };
        let known = ["predictions", "probabilities"];
        if let Some(name) = parts.keys().find(|name| !known.contains(&name.as_str())) {
            let detail = format!("there is no part {name:?} of an answer to compare");
            return Err(FieldError::new(below(PLACE, name), "unknown-field", detail));
        }
        if !parts.contains_key("predictions") {
            let place = below(PLACE, "predictions");
            let detail = "sample_outputs need predictions";
            return Err(FieldError::new(place, "missing-field", detail));
        }
        for (part, expected) in known
            .into_iter()
            .filter_map(|part| Some((part, parts.get(part)?)))
        {
            self.rows(part, (&below(PLACE, part), expected), answer, rows)?;
        }
        Ok(())
    }

    /// One part of the answer, row by row.
    fn rows(
        &mut self,
        part: &'static str,
        (pointer, expected): (&str, &Value),
        answer: &Value,
        rows: usize,
    ) -> Compared {
        let Some(Value::Array(got)) = answer.get(part) else {
            let detail = "this model answers no probabilities";
            return Err(FieldError::new(pointer, "unknown-field", detail));
        };
        let Value::Array(expected) = expected else {
            return Err(wrong_type(pointer, "array", expected));
        };
        if expected.len() != rows {
            return Err(wrong_length(pointer, rows, expected.len(), "rows"));
        }
        for (row, (expected, got)) in expected.iter().zip(got).enumerate() {
            let pointer = below(pointer, &row.to_string());
            let place = Place {
                part,
                row,
                path: "",
                pointer: &pointer,
            };
            self.pair(&place, expected, got)?;
        }
        Ok(())
    }

    fn pair(&mut self, place: &Place<'_>, expected: &Value, got: &Value) -> Compared {
        match (expected, got) {
            (Value::Array(list), Value::Object(named)) => self.in_order(place, list, named),
            (Value::Array(list), Value::Array(values)) if list.len() == values.len() => {
                let mut pairs = list.iter().zip(values).enumerate();
                pairs.try_for_each(|(i, (e, g))| self.within(place, &i.to_string(), (e, g)))
            }
            (Value::Array(list), Value::Array(values)) => {
                let (pointer, there) = (place.pointer, values.len());
                Err(wrong_length(pointer, there, list.len(), "values"))
            }
            (Value::Object(wanted), Value::Object(named)) => self.by_name(place, wanted, named),
            (_, Value::Array(_)) => Err(wrong_type(place.pointer, "array", expected)),
            (_, Value::Object(_)) => Err(wrong_type(place.pointer, "object or array", expected)),
            (Value::Array(_) | Value::Object(_), _) => {
                Err(wrong_type(place.pointer, kind(got), expected))
            }
            _ => {
                self.scalars(place, expected, got);
                Ok(())
            }
        }
    }

    /// Several outputs of a row as a list, in the order of the schema.
    fn in_order(
        &mut self,
        place: &Place<'_>,
        list: &[Value],
        named: &Map<String, Value>,
    ) -> Compared {
        if list.len() != self.outputs.len() {
            let (pointer, there) = (place.pointer, self.outputs.len());
            return Err(wrong_length(pointer, there, list.len(), "values"));
        }
        let names: Vec<_> = self
            .outputs
            .iter()
            .map(|field| field.name.clone())
            .collect();
        let mut pairs = names.iter().zip(list);
        pairs.try_for_each(|(name, expected)| self.within(place, name, (expected, &named[name])))
    }

    fn by_name(
        &mut self,
        place: &Place<'_>,
        wanted: &Map<String, Value>,
        named: &Map<String, Value>,
    ) -> Compared {
        for (name, expected) in wanted {
            let Some(got) = named.get(name) else {
                let detail = format!("the model has no output {name:?}");
                let pointer = below(place.pointer, name);
                return Err(FieldError::new(pointer, "unknown-field", detail));
            };
            self.within(place, name, (expected, got))?;
        }
        Ok(())
    }

    fn within(
        &mut self,
        place: &Place<'_>,
        name: &str,
        (expected, got): (&Value, &Value),
    ) -> Compared {
        let place = Place {
            path: &below(place.path, name),
            pointer: &below(place.pointer, name),
            ..*place
        };
        self.pair(&place, expected, got)
    }

    fn scalars(&mut self, place: &Place<'_>, expected: &Value, got: &Value) {
        let is_label = self.labels && place.part == "predictions";
        let numbers = expected.as_f64().zip(got.as_f64());
        let Some((b, a)) = numbers.filter(|_| !is_label) else {
            // 1 and 1.0 are the same label.
            let equal = expected == got || numbers.is_some_and(|(b, a)| b.to_bits() == a.to_bits());
            let is_first = self
                .worst
                .as_ref()
                .is_none_or(|worst| worst.difference.is_some());
            if !equal && is_first {
                self.worst = Some(worst(place, (expected, got), None));
            }
            return;
        };
        let difference = (a - b).abs() / b.abs().max(1.0);
        if self.largest.is_some_and(|largest| largest >= difference) {
            return;
        }
        self.largest = Some(difference);
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| worst.difference.is_some())
        {
            self.worst = Some(worst(place, (expected, got), Some(difference)));
        }
    }

    /// What came of it.
    pub(super) fn outcome(self, rows: usize, tolerance: f64) -> Verification {
        let passes = |worst: &Worst| worst.difference.is_some_and(|found| found <= tolerance);
        let passed = self.worst.as_ref().is_none_or(passes);
        Verification {
            rows,
            max_difference: self.largest,
            tolerance,
            passed,
            worst: self.worst.filter(|_| !passed),
        }
    }
}

fn worst(place: &Place<'_>, (expected, got): (&Value, &Value), difference: Option<f64>) -> Worst {
    Worst {
        row: place.row,
        field: format!("{}{}", place.part, place.path),
        expected: expected.clone(),
        got: got.clone(),
        difference,
    }
}

fn below(pointer: &str, segment: &str) -> String {
    let mut pointer = pointer.to_owned();
    push_pointer(&mut pointer, segment);
    pointer
}

fn wrong_type(pointer: &str, expected: &str, got: &Value) -> FieldError {
    let detail = format!("expected {expected}, not {}", kind(got));
    FieldError::new(pointer, "wrong-type", detail).expected_got(expected, kind(got))
}

fn wrong_length(pointer: &str, expected: usize, got: usize, of: &str) -> FieldError {
    let detail = format!("expected {expected} {of}, not {got}");
    FieldError::new(pointer, "wrong-length", detail)
        .expected_got(format!("{expected} {of}"), format!("{got} {of}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
