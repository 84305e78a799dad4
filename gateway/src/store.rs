//! Tokens, routes and prices as a call looks them up: KV behind an isolate cache, and the change feed above both.
//!
//! Every reader goes through [`Store::look_up`] and [`Store::routes`]. They serve nothing that no poll of the feed has
//! confirmed within five seconds ([`changes`]), unless the feed is away.
//!
//! Age: an entry serves for at most [`MAX_AGE_MS`] after its read *started*, so while the feed is away a change is in
//! force within 10 s of the moment when KV shows it at this location. For half a minute, each poll of the feed that brings
//! no other value counts as a read. What the feed has told in a newer version than KV shows is served instead.

use crate::cache::{Claim, Freshness};
use crate::changes;
use crate::config::MAX_AGE_MS;
pub use crate::known::{Keep, Store, StoreError, read};
use crate::known::{
    PRICE_CACHE, PRICES_MAX_AGE_MS, ROUTE_CACHE, TOKEN_CACHE, Token, fetch_prices, fetch_routes, fetch_token,
};
use crate::routes::Routes;
use domain::access::record::TokenState;
use domain::ai::price::PriceList;
use domain::time::UnixMs;
use domain::token::{Form, TokenHash};
use edge::clock::{now, sleep};
use edge::log::{Source, log};
use futures_util::future::{LocalBoxFuture, join, join3};
use std::cell::Cell;
use std::rc::Rc;

/// Interval, in ms, at which a waiting call checks whether another call's read is done.
const LOOK_AGAIN_MS: u64 = 20;
/// The most reads per second and isolate for uncached tokens of the legacy form. That form has no check, so
/// anybody can make up any number of such tokens.
const LEGACY_READS_A_SECOND: u32 = 100;

/// A token and the route table.
type Found = (Result<Token, StoreError>, Result<Option<Rc<Routes>>, StoreError>);

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

impl Store<'_> {
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
            changes::confirm(entry, |token| token.as_ref().map(|token| token.version));
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
            changes::confirm(entry, |routes| routes.as_ref().map(|routes| routes.table.version));
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
