//! Upstream credentials: their kinds, their checks, and the change that each makes to a call.
//!
//! A credential belongs to one route and one origin. It is sealed with AES-256-GCM (NIST SP
//! 800-38D, 96-bit random IV, 128-bit tag) under `CREDENTIAL_KEY` with both as associated data, so
//! a route that is pointed elsewhere cannot use it. The cipher itself is WebCrypto's, at the edge.

mod aws;
pub mod aws_chunked;
mod edit;
pub mod grant;
pub mod oauth;
mod plaintext;
pub mod pool;
pub mod role;
pub mod seal;
pub mod service_account;
pub mod sigv4;

pub use aws::AwsKeys;
pub use edit::CredentialEdit;

use crate::json::{Object, ReadError};
use crate::problem::Invalid;
use crate::secret::{Reveal, Secret};
use crate::upstream::address::AddressRules;
use oauth::ClientCredentials;
use pool::Pool;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Map;
use service_account::ServiceAccount;

/// The longest secret that is accepted, in bytes.
pub const MAX_SECRET_LEN: usize = 8_192;
/// The most headers of one credential.
pub const MAX_HEADERS: usize = 10;

/// An upstream credential in the clear. As JSON it is what an admin sends, tagged by `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Credential {
    /// `Authorization: Bearer <token>`
    Bearer {
        /// The vendor's token.
        #[serde(serialize_with = "Reveal::reveal")]
        token: Secret,
    },
    /// `<name>: <prefix><value>`
    Header {
        /// Name of the header.
        name: String,
        /// Text before the value, such as `Key `.
        #[serde(default)]
        prefix: Option<String>,
        /// The vendor's key.
        #[serde(serialize_with = "Reveal::reveal")]
        value: Secret,
    },
    /// `Authorization: Basic base64(<username>:<password>)` (RFC 7617)
    Basic {
        /// User name; RFC 7617 allows no colon in it.
        username: String,
        /// Password.
        #[serde(serialize_with = "Reveal::reveal")]
        password: Secret,
    },
    /// `?<parameter>=<value>`
    Query {
        /// Name of the query's parameter.
        parameter: String,
        /// The vendor's key.
        #[serde(serialize_with = "Reveal::reveal")]
        value: Secret,
    },
    /// Several headers, such as a key and its account.
    Headers {
        /// The headers, 1 to 10.
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 10)))]
        #[serde(serialize_with = "Reveal::reveal")]
        headers: Vec<HeaderValue>,
    },
    /// A bearer token fetched with the client credentials grant of OAuth 2 (RFC 6749, section 4.4).
    Oauth2ClientCredentials(#[serde(serialize_with = "Reveal::reveal")] ClientCredentials),
    /// A bearer token fetched with the signed assertion of a Google service account (RFC 7523).
    GoogleServiceAccount(#[serde(serialize_with = "Reveal::reveal")] ServiceAccount),
    /// AWS Signature Version 4.
    AwsSigv4(#[serde(serialize_with = "Reveal::reveal")] AwsKeys),
    /// Several credentials, used in turn or one after the other.
    Pool(#[serde(serialize_with = "Reveal::reveal")] Pool),
}

crate::revealed!(HeaderValue, ClientCredentials, ServiceAccount, AwsKeys);

impl Reveal for Credential {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Credential {
    /// Reads by the field `kind`. serde's own reader of a tagged enum holds the fields in a form of its own: it names none
    /// that it cannot read, takes lists for objects, and compiles each type again (10 KiB of the gateway, gzipped).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Object::new(Map::deserialize(deserializer)?);
        fields.take("kind").and_then(|kind| of_kind(kind, fields)).map_err(|error| error.through())
    }
}

/// Reads the fields of a credential whose kind is known.
fn of_kind(kind: CredentialKind, mut fields: Object) -> Result<Credential, ReadError> {
    let credential = match kind {
        CredentialKind::Bearer => Credential::Bearer { token: fields.take("token")? },
        CredentialKind::Header => Credential::Header {
            name: fields.take("name")?,
            prefix: fields.take_if_there("prefix")?,
            value: fields.take("value")?,
        },
        CredentialKind::Basic => {
            Credential::Basic { username: fields.take("username")?, password: fields.take("password")? }
        }
        CredentialKind::Query => {
            Credential::Query { parameter: fields.take("parameter")?, value: fields.take("value")? }
        }
        CredentialKind::Headers => Credential::Headers { headers: fields.take("headers")? },
        CredentialKind::Oauth2ClientCredentials => {
            return fields.rest().map(Credential::Oauth2ClientCredentials);
        }
        CredentialKind::GoogleServiceAccount => return fields.rest().map(Credential::GoogleServiceAccount),
        CredentialKind::AwsSigv4 => return fields.rest().map(Credential::AwsSigv4),
        CredentialKind::Pool => return fields.rest().map(Credential::Pool),
    };
    fields.end(kind.fields())?;
    Ok(credential)
}

/// `<name>: <value>`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct HeaderValue {
    /// Name of the header.
    pub name: String,
    /// Its value.
    #[serde(serialize_with = "Reveal::reveal")]
    pub value: Secret,
}

macro_rules! kinds {
    ($($name:ident = $text:literal, [$($field:literal),+];)+) => {
        /// The kind alone, which may be shown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[expect(missing_docs, reason = "named after the variants of `Credential`, which are described")]
        pub enum CredentialKind {
            $(#[serde(rename = $text)] $name,)+
        }

        impl CredentialKind {
            /// Every kind, the most common first.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Returns the name on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// Returns the fields of a credential of this kind.
            fn fields(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$($field),+],)+
                }
            }
        }

        impl Credential {
            /// Returns the kind.
            pub fn kind(&self) -> CredentialKind {
                match self {
                    $(Self::$name { .. } => CredentialKind::$name,)+
                }
            }
        }
    };
}

