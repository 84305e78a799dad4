//! The document as a page for people: one file, without scripts or outside resources.

use serde_json::{Map, Value};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");

/// Method, path and the operation's description in the document.
type Operation<'a> = (&'a str, &'a str, &'a Value);

/// Renders the page of an OpenAPI document that [`super::document`] has made.
pub fn render(document: &Value) -> String {
    let mut by_tag: Vec<(&str, Vec<Operation>)> = Vec::new();
    for (path, methods) in object(&document["paths"]) {
        for (method, operation) in object(methods) {
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            match by_tag.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, list)) => list.push((method, path, operation)),
                None => by_tag.push((tag, vec![(method, path, operation)])),
            }
        }
    }
    by_tag.sort_by_key(|(tag, _)| *tag);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\
         <nav aria-label=\"Endpoints\"><h1>{title}</h1><p>Version {version} · <a href=\"/openapi.json\">openapi.json</a></p>",
        title = text(&document["info"]["title"]),
        version = text(&document["info"]["version"]),
    );
    for (tag, operations) in &by_tag {
        let _ = write!(html, "<h2>{tag}</h2><ul>");
        for (method, path, operation) in operations {
            let id = text(&operation["operationId"]);
            let _ = write!(
                html,
                "<li><a href=\"#{id}\"><b class=\"{method}\">{method}</b> {}</a></li>",
                escape(path)
            );
        }
        html.push_str("</ul>");
    }
    html.push_str("<h2><a href=\"#errors\">Errors</a></h2>");
    let _ = write!(html, "</nav><main><p class=\"lead\">{}</p>", text(&document["info"]["description"]));
    for (_, operations) in &by_tag {
        for (method, path, operation) in operations {
            section(&mut html, document, method, path, operation);
        }
    }
    errors(&mut html, document);
    html.push_str("</main></body></html>\n");
    html
}

fn errors(html: &mut String, document: &Value) {
    html.push_str("<section id=\"errors\"><h3>Errors</h3><p>All in one envelope; <code>code</code> is for machines.</p>");
    for (status, answer) in object(&document["components"]["responses"]) {
        let _ = write!(html, "<h4 id=\"error-{status}\"><code>{status}</code></h4>");
        for (_, example) in object(&answer["content"]["application/json"]["examples"]) {
            let _ = write!(html, "<pre>{}</pre>", pretty(&example["value"]));
        }
    }
    html.push_str("</section>");
}

fn section(html: &mut String, document: &Value, method: &str, path: &str, operation: &Value) {
    let id = text(&operation["operationId"]);
    let _ = write!(
        html,
        "<section id=\"{id}\"><h3><b class=\"{method}\">{method}</b> <code>{}</code></h3><p>{}</p><p class=\"who\">{}</p>",
        escape(path),
        text(&operation["description"]),
        who(operation)
    );
    let parameters: Vec<&Value> =
        operation["parameters"].as_array().into_iter().flatten().map(|p| resolve(document, p)).collect();
    if !parameters.is_empty() {
        html.push_str("<h4>Parameters</h4><table><tbody>");
        for p in parameters {
            let required = if p["required"] == true { " · required" } else { "" };
            let _ = write!(
                html,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}{required}</td><td>{} {}</td></tr>",
                text(&p["name"]),
                text(&p["in"]),
                kind(document, &p["schema"]),
                text(&p["description"])
            );
        }
        html.push_str("</tbody></table>");
    }
    let body = &operation["requestBody"]["content"]["application/json"];
    if body.is_object() {
        html.push_str("<h4>Body</h4>");
        fields(html, document, &body["schema"]);
    }
    html.push_str("<h4>Answers</h4>");
    for (status, answer) in object(&operation["responses"]) {
        let is_error = answer["$ref"].is_string();
        let answer = resolve(document, answer);
        if is_error {
            let _ = write!(html, "<a class=\"error\" href=\"#error-{status}\"><code>{status}</code></a> ");
            continue;
        }
        let _ = write!(
            html,
            "<details><summary><code>{status}</code> {}</summary>",
            text(&answer["description"])
        );
        for (media, content) in object(&answer["content"]) {
            let _ = write!(html, "<p><code>{media}</code></p>");
            fields(html, document, &content["schema"]);
        }
        html.push_str("</details>");
    }
    let _ = write!(html, "<h4>Example</h4><pre>{}</pre></section>", curl(method, path, operation));
}

