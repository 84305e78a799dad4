//! The change that a credential makes to a call.

use super::grant::Grant;
use super::{AwsKeys, Credential};
use crate::encoding::base64;
use crate::secret::Secret;

/// The change that a credential makes to the upstream request.
#[derive(Debug, PartialEq, Eq)]
pub enum CredentialEdit {
    /// Headers to be set, by their names in lower case.
    SetHeaders(Vec<(String, Secret)>),
    /// A parameter of the query is to be set to the value.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    SetQuery { parameter: String, value: Secret },
    /// A bearer token is to be fetched, or keys that sign.
    FetchToken(Grant),
    /// The request is to be signed.
    Sign(AwsKeys),
}

impl CredentialEdit {
    /// Returns the keys that sign the request, or that fetch those which do.
    pub fn signer(&self) -> Option<&AwsKeys> {
        match self {
            Self::Sign(keys) | Self::FetchToken(Grant::Role(keys)) => Some(keys),
            _ => None,
        }
    }
}

impl Credential {
    /// Returns the change to the upstream request; for a pool, that of its first credential.
    pub fn edit(&self) -> CredentialEdit {
        let header = |name: &str, value: String| {
            CredentialEdit::SetHeaders(vec![(name.to_ascii_lowercase(), Secret::new(value))])
        };
        match self {
            Self::Bearer { token } => header("authorization", format!("Bearer {}", token.expose())),
            Self::Header { name, prefix, value } => {
                header(name, format!("{}{}", prefix.as_deref().unwrap_or_default(), value.expose()))
            }
            Self::Basic { username, password } => header(
                "authorization",
                format!("Basic {}", base64(format!("{username}:{}", password.expose()).as_bytes())),
            ),
            Self::Query { parameter, value } => {
                CredentialEdit::SetQuery { parameter: parameter.clone(), value: value.clone() }
            }
            Self::Headers { headers } => CredentialEdit::SetHeaders(
                headers.iter().map(|h| (h.name.to_ascii_lowercase(), h.value.clone())).collect(),
            ),
            Self::Oauth2ClientCredentials(client) => {
                CredentialEdit::FetchToken(Grant::Client(client.clone()))
            }
            Self::GoogleServiceAccount(account) => {
                CredentialEdit::FetchToken(Grant::Account(account.clone()))
            }
            Self::AwsSigv4(keys) if keys.role.is_some() => {
                CredentialEdit::FetchToken(Grant::Role(keys.clone()))
            }
            Self::AwsSigv4(keys) => CredentialEdit::Sign(keys.clone()),
            Self::Pool(pool) => {
                pool.each().next().map_or(CredentialEdit::SetHeaders(vec![]), |(_, first)| first.edit())
            }
        }
    }
}
