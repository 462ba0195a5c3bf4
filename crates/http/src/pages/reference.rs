//! The API reference, rendered once from the OpenAPI document itself, so that
//! it can never say anything else than the document.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use super::schema;
use crate::html::{escape, inline_code, page};
use crate::openapi::TAGS;

/// One operation with the place it is served at.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap_or_default()
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.value["tags"]
            .as_array()
            .is_some_and(|tags| tags.iter().any(|t| t == tag))
    }

    /// Whether it can be called without a credential.
    fn is_open(&self) -> bool {
        let alternatives = self.value["security"].as_array();
        alternatives.is_none_or(|list| {
            list.iter()
                .any(|one| one.as_object().is_some_and(Map::is_empty))
        })
    }

    /// Everything the filter looks at.
    fn words(&self) -> String {
        escape(&format!("{} {} {}", self.method, self.path, self.text("summary")).to_lowercase())
    }
}

/// The whole page.
pub(crate) fn render(document: &OpenApi, base_path: &str) -> Vec<u8> {
    let document =
        serde_json::to_value(document).expect("invariant: an OpenAPI document has only text keys");
    let operations = operations(&document);
    let mut body = String::with_capacity(128 * 1024);
    let base = escape(base_path);
    let _ = write!(
        body,
        "<header class=\"top\"><a class=\"brand\" href=\"{base}/docs\">Plimsoll</a>\
         <input id=\"filter\" type=\"search\" placeholder=\"Filter ( / )\" aria-label=\"Filter operations\">\
         <input id=\"credential\" type=\"password\" autocomplete=\"off\" placeholder=\"API key or access token\" \
         aria-label=\"API key or access token for trying operations out\">\
         <a href=\"{base}/openapi.json\">openapi.json</a></header><div class=\"layout\"><nav class=\"side\" aria-label=\"Operations\">"
    );
    for (tag, _) in TAGS {
        navigation(&mut body, tag, &operations);
    }
    body.push_str("<h4>Schemas</h4><ul>");
    for name in schemas(&document).keys() {
        let _ = write!(
            body,
            "<li><a href=\"#schema-{0}\">{0}</a></li>",
            escape(name)
        );
    }
    body.push_str("</ul></nav><main class=\"content\"><h1>API reference</h1>");
    let _ = write!(
        body,
        "<p>{}</p>",
        inline_code(document["info"]["description"].as_str().unwrap_or_default())
    );
    for (tag, text) in TAGS {
        let _ = write!(
            body,
            "<section data-group><h2>{}</h2><p class=\"quiet\">{}</p>",
            escape(tag),
            escape(text)
        );
        for operation in operations.iter().filter(|operation| operation.has_tag(tag)) {
            article(&mut body, operation, &document);
        }
        body.push_str("</section>");
    }
    body.push_str("<h2>Schemas</h2>");
    for (name, value) in schemas(&document) {
        let _ = write!(
            body,
            "<article class=\"operation\" id=\"schema-{0}\"><h3>{0}</h3>",
            escape(name)
        );
        schema::table(&mut body, value);
        body.push_str("</article>");
    }
    body.push_str("</main></div>");
    page("API reference", &body, base_path, &["/assets/reference.js"]).into_bytes()
}

fn schemas(document: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    document["components"]["schemas"]
        .as_object()
        .unwrap_or(&NONE)
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, item)| {
            METHODS.into_iter().filter_map(move |method| {
                item.get(method).map(|value| Operation {
                    method,
                    path,
                    value,
                })
            })
        })
        .collect()
}

