//! What the gateway knows of tokens and routes: KV behind an isolate cache.
//!
//! Every reader goes through [`Store::token`] and [`Store::routes`]; every source goes through
//! [`learn_token`], so that a faster channel for revocations can feed the same cache.
//!
//! Age: an entry serves for at most [`MAX_AGE_MS`] after its reading *began*, so a change is seen
//! within 10 s of the moment KV shows it at this location.

use crate::cache::{Cache, Claim, Entry, Freshness};
use crate::config::{Config, MAX_AGE_MS};
use crate::credentials::Opened;
use domain::access::record::{TokenRecord, TokenState};
use domain::ai::price::{PRICES_KEY, PriceList};
use domain::error::GatewayError;
use domain::kv::{ROUTES_KEY, parse_routes, token_key};
use domain::route::RouteTable;
use domain::time::UnixMs;
use domain::token::{Form, TokenHash};
use edge::env::TOKENS;
use edge::log::log;
use futures_util::future::{Either, select};
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use worker::{Context, Delay, Env, KvStore};

/// KV's own cache at the location, in seconds; 30 is the least it takes.
const KV_CACHE_TTL_S: u64 = 30;
/// A read that takes longer counts as failed, in ms.
const READ_TIMEOUT_MS: u64 = 5_000;
/// Tokens kept per generation: at about 1 KB each two generations stay below 10 MB of the
/// isolate's 128 MB.
const TOKEN_CAPACITY: usize = 5_000;

/// The compiled route table and the credentials opened for it.
#[derive(Debug)]
pub struct Routes {
    text: String,
    pub table: RouteTable,
    pub opened: RefCell<Opened>,
}

/// Pause between looks at whether another call's reading is done, in ms.
const LOOK_AGAIN_MS: u64 = 20;
/// Readings for tokens of the legacy form that are not cached, a second and isolate: they have no check,
/// so anybody can ask for them without end.
const LEGACY_READS_A_SECOND: u32 = 100;

/// Why the store has no answer.
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

thread_local! {
    static TOKEN_CACHE: RefCell<Cache<TokenHash, Token>> = RefCell::new(Cache::new(TOKEN_CAPACITY));
    static PRICE_CACHE: RefCell<Option<Entry<Rc<PriceList>>>> = const { RefCell::new(None) };
    static ROUTE_CACHE: RefCell<Option<Entry<Option<Rc<Routes>>>>> = const { RefCell::new(None) };
}

/// Unix ms, without making a `Date` each time.
#[expect(clippy::cast_possible_truncation, reason = "whole milliseconds, far below 2^53")]
pub fn now() -> UnixMs {
    js_sys::Date::now() as i64
}

/// Takes in what any source says of a token; `None` means that there is none.
fn learn_token(hash: TokenHash, token: Token, read_at: UnixMs) {
    TOKEN_CACHE.with_borrow_mut(|cache| cache.learn(hash, Entry::new(token, read_at)));
}

/// Reads one value, with an end to the waiting.
pub async fn read(env: &Env, key: &str) -> Result<Option<String>, StoreError> {
    let kv = env.kv(TOKENS).map_err(|e| StoreError::Unreachable(e.to_string()))?;
    read_from(&kv, key).await
}

async fn read_from(kv: &KvStore, key: &str) -> Result<Option<String>, StoreError> {
    let read = pin!(kv.get(key).cache_ttl(KV_CACHE_TTL_S).text());
    let timeout = pin!(Delay::from(Duration::from_millis(READ_TIMEOUT_MS)));
    match select(read, timeout).await {
        Either::Left((value, _)) => value.map_err(|e| StoreError::Unreachable(e.to_string())),
        Either::Right(_) => Err(StoreError::Unreachable("timed out".to_owned())),
    }
}

async fn fetch_token(env: &Env, hash: &TokenHash) -> Result<Token, StoreError> {
    let read_at = now();
    let text = read(env, &token_key(hash)).await?;
    let token = text.map(|text| domain::kv::read_token(&text, hash).map(Arc::new)).transpose()?;
    learn_token(hash.clone(), token.clone(), read_at);
    Ok(token)
}

async fn fetch_routes(
    env: &Env,
    config: &Config,
    request_id: &str,
) -> Result<Option<Rc<Routes>>, StoreError> {
    let read_at = now();
    let text = read(env, ROUTES_KEY).await?;
    let known = ROUTE_CACHE.with_borrow(|entry| entry.as_ref().and_then(|e| e.value().clone()));
    let routes = match (text, known) {
        (None, _) => None,
        // The same text: what was compiled and opened stays.
        (Some(text), Some(known)) if known.text == text => Some(known),
        (Some(text), _) => {
            let parsed = parse_routes(&text, config.allow_insecure_upstreams)?;
            if !parsed.unreadable.is_empty() {
                log(request_id, "routes left out", &parsed.unreadable.join(", "));
            }
            Some(Rc::new(Routes { text, table: parsed.table, opened: RefCell::default() }))
        }
    };
    ROUTE_CACHE.with_borrow_mut(|entry| {
        // As with tokens, the later begun reading stays.
        if entry.as_ref().is_none_or(|known| known.age(read_at) >= 0) {
            *entry = Some(Entry::new(routes.clone(), read_at));
        }
    });
    Ok(routes)
}

/// The store as one request sees it.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    pub env: &'a Env,
    pub context: &'a Rc<Context>,
    pub config: &'a Rc<Config>,
    pub request_id: &'a str,
}

/// What outlives the handler of a request, for what is done when its answer has ended.
#[derive(Clone, Debug)]
pub struct Keep {
    pub env: Env,
    pub context: Rc<Context>,
    pub config: Rc<Config>,
    pub request_id: String,
}

