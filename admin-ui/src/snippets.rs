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
    let node = json!({
        "nodes": [{
            "parameters": {
                "method": method,
                "url": url,
                "authentication": "genericCredentialType",
                "genericAuthType": "httpHeaderAuth",
                // n8n sends the token along when it follows a redirect to another host.
                "options": { "redirect": { "redirect": { "followRedirects": false } } },
            },
            "type": "n8n-nodes-base.httpRequest",
            "typeVersion": 4.2,
            "position": [0, 0],
            "id": id,
            "name": name,
        }],
        "connections": {},
        "pinData": {},
    });
    pretty(&node)
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
    fn a_node_sends_the_token_to_no_other_host() {
        let node: Value = serde_json::from_str(&n8n_node("1", "a", "GET", "https://gw.example/a")).unwrap();
        let options = &node["nodes"][0]["parameters"]["options"];
        assert_eq!(options["redirect"]["redirect"]["followRedirects"], false);
    }
}
