//! Limits that must be counted: the token's ledger in its Durable Object, and what this isolate has leased from it.
//!
//! A token without such limits never gets here. Most calls of a busy one are let in by a lease ([`Pool`]); the others
//! cost one request to the object, and a second one if they must be settled.

pub mod derived_calls;
mod object;

use crate::error::Failure;
use crate::store::{Keep, Store};
use domain::access::Permit;
use domain::access::record::TokenRecord;
use domain::error::GatewayError;
use domain::id::TokenId;
use domain::limit::OnLimitFailure;
use domain::limit::ledger::{
    Ask, Command, Granted, LimitUse, Limited, Report, Settlement, Take, Wish, retry_after_s,
};
use domain::limit::pool::Pool;
use domain::time::UnixMs;
use edge::clock::{now, sleep};
use edge::limiter::ask;
use edge::log::{Source, log};
use futures_channel::oneshot;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use worker::Env;

/// Pauses between attempts to settle, in ms. After the last one the reservation ends by itself.
const SETTLE_PAUSES_MS: [u64; 3] = [100, 1_000, 5_000];
/// So many tokens have a pool; then those that hold nothing are forgotten.
const MOST_POOLS: usize = 1_000;

thread_local!(static POOLS: RefCell<HashMap<TokenId, Pool>> = RefCell::default());

/// The amount held for a call until its response has ended. A reservation that is never settled ends after
/// its lease, spent in full.
#[derive(Debug)]
pub struct Reservation {
    token: TokenId,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// By the object, under the call's id.
    ByObject(String),
    /// By this isolate.
    ByLease(Ask),
}

/// The counter's response for a call that it admits.
#[derive(Debug, Default)]
pub struct Admission {
    pub uses: Vec<LimitUse>,
    pub reservation: Option<Reservation>,
    /// Whether another isolate has seen a newer version of the token's record.
    #[expect(dead_code, reason = "nothing reads the record again before its age says so")]
    pub is_outdated: bool,
}

/// Lets a call in by what this isolate has leased. `None`: ask the object ([`take`]).
pub fn take_leased(permit: &Permit, ask: Ask, now: UnixMs) -> Option<Admission> {
    let token = permit.token();
    if !token.counts(ask) {
        return Some(Admission::default());
    }
    POOLS.with_borrow_mut(|pools| {
        let pool = pools.get_mut(&token.id).filter(|pool| !pool.is_due(now))?;
        by_lease(pool, token, ask, now)
    })
}

fn by_lease(pool: &mut Pool, token: &TokenRecord, ask: Ask, now: UnixMs) -> Option<Admission> {
    let uses = pool.take(token.version, ask, now)?;
    let held = || Reservation { token: token.id.clone(), held: Held::ByLease(ask) };
    Some(Admission { uses, reservation: pool.must_settle(ask).then(held), is_outdated: false })
}

