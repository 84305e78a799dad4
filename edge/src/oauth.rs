//! Bearer tokens by the client credentials grant (RFC 6749, section 4.4), kept in the isolate until
//! shortly before they end.

use domain::credential::{ClientAuth, ClientCredentials};
use domain::secret::Secret;
use domain::time::UnixMs;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;
use url::form_urlencoded::Serializer;
use worker::{Date, Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

/// A token is fetched anew so long before its end, in ms.
const MARGIN_MS: i64 = 30_000;
/// The life of a token whose server does not say, in ms.
const DEFAULT_LIFE_MS: i64 = 5 * 60_000;
/// How long a server may take, and how long one call waits for another's fetch, in ms.
const TIMEOUT_MS: u64 = 10_000;
/// The pause between looks at whether the other call's fetch is done, in ms.
const LOOK_AGAIN_MS: u64 = 20;
/// Clients kept; an isolate has few routes with one.
const CAPACITY: usize = 500;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Why there is no token. Holds nothing that the server said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OauthError {
    #[error("the token's server cannot be reached")]
    Unreachable,
    #[error("the token's server answers {0}")]
    Refused(u16),
    #[error("the token's server answers something else than a bearer token")]
    Answer,
}

#[derive(Debug)]
enum Slot {
    /// Another call is fetching, since then.
    Fetching(UnixMs),
    Ready {
        token: Secret,
        ends_at: UnixMs,
    },
}

thread_local!(static TOKENS: RefCell<HashMap<String, Slot>> = RefCell::default());

fn now() -> UnixMs {
    i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX)
}

/// Which token: a client with another secret is another client.
fn key(client: &ClientCredentials) -> String {
    [
        client.token_url.as_str(),
        &client.client_id,
        client.client_secret.expose(),
        client.scope.as_deref().unwrap_or_default(),
        client.audience.as_deref().unwrap_or_default(),
    ]
    .join("\n")
}

/// The client's token. Of several calls that lack one, one fetches and the others wait: a promise of
/// one request cannot be awaited in another, so they look again.
pub async fn token(client: &ClientCredentials) -> Result<Secret, OauthError> {
    enum Next {
        Use(Secret),
        Wait,
        Fetch,
    }
    let key = key(client);
    let started = now();
    loop {
        let next = TOKENS.with_borrow_mut(|tokens| match tokens.get(&key) {
            Some(Slot::Ready { token, ends_at }) if *ends_at - MARGIN_MS > now() => Next::Use(token.clone()),
            Some(Slot::Fetching(since)) if now() - since < timeout_ms() => Next::Wait,
            _ => {
                if tokens.len() >= CAPACITY {
                    tokens.clear();
                }
                tokens.insert(key.clone(), Slot::Fetching(now()));
                Next::Fetch
            }
        });
        match next {
            Next::Use(token) => return Ok(token),
            Next::Wait if now() - started < timeout_ms() => {
                Delay::from(Duration::from_millis(LOOK_AGAIN_MS)).await;
            }
            Next::Wait => return Err(OauthError::Unreachable),
            Next::Fetch => break,
        }
    }
    let fetched = fetch(client).await;
    TOKENS.with_borrow_mut(|tokens| match &fetched {
        Ok((token, ends_at)) => {
            tokens.insert(key, Slot::Ready { token: token.clone(), ends_at: *ends_at });
        }
        Err(_) => {
            tokens.remove(&key);
        }
    });
    fetched.map(|(token, _)| token)
}

fn timeout_ms() -> i64 {
    i64::try_from(TIMEOUT_MS).unwrap_or(i64::MAX)
}

/// Forgets a token that the upstream refused, unless another took its place meanwhile.
pub fn forget(client: &ClientCredentials, refused: &Secret) {
    TOKENS.with_borrow_mut(|tokens| {
        let key = key(client);
        if matches!(tokens.get(&key), Some(Slot::Ready { token, .. }) if token == refused) {
            tokens.remove(&key);
        }
    });
}

async fn fetch(client: &ClientCredentials) -> Result<(Secret, UnixMs), OauthError> {
    use futures_util::future::{Either, select};
    let asked_at = now();
    let exchange = std::pin::pin!(async {
        let request = request(client).map_err(|_| OauthError::Unreachable)?;
        let mut answer = Fetch::Request(request).send().await.map_err(|_| OauthError::Unreachable)?;
        let text = answer.text().await.map_err(|_| OauthError::Unreachable)?;
        match answer.status_code() {
            200 if text.len() <= MAX_ANSWER => Ok(text),
            200 => Err(OauthError::Answer),
            status => Err(OauthError::Refused(status)),
        }
    });
    let timeout = std::pin::pin!(Delay::from(Duration::from_millis(TIMEOUT_MS)));
    let text = match select(exchange, timeout).await {
        Either::Left((text, _)) => text?,
        Either::Right(_) => return Err(OauthError::Unreachable),
    };
    let (token, life_ms) = domain::credential::bearer_answer(&text).ok_or(OauthError::Answer)?;
    Ok((token, asked_at + life_ms.unwrap_or(DEFAULT_LIFE_MS)))
}

fn request(client: &ClientCredentials) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("content-type", "application/x-www-form-urlencoded")?;
    headers.set("accept", "application/json")?;
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    for (name, value) in [("scope", &client.scope), ("audience", &client.audience)] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    match client.client_auth {
        ClientAuth::Basic => headers.set("authorization", client.basic().expose())?,
        ClientAuth::Body => {
            form.append_pair("client_id", &client.client_id);
            form.append_pair("client_secret", client.client_secret.expose());
        }
    }
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(form.finish().into()))
        // A redirect would take the client's secret elsewhere.
        .with_redirect(RequestRedirect::Manual);
    Request::new_with_init(&client.token_url, &init)
}
