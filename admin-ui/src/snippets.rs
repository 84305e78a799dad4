//! Snippets for other programs: commands for a shell, nodes for n8n.

use serde_json::{Map, Value, json};

/// The place of the reader's own token: a variable that the shell fills in.
pub const TOKEN_VARIABLE: &str = "$TOKEN";

/// The label of a call from a shell.
const CURL_LABEL: &str = "X-Workflow: curl";
/// The workflow's name as n8n writes it into a call's label. Encoded, because a header holds no Chinese.
const N8N_LABEL: &str = "={{ encodeURIComponent($workflow.name) }}";

/// A call that works at once, as far as is known of the upstream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    pub method: String,
    /// Below the route.
    pub path: String,
    pub header: Option<(&'static str, &'static str)>,
    /// Written as JSON.
    pub body: Option<&'static str>,
    /// The path below the route at which OpenAI's clients find the API, if they can make the call.
    pub openai_base: Option<&'static str>,
}

impl Example {
    /// A call of the route itself.
    pub fn root(method: &str) -> Self {
        Self { method: method.to_owned(), ..Self::default() }
    }
}

/// Returns a `curl` command, which n8n's "Import cURL" accepts too. `url` is the route's address.
pub fn curl(example: &Example, url: &str, token: &str) -> String {
    // Only the token has double quotes, so that the shell fills in its variable.
    let method = if example.method == "GET" { String::new() } else { format!("-X {} ", example.method) };
    let url = quoted(&format!("{url}{}", example.path));
    let header = example
        .header
        .map_or_else(String::new, |(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))));
    let body = example
        .body
        .map_or_else(String::new, |body| format!(" -H 'Content-Type: application/json' -d {}", quoted(body)));
    let label = quoted(CURL_LABEL);
    format!("curl {method}{url} -H \"X-API-Key: {token}\" -H {label}{header}{body}")
}

