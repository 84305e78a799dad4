//! Snippets for other programs: commands for a shell, nodes for n8n.

use serde_json::{Value, json};

/// The place of the reader's own token: a variable that the shell fills in.
pub const TOKEN_VARIABLE: &str = "$TOKEN";

/// Returns a `curl` command, which n8n's "Import cURL" accepts too.
pub fn curl(method: &str, url: &str, token: &str) -> String {
    // Only the token has double quotes, so that the shell fills in its variable.
    let method = if method == "GET" { String::new() } else { format!("-X {method} ") };
    format!("curl {method}{} -H \"X-API-Key: {token}\"", quoted(url))
}

/// Puts a text between single quotes, for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns a text that n8n's canvas accepts as one HTTP Request node. It holds no token: the node needs a
/// "Header Auth" credential, which n8n keeps.
pub fn n8n_node(id: &str, name: &str, method: &str, url: &str) -> String {
    pretty(&node(id, name, method, url, json!({})))
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
    format!("{} {}", curl("POST", &format!("{gateway}/token"), TOKEN_VARIABLE), parameters.join(" "))
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
        let command = curl("POST", "https://gw.example/api/x?a='$(id)'", TOKEN_VARIABLE);
        assert_eq!(
            command,
            r#"curl -X POST 'https://gw.example/api/x?a='\''$(id)'\''' -H "X-API-Key: $TOKEN""#
        );
        assert!(!curl("GET", "https://gw.example", "t").contains("-X"));
    }

    #[test]
    fn a_node_holds_no_secret_and_needs_header_auth() {
        let node: Value =
            serde_json::from_str(&n8n_node("1", "Open AI", "GET", "https://gw.example/a")).unwrap();
        assert_eq!(node["nodes"][0]["parameters"]["genericAuthType"], "httpHeaderAuth");
        assert_eq!(node["nodes"][0]["type"], "n8n-nodes-base.httpRequest");
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
        let node: Value = serde_json::from_str(&n8n_node("1", "a", "GET", "https://gw.example/a")).unwrap();
        let options = &node["nodes"][0]["parameters"]["options"];
        assert_eq!(options["redirect"]["redirect"]["followRedirects"], false);
    }
}
