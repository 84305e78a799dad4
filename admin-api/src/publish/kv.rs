//! This Worker's access to KV: it counts every operation, paces writes, and holds them during a restore.

use super::feed::Feed;
use crate::budget::Budget;
use crate::db::Db;
use crate::hold::Hold;
use domain::time::{MINUTE_MS, SECOND_MS, UnixMs};
use edge::clock::{now, sleep};
use edge::kv::{Entry, READ_TIMEOUT_MS, timed};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use worker::Env;
use worker::kv::{KvStore, ListResponse};

/// The most keys in one bulk read, which counts as one operation.
pub const KEYS_AT_ONCE: usize = 100;
/// The time after which a write counts as failed.
const WRITE_TIMEOUT_MS: u64 = 10_000;
/// The pause between two writes of a key, a tenth longer than the second that KV requires. A random part of up to
/// [`JITTER_MS`] is added, so that two publishers that were refused together do not return together.
const PACE_MS: i64 = SECOND_MS + SECOND_MS / 10;
const JITTER_MS: i64 = 400;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// 429: the key was written within the last second.
    #[error("KV: one write a second of a key")]
    Busy,
    /// KV refuses this key or value but accepts others.
    #[error("KV: {0}")]
    Refused(String),
    /// KV is away: any other operation would fail now too.
    #[error("KV: {0}")]
    Away(String),
    /// Not tried: KV is away, or this invocation has used up its time or its operations.
    #[error("KV: not tried in this run")]
    NotTried,
    #[error("publication is held")]
    Held(UnixMs),
}

impl KvError {
    fn of(cause: &str) -> Self {
        let is_status = |status: &str| cause.contains(&format!(" {status}"));
        if is_status("429") {
            Self::Busy
        } else if cause.contains("KV PUT failed: 4") || cause.contains("KV GET failed: 4") {
            Self::Refused(cause.to_owned())
        } else {
            Self::Away(cause.to_owned())
        }
    }
}

/// The namespace, for reading.
#[derive(Clone, Debug)]
pub struct Kv {
    store: KvStore,
    budget: Budget,
    /// The change feed beside it.
    pub feed: Feed,
}

impl Kv {
    /// Opens the namespace. It shares the budget of the invocation's database.
    pub fn open(env: &Env, db: &Db) -> Result<Self, KvError> {
        let store = edge::kv::open(env).map_err(KvError::Away)?;
        Ok(Self { store, budget: db.budget().clone(), feed: Feed::new(env) })
    }

    /// Reads the text of an entry; `None` if there is none.
    pub async fn read<E: Entry>(&self, key: &E::Key) -> Result<Option<String>, KvError> {
        self.take(0)?;
        within(READ_TIMEOUT_MS, self.store.get(&E::key(key)).text()).await
    }

    /// Reads the texts of up to [`KEYS_AT_ONCE`] different entries, in their order, as one operation.
    pub async fn read_many<E: Entry>(&self, keys: &[&E::Key]) -> Result<Vec<Option<String>>, KvError> {
        self.take(0)?;
        let keys: Vec<String> = keys.iter().map(|key| E::key(key)).collect();
        let mut texts = within(READ_TIMEOUT_MS, self.store.get_bulk(&keys).text()).await?;
        Ok(keys.iter().map(|key| texts.remove(key).flatten()).collect())
    }

    /// Lists a page of the keys of one kind. An empty cursor is the beginning.
    pub async fn list<E: Entry>(&self, cursor: &str, limit: u64) -> Result<ListResponse, KvError> {
        self.take(0)?;
        let list = self.store.list().prefix(E::PREFIX.to_owned()).limit(limit);
        let list = if cursor.is_empty() { list } else { list.cursor(cursor.to_owned()) };
        within(READ_TIMEOUT_MS, list.execute()).await
    }

    /// Reads the current hold.
    pub async fn hold(&self) -> Result<Option<Hold>, KvError> {
        Ok(self.read::<Hold>(&()).await?.map(|text| Hold::parse(&text)).filter(|hold| hold.until > now()))
    }

