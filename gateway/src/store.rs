//! Tokens, routes and prices: KV behind an isolate cache, and the change feed above both.
//!
//! Every reader goes through [`Store::look_up`] and [`Store::routes`]. They serve nothing that no poll of the feed has
//! confirmed within five seconds ([`changes`]), unless the feed is away.
//!
//! Age: an entry serves for at most [`MAX_AGE_MS`] after its read *started*, so while the feed is away a change is in
//! force within 10 s of the moment when KV shows it at this location. What the feed has told in a newer version than KV
//! shows is served instead.

use crate::cache::{Cache, Claim, Entry, Freshness};
use crate::changes;
use crate::config::{Config, MAX_AGE_MS};
use crate::context::Context;
use crate::routes::Routes;
use domain::access::record::{TokenRecord, TokenState};
use domain::ai::price::PriceList;
use domain::error::GatewayError;
use domain::feed::{News, Table};
use domain::kv::{parse_routes, read_token, version_of};
use domain::time::UnixMs;
use domain::token::{Form, TokenHash};
use edge::clock::{now, sleep};
use edge::kv::{self, Prices, READ_TIMEOUT_MS, timed};
use edge::log::{Source, log};
use futures_util::future::{LocalBoxFuture, join, join3};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use worker::Env;

/// Age of KV's own cache at the location, in seconds. 30 is the least that it accepts.
const KV_CACHE_TTL_S: u64 = 30;
/// Tokens kept per generation. At about 1 KB each, two generations stay below 10 MB of the isolate's
/// 128 MB.
const TOKEN_CAPACITY: usize = 5_000;

/// Interval, in ms, at which a waiting call checks whether another call's read is done.
const LOOK_AGAIN_MS: u64 = 20;
/// The most reads per second and isolate for uncached tokens of the legacy form. That form has no check, so
/// anybody can make up any number of such tokens.
const LEGACY_READS_A_SECOND: u32 = 100;

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

type Token = Option<Arc<TokenRecord>>;
/// A token and the route table.
type Found = (Result<Token, StoreError>, Result<Option<Rc<Routes>>, StoreError>);