/// Counts a call or refuses it. Budgets never refuse a call that costs nothing.
///
/// # Errors
/// 429 with the time to wait if a limit is reached. 503 if the counter cannot be reached and the token
/// requires it.
pub async fn take(
    permit: &Permit,
    call: &str,
    ask: Ask,
    store: &Store<'_>,
) -> Result<Admission, Box<Failure>> {
    let token = permit.token();
    if !token.counts(ask) {
        return Ok(Admission::default());
    }
    let (asked_at, lease_ms) = (now(), store.config.limit_lease_ms);
    let (leased, wish) = with_pool(token, call, |pool| match by_lease(pool, token, ask, asked_at) {
        Some(admission) => {
            let is_due = pool.is_due(asked_at);
            (Some(admission), if is_due { pool.wish(lease_ms, asked_at) } else { None })
        }
        None => (None, if lease_ms > 0 { pool.wish_for_call(lease_ms, asked_at) } else { None }),
    });
    let exchange = Exchange { token: Arc::clone(token), ask, keep: store.keep() };
    if let Some(admission) = leased {
        // The call does not wait for the lease that follows.
        if let Some(wish) = wish {
            store.context.wait_until(async move {
                let _ = exchange.run("", Some(wish)).await;
            });
        }
        return Ok(admission);
    }
    // If the client hangs up meanwhile, nobody else hears what the call holds.
    let (answered, waited_for) = oneshot::channel();
    let call = call.to_owned();
    store.context.wait_until(async move {
        let outcome = exchange.run(&call, wish).await;
        if let Err((_, Some(reservation))) = answered.send(outcome) {
            reservation.settle(Settlement::NOTHING, &exchange.keep);
        }
    });
    let (answer, reservation) = waited_for.await.map_err(|_| GatewayError::LimitsUnavailable)?;
    match answer {
        Ok(Ok(granted)) => {
            Ok(Admission { uses: granted.uses, reservation, is_outdated: granted.version > token.version })
        }
        Ok(Err(limited)) => Err(Box::new(Failure {
            retry_after_s: Some(retry_after_s(limited.retry_after_ms)),
            uses: limited.uses,
            ..limited.kind.measure().error().into()
        })),
        Err(cause) => {
            log(Source::Request(store.request_id), "limits cannot be counted", &cause);
            if let Some(reservation) = reservation {
                reservation.settle(Settlement::NOTHING, &store.keep());
            }
            match token.on_limit_failure() {
                OnLimitFailure::Allow => Ok(Admission::default()),
                OnLimitFailure::Deny => Err(Box::new(GatewayError::LimitsUnavailable.into())),
            }
        }
    }
}

/// Runs `act` on the token's pool. A new one is named after the call, whose id nothing else has.
fn with_pool<T>(token: &TokenRecord, call: &str, act: impl FnOnce(&mut Pool) -> T) -> T {
    POOLS.with_borrow_mut(|pools| {
        if pools.len() >= MOST_POOLS && !pools.contains_key(&token.id) {
            let now = now();
            pools.retain(|_, pool| !pool.is_idle(now));
        }
        act(pools.entry(token.id.clone()).or_insert_with(|| Pool::new(format!("~{call}"))))
    })
}

fn with_old_pool<T>(token: &TokenId, act: impl FnOnce(&mut Pool) -> Option<T>) -> Option<T> {
    POOLS.with_borrow_mut(|pools| act(pools.get_mut(token)?))
}

/// A question to a token's object, for a call or for a lease alone.
struct Exchange {
    token: Arc<TokenRecord>,
    ask: Ask,
    keep: Keep,
}

type Answer = Result<Result<Granted, Limited>, String>;

impl Exchange {
    /// Asks, and notes the lease. Returns as well what the call holds. If nothing is heard of the object, it may still
    /// come to hold something.
    async fn run(&self, call: &str, wish: Option<Wish>) -> (Answer, Option<Reservation>) {
        let (mut asked_at, mut take) = (now(), self.token.take(call, self.ask, wish));
        let mut answer = self.send(&take).await;
        if answer.is_err() {
            // The object may have moved. Asking twice is safe: it counts each call once.
            asked_at = now();
            let wish = take.wish.take();
            take.wish = wish.map(|wish| with_pool(&self.token, call, |pool| pool.again(&wish, asked_at)));
            answer = self.send(&take).await;
        }
        let by_object = match &answer {
            Ok(Ok(granted)) => granted.to_settle,
            Ok(Err(_)) => false,
            Err(_) => !call.is_empty(),
        };
        let by_lease = take.wish.is_some_and(|wish| {
            let granted = answer.as_ref().ok().map(|granted| granted.as_ref().ok());
            self.note(call, (wish.report.seq, asked_at), granted)
        });
        let held = if by_lease { Held::ByLease(self.ask) } else { Held::ByObject(call.to_owned()) };
        let reservation = (by_object || by_lease).then(|| Reservation { token: self.token.id.clone(), held });
        (answer, reservation)
    }

