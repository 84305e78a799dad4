//! The isolate's caches: tokens, the route table and prices, filled from KV and from the change feed. What the feed has
//! told in a newer version than KV shows is kept instead.

use crate::cache::{Cache, Entry};
use crate::config::{Config, MAX_AGE_MS};
use crate::context::Context;
use crate::routes::Routes;
use domain::access::record::TokenRecord;
use domain::ai::price::PriceList;
use domain::error::GatewayError;
use domain::feed::{Changes, Follower, Poll, Table};
use domain::kv::{parse_routes, read_token, version_of};
use domain::time::UnixMs;
use domain::token::TokenHash;
use edge::clock::now;
use edge::kv::{self, Prices, READ_TIMEOUT_MS, timed};
use edge::log::{Source, log};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use worker::Env;

/// Age of KV's own cache at the location, in seconds. 30 is the least that it accepts.
const KV_CACHE_TTL_S: u64 = 30;
/// Tokens kept per generation. At about 1 KB each, two generations stay below 20 MB of the isolate's
/// 128 MB.
const TOKEN_CAPACITY: usize = 10_000;

/// Age at which the price list is read again, in ms.
pub const PRICES_MAX_AGE_MS: i64 = 60_000;

/// The reason why the store gave no value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("KV cannot be read: {0}")]
    Unreachable(String),
    #[error("a value in KV cannot be used: {0}")]
    Unreadable(#[from] domain::stored::KvError),
}

impl From<&StoreError> for GatewayError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unreachable(_) => Self::StoreUnavailable,
            StoreError::Unreadable(domain::stored::KvError::NotUnderstood) => Self::TokenNotUnderstood,
            StoreError::Unreadable(_) => Self::InternalServerError,
        }
    }
}

pub type Token = Option<Arc<TokenRecord>>;
thread_local! {
    static FOLLOWER: RefCell<Follower> = RefCell::default();
    pub static TOKEN_CACHE: RefCell<Cache<TokenHash, Token>> = RefCell::new(Cache::new(TOKEN_CAPACITY));
    pub static PRICE_CACHE: RefCell<Option<Entry<Rc<PriceList>>>> = const { RefCell::new(None) };
    pub static ROUTE_CACHE: RefCell<Option<Entry<Option<Rc<Routes>>>>> = const { RefCell::new(None) };
}

/// The store as one request uses it.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    pub env: &'a Env,
    pub context: &'a Rc<Context>,
    pub config: &'a Rc<Config>,
    pub request_id: &'a str,
    /// The time of the call's last event. What is at hand is looked up as of then, without asking the clock again.
    pub now: UnixMs,
}

/// The parts of a request's store that outlive its handler, for work that runs when the response has ended.
#[derive(Clone, Debug)]
pub struct Keep {
    pub env: Env,
    pub context: Rc<Context>,
    pub request_id: String,
}

impl Store<'_> {
    /// Copies the parts that outlive the call.
    pub fn keep(&self) -> Keep {
        Keep {
            env: self.env.clone(),
            context: Rc::clone(self.context),
            request_id: self.request_id.to_owned(),
        }
    }
}

/// Reads the text of an entry, but does not wait for long.
pub async fn read<E: kv::Entry>(env: &Env, key: &E::Key) -> Result<Option<String>, StoreError> {
    let kv = kv::open(env).map_err(StoreError::Unreachable)?;
    read_text(&kv, &E::key(key)).await
}

async fn read_text(kv: &worker::KvStore, key: &str) -> Result<Option<String>, StoreError> {
    let read = kv.get(key).cache_ttl(KV_CACHE_TTL_S).text();
    timed(READ_TIMEOUT_MS, read).await.map_err(StoreError::Unreachable)
}

