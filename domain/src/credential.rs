//! Upstream credentials: what is attached to a call, and what a sealed one is bound to.
//!
//! A credential belongs to one route and one origin. It is sealed with AES-256-GCM (NIST SP
//! 800-38D, 96-bit random IV, 128-bit tag) under `CREDENTIAL_KEY` with both as associated data, so
//! a route that is pointed elsewhere cannot use it. The cipher itself is WebCrypto's, at the edge.

use crate::id::RouteId;
use crate::secret::Secret;
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, Serializer};
use std::str::FromStr;

/// The longest secret that is accepted, in bytes.
pub const MAX_SECRET_LEN: usize = 8_192;

/// An upstream credential in the clear. As JSON it is what an admin sends, tagged by `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Credential {
    /// `Authorization: Bearer <token>`
    Bearer { token: Secret },
    /// `<name>: <prefix><value>`
    Header {
        name: String,
        #[serde(default)]
        prefix: Option<String>,
        value: Secret,
    },
    /// `Authorization: Basic base64(<username>:<password>)` (RFC 7617)
    Basic { username: String, password: Secret },
    /// `?<parameter>=<value>`
    Query { parameter: String, value: Secret },
}

/// The kind alone, which may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    Bearer,
    Header,
    Basic,
    Query,
}

impl CredentialKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::Basic => "basic",
            Self::Query => "query",
        }
    }
}

/// Why a credential cannot be used; names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidCredential {
    pub field: &'static str,
    pub reason: &'static str,
}

/// What a credential adds to the upstream request.
#[derive(Debug, PartialEq, Eq)]
pub enum CredentialEdit {
    SetHeader { name: String, value: Secret },
    SetQuery { parameter: String, value: Secret },
}

impl Credential {
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Bearer { .. } => CredentialKind::Bearer,
            Self::Header { .. } => CredentialKind::Header,
            Self::Basic { .. } => CredentialKind::Basic,
            Self::Query { .. } => CredentialKind::Query,
        }
    }

    /// Refuses what could not be sent as it stands, or would overwrite what the gateway must set.
    pub fn validate(&self) -> Result<(), InvalidCredential> {
        let secret = |field, secret: &Secret| {
            let text = secret.expose();
            if text.is_empty() || text.len() > MAX_SECRET_LEN {
                Err(InvalidCredential { field, reason: "must have 1 to 8192 bytes" })
            } else if text.bytes().any(|b| b.is_ascii_control()) {
                Err(InvalidCredential {
                    field,
                    reason: "must not hold control characters such as line breaks",
                })
            } else {
                Ok(())
            }
        };
        let header_value = |field, text: &str| {
            if text.chars().all(|c| ('\u{20}'..='\u{7e}').contains(&c)) {
                Ok(())
            } else {
                Err(InvalidCredential {
                    field,
                    reason: "must be printable ASCII, since it goes into a header",
                })
            }
        };
        match self {
            Self::Bearer { token } => {
                secret("token", token)?;
                header_value("token", token.expose())
            }
            Self::Header { name, prefix, value } => {
                if !crate::headers::is_settable(name) {
                    return Err(InvalidCredential {
                        field: "name",
                        reason: "is not a header that may be set",
                    });
                }
                let prefix = prefix.as_deref().unwrap_or_default();
                if prefix.len() > 64 {
                    return Err(InvalidCredential {
                        field: "prefix",
                        reason: "must have at most 64 characters",
                    });
                }
                header_value("prefix", prefix)?;
                secret("value", value)?;
                header_value("value", value.expose())
            }
            Self::Basic { username, password } => {
                if username.is_empty()
                    || username.len() > 255
                    || username.contains(':')
                    || username.chars().any(char::is_control)
                {
                    return Err(InvalidCredential {
                        field: "username",
                        reason: "must have 1 to 255 characters and no colon",
                    });
                }
                secret("password", password)
            }
            Self::Query { parameter, value } => {
                let legal = (1..=64).contains(&parameter.len())
                    && parameter
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
                if !legal {
                    return Err(InvalidCredential {
                        field: "parameter",
                        reason: "must be 1 to 64 letters, digits, '-', '_' or '.'",
                    });
                }
                secret("value", value)
            }
        }
    }

    pub fn edit(&self) -> CredentialEdit {
        let header = |name: &str, value: String| CredentialEdit::SetHeader {
            name: name.to_ascii_lowercase(),
            value: Secret::new(value),
        };
        match self {
            Self::Bearer { token } => header("authorization", format!("Bearer {}", token.expose())),
            Self::Header { name, prefix, value } => {
                header(name, format!("{}{}", prefix.as_deref().unwrap_or_default(), value.expose()))
            }
            Self::Basic { username, password } => header(
                "authorization",
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))),
            ),
            Self::Query { parameter, value } => {
                CredentialEdit::SetQuery { parameter: parameter.clone(), value: value.clone() }
            }
        }
    }

    /// The plain text that is sealed. The only place where a secret is serialized.
    pub fn to_plaintext(&self) -> Option<Secret> {
        serde_json::to_string(&Plaintext(self)).ok().map(Secret::new)
    }

    pub fn from_plaintext(plaintext: &[u8]) -> Option<Self> {
        serde_json::from_slice(plaintext).ok()
    }
}

struct Plaintext<'a>(&'a Credential);

