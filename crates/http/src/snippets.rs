//! Programs that ask a model: a real row, the server's own address, and the key
//! from the environment variable `PLIMSOLL_API_KEY`.

use serde_json::Value;

/// A line for a POSIX shell.
pub(crate) fn curl(url: &str, body: &str) -> String {
    let body = body.replace('\'', r"'\''");
    format!(
        "curl -sS '{url}' \\\n  -H \"Authorization: Bearer $PLIMSOLL_API_KEY\" \\\n  \
         -H 'Content-Type: application/json' \\\n  -d '{body}'\n"
    )
}

/// A program for Python 3 without any package.
pub(crate) fn python(url: &str, body: &Value) -> String {
    let body = python_literal(body);
    format!(
        r#"import json
import os
import urllib.request

request = urllib.request.Request(
    "{url}",
    data=json.dumps({body}).encode(),
    headers={{
        "Authorization": "Bearer " + os.environ["PLIMSOLL_API_KEY"],
        "Content-Type": "application/json",
    }},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["predictions"])
"#
    )
}

/// A module for Node.js 18 and newer without any package.
pub(crate) fn javascript(url: &str, body: &Value) -> String {
    format!(
        r#"const answer = await fetch("{url}", {{
  method: "POST",
  headers: {{
    Authorization: `Bearer ${{process.env.PLIMSOLL_API_KEY}}`,
    "Content-Type": "application/json",
  }},
  body: JSON.stringify({body}),
}});
console.log((await answer.json()).predictions);
"#
    )
}

/// JSON as Python writes it.
fn python_literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        // The escapes of JSON are escapes of Python too.
        Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(python_literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), python_literal(value))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_quoted_as_each_language_needs_it() {
        let body = json!({"inputs": [{"it's": null, "on": true, "a": [1, 2.5, "\"x\"\n"]}]});
        assert!(curl("http://x", &body.to_string()).contains(r#""it'\''s":null"#));
        let literal = r#"{"inputs": [{"a": [1, 2.5, "\"x\"\n"], "it's": None, "on": True}]}"#;
        assert!(python("http://x", &body).contains(literal));
        assert!(javascript("http://x", &body).contains(&body.to_string()));
    }
}