/// Reads a token from KV, and takes what the feed has told instead if that is newer.
pub async fn fetch_token(env: &Env, hash: &TokenHash) -> Result<Token, StoreError> {
    let read_at = now();
    let text = read::<kv::Token>(env, hash).await?;
    let shown = text.as_ref().map(|text| read_token(text, hash));
    let version = match &shown {
        None => None,
        Some(Ok(record)) => Some(record.version),
        Some(Err(_)) => text.as_deref().map(version_of),
    };
    // KV may show an older value than the feed has told.
    let told = newer_token(hash, version);
    let token = told.map(|text| read_token(&text, hash)).or(shown).transpose()?.map(Arc::new);
    TOKEN_CACHE.with_borrow_mut(|cache| {
        let known = cache.get_mut(hash).and_then(|entry| entry.value().clone());
        let token = token.map(|shown| newest(known, shown, |record| record.version));
        cache.learn(hash.clone(), Entry::new(token.clone(), read_at));
        Ok(token)
    })
}

/// Compiles a table, unless `known` has the same text: then that one and its opened credentials are kept.
fn compiled(
    text: String,
    known: Option<Rc<Routes>>,
    config: &Config,
    request_id: &str,
) -> Result<Rc<Routes>, StoreError> {
    if let Some(known) = known.filter(|known| known.text == text) {
        return Ok(known);
    }
    let parsed = parse_routes(&text, edge::address::rules(config.allow_insecure_upstreams))?;
    if !parsed.unreadable.is_empty() {
        log(Source::Request(request_id), "routes left out", &parsed.unreadable.join(", "));
    }
    Ok(Rc::new(Routes { text, table: parsed.table, opened: RefCell::default() }))
}

fn known_routes() -> Option<Rc<Routes>> {
    ROUTE_CACHE.with_borrow(|entry| entry.as_ref().and_then(|e| e.value().clone()))
}

/// Returns whichever has the greater version: versions only grow, but KV may show an older value after a newer one.
fn newest<T>(known: Option<T>, shown: T, version: impl Fn(&T) -> u64) -> T {
    known.filter(|known| version(known) > version(&shown)).unwrap_or(shown)
}

/// Reads the route table from KV, likewise.
pub async fn fetch_routes(
    env: &Env,
    config: &Config,
    request_id: &str,
) -> Result<Option<Rc<Routes>>, StoreError> {
    let read_at = now();
    let text = read::<kv::Routes>(env, &()).await?;
    let known = known_routes();
    let shown = text.map(|text| compiled(text, known.clone(), config, request_id)).transpose()?;
    let routes =
        newest(Some(known), shown, |routes| routes.as_ref().map_or(0, |routes| routes.table.version));
    ROUTE_CACHE.with_borrow_mut(|entry| {
        // Keep whichever read started later, as with tokens.
        if entry.as_ref().is_none_or(|known| known.was_read_by(read_at)) {
            *entry = Some(Entry::new(routes.clone(), read_at));
        }
    });
    Ok(routes)
}

/// Asks the feed for what this isolate does not know.
pub fn poll() -> Poll {
    let prices = PRICE_CACHE.with_borrow(|entry| entry.as_ref().map_or(0, |entry| entry.value().version));
    let tables = vec![
        (Table::Routes, known_routes().map_or(0, |routes| routes.table.version)),
        (Table::Prices, prices),
    ];
    FOLLOWER.with_borrow(|follower| follower.poll(tables))
}

/// Returns what the feed has told of a token that KV shows in this version, if that is newer.
fn newer_token(hash: &TokenHash, version: Option<u64>) -> Option<String> {
    FOLLOWER.with_borrow(|follower| follower.token(hash, version).map(str::to_owned))
}

