//! A value against a schema of our own OpenAPI document: only the keywords that
//! occur in it, and a member that no schema mentions is a mistake.

use serde_json::{Map, Value};

/// Keywords that say nothing about a value, or only something to people.
const ANNOTATIONS: [&str; 6] = [
    "description",
    "example",
    "default",
    "title",
    "deprecated",
    "writeOnly",
];

/// The first mistake, with its place.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    Checker { document }.value(schema, value, "")
}

struct Checker<'a> {
    document: &'a Value,
}

impl Checker<'_> {
    fn value(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let schema = self.resolved(schema)?;
        for (keyword, argument) in schema {
            self.keyword((keyword, argument), value, place)?;
        }
        if let Value::Object(members) = value {
            self.no_stranger(schema, members, place)?;
        }
        Ok(())
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> Result<&'s Map<String, Value>, String> {
        let found = match schema["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')),
            None => Some(schema),
        };
        found
            .and_then(Value::as_object)
            .ok_or_else(|| format!("{schema} is no schema"))
    }

    fn keyword(
        &self,
        (keyword, argument): (&str, &Value),
        value: &Value,
        place: &str,
    ) -> Result<(), String> {
        let alternatives = || argument.as_array().into_iter().flatten();
        let holds = match keyword {
            "type" => match argument {
                Value::Array(types) => types.iter().any(|name| has_type(value, name)),
                name => has_type(value, name),
            },
            "format" => has_format(value, argument.as_str().unwrap_or_default()),
            "minimum" => value
                .as_f64()
                .is_none_or(|number| Some(number) >= argument.as_f64()),
            "maximum" => value
                .as_f64()
                .is_none_or(|number| Some(number) <= argument.as_f64()),
            "enum" => alternatives().any(|allowed| allowed == value),
            "required" => value.as_object().is_none_or(|members| {
                alternatives()
                    .all(|name| name.as_str().is_some_and(|name| members.contains_key(name)))
            }),
            "properties" => return self.members(argument, value, place),
            "items" => return self.items(argument, value, place),
            "$ref" | "additionalProperties" | "propertyNames" => true,
            "allOf" => return alternatives().try_for_each(|part| self.part(part, value, place)),
            "oneOf" => {
                alternatives()
                    .filter(|one| self.value(one, value, place).is_ok())
                    .count()
                    == 1
            }
            "anyOf" => alternatives().any(|one| self.value(one, value, place).is_ok()),
            _ if ANNOTATIONS.contains(&keyword) => true,
            _ => return Err(format!("this checker does not know {keyword}")),
        };
        let mistake = || format!("{place:?} is not {keyword} {argument}");
        if holds { Ok(()) } else { Err(mistake()) }
    }

    /// One of several schemas that hold together: others mention other members.
    fn part(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let schema = self.resolved(schema)?;
        schema
            .iter()
            .try_for_each(|(keyword, argument)| self.keyword((keyword, argument), value, place))
    }

    fn members(&self, properties: &Value, value: &Value, place: &str) -> Result<(), String> {
        let described = properties.as_object().into_iter().flatten();
        for (name, schema) in described {
            if let Some(member) = value.get(name) {
                self.value(schema, member, &format!("{place}/{name}"))?;
            }
        }
        Ok(())
    }

    fn items(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let items = value.as_array().into_iter().flatten().enumerate();
        items
            .into_iter()
            .try_for_each(|(at, item)| self.value(schema, item, &format!("{place}/{at}")))
    }

    fn no_stranger(
        &self,
        schema: &Map<String, Value>,
        members: &Map<String, Value>,
        place: &str,
    ) -> Result<(), String> {
        let mut known = Vec::new();
        self.names(schema, &mut known)?;
        for (name, member) in members {
            if known.is_empty() || known.iter().any(|known| known == name) {
                continue;
            }
            match schema.get("additionalProperties") {
                Some(other @ Value::Object(_)) => {
                    self.value(other, member, &format!("{place}/{name}"))?;
                }
                _ => return Err(format!("{place}/{name} is not documented")),
            }
        }
        let only_others = known
            .is_empty()
            .then(|| schema.get("additionalProperties"))
            .flatten();
        if let Some(other @ Value::Object(_)) = only_others {
            for (name, member) in members {
                self.value(other, member, &format!("{place}/{name}"))?;
            }
        }
        Ok(())
    }

    /// Names of members that a schema mentions, directly or in its parts.
    fn names(&self, schema: &Map<String, Value>, known: &mut Vec<String>) -> Result<(), String> {
        known.extend(
            schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(Map::keys)
                .cloned(),
        );
        for keyword in ["allOf", "oneOf", "anyOf"] {
            for part in schema
                .get(keyword)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                self.names(self.resolved(part)?, known)?;
            }
        }
        Ok(())
    }
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap_or_default() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Formats bind the values of their own type only.
fn has_format(value: &Value, format: &str) -> bool {
    match (format, value) {
        ("date-time", Value::String(text)) => is_date_time(text),
        ("int32", Value::Number(number)) => {
            number.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
        }
        ("int64", Value::Number(number)) => number.is_i64() || number.is_u64(),
        _ => true,
    }
}

/// RFC 3339 in UTC with microseconds, as all of our times are.
fn is_date_time(text: &str) -> bool {
    let pattern = "0000-00-00T00:00:00.000000Z";
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| {
            if wanted == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == wanted
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_are_found_where_they_are() {
        let document = json!({"A": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}}});
        let part = json!({"type": "object", "properties": {"t": {"type": ["string", "null"], "format": "date-time"}}});
        let both = json!({"allOf": [{"$ref": "#/A"}, part]});
        let list =
            json!({"type": "array", "items": {"oneOf": [{"$ref": "#/A"}, {"type": "null"}]}});
        let map = json!({"type": "object", "additionalProperties": {"type": "boolean"}});
        for (schema, value, place) in [
            (
                &both,
                json!({"n": 1, "t": "2026-01-01T00:00:00.000000Z"}),
                None,
            ),
            (&both, json!({"n": 1, "t": null}), None),
            (&both, json!({"t": null}), Some("required")),
            (&both, json!({"n": 0}), Some("\"/n\" is not minimum")),
            (&both, json!({"n": 1.5}), Some("\"/n\" is not type")),
            (
                &both,
                json!({"n": 1, "t": "today"}),
                Some("\"/t\" is not format"),
            ),
            (&both, json!({"n": 1, "x": 1}), Some("/x is not documented")),
            (&list, json!([{"n": 1}, null]), None),
            (
                &list,
                json!([{"n": 1}, {"m": 1}]),
                Some("\"/1\" is not oneOf"),
            ),
            (&map, json!({"a": true}), None),
            (&map, json!({"a": 1}), Some("\"/a\" is not type")),
        ] {
            let found = check(&document, schema, &value);
            let expected =
                place.is_none_or(|place| found.as_ref().is_err_and(|error| error.contains(place)));
            assert!(
                expected && found.is_ok() == place.is_none(),
                "{value}: {found:?}"
            );
        }
        assert!(check(&document, &json!({"pattern": "x"}), &json!("x")).is_err());
    }
}
