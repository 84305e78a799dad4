//! The canary: measures how soon changes are seen, on the path that every change takes.
//!
//! A run makes a token, publishes it as any other (D1, outbox, KV, change feed), calls the gateway until it is accepted,
//! revokes it, calls until it is refused, and waits until its first call is in usage. The token's secret exists in the
//! run alone. D1 keeps only the last one's hash, as a setting and not as a token, so nothing that lists or counts tokens
//! has to leave it out.
//!
//! It runs beside the cron, with a lease of its own: neither waits for the other. Its operations are few, and the cron's
//! budget leaves room for them.

mod gateway;
pub mod usage;

use crate::config::Config;
use crate::db::canary::{self as store, Token};
use crate::db::{Db, StoreError, audit, outbox, settings, to_json};
use crate::publish::{Kv, Subject, publish};
use contract::Propagation;
use domain::access::record::TokenState;
use domain::canary::{CANARY_ID, FeedState, Measure, Run, RunState, Seen, USAGE_WAIT_MS, is_due, pause_ms};
use domain::id::TokenId;
use domain::time::{SECOND_MS, UnixMs};
use domain::token::{TokenSecret, mint};
use edge::clock::{now, sleep};
use edge::log::{Source, log};
use gateway::{Gateway, Trouble};
use worker::Env;

/// The least time between the publication of a token and its revocation: KV takes one write a second of a key. A random
/// part of up to [`SPREAD_MS`] is added, so that the revocation falls into any moment between two polls of the feed.
const PACE_MS: i64 = 1_200;
const SPREAD_MS: i64 = 2_000;
/// The time without a response after which the gateway counts as away.
const AWAY_MS: i64 = 6 * SECOND_MS;

/// Runs once, if a run is due and none is at work.
pub async fn run(env: &Env) {
    // The cron says why there is no configuration.
    let Ok(config) = Config::get(env) else { return };
    if let Err(error) = run_if_due(env, &config).await {
        log(Source::Canary, "run broke off", &error);
    }
}

async fn run_if_due(env: &Env, config: &Config) -> Result<(), StoreError> {
    let db = Db::open(env)?;
    let gateway = Gateway::open(env).filter(|_| config.canary_every_min > 0);
    let Some(gateway) = gateway else { return store::switched_off(&db, now()).await };
    let last = store::last(&db).await?.map(|run| run.at);
    let holder = to_json(&audit::new_id("run_")?)?;
    if !is_due(last, config.canary_every_min, now())
        || !settings::lease(&db, settings::CANARY_LEASE, &holder, now()).await?
    {
        return Ok(());
    }
    let canary = Canary { env, db: &db, config, gateway };
    let mut run = Run::new(now());
    let mut result = canary.measure(&mut run).await;
    if result.is_ok() {
        result = store::put(&db, &run, now()).await;
    }
    settings::give_back(&db, settings::CANARY_LEASE, &holder).await?;
    result
}

struct Canary<'a> {
    env: &'a Env,
    db: &'a Db,
    config: &'a Config,
    gateway: Gateway,
}

/// The end of waiting for the gateway.
struct Wait {
    /// The time from the change to its end, in ms.
    ms: i64,
    /// When the last call began.
    called_at: UnixMs,
    is_seen: bool,
}

