//! The issuer's keys (RFC 7517), kept in the isolate as plain data.

use crate::error::Failure;
use domain::json;
use domain::time::{HOUR_MS, MINUTE_MS, UnixMs};
use edge::clock::{now, sleep};
use edge::log::{Source, log};
use edge::timeout::within;
use serde::Deserialize;
use std::cell::RefCell;
use worker::{Fetch, Method, Request};

/// The time for which a key set is used before it is fetched again.
const MAX_AGE_MS: i64 = HOUR_MS;
/// The shortest time between two fetches, so that tokens with made-up key ids cost no requests.
const MIN_PAUSE_MS: i64 = MINUTE_MS;
const TIMEOUT_MS: u64 = 5_000;
/// The interval at which a request checks whether another one has fetched the keys. Requests of one isolate
/// cannot wait for each other's promises.
const LOOK_AGAIN_MS: u64 = 25;
/// The longest time that a fetch may take, in milliseconds.
const ASKED_MS: i64 = 5_500;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Jwk {
    #[serde(default)]
    kid: Option<String>,
    kty: String,
    /// The purpose: `sig`, or another such as `enc`; absent means any.
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    pub n: String,
    #[serde(default)]
    pub e: String,
}

#[derive(Debug, Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, Default)]
struct Cache {
    keys: Vec<Jwk>,
    fetched_at: Option<UnixMs>,
    tried_at: Option<UnixMs>,
    /// The time at which a request began to fetch the keys, while it is fetching.
    asking_since: Option<UnixMs>,
    /// The time of the last failed fetch.
    failed_at: Option<UnixMs>,
}

thread_local!(static CACHE: RefCell<Cache> = RefCell::default());

/// The result of looking up a key in the cache.
#[derive(Debug, PartialEq, Eq)]
enum Lookup {
    Known(Jwk),
    /// The key is unknown, and it is too soon to ask again.
    Unknown,
    /// The key is unknown, and another request is asking.
    Wait,
    /// The issuer must be asked. If that fails, the enclosed older key may serve.
    Ask(Option<Jwk>),
}

impl Cache {
    fn find(&self, kid: Option<&str>) -> Option<Jwk> {
        match kid {
            Some(kid) => self.keys.iter().find(|key| key.kid.as_deref() == Some(kid)).cloned(),
            // A token need not name its key if there is only one.
            None => self.keys.first().filter(|_| self.keys.len() == 1).cloned(),
        }
    }

    fn failed_since(&self, at: UnixMs) -> bool {
        self.failed_at.is_some_and(|failed| failed > at)
    }

    fn look_up(&self, kid: Option<&str>, now: UnixMs) -> Lookup {
        let within = |at: Option<UnixMs>, ms: i64| at.is_some_and(|at| now - at < ms);
        let may_ask = !within(self.tried_at, MIN_PAUSE_MS);
        // After the longest time of a fetch, the request that was fetching has ended in any case.
        let is_asked = within(self.asking_since, ASKED_MS);
        match self.find(kid) {
            Some(key) if within(self.fetched_at, MAX_AGE_MS) || !may_ask || is_asked => Lookup::Known(key),
            None if is_asked => Lookup::Wait,
            None if !may_ask && self.fetched_at.is_some() => Lookup::Unknown,
            key => Lookup::Ask(key),
        }
    }
}

/// Finds the key that `kid` names. While the issuer cannot be reached, keys that it once published keep
/// serving: people stay signed in through its outage.
///
/// One request of an isolate asks the issuer; others that need a key from the same response wait for it.
pub async fn find(address: &str, kid: Option<&str>, request_id: &str) -> Result<Option<Jwk>, Failure> {
    let started = now();
    loop {
        match CACHE.with_borrow(|cache| cache.look_up(kid, now())) {
            Lookup::Known(key) => return Ok(Some(key)),
            Lookup::Unknown => return Ok(None),
            Lookup::Wait => {
                if now() - started > ASKED_MS {
                    return Err(Failure::Unavailable(
                        "JWKS: another request's fetch takes too long".to_owned(),
                    ));
                }
                sleep(LOOK_AGAIN_MS).await;
            }
            // The fetch that this request waited for has failed: asking again at once would not help.
            Lookup::Ask(None) if CACHE.with_borrow(|cache| cache.failed_since(started)) => {
                return Err(Failure::Unavailable("JWKS: another request's fetch failed".to_owned()));
            }
            Lookup::Ask(fallback) => return ask(address, kid, fallback, request_id).await,
        }
    }
}

/// Marks that the keys are being fetched, until it is dropped. It is also dropped with the request's
/// handler when the client hangs up.
struct Asking {
    is_answered: bool,
}

impl Asking {
    fn begin() -> Self {
        // With no keys at all, every call may ask: nobody could sign in otherwise.
        CACHE.with_borrow_mut(|cache| {
            cache.tried_at = cache.fetched_at.map(|_| now());
            cache.asking_since = Some(now());
        });
        Self { is_answered: false }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        CACHE.with_borrow_mut(|cache| {
            cache.asking_since = None;
            if !self.is_answered {
                cache.tried_at = None;
            }
        });
    }
}

