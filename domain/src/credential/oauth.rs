//! OAuth 2 client credentials: the grant's request, and the token in its response.

use super::{InvalidCredential, header_secret, invalid, sendable, word};
use crate::encoding::base64;
use crate::json;
use crate::problem::Invalid;
use crate::secret::{Reveal, Secret};
use crate::upstream::address::{AddressRules, UpstreamUrl};
use serde::{Deserialize, Serialize};

/// A client of an OAuth 2 authorization server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ClientCredentials {
    /// Address of the authorization server's token endpoint.
    pub token_url: String,
    /// The client's id at the authorization server.
    pub client_id: String,
    /// The client's secret.
    #[serde(serialize_with = "Reveal::reveal")]
    pub client_secret: Secret,
    /// Scopes to ask for, separated by spaces.
    #[serde(default)]
    pub scope: Option<String>,
    /// The audience of the token, if the server asks for it.
    #[serde(default)]
    pub audience: Option<String>,
    /// How the secret is sent.
    #[serde(default)]
    pub client_auth: ClientAuth,
}

/// How the client's secret is sent (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `Authorization: Basic`
    #[default]
    Basic,
    /// In the form.
    Body,
}

impl ClientCredentials {
    /// Returns the value of `Authorization: Basic`, both parts form-encoded first (RFC 6749, section 2.3.1).
    pub fn basic(&self) -> Secret {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(&self.client_id), encode(self.client_secret.expose()));
        Secret::new(format!("Basic {}", base64(pair.as_bytes())))
    }

    pub(super) fn validate(&self, rules: AddressRules) -> Result<(), InvalidCredential> {
        if UpstreamUrl::parse(&self.token_url, rules).is_err() {
            return Err(invalid("token_url", &Invalid::TokenUrl));
        }
        let is_text = |c: char| ('\u{20}'..='\u{7e}').contains(&c);
        word("client_id", &self.client_id, is_text)?;
        sendable("client_secret", &self.client_secret)?;
        self.scope.iter().try_for_each(|scope| word("scope", scope, is_text))?;
        self.audience.iter().try_for_each(|audience| word("audience", audience, is_text))
    }
}

/// Reads the token from the response of an authorization server (RFC 6749, section 5.1), and its lifetime in ms if the
/// response tells it. `None` if it is not a bearer token that can be sent.
pub fn bearer_answer(json: &str) -> Option<(Secret, Option<i64>)> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: Secret,
        #[serde(default)]
        token_type: Option<String>,
        /// Seconds. Some servers send it as a string.
        #[serde(default)]
        expires_in: serde_json::Value,
    }
    let answer: Answer = json::from_text(json).ok()?;
    let is_bearer = answer.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    header_secret("access_token", &answer.access_token).ok().filter(|()| is_bearer)?;
    let seconds = answer.expires_in.as_i64().or_else(|| answer.expires_in.as_str()?.parse().ok());
    Some((answer.access_token, seconds.map(|s| s.clamp(0, 86_400) * 1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_response_is_read_or_refused() {
        let read = |json: &str| bearer_answer(json).map(|(token, life)| (token.expose().to_owned(), life));
        let t = |life| Some(("t".to_owned(), life));
        assert_eq!(
            read(r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#),
            t(Some(3_600_000))
        );
        assert_eq!(read(r#"{"access_token":"t","expires_in":"60"}"#), t(Some(60_000)));
        assert_eq!(read(r#"{"access_token":"t"}"#), t(None));
        for bad in ["", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a\nb"}"#] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(r#"{"access_token":"t","token_type":"mac"}"#), None);
    }
}
