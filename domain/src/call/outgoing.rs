//! A request on its way out: the client's headers, the changes to them, and the credential that is attached.

use super::head::Head;
use crate::credential::grant::Grant;
use crate::credential::sigv4::{self, Payload, SIGNATURE_HEADERS, host_of, query_without_signature};
use crate::credential::{AwsKeys, CredentialEdit};
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::upstream::without_parameter;
use std::borrow::Cow;
use url::Url;

/// Headers of an AWS request that a signature must cover besides `host` and all of `x-amz-*`.
const SIGNED: [&str; 3] = ["content-type", "content-md5", "range"];

/// A request as it will be sent, without its body.
#[derive(Debug)]
pub struct Outgoing<'h> {
    /// The upstream's address with path and query.
    pub url: String,
    given: Vec<(&'h str, &'h str)>,
    /// Which of the given headers are sent.
    is_kept: Vec<bool>,
    set: Vec<(Cow<'h, str>, Secret)>,
}

/// The credential of one attempt, ready to be attached.
#[derive(Clone, Copy, Debug)]
pub enum Attached<'a> {
    /// None.
    None,
    /// A change that needs nothing else.
    Edit(&'a CredentialEdit),
    /// The bearer token that was fetched for [`CredentialEdit::FetchToken`].
    Token(&'a Secret),
    /// The keys that fetched a session, and those of the session, which sign.
    Session(&'a AwsKeys, &'a Secret),
}

impl<'a> Attached<'a> {
    /// Attaches the change, or what was fetched for it.
    pub fn of(edit: Option<&'a CredentialEdit>, fetched: Option<&'a Secret>) -> Self {
        match (fetched, edit) {
            (Some(session), Some(CredentialEdit::FetchToken(Grant::Role(keys)))) => {
                Self::Session(keys, session)
            }
            (Some(token), _) => Self::Token(token),
            (None, Some(edit)) => Self::Edit(edit),
            (None, None) => Self::None,
        }
    }
}

/// Returns the secrets that exist for a request alone: what was fetched for it, and its signature.
pub fn issued(fetched: Option<&Secret>, signature: Option<Secret>) -> Vec<Secret> {
    let lines = fetched.into_iter().flat_map(|fetched| fetched.expose().split('\n'));
    lines.map(|line| Secret::new(line.to_owned())).chain(signature).collect()
}

impl<'h> Outgoing<'h> {
    /// Makes a request to `url` with the headers of `head`.
    pub fn new(url: String, head: Option<&'h Head>) -> Self {
        let given: Vec<_> = head.into_iter().flat_map(Head::headers).collect();
        Self { url, is_kept: vec![true; given.len()], given, set: vec![] }
    }

    /// Sets a header in place of all others of its name, which is in lower case.
    pub fn set(&mut self, name: impl Into<Cow<'h, str>>, value: impl Into<String>) {
        let name = name.into();
        self.remove(&name);
        self.set.push((name, Secret::new(value.into())));
    }

    /// Removes all headers of a name, which is in lower case.
    pub fn remove(&mut self, name: &str) {
        for (is_kept, (given, _)) in self.is_kept.iter_mut().zip(&self.given) {
            *is_kept = *is_kept && *given != name;
        }
        self.set.retain(|(known, _)| known != name);
    }

    /// Returns the value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Returns the headers as they are sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let kept = self.given.iter().zip(&self.is_kept).filter(|(_, kept)| **kept).map(|(given, _)| *given);
        kept.chain(self.set.iter().map(|(name, value)| (&**name, value.expose())))
    }

    /// Returns the names of the client's headers that are not sent, or not with the client's value.
    pub fn dropped(&self) -> impl Iterator<Item = &str> {
        self.given.iter().zip(&self.is_kept).filter(|(_, kept)| !**kept).map(|((name, _), _)| *name)
    }

    /// Returns the headers that are sent besides the client's. Credentials are among them.
    pub fn added(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.set.iter().map(|(name, value)| (&**name, value))
    }

    /// Attaches the credential. Returns the secret that was made for this request alone: a signature.
    ///
    /// `payload` says how a signature covers the body; other credentials do not look at it.
    pub fn attach(
        &mut self,
        method: &str,
        credential: Attached<'h>,
        payload: &Payload,
        now: UnixMs,
    ) -> Option<Secret> {
        match credential {
            Attached::None | Attached::Edit(CredentialEdit::FetchToken(_)) => None,
            Attached::Token(token) => {
                self.set("authorization", format!("Bearer {}", token.expose()));
                None
            }
            Attached::Edit(CredentialEdit::SetHeaders(headers)) => {
                for (name, value) in headers {
                    self.set(name.as_str(), value.expose());
                }
                None
            }
            Attached::Edit(CredentialEdit::SetQuery { parameter, value }) => {
                let mut url = Url::parse(&self.url).ok()?;
                let others = url.query().and_then(|query| without_parameter(query, parameter));
                url.set_query(others.as_deref());
                url.query_pairs_mut().append_pair(parameter, value.expose());
                self.url = url.into();
                None
            }
            Attached::Edit(CredentialEdit::Sign(keys)) => self.sign(method, keys, payload, now),
            Attached::Session(keys, session) => self.sign(method, &keys.with_session(session), payload, now),
        }
    }

    /// Signs with the vendor's keys. The client's own signature is removed from headers and query.
    fn sign(&mut self, method: &str, keys: &AwsKeys, payload: &Payload, now: UnixMs) -> Option<Secret> {
        for name in SIGNATURE_HEADERS {
            self.remove(name);
        }
        let mut url = Url::parse(&self.url).ok()?;
        if let Some(query) = url.query() {
            let own = query_without_signature(query);
            if own.as_deref() != Some(query) {
                url.set_query(own.as_deref());
            }
        }
        let is_covered = |name: &str| name.starts_with("x-amz-") || SIGNED.contains(&name);
        let mut covered: Vec<(String, String)> = self
            .headers()
            .filter(|(name, _)| is_covered(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        sigv4::sort(&mut covered, true);
        let request = sigv4::Request {
            method,
            host: &host_of(&url),
            path: url.path(),
            query: url.query(),
            headers: &covered,
            payload,
        };
        let mut signature = None;
        for (name, value) in sigv4::sign(&request, keys, now) {
            if let Some((_, made)) = value.expose().rsplit_once("Signature=") {
                signature = Some(Secret::new(made.to_owned()));
            }
            self.set(name, value.expose());
        }
        self.url = url.into();
        signature
    }
}