fn navigation(out: &mut String, tag: &str, operations: &[Operation<'_>]) {
    let _ = write!(out, "<div data-group><h4>{}</h4><ul>", escape(tag));
    for operation in operations.iter().filter(|operation| operation.has_tag(tag)) {
        let _ = write!(
            out,
            "<li data-words=\"{}\"><a href=\"#{}\"><span class=\"verb {method}\">{method}</span>{}</a></li>",
            operation.words(),
            escape(operation.text("operationId")),
            escape(operation.text("summary")),
            method = operation.method,
        );
    }
    out.push_str("</ul></div>");
}

fn article(out: &mut String, operation: &Operation<'_>, document: &Value) {
    let access = if operation.is_open() {
        "open"
    } else {
        "credential needed"
    };
    let _ = write!(
        out,
        "<article class=\"operation\" id=\"{}\" data-words=\"{}\"><h3>{}</h3>\
         <p class=\"route\"><span class=\"verb {method}\">{method}</span><code>{}</code>\
         <span class=\"access\">{access}</span></p>",
        escape(operation.text("operationId")),
        operation.words(),
        escape(operation.text("summary")),
        escape(operation.path),
        method = operation.method,
    );
    let description = operation.text("description");
    if !description.is_empty() {
        let _ = write!(out, "<p>{}</p>", inline_code(description));
    }
    parameters(out, operation);
    request_body(out, operation);
    responses(out, operation);
    try_it(out, operation, document);
    out.push_str("</article>");
}

fn parameters(out: &mut String, operation: &Operation<'_>) {
    let Some(parameters) = operation.value["parameters"].as_array() else {
        return;
    };
    out.push_str("<h4>Parameters</h4><div class=\"scroll\"><table><thead><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead><tbody>");
    for parameter in parameters {
        let required = parameter["required"].as_bool().unwrap_or(false);
        let _ = write!(
            out,
            "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(parameter["name"].as_str().unwrap_or_default()),
            if required {
                " <span class=\"required\">required</span>"
            } else {
                ""
            },
            escape(parameter["in"].as_str().unwrap_or_default()),
            schema::type_of(&parameter["schema"]),
            inline_code(parameter["description"].as_str().unwrap_or_default()),
        );
    }
    out.push_str("</tbody></table></div>");
}

fn request_body(out: &mut String, operation: &Operation<'_>) {
    let Some(content) = operation.value["requestBody"]["content"].as_object() else {
        return;
    };
    for (media_type, value) in content {
        let _ = write!(
            out,
            "<h4>Body</h4><p><code>{}</code> {}</p>",
            escape(media_type),
            schema::type_of(&value["schema"]),
        );
    }
}

fn responses(out: &mut String, operation: &Operation<'_>) {
    let Some(responses) = operation.value["responses"].as_object() else {
        return;
    };
    out.push_str("<h4>Answers</h4><div class=\"scroll\"><table><tbody>");
    for (status, response) in responses {
        let body = response["content"]
            .as_object()
            .and_then(|content| content.values().next());
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escape(status),
            inline_code(response["description"].as_str().unwrap_or_default()),
            body.map(|body| schema::type_of(&body["schema"]))
                .unwrap_or_default(),
        );
    }
    out.push_str("</tbody></table></div>");
}

/// A form that sends the request from the page.
fn try_it(out: &mut String, operation: &Operation<'_>, document: &Value) {
    let _ = write!(
        out,
        "<details><summary>Try it</summary><form class=\"try stack\" data-method=\"{}\" data-path=\"{}\">",
        operation.method,
        escape(operation.path),
    );
    for parameter in operation.value["parameters"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let place = parameter["in"].as_str().unwrap_or_default();
        let required = if place == "path" { " required" } else { "" };
        let name = escape(parameter["name"].as_str().unwrap_or_default());
        let _ = write!(
            out,
            "<label>{name}<input name=\"{name}\" data-in=\"{}\"{required}></label>",
            escape(place)
        );
    }
    for (media_type, value) in operation.value["requestBody"]["content"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if media_type == "multipart/form-data" {
            form_parts(out, schema::resolve(&value["schema"], document));
        } else {
            let example = schema::example(&value["schema"], document, 0);
            let text = serde_json::to_string_pretty(&example).unwrap_or_default();
            let _ = write!(
                out,
                "<label>Body<textarea spellcheck=\"false\">{}</textarea></label>",
                escape(&text)
            );
        }
    }
    out.push_str("<div><button type=\"submit\">Send</button></div><output hidden><b></b><pre></pre></output></form></details>");
}

fn form_parts(out: &mut String, schema: &Value) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let kind = if property["format"] == "binary" {
            "file"
        } else {
            "text"
        };
        let _ = write!(
            out,
            "<label>{0}<input type=\"{kind}\" name=\"{0}\" data-part></label>",
            escape(name)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_schema_is_on_the_page() {
        let document = crate::openapi();
        let html = String::from_utf8(render(&document, "/base")).unwrap();
        let value = serde_json::to_value(&document).unwrap();
        for operation in operations(&value) {
            let id = format!("id=\"{}\"", operation.text("operationId"));
            assert_eq!(html.matches(&id).count(), 1, "{id}");
        }
        for name in schemas(&value).keys() {
            assert!(html.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
        for link in html.split("href=\"#").skip(1) {
            let target = link.split('"').next().unwrap();
            assert!(
                html.contains(&format!("id=\"{target}\"")),
                "#{target} leads nowhere"
            );
        }
        assert!(html.contains("href=\"/base/assets/pages.css\""));
    }

    #[test]
    fn the_page_has_no_inline_script_or_style() {
        let html = String::from_utf8(render(&crate::openapi(), "")).unwrap();
        for forbidden in [
            " style=",
            " onclick=",
            "<style",
            "javascript:",
            "http://",
            "https://",
        ] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        for script in html.split("<script").skip(1) {
            assert!(
                script.starts_with(" type=\"module\" src=\"/assets/"),
                "{script:.60}"
            );
        }
    }
}
