//! The ledger of one token: what it has used, and whether one more call fits.
//!
//! One ledger exists per limited token and sees its calls one after the other, so its decisions are exact. It is plain
//! data, saved after each change, so it continues after a restart.
//!
//! **Rates** count in sliding windows.
//!
//! **Budgets** (AI tokens, money) are reserved before the call, at the most that it can cost, and settled when its
//! response has ended. A call is let in while the spent and the reserved amounts together are below the limit. So the
//! limit is exceeded by less than one reservation, however many calls run at once. A reservation that is never settled
//! ends after its lease and stays spent in full.

use super::window::Sliding;
use super::{LimitKind, Limits, Measure, Period};
use crate::stored::{Unread, readable};
use crate::time::{DAY_MS, UnixMs};
use chrono::{DateTime, Datelike, Months, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Time for which a call is told to wait if too many others run.
const CONCURRENT_RETRY_MS: i64 = 1_000;
/// Time for which a reservation waits for its settlement. The longest streams of the vendors end earlier.
pub const LEASE_MS: i64 = 15 * 60_000;

/// The sliding windows, each with its length in ms.
fn rates() -> impl Iterator<Item = (LimitKind, i64)> {
    LimitKind::ALL.iter().filter_map(|kind| match kind.measure() {
        Measure::Rate(length) => Some((*kind, length)),
        _ => None,
    })
}

/// How far one limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitUse {
    /// The limit.
    pub kind: LimitKind,
    /// Its value.
    pub limit: u64,
    /// The amount spent; for a sliding window, the calls in it now.
    pub used: u64,
    /// Held for calls that have not ended.
    pub reserved: u64,
    /// When the whole limit is free again, unix ms.
    pub resets_at: UnixMs,
}

impl LimitUse {
    /// Returns what is neither used nor reserved.
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used).saturating_sub(self.reserved)
    }
}

/// Upper bound of what a call may use; zero for calls to non-AI routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// AI tokens.
    pub tokens: u64,
    /// Micro-dollars.
    pub micros: u64,
}

/// Actual use of a call; `None` is unknown and keeps the reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// AI tokens.
    pub tokens: Option<u64>,
    /// Micro-dollars.
    pub micros: Option<u64>,
}

impl Settlement {
    /// Settlement of a call that was never sent.
    pub const NOTHING: Self = Self { tokens: Some(0), micros: Some(0) };
}

/// A question to the ledger's keeper, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// May the call go on, and what is reserved for it? The response is a `Result<Granted, Limited>`.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Take { call: String, limits: Limits, ask: Ask },
    /// The call has ended. The response says whether its reservation was open.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Settle { call: String, settlement: Settlement },
    /// How far are these limits used up? The response is a `Vec<LimitUse>`.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Uses { limits: Limits },
}

/// The response for a call that is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Without the limits of a newer version.
    #[serde(deserialize_with = "readable")]
    pub uses: Vec<LimitUse>,
    /// Whether the call must be settled when it ends.
    pub to_settle: bool,
}

/// The response for a call that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// A limit of a newer version is read as one of calls a minute.
    #[serde(deserialize_with = "known_kind")]
    pub kind: LimitKind,
    /// Milliseconds until the limit has room for one call.
    pub retry_after_ms: i64,
    /// How far each limit is used up.
    #[serde(deserialize_with = "readable")]
    pub uses: Vec<LimitUse>,
}

fn known_kind<'de, D: Deserializer<'de>>(d: D) -> Result<LimitKind, D::Error> {
    let name = String::deserialize(d)?;
    let known =
        LimitKind::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&name));
    Ok(known.unwrap_or(LimitKind::CallsPerMinute))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Reservation {
    tokens: u64,
    micros: u64,
    ends_at: UnixMs,
}

/// Use in one calendar day or month, named by its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Spent {
    ends_at: UnixMs,
    calls: u64,
    tokens: u64,
    micros: u64,
}

impl Spent {
    fn roll(&mut self, now: UnixMs, end: fn(UnixMs) -> UnixMs) {
        if now >= self.ends_at {
            *self = Self { ends_at: end(now), ..Self::default() };
        }
    }

