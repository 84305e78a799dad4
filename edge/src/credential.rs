//! Attaches a credential to a request that is about to be sent.

use crate::oauth::{self, OauthError};
use domain::credential::AwsKeys;
use domain::credential::CredentialEdit;
use domain::credential::sigv4::{self, Payload, SIGNATURE_HEADERS, query_without_signature};
use domain::secret::Secret;
use domain::time::UnixMs;
use domain::upstream::without_parameter;
use url::Url;
use wasm_bindgen::JsValue;
use web_sys::Headers;

/// A request as it will be sent, without its body.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// In upper case.
    pub method: &'a str,
    /// The upstream's address with path and query.
    pub url: Url,
    /// Headers, which a credential may change.
    pub headers: Headers,
    /// The way in which a signature covers the body.
    pub payload: Payload,
}

/// The reason why a credential could not be attached. Nothing is sent then.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No bearer token could be fetched.
    #[error(transparent)]
    Token(#[from] OauthError),
    /// A value is not fit for a header.
    #[error("a header cannot be set: {0}")]
    Header(String),
}

impl From<JsValue> for AttachError {
    fn from(cause: JsValue) -> Self {
        Self::Header(format!("{cause:?}"))
    }
}

/// Headers of an AWS request that a signature must cover besides `host` and all of `x-amz-*`.
const SIGNED: [&str; 3] = ["content-type", "content-md5", "range"];

/// Attaches `edit`. Returns the bearer token if it is one from a token server, so that the caller can
/// forget it if the upstream refuses it.
pub async fn attach(
    edit: &CredentialEdit,
    call: &mut Outgoing<'_>,
    now: UnixMs,
) -> Result<Option<Secret>, AttachError> {
    match edit {
        CredentialEdit::SetHeaders(headers) => {
            for (name, value) in headers {
                call.headers.set(name, value.expose())?;
            }
        }
        CredentialEdit::SetQuery { parameter, value } => {
            let others = call.url.query().and_then(|query| without_parameter(query, parameter));
            call.url.set_query(others.as_deref());
            call.url.query_pairs_mut().append_pair(parameter, value.expose());
        }
        CredentialEdit::FetchToken(client) => {
            let token = oauth::token(client).await?;
            call.headers.set("authorization", &format!("Bearer {}", token.expose()))?;
            return Ok(Some(token));
        }
        CredentialEdit::Sign(keys) => sign(keys, call, now)?,
    }
    Ok(None)
}

/// Signs with the vendor's keys. The client's own signature is removed from headers and query.
fn sign(keys: &AwsKeys, call: &mut Outgoing<'_>, now: UnixMs) -> Result<(), JsValue> {
    for name in SIGNATURE_HEADERS {
        call.headers.delete(name)?;
    }
    if let Some(query) = call.url.query() {
        let own = query_without_signature(query);
        if own.as_deref() != Some(query) {
            call.url.set_query(own.as_deref());
        }
    }
    let mut covered = Vec::new();
    for name in call.headers.keys() {
        let Some(name) = name?.as_string() else { continue };
        if (name.starts_with("x-amz-") || SIGNED.contains(&name.as_str()))
            && let Some(value) = call.headers.get(&name)?
        {
            covered.push((name, value));
        }
    }
    let host = call.url.host_str().unwrap_or_default();
    let host = call.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let request = sigv4::Request {
        method: call.method,
        host: &host,
        path: call.url.path(),
        query: call.url.query(),
        headers: &covered,
        payload: &call.payload,
    };
    for (name, value) in sigv4::sign(&request, keys, now) {
        call.headers.set(name, value.expose())?;
    }
    Ok(())
}
