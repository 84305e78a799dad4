//! Grants by which a bearer token, or temporary keys, are fetched for a call: the request that each makes.

use super::AwsKeys;
use super::oauth::{ClientAuth, ClientCredentials, bearer_answer};
use super::role::{AssumedRole, session};
use super::service_account::{Assertion, ServiceAccount};
use super::sigv4::{self, Payload, host_of};
use crate::encoding::hex;
use crate::secret::Secret;
use crate::time::UnixMs;
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::Serializer;

/// The name of a session if none is given. AWS's logs show it.
const SESSION_NAME: &str = "token-manager";

/// A grant, with everything that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// OAuth 2 client credentials (RFC 6749, section 4.4).
    Client(ClientCredentials),
    /// A Google service account's signed assertion (RFC 7523).
    Account(ServiceAccount),
    /// The role that these keys of AWS assume (STS).
    Role(AwsKeys),
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
            Self::Role(keys) => [
                keys.access_key_id.clone(),
                keys.secret_access_key.expose().to_owned(),
                keys.session_token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default(),
                keys.region.clone(),
                keys.role.as_ref().map(AssumedRole::id).unwrap_or_default(),
            ],
        };
        Secret::new(parts.join("\n"))
    }

    /// Begins to ask for a token; `None` if a key cannot be read.
    pub fn start(&self, now: UnixMs) -> Option<Start> {
        match self {
            Self::Client(client) => Some(Start::Send(client.request())),
            Self::Account(account) => account.assertion(now).map(Start::Sign),
            Self::Role(keys) => keys.assume(now).map(Start::Send),
        }
    }

    /// Reads what was granted, and its lifetime in ms if the response tells it. `None` if it cannot be used.
    pub fn read(&self, response: &str, asked_at: UnixMs) -> Option<(Secret, Option<i64>)> {
        match self {
            Self::Client(_) | Self::Account(_) => bearer_answer(response),
            Self::Role(_) => session(response, asked_at),
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

impl AwsKeys {
    /// Makes the request that assumes the role, signed with these keys; `None` without a role.
    pub(super) fn assume(&self, now: UnixMs) -> Option<TokenRequest> {
        let role = self.role.as_ref()?;
        let own = || {
            let suffix = match self.region.split('-').next() {
                Some("cn") => ".amazonaws.com.cn/",
                Some("eusc") => ".amazonaws.eu/",
                _ => ".amazonaws.com/",
            };
            ["https://sts.", &self.region, suffix].concat()
        };
        let url = Url::parse(&role.sts_url.clone().unwrap_or_else(own)).ok()?;
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "AssumeRole").append_pair("Version", "2011-06-15");
        form.append_pair("RoleArn", &role.arn);
        form.append_pair("RoleSessionName", role.session_name.as_deref().unwrap_or(SESSION_NAME));
        if let Some(id) = &role.external_id {
            form.append_pair("ExternalId", id);
        }
        let body = form.finish();
        let request = sigv4::Request {
            method: "POST",
            host: &host_of(&url),
            path: url.path(),
            query: None,
            headers: &[("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
            payload: &Payload::Digest(hex(&Sha256::digest(&body))),
        };
        let keys = Self { service: "sts".to_owned(), role: None, ..self.clone() };
        let mut headers = sigv4::sign(&request, &keys, now);
        // The form of the response that AWS documents is XML.
        headers.push(("accept", Secret::new("*/*".to_owned())));
        Some(TokenRequest { url: url.into(), headers, body: Secret::new(body) })
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
        let role = |more: &str| {
            grant(&format!(
                r#"{{"kind":"aws_sigv4","access_key_id":"a","secret_access_key":"s3cret","region":"r","service":"s3","role":{{"arn":"arn:aws:iam::1:role/x"{more}}}}}"#
            ))
        };
        let all = [
            client(""),
            client(r#","audience":"api""#),
            account(""),
            account(r#","scope":"read""#),
            account(r#","subject":"read""#),
            role(""),
            role(r#","external_id":"read""#),
            role(r#","session_name":"read""#),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other.id() != one.id()), "{one:?}");
            assert!(!format!("{one:?} {:?}", one.id()).contains("s3cret"));
        }
    }
}
