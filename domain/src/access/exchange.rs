//! The request for a derived token, as OAuth 2.0 Token Exchange has it (RFC 8693), and the responses.
//!
//! Scopes are written without a space in them, as OAuth requires (RFC 6749, section 3.3): `GET:/api/x/*` for our
//! `GET /api/x/*`. With a space it is read the same, since two scopes in its place would allow more.

use super::carrier::holds_token;
use super::derived::{Derived, MAX_LEN, MAX_LIFE_S, joined};
use super::network;
use super::record::TokenRecord;
use super::scope::{MAX_SCOPES, Scope, is_within_cap};
use super::{check_expiry, check_ip, check_state};
use crate::error::GatewayError;
use crate::keys::KeyRing;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::token::{DERIVED_PREFIX, TokenHash};
use ipnet::IpNet;
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;
use url::form_urlencoded;

/// The longest request, in bytes.
pub const MAX_BODY: u64 = 16_384;
/// The most networks that a derived token may be narrowed to.
const MAX_NETWORKS: usize = 20;
/// The most calls that a derived token may be narrowed to.
const MAX_CALLS: u64 = 1_000_000;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const FORM: &str = "application/x-www-form-urlencoded";

/// A request that was refused (RFC 6749, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    error: &'static str,
    error_description: String,
}

impl Refused {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { error, error_description: description.into() }
    }

    fn request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    fn scope(scope: &str, why: &str) -> Self {
        Self::new("invalid_scope", format!("scope: {} {why}", quotable(scope)))
    }

    /// The call presents none of our tokens, or one that is not valid.
    pub fn subject(error: GatewayError) -> Self {
        let why = match error {
            GatewayError::MissingApiKey => "is missing: send it in the form, or in X-API-Key.",
            error => error.message(),
        };
        Self::request(format!("subject_token: {why}"))
    }

    /// The request is no form of a length that is read.
    pub fn body() -> Self {
        Self::request(format!("Send a form ({FORM}) of at most {MAX_BODY} bytes, with Content-Length."))
    }

    /// A derived token was presented.
    pub fn is_derived() -> Self {
        Self::request("subject_token: a derived token cannot derive others.")
    }

    /// A token of the earlier system was presented.
    pub fn is_legacy() -> Self {
        Self::request("subject_token: a token of the earlier system cannot derive others. Rotate it first.")
    }

    /// Returns the body of the response.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns the part of a text that a description may hold, at most 100 characters of it, and never a token.
fn quotable(text: &str) -> String {
    if holds_token(text) {
        return "a token".to_owned();
    }
    text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).take(100).collect()
}

/// A request, read and checked as far as it can be without the parent's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The parent; `None` if a header is to name it.
    pub subject: Option<Secret>,
    scopes: Option<Vec<Scope>>,
    life_s: i64,
    ip_allow: Vec<IpNet>,
    calls: Option<u64>,
}

impl Asked {
    /// Reads a form. Parameters that nobody knows are ignored (RFC 6749, section 3.2).
    ///
    /// # Errors
    /// The first parameter that cannot be accepted.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, Refused> {
        let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case(FORM) {
            return Err(Refused::body());
        }
        let form = Form(form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty()).collect());
        match form.one("grant_type")? {
            Some(GRANT_TYPE) => {}
            Some(_) => {
                return Err(Refused::new("unsupported_grant_type", format!("grant_type: only {GRANT_TYPE}")));
            }
            None => return Err(Refused::request(format!("grant_type is missing: {GRANT_TYPE}"))),
        }
        if form.one("subject_token_type")? != Some(ACCESS_TOKEN) {
            return Err(Refused::request(format!("subject_token_type must be {ACCESS_TOKEN}")));
        }
        if form.one("requested_token_type")?.is_some_and(|kind| kind != ACCESS_TOKEN) {
            return Err(Refused::request(format!("requested_token_type: only {ACCESS_TOKEN}")));
        }
        for name in ["audience", "resource"] {
            if form.has(name) {
                return Err(Refused::new(
                    "invalid_target",
                    format!("{name}: name what the token is for in scope"),
                ));
            }
        }
        for name in ["actor_token", "actor_token_type"] {
            if form.has(name) {
                return Err(Refused::request(format!("{name}: delegation is not supported")));
            }
        }
        Ok(Self {
            subject: form.one("subject_token")?.map(|token| Secret::new(token.to_owned())),
            scopes: form.one("scope")?.map(scopes_of).transpose()?,
            life_s: form
                .number("expires_in", MAX_LIFE_S.unsigned_abs())?
                .map_or(MAX_LIFE_S, u64::cast_signed),
            ip_allow: form.one("ip")?.map(networks_of).transpose()?.unwrap_or_default(),
            calls: form.number("calls", MAX_CALLS)?,
        })
    }

    /// Derives a token from the secret with the hash `parent`, as its record allows now, and signs it.
    ///
    /// # Errors
    /// The reason why the parent may not derive this.
    pub fn derive(
        &self,
        parent: &TokenHash,
        record: &TokenRecord,
        (client_ip, now): (Option<IpAddr>, UnixMs),
        nonce: String,
        keys: &KeyRing,
    ) -> Result<Issued, Refused> {
        let usable = check_state(record)
            .and_then(|()| check_expiry(record, now))
            .and_then(|()| check_ip(record, client_ip));
        usable.map_err(|denial| Refused::subject(denial.error()))?;
        if !record.may_derive {
            return Err(Refused::request(
                "subject_token: the token may not derive others. The people who manage it can allow that (may_derive).",
            ));
        }
        let scopes = self.scopes.as_ref().unwrap_or(&record.scopes);
        if let Some(wider) = scopes.iter().find(|scope| !is_within_cap(scope, Some(&record.scopes))) {
            return Err(Refused::scope(&text_of(wider), "is not within the scopes of the token."));
        }
        if scopes.is_empty() {
            return Err(Refused::scope("the token", "has none."));
        }
        if let Some(wider) = self.ip_allow.iter().find(|net| !network::is_within(net, &record.ip_allow)) {
            return Err(Refused::request(format!("ip: {wider} is not within the networks of the token.")));
        }
        let ends = [Some(now + self.life_s * 1_000), record.expires_at, record.secret_ends_at];
        let derived = Derived {
            parent: parent.clone(),
            ends_at: ends.into_iter().flatten().min().unwrap_or(now),
            calls: self.calls,
            ip_allow: self.ip_allow.clone(),
            nonce,
            scopes: scopes.clone(),
        };
        let token = derived.sign(keys).ok_or_else(|| {
            let which =
                if self.scopes.is_some() { "Name fewer." } else { "Name those that are needed in scope." };
            Refused::scope(
                "together with ip",
                &format!("takes more than a token holds ({MAX_LEN} characters). {which}"),
            )
        })?;
        Ok(Issued { token, derived })
    }
}