/// Puts a text between single quotes, for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns a script for Node or a browser's console. Without a token it reads the variable `TOKEN`.
pub fn fetch(example: &Example, url: &str, token: Option<&str>) -> String {
    let mut headers = vec![format!("\"X-API-Key\": {}", node_key(token))];
    headers.extend(example.header.map(|(name, value)| format!("{}: {}", literal(name), literal(value))));
    headers.extend(example.body.map(|_| r#""Content-Type": "application/json""#.to_owned()));
    let url = literal(&format!("{url}{}", example.path));
    let body = example.body.map_or_else(String::new, |body| format!("\n  body: JSON.stringify({body}),"));
    format!(
        "const response = await fetch({url}, {{\n  method: {},\n  headers: {{ {} }},{body}\n}});\n\
         console.log(response.status, await response.text());",
        literal(&example.method),
        headers.join(", "),
    )
}

/// Returns a script for OpenAI's client in Python, if that can make the call.
pub fn openai_python(example: &Example, url: &str, token: Option<&str>) -> Option<String> {
    let base = literal(&format!("{url}{}", example.openai_base?));
    let (import, key) =
        token.map_or(("import os\n", r#"os.environ["TOKEN"]"#.to_owned()), |token| ("", literal(token)));
    // JSON without `true`, `false` and `null` is also Python.
    let call = match example.body {
        Some(body) => format!(
            "reply = client.chat.completions.create(**{body})\nprint(reply.choices[0].message.content)"
        ),
        None => "print([model.id for model in client.models.list()])".to_owned(),
    };
    Some(format!(
        "# pip install openai\n{import}from openai import OpenAI\n\n\
         client = OpenAI(base_url={base}, api_key={key})\n{call}"
    ))
}

/// Returns a script for OpenAI's client in Node, if that can make the call.
pub fn openai_node(example: &Example, url: &str, token: Option<&str>) -> Option<String> {
    let base = literal(&format!("{url}{}", example.openai_base?));
    let call = match example.body {
        Some(body) => format!(
            "const reply = await client.chat.completions.create({body});\n\
             console.log(reply.choices[0].message.content);"
        ),
        None => "console.log((await client.models.list()).data);".to_owned(),
    };
    Some(format!(
        "// npm install openai\nimport OpenAI from \"openai\";\n\n\
         const client = new OpenAI({{ baseURL: {base}, apiKey: {} }});\n{call}",
        node_key(token)
    ))
}

fn node_key(token: Option<&str>) -> String {
    token.map_or_else(|| "process.env.TOKEN".to_owned(), literal)
}

/// Puts a text between double quotes, for Python and JavaScript.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns a text that n8n's canvas accepts as one HTTP Request node. It holds no token: the node needs a
/// "Header Auth" credential, which n8n keeps.
pub fn n8n_node(id: &str, name: &str, example: &Example, url: &str) -> String {
    let mut more = Map::new();
    let headers = std::iter::once(("X-Workflow", N8N_LABEL)).chain(example.header);
    let headers: Vec<Value> = headers.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    more.insert("sendHeaders".to_owned(), true.into());
    more.insert("headerParameters".to_owned(), json!({ "parameters": headers }));
    if let Some(body) = example.body {
        more.insert("sendBody".to_owned(), true.into());
        more.insert("specifyBody".to_owned(), "json".into());
        more.insert("jsonBody".to_owned(), body.into());
    }
    pretty(&node(id, name, &example.method, &format!("{url}{}", example.path), more.into()))
}

/// Makes a node of the common parameters and `more`.
fn node(id: &str, name: &str, method: &str, url: &str, more: Value) -> Value {
    let mut parameters = json!({
        "method": method,
        "url": url,
        "authentication": "genericCredentialType",
        "genericAuthType": "httpHeaderAuth",
        // n8n sends the token along when it follows a redirect to another host.
        "options": { "redirect": { "redirect": { "followRedirects": false } } },
    });
    if let (Some(all), Value::Object(more)) = (parameters.as_object_mut(), more) {
        all.extend(more);
    }
    json!({
        "nodes": [{
            "parameters": parameters,
            "type": "n8n-nodes-base.httpRequest",
            "typeVersion": 4.2,
            "position": [0, 0],
            "id": id,
            "name": name,
        }],
        "connections": {},
        "pinData": {},
    })
}

/// The parameters of a request for a derived token that holds for ten minutes.
fn exchange(scope: &str) -> [(&'static str, String); 4] {
    [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token".to_owned()),
        // OAuth's scopes hold no space: `GET:/api/x/*`.
        ("scope", scope.replacen(' ', ":", 1)),
        ("expires_in", "600".to_owned()),
    ]
}

/// Returns a `curl` command that derives a token with `scope`.
pub fn exchange_curl(gateway: &str, scope: &str) -> String {
    let parameters = exchange(scope)
        .map(|(name, value)| format!("--data-urlencode {}", quoted(&format!("{name}={value}"))));
    format!(
        "{} {}",
        curl(&Example::root("POST"), &format!("{gateway}/token"), TOKEN_VARIABLE),
        parameters.join(" ")
    )
}

/// Returns an HTTP Request node that derives a token with `scope`; like [`n8n_node`], it holds no token.
pub fn exchange_node(id: &str, gateway: &str, scope: &str) -> String {
    let parameters = exchange(scope).map(|(name, value)| json!({ "name": name, "value": value }));
    let body = json!({
        "sendBody": true,
        "contentType": "form-urlencoded",
        "bodyParameters": { "parameters": parameters },
    });
    pretty(&node(id, "Derive a token", "POST", &format!("{gateway}/token"), body))
}

pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_break_out_of_its_quotes() {
        let command = curl(&Example::root("POST"), "https://gw.example/api/x?a='$(id)'", TOKEN_VARIABLE);
        assert_eq!(
            command,
            r#"curl -X POST 'https://gw.example/api/x?a='\''$(id)'\''' -H "X-API-Key: $TOKEN" -H 'X-Workflow: curl'"#
        );
        assert!(!curl(&Example::root("GET"), "https://gw.example", "t").contains("-X"));
    }

    #[test]
    fn a_node_holds_no_secret_and_needs_header_auth() {
        let node: Value =
            serde_json::from_str(&n8n_node("1", "Open AI", &Example::root("GET"), "https://gw.example/a"))
                .unwrap();
        assert_eq!(node["nodes"][0]["parameters"]["genericAuthType"], "httpHeaderAuth");
        assert_eq!(node["nodes"][0]["type"], "n8n-nodes-base.httpRequest");
    }

    #[test]
    fn a_node_tells_its_workflow_and_keeps_the_vendors_header() {
        let example = Example { header: Some(("anthropic-version", "2023-06-01")), ..Example::root("POST") };
        let node: Value =
            serde_json::from_str(&n8n_node("1", "a", &example, "https://gw.example/a")).unwrap();
        let parameters = &node["nodes"][0]["parameters"];
        assert_eq!(parameters["sendHeaders"], true);
        assert_eq!(
            parameters["headerParameters"]["parameters"],
            json!([
                { "name": "X-Workflow", "value": "={{ encodeURIComponent($workflow.name) }}" },
                { "name": "anthropic-version", "value": "2023-06-01" },
            ])
        );
    }

    #[test]
    fn a_derived_token_is_asked_for_with_a_scope_that_has_no_space() {
        let command = exchange_curl("https://gw.example", "GET /api/x/*");
        assert!(command.starts_with(r#"curl -X POST 'https://gw.example/token' -H "X-API-Key: $TOKEN" "#));
        assert!(command.contains("--data-urlencode 'scope=GET:/api/x/*'"), "{command}");
        let node: Value = serde_json::from_str(&exchange_node("1", "https://gw.example", "*")).unwrap();
        let parameters = &node["nodes"][0]["parameters"];
        assert_eq!(
            (&parameters["contentType"], &parameters["sendBody"]),
            (&json!("form-urlencoded"), &json!(true))
        );
        assert_eq!(parameters["bodyParameters"]["parameters"][2], json!({ "name": "scope", "value": "*" }));
        assert_eq!(parameters["genericAuthType"], "httpHeaderAuth");
    }

    #[test]
    fn a_script_holds_the_token_or_reads_it_and_quotes_the_address() {
        let chat = Example {
            body: Some(r#"{ "model": "m" }"#),
            openai_base: Some("/v1"),
            header: Some(("anthropic-version", "1")),
            ..Example::root("POST")
        };
        let url = "https://gw.example/api/a\"b";
        let python = openai_python(&chat, url, None).unwrap();
        assert!(
            python.contains(r#"base_url="https://gw.example/api/a\"b/v1", api_key=os.environ["TOKEN"])"#)
        );
        assert!(python.starts_with("# pip install openai\nimport os\n"));
        let node = openai_node(&chat, url, Some("ntk_1")).unwrap();
        assert!(node.contains(r#"apiKey: "ntk_1" }"#) && node.contains(r#"create({ "model": "m" })"#));
        let script = fetch(&chat, "https://gw.example/a", None);
        assert!(
            script.contains(r#"{ "X-API-Key": process.env.TOKEN, "anthropic-version": "1", "#),
            "{script}"
        );
        assert_eq!(openai_node(&Example::root("GET"), url, None), None);
    }

    #[test]
    fn a_node_sends_the_token_to_no_other_host() {
        let node: Value =
            serde_json::from_str(&n8n_node("1", "a", &Example::root("GET"), "https://gw.example/a")).unwrap();
        let options = &node["nodes"][0]["parameters"]["options"];
        assert_eq!(options["redirect"]["redirect"]["followRedirects"], false);
    }
}
