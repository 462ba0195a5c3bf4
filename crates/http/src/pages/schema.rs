//! JSON schemas of the OpenAPI document as HTML: a type in a few words, a table
//! of properties, an example to start from.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::html::{escape, inline_code};

/// Deeper examples than this help nobody.
const MAX_EXAMPLE_DEPTH: usize = 4;

/// The name of the schema a reference points to.
fn referenced(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// The schema itself, if `schema` refers to it.
pub(super) fn resolve<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    match referenced(schema) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    }
}

/// A type in a few words, with links to named schemas.
pub(super) fn type_of(schema: &Value) -> String {
    if let Some(name) = referenced(schema) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(options) = schema[key].as_array() {
            let names: Vec<String> = options.iter().map(type_of).collect();
            return names.join(if key == "allOf" { " and " } else { " or " });
        }
    }
    let words = match &schema["type"] {
        Value::String(word) => vec![word.as_str()],
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => return "any".to_owned(),
    };
    let named: Vec<String> = words.iter().map(|word| one_type(word, schema)).collect();
    let mut text = named.join(" or ");
    if let (Some(least), Some(most)) = (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        let _ = write!(text, ", {least} to {most}");
    }
    if !schema["default"].is_null() {
        let _ = write!(
            text,
            ", default <code>{}</code>",
            escape(&schema["default"].to_string())
        );
    }
    text
}

fn one_type(word: &str, schema: &Value) -> String {
    match (word, schema["format"].as_str()) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("string", Some("date-time")) => "time (RFC 3339)".to_owned(),
        ("string", Some("binary")) => "file".to_owned(),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("object of {}", type_of(&schema["additionalProperties"]))
        }
        _ => escape(word),
    }
}

/// All properties of a schema as a table, or its type if it has none.
pub(super) fn table(out: &mut String, schema: &Value) {
    if let Some(description) = schema["description"].as_str() {
        let _ = write!(out, "<p class=\"quiet\">{}</p>", inline_code(description));
    }
    let parts: Vec<&Value> = match schema["allOf"].as_array() {
        Some(parts) => parts.iter().collect(),
        None => vec![schema],
    };
    for part in &parts {
        if part["properties"].is_null() {
            let _ = write!(out, "<p>{}</p>", type_of(part));
        }
    }
    if parts.iter().all(|part| part["properties"].is_null()) {
        return;
    }
    out.push_str("<div class=\"scroll\"><table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>");
    for part in parts {
        rows(out, part);
    }
    out.push_str("</tbody></table></div>");
}

fn rows(out: &mut String, schema: &Value) {
    let required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|list| list.iter().any(|one| one == name))
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let _ = write!(
            out,
            "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            if required(name) {
                " <span class=\"required\">required</span>"
            } else {
                ""
            },
            type_of(property),
            inline_code(property["description"].as_str().unwrap_or_default()),
        );
    }
}

/// A value of the schema that a person can start from: its own example, else
/// its required properties.
pub(super) fn example(schema: &Value, document: &Value, depth: usize) -> Value {
    let schema = resolve(schema, document);
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    if depth > MAX_EXAMPLE_DEPTH {
        return Value::Null;
    }
    if let Some(first) = schema["oneOf"]
        .as_array()
        .and_then(|options| options.iter().find(|option| option["type"] != "null"))
    {
        return example(first, document, depth + 1);
    }
    let word = match &schema["type"] {
        Value::Array(words) => words.first().and_then(Value::as_str),
        word => word.as_str(),
    };
    match word {
        Some("object") => {
            let required = schema["required"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let fields = required.iter().filter_map(Value::as_str);
            let value = |name: &str| example(&schema["properties"][name], document, depth + 1);
            Value::Object(
                fields
                    .map(|name| (name.to_owned(), value(name)))
                    .collect::<Map<_, _>>(),
            )
        }
        Some("array") => Value::Array(Vec::new()),
        Some("boolean") => json!(false),
        Some("integer" | "number") => json!(schema["minimum"].as_i64().unwrap_or(0)),
        Some("string") => json!(""),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_like_words() {
        for (schema, expected) in [
            (json!({"type": "string"}), "string"),
            (
                json!({"type": ["integer", "null"], "minimum": 1, "maximum": 9}),
                "integer or null, 1 to 9",
            ),
            (
                json!({"type": "array", "items": {"$ref": "#/components/schemas/A"}}),
                "list of <a href=\"#schema-A\">A</a>",
            ),
            (
                json!({"type": "string", "format": "date-time"}),
                "time (RFC 3339)",
            ),
            (
                json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
                "null or string",
            ),
            (json!({}), "any"),
        ] {
            assert_eq!(type_of(&schema), expected);
        }
    }

    #[test]
    fn an_example_has_what_is_required() {
        let document = json!({"components": {"schemas": {"A": {
            "type": "object",
            "required": ["name", "count"],
            "properties": {
                "name": {"type": "string", "example": "x"},
                "count": {"type": "integer", "minimum": 1},
                "more": {"type": "string"},
            },
        }}}});
        let schema = json!({"$ref": "#/components/schemas/A"});
        assert_eq!(
            example(&schema, &document, 0),
            json!({"name": "x", "count": 1})
        );
    }
}
