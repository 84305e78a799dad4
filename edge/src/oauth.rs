//! Bearer tokens and temporary keys that are fetched by a grant, kept in the isolate until shortly before they expire.

use crate::clock::{now, sleep};
use crate::crypto::sign_rs256;
use crate::timeout::within;
use domain::credential::grant::{Grant, Start, TokenRequest};
use domain::secret::Secret;
use domain::time::UnixMs;
use futures_util::StreamExt;
use std::cell::RefCell;
use std::collections::HashMap;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, Request, RequestInit, RequestRedirect, WorkerGlobalScope};
use worker::Response;

/// A token is not used for this long before it expires, in ms, or for the last fifth of its life if that is
/// shorter.
const MAX_MARGIN_MS: i64 = 30_000;
/// Time that a fetch in the background may take before another one is started, in ms.
const REFRESH_PATIENCE_MS: i64 = 15_000;
/// Assumed life of a token whose server does not state one, in ms.
const DEFAULT_LIFE_MS: i64 = 5 * 60_000;
/// Time that a server may take, and that one call waits for the fetch of another, in ms.
const TIMEOUT_MS: u64 = 10_000;
/// Interval, in ms, at which a waiting call checks whether another call's fetch is done.
const LOOK_AGAIN_MS: u64 = 20;
/// Grants whose tokens are kept. An isolate has few routes with such a credential.
const CAPACITY: usize = 500;
/// Longest response that is read, in bytes.
const MAX_RESPONSE: usize = 64 << 10;

/// The reason why there is no token. Holds no text of the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OauthError {
    /// No response in time.
    #[error("the token server cannot be reached")]
    Unreachable,
    /// A status other than 200.
    #[error("the token server responded with status {0}")]
    Refused(u16),
    /// A body in which there is nothing that can be sent.
    #[error("the token server's response holds no token")]
    Response,
    /// The key that signs the assertion cannot be used.
    #[error("the key of the service account cannot be used")]
    Key,
}

#[derive(Debug)]
enum Slot {
    /// Another call has been fetching since this time.
    Fetching(UnixMs),
    Ready(Ready),
}

#[derive(Clone, Debug)]
struct Ready {
    token: Secret,
    asked_at: UnixMs,
    ends_at: UnixMs,
    refreshing_since: Option<UnixMs>,
}

impl Ready {
    /// Whether a call that began at `started` may use the token. It may while the token lasts. It also may
    /// if the token was requested after `started`, however short its life.
    fn serves(&self, started: UnixMs, now: UnixMs) -> bool {
        let margin = MAX_MARGIN_MS.min((self.ends_at - self.asked_at) / 5);
        now < self.ends_at - margin || self.asked_at >= started
    }

    /// Whether the next token should be fetched and nobody is fetching it.
    fn is_due(&self, now: UnixMs) -> bool {
        let is_half_over = now - self.asked_at >= (self.ends_at - self.asked_at) / 2;
        is_half_over && self.refreshing_since.is_none_or(|since| now - since >= REFRESH_PATIENCE_MS)
    }
}

thread_local!(static TOKENS: RefCell<HashMap<String, Slot>> = RefCell::default());

/// Returns the grant's token. If several calls lack one, one of them fetches it and the others wait. They
/// wait by looking again, because a promise of one request cannot be awaited in another.
pub async fn token(grant: &Grant) -> Result<Secret, OauthError> {
    enum Next {
        Use(Secret),
        Wait,
        Fetch,
    }
    let key = id(grant);
    let started = now();
    loop {
        let next = TOKENS.with_borrow_mut(|tokens| match tokens.get(&key) {
            Some(Slot::Ready(ready)) if ready.serves(started, now()) => Next::Use(ready.token.clone()),
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
                sleep(LOOK_AGAIN_MS).await;
            }
            Next::Wait => return Err(OauthError::Unreachable),
            Next::Fetch => break,
        }
    }
    let unfinished = Unfinished(&key);
    let ready = fetch(grant).await?;
    std::mem::forget(unfinished);
    let token = ready.token.clone();
    TOKENS.with_borrow_mut(|tokens| tokens.insert(key, Slot::Ready(ready)));
    Ok(token)
}

/// A fetch under way. If it fails, or if its call ends, the next call fetches.
struct Unfinished<'a>(&'a str);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        TOKENS.with_borrow_mut(|tokens| tokens.remove(self.0));
    }
}