impl Canary<'_> {
    /// Measures, and notes in `run` how far it came.
    async fn measure(&self, run: &mut Run) -> Result<(), StoreError> {
        let subject = Subject::Token(TokenId::from(CANARY_ID));
        let hold = match Kv::open(self.env, self.db) {
            Ok(kv) => kv.hold().await,
            Err(error) => Err(error),
        };
        if !matches!(hold, Ok(None)) {
            run.state = if hold.is_ok() { RunState::Held } else { RunState::NotPublished };
            return Ok(());
        }
        // A row of an earlier run is published by the cron. One more a minute would be no news.
        if outbox::is_pending(self.db, &subject).await? {
            run.state = RunState::NotPublished;
            return Ok(());
        }
        let random = edge::crypto::random::<32>().map_err(|error| StoreError::Value(error.to_string()))?;
        let secret = mint(random, &self.config.check_keys)
            .ok_or_else(|| StoreError::Value("no token could be minted".to_owned()))?;
        let Some(worked) = self.change(&secret, TokenState::Active, Seen::Accepted, run).await? else {
            return Ok(());
        };
        let spread = edge::crypto::random::<1>().map_or(0, |[byte]| i64::from(byte) * SPREAD_MS / 256);
        sleep(u64::try_from(PACE_MS + spread).unwrap_or_default()).await;
        // Revoked in any case, but only what was accepted can be seen to be refused.
        if worked.is_seen {
            self.change(&secret, TokenState::Revoked, Seen::Refused, run).await?;
            self.usage(worked.called_at, run).await?;
        } else {
            self.publish(&secret, TokenState::Revoked).await?;
        }
        Ok(())
    }

    /// Makes a change and waits until the gateway has seen it. `None` if there is nothing to wait for.
    async fn change(
        &self,
        secret: &TokenSecret,
        state: TokenState,
        wanted: Seen,
        run: &mut Run,
    ) -> Result<Option<Wait>, StoreError> {
        let begun_at = now();
        if self.publish(secret, state).await? == Propagation::Pending {
            run.state = RunState::NotPublished;
            return Ok(None);
        }
        let measure = if wanted == Seen::Accepted { Measure::NewToken } else { Measure::Revoked };
        match self.wait(secret, wanted, begun_at, run).await {
            // Without the feed nobody has promised that it would have been seen by now.
            Ok(wait) if !wait.is_seen && run.feed == Some(FeedState::Off) => Ok(Some(wait)),
            Ok(wait) => {
                run.note(measure, wait.ms);
                Ok(Some(wait))
            }
            Err(Trouble::Away(cause)) => {
                log(Source::Canary, "the gateway does not respond", &cause);
                run.state = RunState::GatewayAway;
                Ok(None)
            }
            Err(Trouble::Older) => {
                run.state = RunState::GatewayOlder;
                Ok(None)
            }
            Err(Trouble::NoCallsLeft) => Ok(None),
        }
    }

    async fn publish(&self, secret: &TokenSecret, state: TokenState) -> Result<Propagation, StoreError> {
        let (subject, row) = store::change(self.db, &Token::new(secret.hash(), state, now()), now()).await?;
        Ok(publish(self.env, self.db, &subject, row, "canary").await)
    }

    /// Calls the gateway until it has seen a change that began at `begun_at`, or it is given up.
    async fn wait(
        &self,
        secret: &TokenSecret,
        wanted: Seen,
        begun_at: UnixMs,
        run: &mut Run,
    ) -> Result<Wait, Trouble> {
        let first_at = now();
        let mut has_responded = false;
        loop {
            let called_at = now();
            let called = self.gateway.call(secret, run.at).await;
            let is_seen = match called {
                Ok(echo) => {
                    has_responded = true;
                    run.feed = Some(echo.feed);
                    echo.canary == wanted
                }
                Err(Trouble::Away(cause)) if !has_responded && now() - first_at > AWAY_MS => {
                    return Err(Trouble::Away(cause));
                }
                Err(Trouble::Away(_)) => false,
                Err(trouble) => return Err(trouble),
            };
            let ms = now() - begun_at;
            match pause_ms(ms) {
                Some(pause) if !is_seen => sleep(pause).await,
                _ => return Ok(Wait { ms, called_at, is_seen }),
            }
        }
    }

    /// Waits until the call of this run is in usage.
    async fn usage(&self, called_at: UnixMs, run: &mut Run) -> Result<(), StoreError> {
        loop {
            if let Some(stored) = store::stored(self.db).await?.filter(|stored| stored.run == run.at) {
                run.note(Measure::Usage, stored.stored_at - stored.called_at);
                return Ok(());
            }
            let waited_ms = now() - called_at;
            if waited_ms >= USAGE_WAIT_MS {
                run.note(Measure::Usage, waited_ms);
                return Ok(());
            }
            sleep(1_000).await;
        }
    }
}
