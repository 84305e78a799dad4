//! Snippets for other programs: commands for a shell, nodes for n8n.

use domain::upstream::settings::AiProvider;
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
    pub body: Option<Value>,
}

/// Returns a call of the vendor's API. `base` is the path of the upstream's address, if it is known.
pub fn example(provider: AiProvider, base: Option<&str>) -> Example {
    // Whether the version is a part of the route or of the call.
    let below = |version: &str, path: &str, is_usual: bool| {
        let is_in_base = base.map_or(is_usual, |base| base.trim_end_matches('/').ends_with(version));
        if is_in_base { path.to_owned() } else { format!("{version}{path}") }
    };
    let post =
        |path: String, body: Value| Example { method: "POST".into(), path, header: None, body: Some(body) };
    let message = json!([{ "role": "user", "content": "Hello" }]);
    match provider {
        AiProvider::Openai => post(
            below("/v1", "/chat/completions", true),
            json!({ "model": "gpt-4o-mini", "messages": message }),
        ),
        AiProvider::Anthropic => Example {
            header: Some(("anthropic-version", "2023-06-01")),
            ..post(
                below("/v1", "/messages", false),
                json!({ "model": "claude-3-5-haiku-latest", "max_tokens": 64, "messages": message }),
            )
        },
        AiProvider::Gemini => post(
            below("/v1beta", "/models/gemini-2.0-flash:generateContent", true),
            json!({ "contents": [{ "parts": [{ "text": "Hello" }] }] }),
        ),
        // Nobody knows which models it has, so ask for them.
        AiProvider::OpenaiCompatible => {
            Example { method: "GET".into(), path: below("/v1", "/models", true), ..Example::default() }
        }
    }
}

/// Guesses the vendor by the route's path, for people who do not see the upstream.
pub fn guess(path: &str) -> Option<AiProvider> {
    let path = path.to_lowercase();
    let vendors = [
        ("openai", AiProvider::Openai),
        ("anthropic", AiProvider::Anthropic),
        ("claude", AiProvider::Anthropic),
        ("gemini", AiProvider::Gemini),
    ];
    vendors.into_iter().find(|(name, _)| path.contains(name)).map(|(_, provider)| provider)
}

/// Returns a `curl` command, which n8n's "Import cURL" accepts too. `url` is the route's address.
pub fn curl(example: &Example, url: &str, token: &str) -> String {
    // Only the token has double quotes, so that the shell fills in its variable.
    let method = if example.method == "GET" { String::new() } else { format!("-X {} ", example.method) };
    let url = quoted(&format!("{url}{}", example.path));
    let header = example
        .header
        .map_or_else(String::new, |(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))));
    let body = example.body.as_ref().map_or_else(String::new, |body| {
        format!(" -H 'Content-Type: application/json' -d {}", quoted(&body.to_string()))
    });
    let label = quoted(CURL_LABEL);
    format!("curl {method}{url} -H \"X-API-Key: {token}\" -H {label}{header}{body}")
}

/// Puts a text between single quotes, for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns a text that n8n's canvas accepts as one HTTP Request node. It holds no token: the node needs a
/// "Header Auth" credential, which n8n keeps.
pub fn n8n_node(id: &str, name: &str, example: &Example, url: &str) -> String {
    let mut more = Map::new();
    let headers = std::iter::once(("X-Workflow", N8N_LABEL)).chain(example.header);
    let headers: Vec<Value> = headers.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    more.insert("sendHeaders".to_owned(), true.into());
    more.insert("headerParameters".to_owned(), json!({ "parameters": headers }));
    if let Some(body) = &example.body {
        more.insert("sendBody".to_owned(), true.into());
        more.insert("specifyBody".to_owned(), "json".into());
        more.insert("jsonBody".to_owned(), pretty(body).into());
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
    let post = Example { method: "POST".to_owned(), ..Example::default() };
    format!("{} {}", curl(&post, &format!("{gateway}/token"), TOKEN_VARIABLE), parameters.join(" "))
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

    fn at_root(method: &str) -> Example {
        Example { method: method.to_owned(), ..Example::default() }
    }

    #[test]
    fn each_vendor_gets_a_call_that_it_answers() {
        let url = |provider, base| {
            let example = example(provider, base);
            format!("{} {}", example.method, example.path)
        };
        assert_eq!(url(AiProvider::Openai, Some("/v1")), "POST /chat/completions");
        assert_eq!(url(AiProvider::Openai, Some("/")), "POST /v1/chat/completions");
        assert_eq!(url(AiProvider::Anthropic, Some("")), "POST /v1/messages");
        assert_eq!(url(AiProvider::Anthropic, Some("/v1/")), "POST /messages");
        assert_eq!(url(AiProvider::Gemini, None), "POST /models/gemini-2.0-flash:generateContent");
        assert_eq!(url(AiProvider::OpenaiCompatible, None), "GET /models");
        assert_eq!(guess("/api/OpenAI-eu"), Some(AiProvider::Openai));
        let command = curl(&example(AiProvider::Anthropic, None), "https://gw.example/api/a", TOKEN_VARIABLE);
        assert!(
            command
                .starts_with("curl -X POST 'https://gw.example/api/a/v1/messages' -H \"X-API-Key: $TOKEN\"")
        );
        assert!(
            command.contains("-H 'X-Workflow: curl' -H 'anthropic-version: 2023-06-01' -H 'Content-Type: application/json' -d '{")
        );
    }

    #[test]
    fn a_url_cannot_break_out_of_its_quotes() {
        let command = curl(&at_root("POST"), "https://gw.example/api/x?a='$(id)'", TOKEN_VARIABLE);
        assert_eq!(
            command,
            r#"curl -X POST 'https://gw.example/api/x?a='\''$(id)'\''' -H "X-API-Key: $TOKEN" -H 'X-Workflow: curl'"#
        );
        assert!(!curl(&at_root("GET"), "https://gw.example", "t").contains("-X"));
    }

    #[test]
    fn a_node_holds_no_secret_and_needs_header_auth() {
        let node: Value =
            serde_json::from_str(&n8n_node("1", "Open AI", &at_root("GET"), "https://gw.example/a")).unwrap();
        assert_eq!(node["nodes"][0]["parameters"]["genericAuthType"], "httpHeaderAuth");
        assert_eq!(node["nodes"][0]["type"], "n8n-nodes-base.httpRequest");
    }

    #[test]
    fn a_node_tells_its_workflow_and_keeps_the_vendors_header() {
        let example = example(AiProvider::Anthropic, None);
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
    fn a_node_sends_the_token_to_no_other_host() {
        let node: Value =
            serde_json::from_str(&n8n_node("1", "a", &at_root("GET"), "https://gw.example/a")).unwrap();
        let options = &node["nodes"][0]["parameters"]["options"];
        assert_eq!(options["redirect"]["redirect"]["followRedirects"], false);
    }
}