impl Serialize for Plaintext<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.0.kind())?;
        match self.0 {
            Credential::Bearer { token } => map.serialize_entry("token", token.expose())?,
            Credential::Header { name, prefix, value } => {
                map.serialize_entry("name", name)?;
                map.serialize_entry("prefix", prefix)?;
                map.serialize_entry("value", value.expose())?;
            }
            Credential::Basic { username, password } => {
                map.serialize_entry("username", username)?;
                map.serialize_entry("password", password.expose())?;
            }
            Credential::Query { parameter, value } => {
                map.serialize_entry("parameter", parameter)?;
                map.serialize_entry("value", value.expose())?;
            }
        }
        map.end()
    }
}

/// What a sealed credential is bound to: neither part can be exchanged without the seal breaking.
pub fn associated_data(route: &RouteId, origin: &str) -> Vec<u8> {
    format!("token-manager credential v1\n{route}\n{origin}").into_bytes()
}

/// A sealed credential on the wire and at rest: `v1.<iv>.<ciphertext and tag>`, base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealedCredential {
    pub iv: [u8; 12],
    pub ciphertext: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a sealed credential")]
pub struct InvalidSeal;

impl FromStr for SealedCredential {
    type Err = InvalidSeal;

    fn from_str(text: &str) -> Result<Self, InvalidSeal> {
        let (iv, ciphertext) = text.strip_prefix("v1.").and_then(|r| r.split_once('.')).ok_or(InvalidSeal)?;
        let iv = URL_SAFE_NO_PAD.decode(iv).map_err(|_| InvalidSeal)?;
        Ok(Self {
            iv: iv.try_into().map_err(|_| InvalidSeal)?,
            ciphertext: URL_SAFE_NO_PAD.decode(ciphertext).map_err(|_| InvalidSeal)?,
        })
    }
}

impl std::fmt::Display for SealedCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v1.{}.{}", URL_SAFE_NO_PAD.encode(self.iv), URL_SAFE_NO_PAD.encode(&self.ciphertext))
    }
}

impl TryFrom<String> for SealedCredential {
    type Error = InvalidSeal;

    fn try_from(text: String) -> Result<Self, InvalidSeal> {
        text.parse()
    }
}

impl From<SealedCredential> for String {
    fn from(sealed: SealedCredential) -> Self {
        sealed.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Credential> {
        [
            r#"{"kind":"bearer","token":"s3cret"}"#,
            r#"{"kind":"header","name":"X-Api-Key","prefix":"Key ","value":"s3cret"}"#,
            r#"{"kind":"basic","username":"u","password":"s3cret"}"#,
            r#"{"kind":"query","parameter":"key","value":"s3cret"}"#,
        ]
        .iter()
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
    }

    #[test]
    fn each_kind_survives_sealing_and_shows_nothing() {
        for credential in all() {
            credential.validate().unwrap();
            let plaintext = credential.to_plaintext().unwrap();
            assert_eq!(Credential::from_plaintext(plaintext.expose().as_bytes()), Some(credential.clone()));
            assert!(!format!("{credential:?} {:?}", credential.edit()).contains("s3cret"));
        }
    }

    #[test]
    fn each_kind_edits_what_it_says() {
        let edits: Vec<(String, String)> = all()
            .iter()
            .map(|c| match c.edit() {
                CredentialEdit::SetHeader { name, value } => (name, value.expose().to_owned()),
                CredentialEdit::SetQuery { parameter, value } => {
                    (format!("?{parameter}"), value.expose().to_owned())
                }
            })
            .collect();
        let wanted = [
            ("authorization", "Bearer s3cret"),
            ("x-api-key", "Key s3cret"),
            ("authorization", "Basic dTpzM2NyZXQ="),
            ("?key", "s3cret"),
        ];
        assert_eq!(edits, wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_field() {
        for (json, field) in [
            (r#"{"kind":"bearer","token":""}"#, "token"),
            (r#"{"kind":"bearer","token":"a\nb"}"#, "token"),
            (r#"{"kind":"bearer","token":"é"}"#, "token"),
            (r#"{"kind":"header","name":"Host","value":"a"}"#, "name"),
            (r#"{"kind":"header","name":"cf-ray","value":"a"}"#, "name"),
            (r#"{"kind":"header","name":"a b","value":"a"}"#, "name"),
            (r#"{"kind":"basic","username":"a:b","password":"a"}"#, "username"),
            (r#"{"kind":"query","parameter":"a&b","value":"a"}"#, "parameter"),
        ] {
            let credential: Credential = serde_json::from_str(json).unwrap();
            assert_eq!(credential.validate().unwrap_err().field, field, "{json}");
        }
        assert!(serde_json::from_str::<Credential>(r#"{"kind":"magic"}"#).is_err());
    }

    #[test]
    fn the_sealed_form_is_pinned() {
        let sealed = SealedCredential { iv: [1; 12], ciphertext: vec![255, 0] };
        assert_eq!(sealed.to_string(), "v1.AQEBAQEBAQEBAQEB._wA");
        assert_eq!("v1.AQEBAQEBAQEBAQEB._wA".parse(), Ok(sealed));
        assert_eq!("v2.AQEBAQEBAQEBAQEB._wA".parse::<SealedCredential>(), Err(InvalidSeal));
        assert_eq!(
            associated_data(&"rte_1".into(), "https://a.example"),
            b"token-manager credential v1\nrte_1\nhttps://a.example"
        );
    }
}