// Each variant of `Credential`, its name on the wire, its fields. If ignoring a new field would send an upstream more
// than was meant, the plain text must say `"critical": ["its_name"]` beside it.
kinds! {
    Bearer = "bearer", ["token"];
    Header = "header", ["name", "prefix", "value"];
    Headers = "headers", ["headers"];
    Basic = "basic", ["username", "password"];
    Query = "query", ["parameter", "value"];
    Oauth2ClientCredentials = "oauth2_client_credentials",
        ["token_url", "client_id", "client_secret", "scope", "audience", "client_auth"];
    GoogleServiceAccount = "google_service_account", ["key_file", "scope", "subject"];
    AwsSigv4 = "aws_sigv4", ["access_key_id", "secret_access_key", "session_token", "region", "service", "role"];
    Pool = "pool", ["in_turn", "members"];
}

/// Why a credential cannot be used; names the field. The reason is a constant, so that the gateway, which only asks
/// whether there is one, carries none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidCredential {
    /// The field, as it is named on the wire.
    pub field: &'static str,
    /// The reason, for people.
    pub reason: &'static Invalid,
}

impl Credential {
    /// Refuses values that cannot be sent unchanged, or would overwrite headers that the gateway must set.
    ///
    /// `rules` are passed to [`crate::upstream::address::UpstreamUrl::parse`], which checks an authorization
    /// server's address.
    pub fn validate(&self, rules: impl Into<AddressRules>) -> Result<(), InvalidCredential> {
        match self {
            Self::Bearer { token } => header_secret("token", token),
            Self::Header { name, prefix, value } => {
                check_header_name("name", name)?;
                let prefix = prefix.as_deref().unwrap_or_default();
                if prefix.len() > 64 {
                    return Err(invalid("prefix", &Invalid::MaxLength { most: 64 }));
                }
                printable("prefix", prefix)?;
                header_secret("value", value)
            }
            Self::Basic { username, password } => {
                if username.is_empty()
                    || username.len() > 255
                    || username.contains(':')
                    || username.chars().any(char::is_control)
                {
                    return Err(invalid("username", &Invalid::UserName { most: 255 }));
                }
                sendable("password", password)
            }
            Self::Query { parameter, value } => {
                let legal = (1..=64).contains(&parameter.len())
                    && parameter
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
                if !legal {
                    return Err(invalid("parameter", &Invalid::Name { most: 64 }));
                }
                sendable("value", value)
            }
            Self::Headers { headers } => {
                if !(1..=MAX_HEADERS).contains(&headers.len()) {
                    return Err(invalid("headers", &Invalid::Headers { most: MAX_HEADERS }));
                }
                let earlier = |i| headers.iter().take(i);
                let is_twice = |(i, h): (usize, &HeaderValue)| {
                    earlier(i).any(|other| other.name.eq_ignore_ascii_case(&h.name))
                };
                if headers.iter().enumerate().any(is_twice) {
                    return Err(invalid("headers", &Invalid::HeaderTwice));
                }
                headers.iter().try_for_each(|header| {
                    check_header_name("headers", &header.name)?;
                    header_secret("headers", &header.value)
                })
            }
            Self::Oauth2ClientCredentials(client) => client.validate(rules.into()),
            Self::GoogleServiceAccount(account) => account.validate(rules.into()),
            Self::AwsSigv4(keys) => keys.validate(rules.into()),
            // A pool is checked by `Pool::check`, and holds no other.
            Self::Pool(_) => Err(invalid("kind", &Invalid::NotAcceptable)),
        }
    }

