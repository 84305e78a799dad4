//! The receiver of a channel: sealing its address and secret, and one try to reach it.

use crate::config::Config;
use domain::alert::channel::{Language, Receiver, associated_data};
use domain::alert::event::Alert;
use domain::alert::message::Message;
use domain::alert::payload::{Post, post};
use domain::call::pool::wait_ms;
use domain::credential::seal::SealedCredential;
use domain::keys::KeyRing;
use edge::clock::now;
use edge::crypto::{CryptoError, open_text, seal_text};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt};
use worker::{AbortSignal, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response};

/// The time that a receiver has to respond, with the beginning of its body.
const TIMEOUT_MS: u32 = 5_000;
/// The bytes of a response that are read, and the characters of them that are kept.
const MAX_RESPONSE: usize = 2_048;
const KEPT_CHARS: usize = 300;

/// The end of one try.
#[derive(Debug)]
pub struct Tried {
    /// `None` without a response.
    pub status: Option<u16>,
    pub retry_after_ms: Option<i64>,
    /// The beginning of the response without secrets, or the reason why there is none.
    pub response: String,
}

impl Tried {
    fn without_response(reason: &str) -> Self {
        Self { status: None, retry_after_ms: None, response: reason.to_owned() }
    }
}

/// Seals a receiver to its channel.
pub async fn seal(
    channel: &str,
    receiver: &Receiver,
    keys: &KeyRing,
) -> Result<SealedCredential, CryptoError> {
    seal_text(&receiver.to_plaintext(), &associated_data(channel), keys).await
}

/// Opens a receiver.
pub async fn open(channel: &str, sealed: &str, keys: &KeyRing) -> Result<Receiver, CryptoError> {
    let sealed: SealedCredential = sealed.parse().map_err(|_| CryptoError::Open)?;
    let plaintext = open_text(&sealed, &associated_data(channel), keys).await?;
    Receiver::from_plaintext(plaintext.expose()).ok_or(CryptoError::Open)
}

/// Writes an alert for a channel, to be sent now, with a link to the UI.
pub fn message<'a>(
    config: &Config,
    alert: &'a Alert,
    subject: &str,
    more: u32,
    language: Language,
) -> Message<'a> {
    let ui = config.session.allowed_origins.first();
    Message::new(alert, subject, more, language, ui.map(String::as_str), now())
}

/// Sends a message once. The address is checked as it was when it was stored, redirects are not followed, and what the
/// receiver responds is kept without the secrets that it may repeat. Boxed, so that it is compiled once for all callers.
pub fn send<'a>(
    config: &'a Config,
    channel: &'a str,
    sealed: &'a str,
    message: &'a Message<'_>,
    id: &'a str,
) -> LocalBoxFuture<'a, Tried> {
    send_once(config, channel, sealed, message, id).boxed_local()
}

async fn send_once(config: &Config, channel: &str, sealed: &str, message: &Message<'_>, id: &str) -> Tried {
    let receiver = match open(channel, sealed, &config.credential_keys).await {
        Ok(receiver) => receiver,
        Err(error) => return Tried::without_response(&error.to_string()),
    };
    let mut errors = vec![];
    receiver.check(config.addresses, &mut errors);
    let post = post(&receiver, message, id, &config.telegram_url, now()).filter(|_| errors.is_empty());
    let Some(post) = post else { return Tried::without_response("the receiver's address is not allowed") };
    // It ends the request, too: connections of those that time out would be missing to the next.
    let signal = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(TIMEOUT_MS));
    match exchange(&post, &signal).await {
        Ok((response, text)) => Tried {
            status: Some(response.status_code()),
            retry_after_ms: response
                .headers()
                .get("retry-after")
                .ok()
                .flatten()
                .and_then(|text| wait_ms(&text, now())),
            response: receiver.redact(&text).chars().take(KEPT_CHARS).collect(),
        },
        Err(_) if signal.aborted() => Tried::without_response("timed out"),
        // The platform's message could repeat the address.
        Err(_) => Tried::without_response("the receiver cannot be reached"),
    }
}

async fn exchange(post: &Post, signal: &AbortSignal) -> worker::Result<(Response, String)> {
    let mut response = Fetch::Request(request(post)?).send_with_signal(signal).await?;
    let text = beginning(&mut response).await;
    Ok((response, text))
}

fn request(post: &Post) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("user-agent", "token-manager-alerts")?;
    for (name, value) in &post.headers {
        headers.set(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(post.body.as_str().into()))
        .with_redirect(RequestRedirect::Manual);
    Request::new_with_init(post.url.expose(), &init)
}

/// Reads the beginning of a response's body. A body that breaks off, or does not end in time, changes nothing: the status
/// has decided.
async fn beginning(response: &mut Response) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut stream) = response.stream() {
        while let Some(Ok(chunk)) = stream.next().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= MAX_RESPONSE {
                bytes.truncate(MAX_RESPONSE);
                break;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
