//! Grants by which a bearer token is fetched for a call: the request that each makes.

use super::oauth::{ClientAuth, ClientCredentials};
use super::service_account::{Assertion, ServiceAccount};
use crate::secret::Secret;
use crate::time::UnixMs;
use url::form_urlencoded::Serializer;

/// A grant, with everything that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// OAuth 2 client credentials (RFC 6749, section 4.4).
    Client(ClientCredentials),
    /// A Google service account's signed assertion (RFC 7523).
    Account(ServiceAccount),
}

/// A request for a token: a POST of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// The address of the token endpoint.
    pub url: String,
    /// Headers besides those of every form.
    pub headers: Vec<(&'static str, Secret)>,
    /// The form.
    pub body: Secret,
}

/// The first step towards a token.
#[derive(Debug)]
pub enum Start {
    /// The request can be sent.
    Send(TokenRequest),
    /// The assertion must be signed first.
    Sign(Assertion),
}

impl Grant {
    /// Returns a text that tells grants apart: one with another secret is another grant.
    pub fn id(&self) -> Secret {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let parts = match self {
            Self::Client(client) => [
                client.token_url.clone(),
                client.client_id.clone(),
                client.client_secret.expose().to_owned(),
                or_empty(&client.scope),
                or_empty(&client.audience),
            ],
            Self::Account(account) => [
                String::new(),
                account.key_file.expose().to_owned(),
                or_empty(&account.scope),
                or_empty(&account.subject),
                String::new(),
            ],
        };
        Secret::new(parts.join("\n"))
    }

    /// Begins to ask for a token; `None` if a key cannot be read.
    pub fn start(&self, now: UnixMs) -> Option<Start> {
        match self {
            Self::Client(client) => Some(Start::Send(client.request())),
            Self::Account(account) => account.assertion(now).map(Start::Sign),
        }
    }
}

impl ClientCredentials {
    /// Makes the grant's request.
    fn request(&self) -> TokenRequest {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &self.scope), ("audience", &self.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let headers = match self.client_auth {
            ClientAuth::Basic => vec![("authorization", self.basic())],
            ClientAuth::Body => {
                form.append_pair("client_id", &self.client_id);
                form.append_pair("client_secret", self.client_secret.expose());
                vec![]
            }
        };
        TokenRequest { url: self.token_url.clone(), headers, body: Secret::new(form.finish()) }
    }
}

impl Assertion {
    /// Makes the grant's request with the signature over [`Assertion::text`] (RFC 7523, section 2.1).
    pub fn request(self, signature: &[u8]) -> TokenRequest {
        let signed = self.signed(signature);
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        form.append_pair("assertion", signed.expose());
        TokenRequest { url: self.audience, headers: vec![], body: Secret::new(form.finish()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Credential;
    use crate::credential::CredentialEdit;

    fn grant(json: &str) -> Grant {
        match serde_json::from_str::<Credential>(json).unwrap().edit() {
            CredentialEdit::FetchToken(grant) => grant,
            other => panic!("{other:?}"),
        }
    }

    fn client(more: &str) -> Grant {
        grant(&format!(
            r#"{{"kind":"oauth2_client_credentials","token_url":"https://l.example/t","client_id":"a b","client_secret":"s&","scope":"x y"{more}}}"#
        ))
    }

    #[test]
    fn a_client_identifies_itself_as_it_was_told_to() {
        let sent = |grant: &Grant| match grant.start(0) {
            Some(Start::Send(request)) => request,
            other => panic!("{other:?}"),
        };
        let basic = sent(&client(r#","audience":"api""#));
        assert_eq!(basic.url, "https://l.example/t");
        assert_eq!(basic.body.expose(), "grant_type=client_credentials&scope=x+y&audience=api");
        let told: Vec<_> = basic.headers.iter().map(|(name, value)| (*name, value.expose())).collect();
        assert_eq!(told, [("authorization", "Basic YStiOnMlMjY=")]);
        let in_body = sent(&client(r#","client_auth":"body""#));
        assert_eq!(
            in_body.body.expose(),
            "grant_type=client_credentials&scope=x+y&client_id=a+b&client_secret=s%26"
        );
        assert_eq!(in_body.headers, []);
    }

    #[test]
    fn whatever_changes_a_token_makes_another_grant_and_no_secret_is_shown() {
        let account =
            |more: &str| grant(&format!(r#"{{"kind":"google_service_account","key_file":"s3cret"{more}}}"#));
        let all = [
            client(""),
            client(r#","audience":"api""#),
            account(""),
            account(r#","scope":"read""#),
            account(r#","subject":"read""#),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other.id() != one.id()), "{one:?}");
            assert!(!format!("{one:?} {:?}", one.id()).contains("s3cret"));
        }
    }
}