    /// Returns everything in it that a client must not see: see [`crate::upstream::headers::search`].
    pub fn secrets(&self) -> Vec<Secret> {
        /// Some vendors want their key as the user name.
        const KEY_LEN: usize = 16;
        match self {
            Self::Bearer { token } => vec![token.clone()],
            Self::Query { value, .. } => vec![value.clone()],
            Self::Header { value, .. } => with_bare_key(value).collect(),
            Self::Basic { username, password } => {
                let is_key = username.len() >= KEY_LEN && !username.contains('@');
                let name = is_key.then(|| Secret::new(username.clone()));
                name.into_iter().chain([password.clone()]).collect()
            }
            Self::Headers { headers } => {
                let secret = headers.iter().filter(|h| !is_plain_header(&h.name));
                secret.flat_map(|h| with_bare_key(&h.value)).collect()
            }
            Self::Oauth2ClientCredentials(client) => vec![client.client_secret.clone()],
            Self::GoogleServiceAccount(account) => vec![account.key_file.clone()],
            Self::AwsSigv4(keys) => [Secret::new(keys.access_key_id.clone()), keys.secret_access_key.clone()]
                .into_iter()
                .chain(keys.session_token.clone())
                .collect(),
            Self::Pool(pool) => pool.each().flat_map(|(_, credential)| credential.secrets()).collect(),
        }
    }
}

/// Returns a header's value, and the key in it if a scheme precedes it (`Key abc…`, `Token abc…`).
fn with_bare_key(value: &Secret) -> impl Iterator<Item = Secret> {
    const KEY_LEN: usize = 8;
    let key = value.expose().rsplit_once(' ').map(|(_, key)| key).filter(|key| key.len() >= KEY_LEN);
    [value.clone()].into_iter().chain(key.map(|key| Secret::new(key.to_owned())))
}

/// Whether a header beside a key holds no secret; such values are in many responses:
/// `Anthropic-Version: 2023-06-01` or `Content-Type: application/json`.
fn is_plain_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("accept")
        || name.ends_with("-version")
        || matches!(name.as_str(), "content-type" | "user-agent")
}

fn invalid(field: &'static str, reason: &'static Invalid) -> InvalidCredential {
    InvalidCredential { field, reason }
}

fn sendable(field: &'static str, secret: &Secret) -> Result<(), InvalidCredential> {
    let text = secret.expose();
    if text.is_empty() || text.len() > MAX_SECRET_LEN {
        Err(invalid(field, &Invalid::Bytes { least: 1, most: MAX_SECRET_LEN }))
    } else if text.bytes().any(|b| b.is_ascii_control()) {
        Err(invalid(field, &Invalid::LineBreaks))
    } else {
        Ok(())
    }
}

fn printable(field: &'static str, text: &str) -> Result<(), InvalidCredential> {
    if text.chars().all(|c| ('\u{20}'..='\u{7e}').contains(&c)) {
        Ok(())
    } else {
        Err(invalid(field, &Invalid::Printable))
    }
}

fn header_secret(field: &'static str, secret: &Secret) -> Result<(), InvalidCredential> {
    sendable(field, secret)?;
    printable(field, secret.expose())
}

fn check_header_name(field: &'static str, name: &str) -> Result<(), InvalidCredential> {
    if crate::upstream::headers::is_settable(name) {
        Ok(())
    } else {
        Err(invalid(field, &Invalid::HeaderName))
    }
}

/// Checks a short text that is not secret.
fn word(field: &'static str, text: &str, legal: fn(char) -> bool) -> Result<(), InvalidCredential> {
    if (1..=255).contains(&text.len()) && text.chars().all(legal) {
        Ok(())
    } else {
        Err(invalid(field, &Invalid::Word { most: 255 }))
    }
}

#[cfg(test)]
mod tests;