/// Describes the callers who may use an operation.
fn who(operation: &Value) -> String {
    let may = &operation["x-access"]["may"];
    if !may.is_object() {
        return match operation["security"][0].as_object().and_then(|s| s.keys().next()).map(String::as_str) {
            Some("token") => "With a token in X-API-Key.".to_owned(),
            Some(_) => "Signed.".to_owned(),
            None => "Open to everybody.".to_owned(),
        };
    }
    let mut parts = Vec::new();
    if may["anyone"] == true {
        parts.push("anybody who is signed in".to_owned());
    }
    if may["any_team"] == true {
        parts.push("members of any team".to_owned());
    }
    if may["maker"] == true {
        parts.push("who made it".to_owned());
    }
    for (column, words) in [("core", "in core-team"), ("team", "of the team"), ("own", "who made it")] {
        if let Some(role) = may[column].as_str() {
            parts.push(format!("{role} and up {words}"));
        }
    }
    let by_key = match operation["x-access"]["by_key"].as_str() {
        Some("never") => " Not by key.".to_owned(),
        Some("read" | "change") | None => String::new(),
        Some(power) => format!(" By a key that was given {power}."),
    };
    format!("For {}.{by_key}", parts.join("; "))
}

/// Writes a schema's fields as a table, nested ones with dotted names.
fn fields(html: &mut String, document: &Value, schema: &Value) {
    let schema = resolve(document, schema);
    html.push_str("<table><tbody>");
    rows(html, document, schema, "", 0);
    html.push_str("</tbody></table>");
}

fn rows(html: &mut String, document: &Value, schema: &Value, prefix: &str, depth: usize) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for variant in schema["oneOf"].as_array().into_iter().flatten() {
        rows(html, document, resolve(document, variant), prefix, depth);
    }
    for (name, property) in object(&schema["properties"]) {
        let mark = if required.contains(&name.as_str()) { " · always" } else { "" };
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><code>{prefix}{name}</code></th><td>{}{mark}</td><td>{}</td></tr>",
            kind(document, property),
            text(&property["description"])
        );
        let inner = resolve(document, property);
        let inner = if inner["type"] == "array" { resolve(document, &inner["items"]) } else { inner };
        if depth < 2 && inner["properties"].is_object() {
            rows(html, document, inner, &format!("{prefix}{name}."), depth + 1);
        }
    }
}

/// Describes a schema in a word or two.
fn kind(document: &Value, schema: &Value) -> String {
    let resolved = resolve(document, schema);
    if let Some(any) = resolved["anyOf"].as_array() {
        let kinds: Vec<String> = any.iter().map(|s| kind(document, s)).collect();
        return kinds.join(" or ");
    }
    if let Some(values) = resolved["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|v| format!("<code>{}</code>", text(v))).collect();
        return values.join(" ");
    }
    if let Some(one) = resolved["oneOf"].as_array() {
        let kinds: Vec<String> = one
            .iter()
            .map(|s| {
                s["const"]
                    .as_str()
                    .map_or_else(|| kind(document, s), |c| format!("<code>{}</code>", escape(c)))
            })
            .collect();
        return kinds.join(" ");
    }
    match &resolved["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(document, &resolved["items"])),
        Value::String(name) => escape(name),
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn curl(method: &str, path: &str, operation: &Value) -> String {
    let mut line = format!("curl -X {} \"$API{path}\"", method.to_uppercase());
    match operation["security"][0].as_object().and_then(|s| s.keys().next()).map(String::as_str) {
        Some("session") => line.push_str(" \\\n  -H \"Authorization: Bearer $SESSION\""),
        Some("token") => line.push_str(" \\\n  -H \"X-API-Key: $TOKEN\""),
        Some("signature") => line.push_str(" \\\n  -H \"X-Signature: $SIGNATURE\""),
        _ => {}
    }
    let example = &operation["requestBody"]["content"]["application/json"]["example"];
    if !example.is_null() {
        let body = example.to_string().replace('\'', "'\\''");
        let _ = write!(line, " \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'");
    }
    escape(&line)
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().map(|to| to.trim_start_matches('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn pretty(value: &Value) -> String {
    escape(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Escapes a string for HTML; anything else is left out.
fn text(value: &Value) -> String {
    value.as_str().map(escape).unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
