//! The hold that a restore of D1 puts on this Worker: until it ends, nothing is published and nothing is changed.
//!
//! A change made between the restore's last look at the database and Time Travel would be lost without a trace,
//! so requests that change something are refused. So are webhooks: their sender tries again for a day. Only
//! these requests check for a hold, and an isolate reads KV for them at most once in [`FRESH_MS`].

use crate::error::Failure;
use crate::publish::{Kv, KvError};
use crate::request::Call;
use contract::error::ApiError;
use domain::json;
use domain::time::{SECOND_MS, UnixMs};
use edge::clock::now;
use edge::kv::Entry;
use edge::log::{Source, log};
use serde::Deserialize;
use std::cell::Cell;

/// The time for which an isolate relies on its last reading. KV shows a new hold within a minute; `npm run restore`
/// waits for longer than both together before its last look.
const FRESH_MS: i64 = 10 * SECOND_MS;

/// The hold that `npm run restore` writes to KV.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hold {
    pub until: UnixMs,
    #[serde(default)]
    why: String,
}

impl Entry for Hold {
    const PREFIX: &'static str = "publication-hold";
    type Key = ();
    type Value = Self;

    fn name((): &()) -> &'static str {
        ""
    }
}

impl Hold {
    /// Reads a hold. An unreadable one also holds publication: somebody wrote it for a reason, and the health report
    /// shows it.
    pub fn parse(text: &str) -> Self {
        json::from_text(text).unwrap_or(Self { until: UnixMs::MAX, why: String::new() })
    }

    /// Returns whether a restore has put this hold, so that changes would be lost.
    pub fn is_of_a_restore(&self) -> bool {
        self.why == "restore"
    }
}

#[derive(Clone, Copy)]
struct Look {
    at: UnixMs,
    is_restore: bool,
}

thread_local! {
    static LAST: Cell<Option<Look>> = const { Cell::new(None) };
}

/// Refuses a change while a restore is under way. If KV cannot be read, the last reading counts, so that changes do
/// not depend on KV.
pub async fn refuse_change(call: &Call) -> Result<(), Failure> {
    let known = LAST.get();
    let is_fresh = |look: &Look| (0..FRESH_MS).contains(&(now() - look.at));
    let look = if let Some(look) = known.filter(is_fresh) {
        look
    } else {
        let is_restore = read(call).await.unwrap_or_else(|error| {
            log(Source::Request(&call.request_id), "hold cannot be read", &error.to_string());
            known.is_some_and(|look| look.is_restore)
        });
        let look = Look { at: now(), is_restore };
        LAST.set(Some(look));
        look
    };
    if look.is_restore { Err(ApiError::RestoreUnderWay.into()) } else { Ok(()) }
}

async fn read(call: &Call) -> Result<bool, KvError> {
    let db = call.db().map_err(|error| KvError::Away(error.to_string()))?;
    Ok(Kv::open(&call.env, &db)?.hold().await?.is_some_and(|hold| hold.is_of_a_restore()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_hold_stops_publication_but_no_change() {
        let restore = Hold::parse(r#"{"until":5,"why":"restore"}"#);
        assert_eq!((restore.until, restore.is_of_a_restore()), (5, true));
        assert_eq!(Hold::parse(r#"{"until":5}"#).until, 5);
        for text in ["restore", "{}", r#"{"until":5}"#, r#"{"until":5,"why":"a drill"}"#] {
            assert!(!Hold::parse(text).is_of_a_restore(), "{text}");
        }
        for text in ["restore", "{}"] {
            assert_eq!(Hold::parse(text).until, UnixMs::MAX, "{text}");
        }
    }
}
