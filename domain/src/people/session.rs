//! Session JWTs as Clerk signs them (RFC 7519, RS256 of RFC 7518): what is checked besides the
//! signature. The signature itself is WebCrypto's, at the edge.

use crate::encoding::from_base64url;
use crate::id::UserId;
use crate::json;
use crate::time::{SECOND_MS, UnixMs};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How far clocks may be apart.
pub const LEEWAY_MS: i64 = 5 * SECOND_MS;
/// The longest token that is looked at, in bytes.
pub const MAX_JWT_LEN: usize = 8_192;
/// The longest life of a session token, in seconds. Clerk's live for one minute.
const MAX_LIFE_S: f64 = 86_400.0;

/// A JWT that has been parsed, and not verified.
#[derive(Debug)]
pub struct UnverifiedJwt<'a> {
    kid: Option<String>,
    signed: &'a str,
    signature: Vec<u8>,
    typ: Option<String>,
    claims: Claims,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    /// `JWT` or absent; an OAuth access token says `at+jwt` (RFC 9068).
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    /// RFC 7515, section 4.1.11: what is critical and unknown must be refused.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    exp: f64,
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    sid: Option<String>,
    /// Clerk marks a session that still has something to do, such as a second factor.
    #[serde(default)]
    sts: Option<String>,
    /// For whom the token was made, if not for the application itself.
    #[serde(default)]
    aud: Option<serde_json::Value>,
    /// Claims of an access token that an OAuth client or a machine was given.
    #[serde(default)]
    client_id: Option<serde_json::Value>,
    #[serde(default)]
    scope: Option<serde_json::Value>,
    #[serde(default)]
    scopes: Option<serde_json::Value>,
}

impl Claims {
    /// Whether these are the claims of a browser's session.
    ///
    /// The instance signs other tokens with the same key and issuer. One of a JWT template, made for
    /// another backend, carries no `sid`, usually an `aud`, and may live for years; the access token of an
    /// OAuth client or of a machine carries `client_id` or scopes. Sources: Clerk's documents on session
    /// tokens, JWT templates and machine authentication; RFC 7519, section 4.1.3: a token with an `aud`
    /// is for who is named in it.
    fn are_of_a_session(&self) -> bool {
        let has_session = self.sid.as_ref().is_some_and(|sid| (1..=128).contains(&sid.len()));
        let is_anothers =
            [&self.aud, &self.client_id, &self.scope, &self.scopes].iter().any(|claim| claim.is_some());
        let lives_s = self.iat.or(self.nbf).map_or(f64::INFINITY, |begin| self.exp - begin);
        has_session && !is_anothers && lives_s <= MAX_LIFE_S
    }
}

/// The issuer and origins that a session must come from.
#[derive(Clone, Debug)]
pub struct SessionRules {
    /// The `iss` that a session must have.
    pub issuer: String,
    /// Origins whose `azp` is accepted.
    pub allowed_origins: Vec<String>,
}

/// A session whose signature and claims hold. Made by [`UnverifiedJwt::accept`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    user: UserId,
    session_id: String,
}

impl Session {
    /// Returns the person.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Returns the session's id, `sid`.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }
}

/// Why a session is refused. The response is 401 in each case; only `Expired` is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SessionError {
    #[error("is not a JWT")]
    Syntax,
    #[error("is not signed with RS256")]
    Algorithm,
    #[error("has a signature that does not hold")]
    Signature,
    #[error("comes from another issuer")]
    Issuer,
    #[error("has expired")]
    Expired,
    #[error("is not valid yet")]
    NotYet,
    #[error("was issued to another origin")]
    AuthorizedParty,
    #[error("has no subject")]
    Subject,
    #[error("belongs to a session that is not complete")]
    Pending,
    #[error("is not the token of a session")]
    Kind,
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, SessionError> {
    let bytes = from_base64url(text).ok_or(SessionError::Syntax)?;
    json::from_bytes(&bytes).map_err(|_| SessionError::Syntax)
}

impl<'a> UnverifiedJwt<'a> {
    /// Parses a JWT. Anything but RS256 is refused here, so that neither `none` nor an HMAC under a
    /// public key reaches a verifier.
    pub fn parse(jwt: &'a str) -> Result<Self, SessionError> {
        if jwt.len() > MAX_JWT_LEN {
            return Err(SessionError::Syntax);
        }
        let (signed, signature) = jwt.rsplit_once('.').ok_or(SessionError::Syntax)?;
        let (header, claims) = signed.split_once('.').ok_or(SessionError::Syntax)?;
        let header: Header = part(header)?;
        if header.alg != "RS256" || header.crit.is_some() {
            return Err(SessionError::Algorithm);
        }
        let signature = from_base64url(signature).ok_or(SessionError::Syntax)?;
        Ok(Self { kid: header.kid, signed, signature, typ: header.typ, claims: part(claims)? })
    }

    /// Returns the id of the key that signed, if the header names one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The signed bytes, and the signature over them.
    pub fn signed(&self) -> (&'a [u8], &[u8]) {
        (self.signed.as_bytes(), &self.signature)
    }