/// Takes in the response to a poll that began at `begun_at`. Returns whether it has brought something.
pub fn learn(changes: Changes, begun_at: UnixMs, config: &Config, request_id: &str) -> bool {
    let news = FOLLOWER.with_borrow_mut(|follower| follower.take(changes));
    if news.is_empty() {
        return false;
    }
    TOKEN_CACHE.with_borrow_mut(|cache| {
        if news.start_over {
            cache.expire(now(), MAX_AGE_MS);
        }
        for hash in &news.tokens {
            let Some(known) = cache.get_mut(hash) else { continue };
            let version = known.value().as_ref().map(|token| token.version);
            let Some(text) = newer_token(hash, version) else {
                // KV may have shown a value of the same version that has been mended since.
                known.doubt();
                continue;
            };
            match read_token(&text, hash) {
                Ok(record) => known.replace(Some(Arc::new(record)), begun_at),
                // It is read again, and then refused: nothing older may serve.
                Err(_) => cache.forget(hash),
            }
        }
    });
    if news.start_over {
        ROUTE_CACHE.with_borrow_mut(|entry| {
            if let Some(entry) = entry {
                entry.expire(now(), MAX_AGE_MS);
            }
        });
    }
    for (table, value) in news.tables {
        let learned = match table {
            Table::Routes => learn_routes(value.text, begun_at, config, request_id),
            Table::Prices => learn_prices(&value.text, begun_at),
        };
        if let Err(cause) = learned {
            log(Source::Request(request_id), "a table of the change feed cannot be read", &cause);
        }
    }
    true
}

fn learn_routes(text: String, begun_at: UnixMs, config: &Config, request_id: &str) -> Result<(), StoreError> {
    let known = known_routes();
    let version = known.as_ref().map_or(0, |known| known.table.version);
    let told = compiled(text, known, config, request_id)?;
    if told.table.version > version {
        ROUTE_CACHE.with_borrow_mut(|entry| match entry {
            Some(entry) => entry.replace(Some(told), begun_at),
            None => *entry = Some(Entry::new(Some(told), begun_at)),
        });
    }
    Ok(())
}

fn learn_prices(text: &str, begun_at: UnixMs) -> Result<(), StoreError> {
    let told = Rc::new(PriceList::parse(text)?);
    PRICE_CACHE.with_borrow_mut(|entry| match entry {
        Some(entry) if entry.value().version < told.version => entry.replace(told, begun_at),
        Some(_) => {}
        None => *entry = Some(Entry::new(told, begun_at)),
    });
    Ok(())
}

/// Reads the prices from KV, likewise.
pub async fn fetch_prices(env: &Env, request_id: &str) -> Option<Rc<PriceList>> {
    let read_at = now();
    let fetched = match read::<Prices>(env, &()).await {
        Ok(None) => Ok(PriceList::default()),
        Ok(Some(text)) => PriceList::parse(&text).map_err(StoreError::from),
        Err(cause) => Err(cause),
    };
    let prices = fetched
        .map(Rc::new)
        .inspect_err(|cause| log(Source::Request(request_id), "prices cannot be read", cause))
        .ok()
        .map(|shown| {
            let known = PRICE_CACHE.with_borrow(|entry| entry.as_ref().map(|entry| Rc::clone(entry.value())));
            newest(known, shown, |prices| prices.version)
        });
    PRICE_CACHE.with_borrow_mut(|entry| match &prices {
        // Keep whichever read started later, as with tokens.
        Some(prices) if entry.as_ref().is_none_or(|known| known.was_read_by(read_at)) => {
            *entry = Some(Entry::new(Rc::clone(prices), read_at));
        }
        Some(_) => {}
        None => entry
            .get_or_insert_with(|| Entry::new(Rc::default(), read_at - PRICES_MAX_AGE_MS))
            .note_failure(now()),
    });
    prices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_value_that_kv_shows_after_a_newer_one_is_passed_over() {
        let newer = |known, shown| newest(known, shown, |(version, _): &(u64, &str)| *version);
        assert_eq!(newer(Some((7, "known")), (6, "shown")), (7, "known"));
        assert_eq!(newer(Some((7, "known")), (7, "repaired")), (7, "repaired"));
        assert_eq!(newer(Some((7, "known")), (8, "shown")), (8, "shown"));
        assert_eq!(newer(None, (1, "shown")), (1, "shown"));
    }
}