async fn ask(
    address: &str,
    kid: Option<&str>,
    fallback: Option<Jwk>,
    request_id: &str,
) -> Result<Option<Jwk>, Failure> {
    let mut asking = Asking::begin();
    let fetched = fetch(address).await;
    asking.is_answered = true;
    match fetched {
        Ok(keys) => Ok(CACHE.with_borrow_mut(|cache| {
            *cache = Cache { keys, fetched_at: Some(now()), tried_at: Some(now()), ..Cache::default() };
            cache.find(kid)
        })),
        Err(cause) => {
            let has_keys = CACHE.with_borrow_mut(|cache| {
                cache.failed_at = Some(now());
                cache.fetched_at.is_some()
            });
            if !has_keys {
                return Err(Failure::Unavailable(format!("JWKS: {cause}")));
            }
            log(Source::Request(request_id), "JWKS cannot be fetched", &cause);
            Ok(fallback)
        }
    }
}

async fn fetch(address: &str) -> Result<Vec<Jwk>, String> {
    let sent = Request::new(address, Method::Get).map_err(|e| e.to_string())?;
    let request = async {
        let mut response = Fetch::Request(sent).send().await.map_err(|e| e.to_string())?;
        if response.status_code() != 200 {
            return Err(format!("status {}", response.status_code()));
        }
        let text = response.text().await.map_err(|e| e.to_string())?;
        // A set without a usable key must not replace one that has some.
        parse(&text).filter(|keys| !keys.is_empty()).ok_or_else(|| "is no key set".to_owned())
    };
    within(TIMEOUT_MS, request).await?
}

/// Reads the RSA signing keys of a set; others are left out.
fn parse(text: &str) -> Option<Vec<Jwk>> {
    let set: KeySet = json::from_text(text).ok()?;
    let usable = |key: &Jwk| {
        key.kty == "RSA"
            && key.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && key.alg.as_deref().is_none_or(|alg| alg == "RS256")
            && !key.n.is_empty()
            && !key.e.is_empty()
    };
    Some(set.keys.into_iter().filter_map(|key| json::read(key).ok()).filter(usable).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str) -> Jwk {
        Jwk {
            kid: Some(kid.into()),
            kty: "RSA".into(),
            purpose: None,
            alg: None,
            n: "n".into(),
            e: "AQAB".into(),
        }
    }

    fn cache() -> Cache {
        Cache { keys: vec![key("a")], fetched_at: Some(0), tried_at: Some(0), ..Cache::default() }
    }

    #[test]
    fn only_rsa_signing_keys_are_kept() {
        let text = r#"{"keys":[
            {"kid":"a","kty":"RSA","use":"sig","alg":"RS256","n":"n","e":"AQAB"},
            {"kid":"b","kty":"EC","crv":"P-256"},
            {"kid":"c","kty":"RSA","use":"enc","n":"n","e":"AQAB"},
            {"kid":"d","kty":"oct","k":"x"}]}"#;
        let kids: Vec<_> = parse(text).unwrap().into_iter().filter_map(|k| k.kid).collect();
        assert_eq!(kids, ["a"]);
        assert_eq!(parse("{}"), None);
    }

    #[test]
    fn an_unknown_key_is_fetched_at_most_once_a_minute() {
        assert_eq!(cache().look_up(Some("b"), MIN_PAUSE_MS - 1), Lookup::Unknown);
        assert_eq!(cache().look_up(Some("b"), MIN_PAUSE_MS), Lookup::Ask(None));
    }

    #[test]
    fn a_known_key_serves_for_an_hour_and_then_while_it_is_fetched() {
        assert_eq!(cache().look_up(Some("a"), MAX_AGE_MS - 1), Lookup::Known(key("a")));
        assert_eq!(cache().look_up(Some("a"), MAX_AGE_MS), Lookup::Ask(Some(key("a"))));
        let failed_lately = Cache { tried_at: Some(MAX_AGE_MS), ..cache() };
        assert_eq!(failed_lately.look_up(Some("a"), MAX_AGE_MS + 1), Lookup::Known(key("a")));
    }

    /// Regression: when the issuer rotated its keys, requests with the new key were refused while the first
    /// of them fetched it.
    #[test]
    fn while_one_request_asks_the_others_wait_and_known_keys_keep_serving() {
        let asked = Cache { tried_at: Some(MIN_PAUSE_MS), asking_since: Some(MIN_PAUSE_MS), ..cache() };
        assert_eq!(asked.look_up(Some("b"), MIN_PAUSE_MS + 1), Lookup::Wait);
        assert_eq!(asked.look_up(Some("a"), MIN_PAUSE_MS + 1), Lookup::Known(key("a")));
        assert_eq!(asked.look_up(Some("b"), MIN_PAUSE_MS + ASKED_MS), Lookup::Unknown, "a wait ends");
        let cold = Cache { asking_since: Some(0), ..Cache::default() };
        assert_eq!(cold.look_up(Some("a"), 1), Lookup::Wait);
        assert_eq!(cold.look_up(Some("a"), ASKED_MS), Lookup::Ask(None));
    }

    #[test]
    fn an_empty_cache_always_asks() {
        assert_eq!(Cache::default().look_up(Some("a"), 0), Lookup::Ask(None));
    }

    #[test]
    fn a_token_without_key_id_needs_a_single_key() {
        assert_eq!(cache().find(None), Some(key("a")));
        let two = Cache { keys: vec![key("a"), key("b")], ..cache() };
        assert_eq!(two.find(None), None);
    }
}
