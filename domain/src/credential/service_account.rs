//! A Google service account: its key file, and the assertion by which it asks for a token (RFC 7523).
//! <https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>

use super::{InvalidCredential, MAX_SECRET_LEN, invalid, word};
use crate::encoding::{base64url, from_base64};
use crate::problem::Invalid;
use crate::secret::{Reveal, Secret};
use crate::time::UnixMs;
use crate::upstream::address::{AddressRules, UpstreamUrl};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The scope that is asked for if none is given: all that the account's roles allow.
const DEFAULT_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The life of an assertion, in seconds. Google accepts an hour at most.
const LIFE_S: i64 = 3_600;
/// Beginning of an RSA key in PKCS#8 (RFC 5208): its version, and the algorithm `rsaEncryption` (RFC 8017, A.1).
const RSA: [u8; 18] = [
    0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
    0x00,
];

/// A service account, by the key file that Google gives out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ServiceAccount {
    /// The text of the key's JSON file, unchanged.
    #[serde(serialize_with = "Reveal::reveal")]
    pub key_file: Secret,
    /// Scopes to ask for, separated by spaces; by default `https://www.googleapis.com/auth/cloud-platform`.
    #[serde(default)]
    pub scope: Option<String>,
    /// The person for whom the account acts, if it may (domain-wide delegation).
    #[serde(default)]
    pub subject: Option<String>,
}

/// The parts of a key file that make an assertion.
struct KeyFile {
    email: String,
    key_id: Option<String>,
    key: Vec<u8>,
    token_uri: String,
}

/// An assertion, to be signed with RS256 (RFC 7518, section 3.3).
pub struct Assertion {
    /// The token endpoint, for which it is made.
    pub audience: String,
    text: String,
    key: Vec<u8>,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertion").field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl Assertion {
    /// Returns the text that is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the private key in PKCS#8.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Returns the assertion with its signature.
    pub(super) fn signed(&self, signature: &[u8]) -> Secret {
        Secret::new([self.text.as_str(), &base64url(signature)].join("."))
    }
}

impl ServiceAccount {
    pub(super) fn validate(&self, rules: AddressRules) -> Result<(), InvalidCredential> {
        if !(1..=MAX_SECRET_LEN).contains(&self.key_file.expose().len()) {
            return Err(invalid("key_file", &Invalid::Bytes { least: 1, most: MAX_SECRET_LEN }));
        }
        let key_file = self.read().ok_or(invalid("key_file", &Invalid::KeyFile))?;
        if UpstreamUrl::parse(&key_file.token_uri, rules).is_err() {
            return Err(invalid("key_file", &Invalid::KeyFileAddress));
        }
        let is_text = |c: char| ('\u{20}'..='\u{7e}').contains(&c);
        self.scope.iter().try_for_each(|scope| word("scope", scope, is_text))?;
        self.subject.iter().try_for_each(|subject| word("subject", subject, is_text))
    }