/// Returns a future that fetches the grant's next token, if half of the current one's life is over. It runs
/// beside the call, so that no call has to wait when the current token expires.
pub fn refresh_ahead(grant: &Grant) -> Option<impl Future<Output = ()> + 'static> {
    let key = id(grant);
    TOKENS.with_borrow_mut(|tokens| match tokens.get_mut(&key) {
        Some(Slot::Ready(ready)) if ready.is_due(now()) => {
            ready.refreshing_since = Some(now());
            Some(())
        }
        _ => None,
    })?;
    let grant = grant.clone();
    Some(async move {
        // A later call tries again after a failure: the current token has half of its life left.
        let Ok(ready) = fetch(&grant).await else { return };
        TOKENS.with_borrow_mut(|tokens| tokens.insert(key, Slot::Ready(ready)));
    })
}

fn id(grant: &Grant) -> String {
    grant.id().expose().to_owned()
}

fn timeout_ms() -> i64 {
    i64::try_from(TIMEOUT_MS).unwrap_or(i64::MAX)
}

/// Forgets a token that the upstream refused, unless another one has replaced it meanwhile.
pub fn forget(grant: &Grant, refused: &Secret) {
    TOKENS.with_borrow_mut(|tokens| {
        let key = id(grant);
        if matches!(tokens.get(&key), Some(Slot::Ready(ready)) if ready.token == *refused) {
            tokens.remove(&key);
        }
    });
}

async fn fetch(grant: &Grant) -> Result<Ready, OauthError> {
    let asked_at = now();
    let exchange = async {
        let asked = match grant.start(asked_at).ok_or(OauthError::Key)? {
            Start::Send(asked) => asked,
            Start::Sign(assertion) => {
                let signature = sign_rs256(assertion.key(), assertion.text()).await;
                assertion.request(&signature.map_err(|_| OauthError::Key)?)
            }
        };
        let request = request(&asked).map_err(|_| OauthError::Unreachable)?;
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        let answer = JsFuture::from(scope.fetch_with_request(&request)).await;
        let answer = answer.map_err(|_| OauthError::Unreachable)?;
        let mut response = Response::from(answer.unchecked_into::<web_sys::Response>());
        match response.status_code() {
            200 => text_of(&mut response).await,
            status => Err(OauthError::Refused(status)),
        }
    };
    let text = within(TIMEOUT_MS, exchange).await.map_err(|_| OauthError::Unreachable)??;
    let (token, life_ms) = grant.read(&text, asked_at).ok_or(OauthError::Response)?;
    let ends_at = asked_at + life_ms.unwrap_or(DEFAULT_LIFE_MS);
    Ok(Ready { token, asked_at, ends_at, refreshing_since: None })
}

/// Reads the body, but no further than [`MAX_RESPONSE`].
async fn text_of(response: &mut Response) -> Result<String, OauthError> {
    let mut body = response.stream().map_err(|_| OauthError::Response)?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend(piece.map_err(|_| OauthError::Unreachable)?);
        if bytes.len() > MAX_RESPONSE {
            return Err(OauthError::Response);
        }
    }
    String::from_utf8(bytes).map_err(|_| OauthError::Response)
}

/// Makes the request for a token. Not by `worker`, whose requests carry the code of all that Cloudflare adds to one.
fn request(asked: &TokenRequest) -> Result<Request, JsValue> {
    let headers = Headers::new()?;
    headers.set("content-type", "application/x-www-form-urlencoded")?;
    headers.set("accept", "application/json")?;
    for (name, value) in &asked.headers {
        headers.set(name, value.expose())?;
    }
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&asked.body.expose().into());
    // A redirect would send the grant's secret elsewhere.
    init.set_redirect(RequestRedirect::Manual);
    Request::new_with_str_and_init(&asked.url, &init)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(life_ms: i64) -> Ready {
        Ready { token: Secret::new("t".to_owned()), asked_at: 0, ends_at: life_ms, refreshing_since: None }
    }

    #[test]
    fn a_token_serves_until_shortly_before_it_expires_however_short_its_life() {
        let late = 1;
        assert!(ready(3_600_000).serves(late, 3_569_999) && !ready(3_600_000).serves(late, 3_570_000));
        assert!(ready(30_000).serves(late, 23_999) && !ready(30_000).serves(late, 24_000));
        assert!(ready(0).serves(0, 500), "requested for a call that was waiting");
        assert!(!ready(0).serves(late, 500));
    }

    #[test]
    fn the_next_token_is_fetched_once_half_of_its_life_is_over() {
        let mut ready = ready(60_000);
        assert!(!ready.is_due(29_999) && ready.is_due(30_000));
        ready.refreshing_since = Some(30_000);
        assert!(!ready.is_due(44_999), "one at a time");
        assert!(ready.is_due(45_000), "a lost fetch is taken over");
    }
}