    fn take(&self, reserve: u32) -> Result<(), KvError> {
        if self.budget.take_kv(reserve) { Ok(()) } else { Err(KvError::NotTried) }
    }
}

/// The namespace, for writing. Only [`Writer::begin`] makes one, after it has checked for a hold.
#[derive(Debug)]
pub struct Writer {
    pub kv: Kv,
    /// KV operations reserved for others.
    reserve: Cell<u32>,
    /// The time after which no write begins.
    until: Cell<UnixMs>,
    is_away: Cell<bool>,
    /// The time at which this invocation last tried to write each key.
    tried: RefCell<BTreeMap<String, UnixMs>>,
}

impl Writer {
    /// # Errors
    /// Fails with [`KvError::Held`] during a hold, and with [`KvError::Away`] if KV cannot say whether there is one.
    pub async fn begin(env: &Env, db: &Db) -> Result<Self, KvError> {
        let kv = Kv::open(env, db)?;
        if let Some(hold) = kv.hold().await? {
            return Err(KvError::Held(hold.until));
        }
        Ok(Self {
            kv,
            reserve: Cell::new(0),
            until: Cell::new(now() + MINUTE_MS),
            is_away: Cell::new(false),
            tried: RefCell::default(),
        })
    }

    /// Reserves `reserve` operations for others, and lets no write begin after `until`.
    pub fn bound(&self, reserve: u32, until: UnixMs) {
        self.reserve.set(reserve);
        self.until.set(until);
    }

    /// Returns whether a write has shown that KV is away.
    pub fn is_away(&self) -> bool {
        self.is_away.get()
    }

    /// Returns the number of writes that may still be made.
    pub fn writes_left(&self) -> u32 {
        if self.is_away() || now() >= self.until.get() {
            return 0;
        }
        self.kv.budget.kv_left().saturating_sub(self.reserve.get())
    }

    /// Writes an entry, as soon as its key may be written again.
    pub async fn put<E: Entry<Value: Serialize>>(
        &self,
        key: &E::Key,
        value: &E::Value,
        ttl_s: Option<u64>,
    ) -> Result<(), KvError> {
        let text = serde_json::to_string(value).map_err(|e| KvError::Refused(e.to_string()))?;
        let key = E::key(key);
        self.pause_for(&key).await;
        if self.writes_left() == 0 {
            return Err(KvError::NotTried);
        }
        self.kv.take(self.reserve.get())?;
        self.tried.borrow_mut().insert(key.clone(), now());
        let builder = self.kv.store.put(&key, text).map_err(|e| KvError::Refused(e.to_string()))?;
        let builder = match ttl_s {
            Some(ttl_s) => builder.expiration_ttl(ttl_s),
            None => builder,
        };
        let result = within(WRITE_TIMEOUT_MS, builder.execute()).await;
        if matches!(result, Err(KvError::Away(_))) {
            self.is_away.set(true);
        }
        result
    }

    async fn pause_for(&self, key: &str) {
        let tried_at = self.tried.borrow().get(key).copied();
        let Some(tried_at) = tried_at else { return };
        let jitter = edge::crypto::random::<1>().map_or(0, |[byte]| i64::from(byte) * JITTER_MS / 256);
        if let Ok(wait_ms @ 1..) = u64::try_from(tried_at + PACE_MS + jitter - now()) {
            sleep(wait_ms).await;
        }
    }
}

async fn within<T>(
    limit_ms: u64,
    operation: impl Future<Output = Result<T, worker::kv::KvError>>,
) -> Result<T, KvError> {
    timed(limit_ms, operation).await.map_err(|cause| KvError::of(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_key_does_not_mean_that_kv_is_away() {
        let of = |cause: &str| KvError::of(&format!("js error: JsValue(Error: {cause})"));
        assert_eq!(of("KV PUT failed: 429 Too Many Requests"), KvError::Busy);
        assert!(matches!(of("KV PUT failed: 413 Value length exceeds limit"), KvError::Refused(_)));
        for cause in
            ["KV PUT failed: 500 Internal Server Error", "KV GET failed: 503", "Network connection lost."]
        {
            assert!(matches!(of(cause), KvError::Away(_)), "{cause}");
        }
    }
}