/// A derived token and its claims.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret,
    /// Its claims.
    pub derived: Derived,
}

impl Issued {
    /// Returns the body of the response, which alone shows the token.
    pub fn json(&self, now: UnixMs) -> String {
        #[derive(Serialize)]
        struct Response<'a> {
            access_token: &'a str,
            issued_token_type: &'a str,
            token_type: &'a str,
            expires_in: i64,
            scope: String,
        }
        let response = Response {
            access_token: self.token.expose(),
            issued_token_type: ACCESS_TOKEN,
            token_type: "Bearer",
            expires_in: (self.derived.ends_at - now) / 1_000,
            scope: joined(self.derived.scopes.iter().map(text_of), " "),
        };
        serde_json::to_string(&response).unwrap_or_default()
    }
}

/// The parameters that have a value.
struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Form<'_> {
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    fn one(&self, name: &str) -> Result<Option<&str>, Refused> {
        let mut values = self.values(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refused::request(format!("{name} is there more than once")));
        }
        Ok(first)
    }

    fn number(&self, name: &str, most: u64) -> Result<Option<u64>, Refused> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number
            .map(Some)
            .ok_or_else(|| Refused::request(format!("{name} must be a whole number, 1 to {most}")))
    }
}

/// Writes a scope without a space.
fn text_of(scope: &Scope) -> String {
    let text = scope.to_string();
    match text.split_once(' ') {
        Some((methods, path)) => [methods, path].join(":"),
        None => text,
    }
}

/// Whether a text before a path is its methods. A service's name, which may be of letters alone, is in lower case.
fn is_methods(text: &str) -> bool {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let is_method = |method: &str| {
        let letters = method.bytes().all(|b| b.is_ascii_uppercase());
        !method.is_empty() && (letters || KNOWN.iter().any(|known| known.eq_ignore_ascii_case(method)))
    };
    text.split(',').all(is_method)
}

fn scopes_of(text: &str) -> Result<Vec<Scope>, Refused> {
    let mut scopes: Vec<Scope> = Vec::new();
    let mut parts = text.split(' ').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let whole = match part.split_once(':') {
            Some((methods, path)) if path.starts_with('/') && !matches!(methods, "tag" | "route") => {
                [methods, path].join(" ")
            }
            _ if is_methods(part) => match parts.next_if(|next| next.starts_with('/')) {
                Some(path) => [part, path].join(" "),
                None => part.to_owned(),
            },
            _ => part.to_owned(),
        };
        let scope = whole.parse().map_err(|why| Refused::scope(part, &format!("is no scope: {why}")))?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
        if scopes.len() > MAX_SCOPES {
            return Err(Refused::new("invalid_scope", format!("scope: at most {MAX_SCOPES}")));
        }
    }
    Ok(scopes)
}

fn networks_of(text: &str) -> Result<Vec<IpNet>, Refused> {
    let parts = text.split([' ', ',']).filter(|part| !part.is_empty());
    let network = |part: &str| {
        network::parse(part)
            .map_err(|_| Refused::request(format!("ip: {} is no address or network", quotable(part))))
    };
    let networks: Vec<IpNet> = parts.map(network).collect::<Result<_, _>>()?;
    match networks.len() {
        1..=MAX_NETWORKS => Ok(networks),
        _ => Err(Refused::request(format!("ip: 1 to {MAX_NETWORKS} addresses or networks"))),
    }
}

/// Whether a subject token is one that was derived itself.
pub fn is_derived(subject: &str) -> bool {
    subject.starts_with(DERIVED_PREFIX)
}

#[cfg(test)]
mod tests;