    fn add(&mut self, tokens: u64, micros: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        self.micros = self.micros.saturating_add(micros);
    }
}

fn end_of_day(now: UnixMs) -> UnixMs {
    now - now.rem_euclid(DAY_MS) + DAY_MS
}

fn end_of_month(now: UnixMs) -> UnixMs {
    let first = |at: DateTime<Utc>| at.date_naive().with_day(1)?.checked_add_months(Months::new(1));
    DateTime::from_timestamp_millis(now)
        .and_then(first)
        .and_then(|date| date.and_hms_opt(0, 0, 0))
        .map_or(now + 30 * DAY_MS, |end| end.and_utc().timestamp_millis())
}

/// Usage and open reservations of one token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct Ledger {
    /// By the limit's name; those of a newer version are kept untouched.
    windows: BTreeMap<String, Sliding>,
    day: Spent,
    month: Spent,
    /// By the call's id.
    open: BTreeMap<String, Reservation>,
    /// The latest time seen: a clock that steps back must not free anything.
    clock: UnixMs,
    unread: Unread,
}

/// Windows that are saved by their place in a list: the first version reads exactly these. Later ones are
/// saved by name.
const LISTED: [LimitKind; 4] =
    [LimitKind::CallsPerSecond, LimitKind::CallsPerMinute, LimitKind::CallsPerHour, LimitKind::CallsPerDay];

/// A ledger as it is saved. Versions before and after this one read it: absent fields are
/// empty, and unknown ones are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    windows: Vec<Sliding>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    more: BTreeMap<String, Sliding>,
    day: Spent,
    month: Spent,
    open: BTreeMap<String, Reservation>,
    clock: UnixMs,
    #[serde(flatten)]
    unread: Unread,
}

impl From<Saved> for Ledger {
    fn from(saved: Saved) -> Self {
        let Saved { windows: listed, more: mut windows, day, month, open, clock, unread } = saved;
        windows.extend(LISTED.iter().map(|kind| kind.as_str().to_owned()).zip(listed));
        Self { windows, day, month, open, clock, unread }
    }
}

impl From<Ledger> for Saved {
    fn from(ledger: Ledger) -> Self {
        let Ledger { windows: mut more, day, month, open, clock, unread } = ledger;
        let windows = LISTED.iter().map(|kind| more.remove(kind.as_str()).unwrap_or_default()).collect();
        Self { windows, more, day, month, open, clock, unread }
    }
}

impl Ledger {
    /// Lets one more call in, or says which limit is reached. A call that holds a reservation is let
    /// in again and counted once, so it may be asked for again if the response was lost.
    ///
    /// # Errors
    /// The limit that frees last, since before that the call would be refused again.
    pub fn take(
        &mut self,
        limits: &Limits,
        call: &str,
        ask: Ask,
        now: UnixMs,
    ) -> Result<Granted, Box<Limited>> {
        let now = self.advance(now);
        if self.open.contains_key(call) {
            return Ok(Granted { uses: self.uses_now(limits, now), to_settle: true });
        }
        let uses = self.uses_now(limits, now);
        let costs = ask != Ask::default();
        let reached =
            uses.iter().filter(|used| used.remaining() == 0 && (costs || !used.kind.measure().is_budget()));
        let free_at = |used: &LimitUse| match (used.kind.measure(), self.windows.get(used.kind.as_str())) {
            (Measure::Rate(length), Some(window)) => window.free_at(used.limit, length, now),
            _ => used.resets_at,
        };
        if let Some((kind, at)) = reached.map(|used| (used.kind, free_at(used))).max_by_key(|(_, at)| *at) {
            return Err(Box::new(Limited { kind, retry_after_ms: (at - now).max(1), uses }));
        }
        for (kind, length) in rates() {
            self.windows.entry(kind.as_str().to_owned()).or_default().add(length, now);
        }
        self.day.calls += 1;
        self.month.calls += 1;
        let to_settle = costs || limits.concurrent_calls.is_some();
        if to_settle {
            let held = Reservation { tokens: ask.tokens, micros: ask.micros, ends_at: now + LEASE_MS };
            self.open.insert(call.to_owned(), held);
        }
        Ok(Granted { uses: self.uses_now(limits, now), to_settle })
    }

