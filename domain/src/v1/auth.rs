//! Credentials as the earlier system named them: by the names of secrets, which are kept elsewhere.

use crate::credential::Credential;
use crate::secret::Secret;
use serde_json::Value;

/// The credential a v1 route names: references to secrets, not the secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer` with this secret.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Bearer { token_ref: SecretName },
    /// A header of this name with this secret.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    ApiKey { header_name: String, key_ref: SecretName },
    /// `Authorization: Basic` with these two secrets.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Basic { username_ref: SecretName, password_ref: SecretName },
}

/// The name of a secret that a v1 route may use.
///
/// The Workers' own secrets are not among them: a table that named `CREDENTIAL_KEY` would send it
/// to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName(String);

const OWN_SECRETS: [&str; 8] = [
    "TOKEN_CHECK_KEY",
    "CREDENTIAL_KEY",
    "DERIVE_KEY",
    "USAGE_LOG_KEY",
    "CLERK_SECRET_KEY",
    "CLERK_WEBHOOK_SECRET",
    "CLERK_JWT_KEY",
    "BOOTSTRAP_ADMINS",
];

impl SecretName {
    /// Checks a name; `None` if no route may use it.
    pub fn new(name: &str) -> Option<Self> {
        let legal = (1..=128).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            && !OWN_SECRETS.iter().any(|own| own.eq_ignore_ascii_case(name));
        legal.then(|| Self(name.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its key in KV.
    pub fn kv_key(&self) -> String {
        [SECRET_PREFIX, &self.0].concat()
    }
}

/// The beginning of the key of a secret; its name follows.
pub const SECRET_PREFIX: &str = "secret:";

/// Reads the secret from the value of `secret:<NAME>`.
pub fn secret_value(text: &str) -> Option<Secret> {
    let value: Value = serde_json::from_str(text).ok()?;
    let secret = value.get("value")?.as_str()?;
    (!secret.is_empty()).then(|| Secret::new(secret.to_owned()))
}

impl Auth {
    pub(super) fn parse(auth: &Value) -> Option<Option<Self>> {
        let reference = |name: &str| {
            let config = auth.get("config").unwrap_or(auth);
            SecretName::new(config.get(name)?.as_str()?)
        };
        match auth.get("type").and_then(Value::as_str)? {
            "none" => Some(None),
            "bearer" => Some(Some(Self::Bearer { token_ref: reference("token_ref")? })),
            "api-key" => {
                let config = auth.get("config").unwrap_or(auth);
                let header_name =
                    config.get("header_name").and_then(Value::as_str).unwrap_or("X-API-Key").to_owned();
                Some(Some(Self::ApiKey { header_name, key_ref: reference("key_ref")? }))
            }
            "basic" => {
                let (username_ref, password_ref) = (reference("username_ref")?, reference("password_ref")?);
                Some(Some(Self::Basic { username_ref, password_ref }))
            }
            _ => None,
        }
    }

    /// Returns the secrets to read, in the order in which [`Auth::resolve`] takes them.
    pub fn references(&self) -> Vec<&SecretName> {
        match self {
            Self::Bearer { token_ref } => vec![token_ref],
            Self::ApiKey { key_ref, .. } => vec![key_ref],
            Self::Basic { username_ref, password_ref } => vec![username_ref, password_ref],
        }
    }

    /// Makes the credential from the secrets that were read. `None` if one is missing or cannot be sent.
    pub fn resolve(&self, secrets: Vec<Secret>) -> Option<Credential> {
        let mut secrets = secrets.into_iter();
        let first = secrets.next()?;
        let credential = match self {
            Self::Bearer { .. } => Credential::Bearer { token: first },
            Self::ApiKey { header_name, .. } => {
                Credential::Header { name: header_name.clone(), prefix: None, value: first }
            }
            Self::Basic { .. } => {
                Credential::Basic { username: first.expose().to_owned(), password: secrets.next()? }
            }
        };
        credential.validate(false).ok().map(|()| credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_resolved_and_missing_ones_are_not_made_up() {
        let auth = Auth::Basic {
            username_ref: SecretName::new("U").unwrap(),
            password_ref: SecretName::new("P").unwrap(),
        };
        let secret = |s: &str| Secret::new(s.into());
        assert!(auth.resolve(vec![secret("u"), secret("p")]).is_some());
        assert!(auth.resolve(vec![secret("u")]).is_none());
        assert_eq!(secret_value(r#"{"value":"x"}"#), Some(secret("x")));
        assert_eq!(secret_value(r#"{"value":""}"#), None);
    }
}
