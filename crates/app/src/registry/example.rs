//! A request for a model that it really answers, to show people.

use plimsoll_core::example::example_row;
use plimsoll_core::model::{ModelRef, VersionRef};
use plimsoll_core::schema::{Field, Schema};
use plimsoll_store::VersionRow;
use serde_json::{Value, json};

use crate::App;
use crate::auth::Caller;
use crate::serving::{Asking, PredictCall, Reuse, Target};

impl App {
    /// A request for this version that was answered just now: its first sample row,
    /// else ones or zeros; `None` if it accepts none of them.
    pub async fn example_request(&self, caller: &Caller, version: &VersionRow) -> Option<String> {
        let fields: Vec<Field> = serde_json::from_value(version.input_schema.clone()).ok()?;
        let row = example_row(&Schema::separate(fields.clone()).ok()?);
        let sample = self.sample_request(version).await.ok().flatten();
        let guesses = [ones(&row), row].map(|row| request(&fields, &row));
        for body in sample.into_iter().chain(guesses) {
            let call = PredictCall {
                caller,
                target: Target::Model {
                    model: ModelRef::Id(version.model_id),
                    version: VersionRef::Number(version.number),
                },
                body: Asking::Rows(body.as_bytes()),
                request_id: "",
                deadline: None,
                reuse: Reuse::Never,
            };
            match self.rehearse(call).await {
                Ok(()) => return Some(body),
                Err(error) => {
                    tracing::debug!(version = %version.id, %error, "an example was refused");
                }
            }
        }
        None
    }
}

/// The body for one row, in the order of the schema. A row whose names say no
/// more than their position is written as a list.
fn request(fields: &[Field], row: &Value) -> String {
    let value = |field: &Field| row[&field.name].to_string();
    let mut by_position = fields.iter().enumerate();
    if by_position.all(|(index, field)| field.name == format!("x{index}")) {
        let values: Vec<String> = fields.iter().map(value).collect();
        return format!(r#"{{"inputs":[[{}]]}}"#, values.join(","));
    }
    let named = |field: &Field| format!("{}:{}", json!(field.name), value(field));
    let members: Vec<String> = fields.iter().map(named).collect();
    format!(r#"{{"inputs":{{{}}}}}"#, members.join(","))
}

/// The row with 1 for every number: 0 is a missing pixel or a division by zero more often.
fn ones(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!(1.0),
        Value::Number(_) => json!(1),
        Value::Array(items) => items.iter().map(ones).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), ones(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::schema::DataType;

    use super::*;

    #[test]
    fn a_request_keeps_the_order_of_the_schema() {
        let named = ["size", "age"].map(|name| Field::scalar(name, DataType::Int64));
        assert_eq!(
            request(&named, &json!({"age": 1, "size": 2})),
            r#"{"inputs":{"size":2,"age":1}}"#
        );
        let numbered = ["x0", "x1"].map(|name| Field::scalar(name, DataType::Int64));
        assert_eq!(
            request(&numbered, &json!({"x0": 1, "x1": 2})),
            r#"{"inputs":[[1,2]]}"#
        );
    }

    #[test]
    fn ones_replace_numbers_and_keep_types() {
        let row = json!({"a": 0.0, "b": 0, "c": [[0.0]], "d": "x", "e": false});
        let expected = json!({"a": 1.0, "b": 1, "c": [[1.0]], "d": "x", "e": false});
        assert_eq!(ones(&row), expected);
    }
}