    /// Makes the assertion; `None` if the key file cannot be read.
    pub fn assertion(&self, now: UnixMs) -> Option<Assertion> {
        let KeyFile { email, key_id, key, token_uri } = self.read()?;
        let now_s = now / 1_000;
        let scope = self.scope.as_deref().unwrap_or(DEFAULT_SCOPE);
        let mut header = vec![r#"{"alg":"RS256","typ":"JWT""#.to_owned()];
        header.extend(key_id.map(|id| member("kid", &id)));
        let mut claims = vec![
            ["{\"iat\":", &now_s.to_string(), ",\"exp\":", &(now_s + LIFE_S).to_string()].concat(),
            member("iss", &email),
            member("scope", scope),
            member("aud", &token_uri),
        ];
        claims.extend(self.subject.as_deref().map(|subject| member("sub", subject)));
        let part = |members: Vec<String>| base64url([members.join(","), "}".to_owned()].concat().as_bytes());
        Some(Assertion { audience: token_uri, text: [part(header), part(claims)].join("."), key })
    }

    fn read(&self) -> Option<KeyFile> {
        let file: Value = serde_json::from_str(self.key_file.expose()).ok()?;
        let text = |name: &str| file.get(name)?.as_str().map(str::to_owned);
        text("type").filter(|kind| kind == "service_account")?;
        let email = text("client_email").filter(|email| email.contains('@'))?;
        let key = pkcs8(&text("private_key")?)?;
        Some(KeyFile { email, key_id: text("private_key_id"), key, token_uri: text("token_uri")? })
    }
}

/// Writes a member of a JSON object.
fn member(name: &str, value: &str) -> String {
    ["\"", name, "\":", &Value::from(value).to_string()].concat()
}

/// Reads an RSA key in the textual form of PKCS#8 (RFC 7468, section 10).
fn pkcs8(pem: &str) -> Option<Vec<u8>> {
    let inner = pem.trim().strip_prefix("-----BEGIN PRIVATE KEY-----")?;
    let inner = inner.strip_suffix("-----END PRIVATE KEY-----")?;
    let key = from_base64(&inner.split_ascii_whitespace().collect::<String>())?;
    key.get(..24)?.windows(RSA.len()).any(|bytes| bytes == RSA).then_some(key)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::encoding::{base64, from_base64url};
    use serde_json::json;

    /// A key file of the right shape, whose key is no key.
    pub(crate) fn key_file(change: &[(&str, Value)]) -> String {
        let der = [&[0x30, 0x82, 0x01, 0x00][..], &RSA, &[7; 40]].concat();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", base64(&der));
        let mut file = json!({
            "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": pem,
            "client_email": "a@p.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        });
        for (name, value) in change {
            file[*name] = value.clone();
        }
        file.to_string()
    }

    fn account(file: &str) -> ServiceAccount {
        ServiceAccount { key_file: Secret::new(file.to_owned()), scope: None, subject: None }
    }

    #[test]
    fn an_assertion_says_who_asks_whom_for_what_and_how_long() {
        let parts = |account: &ServiceAccount| {
            let assertion = account.assertion(1_700_000_000_999).unwrap();
            assert!(!format!("{assertion:?}").contains("eyJ"));
            let read =
                |part: &str| -> Value { serde_json::from_slice(&from_base64url(part).unwrap()).unwrap() };
            let (header, claims) = assertion.text().split_once('.').unwrap();
            (read(header), read(claims))
        };
        let plain = account(&key_file(&[("client_email", json!("\"q\\@x"))]));
        assert_eq!(
            parts(&plain),
            (
                json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}),
                json!({"iat": 1_700_000_000, "exp": 1_700_003_600, "iss": "\"q\\@x",
                    "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": "https://oauth2.googleapis.com/token"})
            )
        );
        let person = ServiceAccount {
            scope: Some("a b".into()),
            subject: Some("someone@example.com".into()),
            ..account(&key_file(&[("private_key_id", Value::Null)]))
        };
        let (header, claims) = parts(&person);
        assert_eq!(header, json!({"alg": "RS256", "typ": "JWT"}));
        assert_eq!((&claims["scope"], &claims["sub"]), (&json!("a b"), &json!("someone@example.com")));
    }

    #[test]
    fn a_file_that_is_no_key_file_is_refused_by_field_and_reason() {
        let refused = |account: &ServiceAccount| {
            let why = account.validate(false.into()).unwrap_err();
            (why.field, why.reason.code())
        };
        assert_eq!(account(&key_file(&[])).validate(false.into()), Ok(()));
        for (name, value) in [
            ("type", json!("authorized_user")),
            ("client_email", json!("nobody")),
            ("client_email", json!(5)),
            ("private_key", json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")),
            ("private_key", json!("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----")),
            ("private_key", json!(base64(&[7; 64]))),
            ("token_uri", Value::Null),
        ] {
            assert_eq!(refused(&account(&key_file(&[(name, value)]))), ("key_file", "key-file"), "{name}");
        }
        for file in ["{", "[]", "\"x\""] {
            assert_eq!(refused(&account(file)), ("key_file", "key-file"));
        }
        for at in
            ["http://oauth2.googleapis.com/token", "https://127.0.0.1/token", "https://metadata.internal/"]
        {
            let file = key_file(&[("token_uri", json!(at))]);
            assert_eq!(refused(&account(&file)), ("key_file", "key-file-address"), "{at}");
        }
        assert_eq!(refused(&account("")), ("key_file", "bytes"));
        let long = key_file(&[("project_id", json!("p".repeat(MAX_SECRET_LEN)))]);
        assert_eq!(refused(&account(&long)), ("key_file", "bytes"));
        let scoped = ServiceAccount { scope: Some("é".into()), ..account(&key_file(&[])) };
        assert_eq!(refused(&scoped), ("scope", "word"));
        let subject = ServiceAccount { subject: Some(String::new()), ..account(&key_file(&[])) };
        assert_eq!(refused(&subject), ("subject", "word"));
    }
}