/// How old the price list may get, in ms.
const PRICES_MAX_AGE_MS: i64 = 60_000;

/// The prices of AI models; empty where none were published. Read for AI routes alone. While KV is away
/// the last known ones go on: an old price is nearer to the truth than none.
pub async fn prices(store: &Store<'_>) -> Rc<PriceList> {
    let cached = PRICE_CACHE.with_borrow_mut(|entry| {
        let entry = entry.as_mut()?;
        Some((Rc::clone(entry.value()), entry.freshness(now(), PRICES_MAX_AGE_MS)))
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
    let fetched = match read(env, PRICES_KEY).await {
        Ok(None) => Ok(PriceList::default()),
        Ok(Some(text)) => PriceList::parse(&text).map_err(StoreError::from),
        Err(cause) => Err(cause),
    };
    let prices =
        fetched.map(Rc::new).inspect_err(|cause| log(request_id, "prices cannot be read", cause)).ok();
    PRICE_CACHE.with_borrow_mut(|entry| match &prices {
        // As with tokens, the later begun reading stays.
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
    pub fn keep(&self) -> Keep {
        Keep {
            env: self.env.clone(),
            context: Rc::clone(self.context),
            config: Rc::clone(self.config),
            request_id: self.request_id.to_owned(),
        }
    }

    /// Brings the cached token up to date before a call that came at `since` is refused because of it, by
    /// at most one reading a second. Returns whether it was read meanwhile.
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
                log(self.request_id, "token cannot be read again", &cause);
                note_token_failure(hash);
            }
        })
        .await
    }

    /// Notes that calls are refused because of the token.
    pub fn note_token_refusal(hash: &TokenHash) {
        TOKEN_CACHE.with_borrow_mut(|cache| {
            if let Some(entry) = cache.get_mut(hash) {
                entry.note_refusal();
            }
        });
    }

    /// Notes that calls are refused because of the route table.
    pub fn note_routes_refusal() {
        ROUTE_CACHE.with_borrow_mut(|entry| {
            if let Some(entry) = entry {
                entry.note_refusal();
            }
        });
    }

    /// The same as [`Store::refresh_token`], for the route table.
    pub async fn refresh_routes(&self, since: UnixMs) -> bool {
        let claim = || {
            ROUTE_CACHE.with_borrow_mut(|entry| {
                entry.as_mut().map_or(Claim::Settled, |entry| entry.claim(since, now()))
            })
        };
        again(claim, async {
            if let Err(cause) = fetch_routes(self.env, self.config, self.request_id).await {
                log(self.request_id, "routes cannot be read again", &cause);
                note_routes_failure();
            }
        })
        .await
    }

    /// The token under `hash`; `None` where there is none.
    pub async fn token(&self, hash: &TokenHash, form: Form) -> Result<Token, StoreError> {
        let cached = TOKEN_CACHE.with_borrow_mut(|cache| {
            let entry = cache.get_mut(hash)?;
            Some((entry.value().clone(), entry.freshness(now(), MAX_AGE_MS)))
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
        // One that is known is read whatever others try.
        if form == Form::Legacy && !is_known && !may_read_legacy() {
            return Err(StoreError::Unreachable("too many unknown tokens of the legacy form".into()));
        }
        match fetch_token(self.env, hash).await {
            Err(StoreError::Unreachable(cause)) => {
                note_token_failure(hash);
                log(self.request_id, "KV cannot be read", &cause);
                self.stale_token(hash).ok_or(StoreError::Unreachable(cause))
            }
            result => result,
        }
    }

    /// What the cache holds, if it may still serve while KV is away: known, not revoked, not older
    /// than `STALE_MAX_S`. That a token is unknown is no knowledge to act on so late.
    fn stale_token(&self, hash: &TokenHash) -> Option<Token> {
        TOKEN_CACHE.with_borrow_mut(|cache| {
            let entry = cache.get_mut(hash)?;
            let usable = entry.value().as_ref().is_some_and(|t| t.state == TokenState::Active);
            (usable && entry.age(now()) < self.config.stale_max_ms).then(|| entry.value().clone())
        })
    }

    /// The route table; `None` where none was published.
    pub async fn routes(&self) -> Result<Option<Rc<Routes>>, StoreError> {
        let cached = ROUTE_CACHE.with_borrow_mut(|entry| {
            let entry = entry.as_mut()?;
            Some((entry.value().clone(), entry.freshness(now(), MAX_AGE_MS), entry.age(now())))
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
                        log(&id, "routes cannot be read again", &cause);
                        note_routes_failure();
                    }
                });
                return Ok(routes);
            }
            Some((_, Freshness::ExpiredUnreachable, _)) if stale.is_some() => return Ok(stale.flatten()),
            Some(_) | None => {}
        }
        match fetch_routes(self.env, self.config, self.request_id).await {
            // A table that cannot be read serves no worse than KV that cannot: what was known goes on.
            Err(cause) => {
                log(self.request_id, "routes cannot be read", &cause);
                note_routes_failure();
                stale.ok_or(cause)
            }
            ok => ok,
        }
    }
}

/// Brings an entry up to date before a refusal rests on it. Returns whether it was read meanwhile.
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
            Claim::Wait => Delay::from(Duration::from_millis(LOOK_AGAIN_MS)).await,
        }
        has_waited = true;
    }
}

thread_local!(static LEGACY_READS: Cell<(UnixMs, u32)> = const { Cell::new((0, 0)) });

/// Readings for unknown legacy tokens within this second.
fn legacy_reads() -> u32 {
    let (second, taken) = LEGACY_READS.get();
    if second == now() / 1_000 { taken } else { 0 }
}

/// Takes one reading from this second's allowance for unknown legacy tokens.
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