thread_local! {
    static TOKEN_CACHE: RefCell<Cache<TokenHash, Token>> = RefCell::new(Cache::new(TOKEN_CAPACITY));
    static PRICE_CACHE: RefCell<Option<Entry<Rc<PriceList>>>> = const { RefCell::new(None) };
    static ROUTE_CACHE: RefCell<Option<Entry<Option<Rc<Routes>>>>> = const { RefCell::new(None) };
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

async fn fetch_token(env: &Env, hash: &TokenHash) -> Result<Token, StoreError> {
    let read_at = now();
    let text = read::<kv::Token>(env, hash).await?;
    let shown = text.as_ref().map(|text| read_token(text, hash));
    let version = match &shown {
        None => None,
        Some(Ok(record)) => Some(record.version),
        Some(Err(_)) => text.as_deref().map(version_of),
    };
    // KV may show an older value than the feed has told.
    let told = changes::newer_token(hash, version);
    let token = told.map(|text| read_token(&text, hash)).or(shown).transpose()?.map(Arc::new);
    TOKEN_CACHE.with_borrow_mut(|cache| cache.learn(hash.clone(), Entry::new(token.clone(), read_at)));
    Ok(token)
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

async fn fetch_routes(
    env: &Env,
    config: &Config,
    request_id: &str,
) -> Result<Option<Rc<Routes>>, StoreError> {
    let read_at = now();
    let text = read::<kv::Routes>(env, &()).await?;
    let known = known_routes();
    let shown = text.map(|text| compiled(text, known.clone(), config, request_id)).transpose()?;
    let version = shown.as_ref().map_or(0, |routes| routes.table.version);
    // KV may show an older table than the feed has told.
    let routes = match known {
        Some(known) if known.table.version > version && changes::has_newer(Table::Routes, version) => {
            Some(known)
        }
        _ => shown,
    };
    ROUTE_CACHE.with_borrow_mut(|entry| {
        // Keep whichever read started later, as with tokens.
        if entry.as_ref().is_none_or(|known| known.age(read_at) >= 0) {
            *entry = Some(Entry::new(routes.clone(), read_at));
        }
    });
    Ok(routes)
}

/// Returns the versions of the cached tables, for a poll of the feed.
pub fn versions_of_tables() -> Vec<(Table, u64)> {
    let prices = PRICE_CACHE.with_borrow(|entry| entry.as_ref().map_or(0, |entry| entry.value().version));
    vec![(Table::Routes, known_routes().map_or(0, |routes| routes.table.version)), (Table::Prices, prices)]
}

/// Takes in what a poll that began at `begun_at` has brought.
pub fn learn(news: News, begun_at: UnixMs, config: &Config, request_id: &str) {
    TOKEN_CACHE.with_borrow_mut(|cache| {
        if news.start_over {
            cache.clear();
        }
        for hash in &news.tokens {
            let Some(known) = cache.get_mut(hash) else { continue };
            let version = known.value().as_ref().map(|token| token.version);
            let Some(text) = changes::newer_token(hash, version) else { continue };
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

/// Age at which the price list is read again, in ms.
const PRICES_MAX_AGE_MS: i64 = 60_000;

/// Returns the prices of AI models: an empty list if none were published. Only AI routes need them. While
/// KV is unreachable the last known ones serve: an old price is nearer to the truth than none.
pub async fn prices(store: &Store<'_>) -> Rc<PriceList> {
    let cached = PRICE_CACHE.with_borrow_mut(|entry| {
        let entry = entry.as_mut()?;
        Some((Rc::clone(entry.value()), entry.freshness(store.now, PRICES_MAX_AGE_MS)))
    });
    match cached {
        Some((prices, Freshness::Fresh | Freshness::ExpiredUnreachable)) => prices,
        Some((prices, Freshness::Refresh)) => {
            let (env, id) = (store.env.clone(), store.request_id.to_owned());
            store.context.wait_until(async move {
                fetch_prices(&env, &id).await;
            });
            prices
        }
        Some((prices, Freshness::Expired)) => {
            fetch_prices(store.env, store.request_id).await.unwrap_or(prices)
        }
        None => fetch_prices(store.env, store.request_id).await.unwrap_or_default(),
    }
}

async fn fetch_prices(env: &Env, request_id: &str) -> Option<Rc<PriceList>> {
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
            // KV may show an older list than the feed has told.
            let known = PRICE_CACHE.with_borrow(|entry| entry.as_ref().map(|entry| Rc::clone(entry.value())));
            let is_behind = changes::has_newer(Table::Prices, shown.version);
            known.filter(|known| is_behind && known.version > shown.version).unwrap_or(shown)
        });
    PRICE_CACHE.with_borrow_mut(|entry| match &prices {
        // Keep whichever read started later, as with tokens.
        Some(prices) if entry.as_ref().is_none_or(|known| known.age(read_at) >= 0) => {
            *entry = Some(Entry::new(Rc::clone(prices), read_at));
        }
        Some(_) => {}
        None => entry
            .get_or_insert_with(|| Entry::new(Rc::default(), read_at - PRICES_MAX_AGE_MS))
            .note_failure(now()),
    });
    prices
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

    /// Reads the cached token again, at most once a second, before a call that arrived at `since` is refused
    /// because of it. Returns whether this call or another one has read it meanwhile.
    pub async fn refresh_token(&self, hash: &TokenHash, form: Form, since: UnixMs) -> bool {
        let claim = || {
            TOKEN_CACHE.with_borrow_mut(|cache| {
                let Some(entry) = cache.get_mut(hash) else { return Claim::Settled };
                let is_guess = entry.value().is_none() && form == Form::Legacy;
                if is_guess && legacy_reads() >= LEGACY_READS_A_SECOND {
                    return Claim::Settled;
                }
                let claim = entry.claim(since, now());
                if is_guess && matches!(claim, Claim::Read) {
                    may_read_legacy();
                }
                claim
            })
        };
        again(claim, async {
            if let Err(cause) = fetch_token(self.env, hash).await {
                log(Source::Request(self.request_id), "token cannot be read again", &cause);
                note_token_failure(hash);
            }
        })
        .await
    }

    /// Notes that a call was refused because of the token.
    pub fn note_token_refusal(hash: &TokenHash) {
        TOKEN_CACHE.with_borrow_mut(|cache| {
            if let Some(entry) = cache.get_mut(hash) {
                entry.note_refusal();
            }
        });
    }

    /// Notes that a call was refused because of the route table.
    pub fn note_routes_refusal() {
        ROUTE_CACHE.with_borrow_mut(|entry| {
            if let Some(entry) = entry {
                entry.note_refusal();
            }
        });
    }

    /// Does the same as [`Store::refresh_token`] for the route table.
    pub async fn refresh_routes(&self, since: UnixMs) -> bool {
        let claim = || {
            ROUTE_CACHE.with_borrow_mut(|entry| {
                entry.as_mut().map_or(Claim::Settled, |entry| entry.claim(since, now()))
            })
        };
        again(claim, async {
            if let Err(cause) = fetch_routes(self.env, self.config, self.request_id).await {
                log(Source::Request(self.request_id), "routes cannot be read again", &cause);
                note_routes_failure();
            }
        })
        .await
    }

    /// Returns the token with this hash and the route table, each `None` if there is none. If no poll of the feed has
    /// confirmed the caches lately, waits for one, beside KV's reads.
    pub async fn look_up(&self, hash: &TokenHash, form: Form) -> Found {
        if changes::look(self) {
            return join(self.token(hash, form), self.read_routes()).await;
        }
        // Apart, since few calls get here and each call's future has room for it.
        let found: LocalBoxFuture<'_, Found> = Box::pin(async {
            let before = changes::news();
            let (token, routes, ()) =
                join3(self.token(hash, form), self.read_routes(), changes::confirmed()).await;
            if changes::news() == before {
                return (token, routes);
            }
            join(self.token(hash, form), self.read_routes()).await
        });
        found.await
    }

    /// Returns the route table. `None` if none was published. Waits like [`Store::look_up`].
    pub async fn routes(&self) -> Result<Option<Rc<Routes>>, StoreError> {
        if changes::look(self) {
            return self.read_routes().await;
        }
        let before = changes::news();
        let (routes, ()) = join(self.read_routes(), changes::confirmed()).await;
        if changes::news() == before { routes } else { self.read_routes().await }
    }

    /// Returns the token with this hash. `None` if there is none.
    async fn token(&self, hash: &TokenHash, form: Form) -> Result<Token, StoreError> {
        let cached = TOKEN_CACHE.with_borrow_mut(|cache| {
            let entry = cache.get_mut(hash)?;
            Some((entry.value().clone(), entry.freshness(self.now, MAX_AGE_MS)))
        });
        let is_known = matches!(&cached, Some((Some(_), _)));
        match cached {
            Some((token, Freshness::Fresh)) => return Ok(token),
            Some((token, Freshness::Refresh)) => {
                let (env, hash) = (self.env.clone(), hash.clone());
                self.context.wait_until(async move {
                    if fetch_token(&env, &hash).await.is_err() {
                        note_token_failure(&hash);
                    }
                });
                return Ok(token);
            }
            Some((_, Freshness::ExpiredUnreachable)) => {
                return self
                    .stale_token(hash)
                    .ok_or_else(|| StoreError::Unreachable("failed a moment ago".into()));
            }
            Some((_, Freshness::Expired)) | None => {}
        }
        // A known token is read even while others use up the allowance.
        if form == Form::Legacy && !is_known && !may_read_legacy() {
            return Err(StoreError::Unreachable("too many unknown tokens of the legacy form".into()));
        }
        match fetch_token(self.env, hash).await {
            Err(StoreError::Unreachable(cause)) => {
                note_token_failure(hash);
                log(Source::Request(self.request_id), "KV cannot be read", &cause);
                self.stale_token(hash).ok_or(StoreError::Unreachable(cause))
            }
            result => result,
        }
    }

    /// Returns the cached token if it may still serve while KV is unreachable: not revoked and not older
    /// than `STALE_MAX_S`. A cached "unknown" is never served stale.
    fn stale_token(&self, hash: &TokenHash) -> Option<Token> {
        TOKEN_CACHE.with_borrow_mut(|cache| {
            let entry = cache.get_mut(hash)?;
            let usable = entry.value().as_ref().is_some_and(|t| t.state == TokenState::Active);
            (usable && entry.age(now()) < self.config.stale_max_ms).then(|| entry.value().clone())
        })
    }

    async fn read_routes(&self) -> Result<Option<Rc<Routes>>, StoreError> {
        let cached = ROUTE_CACHE.with_borrow_mut(|entry| {
            let entry = entry.as_mut()?;
            Some((entry.value().clone(), entry.freshness(self.now, MAX_AGE_MS), entry.age(self.now)))
        });
        let stale =
            cached.as_ref().filter(|(_, _, age)| *age < self.config.stale_max_ms).map(|(r, _, _)| r.clone());
        match cached {
            Some((routes, Freshness::Fresh, _)) => return Ok(routes),
            Some((routes, Freshness::Refresh, _)) => {
                let (env, config, id) =
                    (self.env.clone(), Rc::clone(self.config), self.request_id.to_owned());
                self.context.wait_until(async move {
                    if let Err(cause) = fetch_routes(&env, &config, &id).await {
                        log(Source::Request(&id), "routes cannot be read again", &cause);
                        note_routes_failure();
                    }
                });
                return Ok(routes);
            }
            Some((_, Freshness::ExpiredUnreachable, _)) if stale.is_some() => return Ok(stale.flatten()),
            Some(_) | None => {}
        }
        match fetch_routes(self.env, self.config, self.request_id).await {
            // If KV, or the table in it, cannot be read, the last known table serves.
            Err(cause) => {
                log(Source::Request(self.request_id), "routes cannot be read", &cause);
                note_routes_failure();
                stale.ok_or(cause)
            }
            ok => ok,
        }
    }
}

/// Reads an entry again before a call is refused because of it. Returns whether this call or another one has
/// read it meanwhile.
async fn again(claim: impl Fn() -> Claim, read: impl Future<Output = ()>) -> bool {
    let mut has_waited = false;
    loop {
        match claim() {
            Claim::Settled => return has_waited,
            Claim::Read => {
                read.await;
                return true;
            }
            // A promise of one request cannot be awaited in another.
            Claim::Wait => sleep(LOOK_AGAIN_MS).await,
        }
        has_waited = true;
    }
}

thread_local!(static LEGACY_READS: Cell<(UnixMs, u32)> = const { Cell::new((0, 0)) });

/// Counts the reads for unknown legacy tokens within this second.
fn legacy_reads() -> u32 {
    let (second, taken) = LEGACY_READS.get();
    if second == now() / 1_000 { taken } else { 0 }
}

/// Takes one read from this second's allowance for unknown legacy tokens. Returns whether one was left.
fn may_read_legacy() -> bool {
    let taken = legacy_reads();
    LEGACY_READS.set((now() / 1_000, taken.saturating_add(1)));
    taken < LEGACY_READS_A_SECOND
}

fn note_token_failure(hash: &TokenHash) {
    TOKEN_CACHE.with_borrow_mut(|cache| {
        if let Some(entry) = cache.get_mut(hash) {
            entry.note_failure(now());
        }
    });
}

fn note_routes_failure() {
    ROUTE_CACHE.with_borrow_mut(|entry| {
        if let Some(entry) = entry {
            entry.note_failure(now());
        }
    });
}