    /// Ends a reservation. One that is not open (settled before, or ended) changes nothing, so a
    /// settlement may be sent again. Returns whether it was open.
    pub fn settle(&mut self, call: &str, settlement: Settlement, now: UnixMs) -> bool {
        self.advance(now);
        let Some(held) = self.open.remove(call) else { return false };
        self.spend(settlement.tokens.unwrap_or(held.tokens), settlement.micros.unwrap_or(held.micros));
        true
    }

    /// Returns how far each of the limits is used up.
    pub fn uses(&mut self, limits: &Limits, now: UnixMs) -> Vec<LimitUse> {
        let now = self.advance(now);
        self.uses_now(limits, now)
    }

    fn spend(&mut self, tokens: u64, micros: u64) {
        self.day.add(tokens, micros);
        self.month.add(tokens, micros);
    }

    /// Forgets counts that have left their windows, and spends reservations whose lease has ended.
    fn advance(&mut self, now: UnixMs) -> UnixMs {
        let now = now.max(self.clock);
        self.clock = now;
        self.day.roll(now, end_of_day);
        self.month.roll(now, end_of_month);
        for (kind, length) in rates() {
            if let Some(window) = self.windows.get_mut(kind.as_str()) {
                window.forget(length, now);
            }
        }
        let mut ended = Ask::default();
        self.open.retain(|_, held| {
            let lasts = held.ends_at > now;
            if !lasts {
                ended.tokens = ended.tokens.saturating_add(held.tokens);
                ended.micros = ended.micros.saturating_add(held.micros);
            }
            lasts
        });
        self.spend(ended.tokens, ended.micros);
        now
    }

    fn uses_now(&self, limits: &Limits, now: UnixMs) -> Vec<LimitUse> {
        let held =
            |part: fn(&Reservation) -> u64| self.open.values().map(part).fold(0_u64, u64::saturating_add);
        let spent = |period| match period {
            Period::Day => &self.day,
            Period::Month => &self.month,
        };
        let one = |(kind, limit): (LimitKind, u64)| {
            let (used, reserved, resets_at) = match kind.measure() {
                Measure::Rate(length) => {
                    let window = self.windows.get(kind.as_str());
                    let resets_at = window.map_or(now, |window| window.free_at(1, length, now));
                    (window.map_or(0, Sliding::count), 0, resets_at)
                }
                Measure::Calls(period) => (spent(period).calls, 0, spent(period).ends_at),
                Measure::ConcurrentCalls => {
                    (0, u64::try_from(self.open.len()).unwrap_or(u64::MAX), now + CONCURRENT_RETRY_MS)
                }
                Measure::AiTokens(period) => {
                    (spent(period).tokens, held(|r| r.tokens), spent(period).ends_at)
                }
                Measure::CostMicros(period) => {
                    (spent(period).micros, held(|r| r.micros), spent(period).ends_at)
                }
                Measure::AiTokensPerCall | Measure::CostMicrosPerCall | Measure::BodyBytes => return None,
            };
            Some(LimitUse { kind, limit, used, reserved, resets_at })
        };
        limits.iter().filter_map(one).collect()
    }
}

/// `Retry-After` in whole seconds, never 0.
pub fn retry_after_s(retry_after_ms: i64) -> i64 {
    retry_after_ms.max(1).saturating_add(999) / 1_000
}

/// The values of `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers-10): quota and window, what remains and when it resets.
pub fn headers(uses: &[LimitUse], now: UnixMs) -> Option<(String, String)> {
    let mut policy = Vec::with_capacity(uses.len());
    let mut standing = Vec::with_capacity(uses.len());
    for used in uses {
        let name = used.kind.as_str();
        let window = used.kind.measure().window_s().map(|s| format!(";w={s}")).unwrap_or_default();
        policy.push(format!("\"{name}\";q={}{window}", used.limit));
        let reset = retry_after_s(used.resets_at - now);
        standing.push(format!("\"{name}\";r={};t={reset}", used.remaining()));
    }
    (!uses.is_empty()).then(|| (policy.join(", "), standing.join(", ")))
}

#[cfg(test)]
mod tests;