    /// Notes the response to a wish: `None` if there was none, `Some(None)` if the call is refused. Returns whether the
    /// call holds something by the lease.
    fn note(&self, call: &str, (seq, asked_at): (u64, UnixMs), granted: Option<Option<&Granted>>) -> bool {
        let ask = (!call.is_empty()).then_some(self.ask);
        let limits = [&self.token.limits, &self.token.team_budget];
        let (holds, plan) = with_pool(&self.token, call, |pool| {
            let Some(granted) = granted else {
                pool.failed(seq);
                return (false, pool.plan_flush(now()));
            };
            let none = Granted::default();
            let version = (self.token.version, limits);
            let is_leased = pool.granted((seq, asked_at), granted.unwrap_or(&none), version, ask);
            (is_leased && ask.is_some() && pool.must_settle(self.ask), pool.plan_flush(now()))
        });
        self.keep.flush(&self.token.id, plan);
        holds
    }

    async fn send(&self, take: &Take) -> Answer {
        // `Take` is made for one question; its copy is what the command owns.
        ask(&self.keep.env, self.token.id.as_str(), &Command::Take(Box::new(take.clone()))).await
    }
}

impl Keep {
    /// Reports what is left of a lease, as planned, unless another report does so before.
    fn flush(&self, token: &TokenId, plan: Option<(u64, i64)>) {
        let Some((mut seq, wait_ms)) = plan else { return };
        let Self { env, request_id, .. } = self.clone();
        let token = token.clone();
        self.context.wait_until(async move {
            for pause in std::iter::once(wait_ms.unsigned_abs()).chain(SETTLE_PAUSES_MS) {
                sleep(pause).await;
                let report = with_old_pool(&token, |pool| pool.flush(seq, now()));
                let Some(report) = report else { return };
                seq = report.seq;
                if send_report(&env, &request_id, &token, report).await {
                    return;
                }
            }
        });
    }
}

async fn send_report(env: &Env, request_id: &str, token: &TokenId, report: Report) -> bool {
    let seq = report.seq;
    let Err(cause) = ask::<bool>(env, token.as_str(), &Command::Report(report)).await else { return true };
    log(Source::Request(request_id), "a lease cannot be reported", &cause);
    with_old_pool(token, |pool| {
        pool.failed(seq);
        None::<()>
    });
    false
}

impl Reservation {
    /// Tells the counter what the call used, after the response.
    pub fn settle(self, settlement: Settlement, keep: &Keep) {
        let Keep { env, request_id, .. } = keep.clone();
        let call = match self.held {
            Held::ByObject(call) => call,
            Held::ByLease(ask) => {
                let plan = with_old_pool(&self.token, |pool| {
                    pool.settle(ask, settlement);
                    pool.plan_flush(now())
                });
                keep.flush(&self.token, plan);
                return;
            }
        };
        keep.context.wait_until(async move {
            let command = Command::Settle { call, settlement };
            for pause in std::iter::once(0).chain(SETTLE_PAUSES_MS) {
                if pause > 0 {
                    sleep(pause).await;
                }
                match ask::<bool>(&env, self.token.as_str(), &command).await {
                    Ok(_) => return,
                    Err(cause) => {
                        log(Source::Request(&request_id), "a reservation cannot be settled", &cause);
                    }
                }
            }
        });
    }

    /// Keeps the reservation while the call lives, for the watchdog of long calls. It ends 15 minutes after the last word of it.
    pub fn renew(&self, keep: &Keep) {
        let Keep { env, request_id, .. } = keep.clone();
        let token = self.token.clone();
        let command = match &self.held {
            Held::ByObject(call) => Some(Command::Renew { call: call.clone() }),
            Held::ByLease(_) => with_old_pool(&token, |pool| pool.renew(now())).map(Command::Report),
        };
        let Some(command) = command else { return };
        keep.context.wait_until(async move {
            match command {
                Command::Report(report) => {
                    send_report(&env, &request_id, &token, report).await;
                }
                command => {
                    if let Err(cause) = ask::<bool>(&env, token.as_str(), &command).await {
                        log(Source::Request(&request_id), "a reservation cannot be renewed", &cause);
                    }
                }
            }
        });
    }
}