    /// The session, given what the verifier said of [`UnverifiedJwt::signed`].
    pub fn accept(
        self,
        signature_holds: bool,
        rules: &SessionRules,
        now: UnixMs,
    ) -> Result<Session, SessionError> {
        if !signature_holds {
            return Err(SessionError::Signature);
        }
        let claims = self.claims;
        if claims.iss != rules.issuer {
            return Err(SessionError::Issuer);
        }
        let is_jwt = self.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if !is_jwt || !claims.are_of_a_session() {
            return Err(SessionError::Kind);
        }
        // Both are far below 2^53, where a float is exact; a NaN fails both comparisons' negation.
        #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
        let (latest, earliest) = ((now - LEEWAY_MS) as f64 / 1000.0, (now + LEEWAY_MS) as f64 / 1000.0);
        if !claims.exp.is_finite() || claims.exp <= latest {
            return Err(SessionError::Expired);
        }
        if claims.nbf.is_some_and(|nbf| !nbf.is_finite() || nbf > earliest) {
            return Err(SessionError::NotYet);
        }
        // Clerk leaves `azp` out only for requests that sent no Origin; browsers send one.
        let party = claims.azp.ok_or(SessionError::AuthorizedParty)?;
        if !rules.allowed_origins.contains(&party) {
            return Err(SessionError::AuthorizedParty);
        }
        if claims.sts.is_some_and(|status| status != "active") {
            return Err(SessionError::Pending);
        }
        if claims.sub.is_empty() || claims.sub.len() > 128 {
            return Err(SessionError::Subject);
        }
        let session_id = claims.sid.ok_or(SessionError::Kind)?;
        Ok(Session { user: UserId::from(claims.sub), session_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64url;
    use serde_json::{Value, json};

    fn jwt(header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| base64url(value.to_string().as_bytes());
        format!("{}.{}.{}", encode(header), encode(claims), base64url(b"signature"))
    }

    fn claims() -> Value {
        json!({"sub":"user_1","iss":"https://clerk.example","exp":1_000,"nbf":900,"azp":"https://ui.example","sid":"s"})
    }

    fn check(header: &Value, claims: &Value, holds: bool, now_s: i64) -> Result<Session, SessionError> {
        let rules = SessionRules {
            issuer: "https://clerk.example".into(),
            allowed_origins: vec!["https://ui.example".into()],
        };
        let text = jwt(header, claims);
        UnverifiedJwt::parse(&text)?.accept(holds, &rules, now_s * 1000)
    }

    fn with(name: &str, value: Value) -> Result<Session, SessionError> {
        let mut claims = claims();
        claims[name] = value;
        check(&json!({"alg":"RS256","kid":"k"}), &claims, true, 950)
    }

    #[test]
    fn a_good_session_is_accepted() {
        assert_eq!(check(&json!({"alg":"RS256"}), &claims(), true, 950).unwrap().user().as_str(), "user_1");
    }

    #[test]
    fn every_fault_is_refused() {
        use SessionError::{
            Algorithm, AuthorizedParty, Expired, Issuer, NotYet, Pending, Signature, Subject,
        };
        let rs256 = || json!({"alg":"RS256"});
        for header in [
            json!({"alg":"none"}),
            json!({"alg":"HS256"}),
            json!({"alg":"rs256"}),
            json!({"alg":"RS256","crit":["b64"]}),
        ] {
            assert_eq!(check(&header, &claims(), true, 950), Err(Algorithm));
        }
        assert_eq!(check(&rs256(), &claims(), false, 950), Err(Signature));
        assert_eq!(check(&rs256(), &claims(), true, 1_005), Err(Expired));
        assert!(check(&rs256(), &claims(), true, 1_004).is_ok());
        assert_eq!(check(&rs256(), &claims(), true, 894), Err(NotYet));
        assert!(check(&rs256(), &claims(), true, 895).is_ok());
        assert_eq!(with("iss", json!("https://evil.example")), Err(Issuer));
        assert_eq!(with("azp", json!("https://evil.example")), Err(AuthorizedParty));
        assert_eq!(with("azp", Value::Null), Err(AuthorizedParty));
        assert_eq!(with("sub", json!("")), Err(Subject));
        assert_eq!(with("sts", json!("pending")), Err(Pending));
    }

    #[test]
    fn only_a_sessions_own_token_is_a_session() {
        use SessionError::Kind;
        let header = |typ: Value| check(&json!({"alg":"RS256","typ":typ}), &claims(), true, 950).map(|_| ());
        for (typ, wanted) in [
            (json!("JWT"), Ok(())),
            (json!("jwt"), Ok(())),
            (Value::Null, Ok(())),
            (json!("at+jwt"), Err(Kind)),
            (json!("application/at+jwt"), Err(Kind)),
            (json!("logout+jwt"), Err(Kind)),
            (json!(""), Err(Kind)),
        ] {
            assert_eq!(header(typ.clone()), wanted, "{typ}");
        }
        for (name, value) in [
            ("sid", Value::Null),
            ("sid", json!("")),
            ("sid", json!("s".repeat(129))),
            ("aud", json!("https://other.example")),
            ("aud", json!(["https://ui.example"])),
            ("client_id", json!("client_1")),
            ("scope", json!("profile email")),
            ("scopes", json!(["mch_1"])),
            ("iat", json!(1_000 - 86_401)),
            ("exp", json!(10.0 * 365.0 * 86_400.0)),
        ] {
            assert_eq!(with(name, value.clone()).map(|_| ()), Err(Kind), "{name} {value}");
        }
        // Claims of the second version of Clerk's session tokens, and those that an instance adds itself.
        let mut second = claims();
        for (name, value) in [
            ("v", json!(2)),
            ("fva", json!([1, -1])),
            ("sts", json!("active")),
            ("jti", json!("x")),
            ("pla", json!("u:free")),
            ("email", json!("a@b.example")),
        ] {
            second[name] = value;
        }
        assert_eq!(
            check(&json!({"alg":"RS256","cat":"cl_1","typ":"JWT"}), &second, true, 950).unwrap().session_id(),
            "s"
        );
    }

    #[test]
    fn garbage_is_not_a_jwt() {
        for text in ["", ".", "..", "a.b.c", "e30.e30.e30", &"x".repeat(9_000)] {
            assert!(UnverifiedJwt::parse(text).is_err(), "{text}");
        }
    }
}
