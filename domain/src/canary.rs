//! The canary: a token that the admin API's cron makes, uses and revokes, to measure how soon changes are seen.
//!
//! Each run makes a new secret, which exists in that run alone. The token grants nothing: all that it can do is to be
//! accepted at [`CANARY_PATH`](crate::access::path::CANARY_PATH).

use crate::access::record::TokenRecord;
use crate::access::{check_expiry, check_state};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, UnixMs};
use crate::usage::rollup::{Histogram, bin_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The id of the canary's token. No other token can have it, since ids end in 24 random characters.
pub const CANARY_ID: &str = "tok_canary";
/// The most calls of one run: a Worker may invoke others 32 times in an invocation.
pub const MOST_CALLS: u32 = 28;
/// The time for which a call is awaited in usage.
pub const USAGE_WAIT_MS: i64 = 30 * SECOND_MS;
/// The time for which figures are kept.
pub const KEPT_MS: i64 = 30 * DAY_MS;

/// Bound of the time until a change is seen, as the documents promise it.
const CHANGE_LIMIT_MS: u32 = 5_000;
/// Bound of the time until a call is in usage, likewise.
const USAGE_LIMIT_MS: u32 = 10_000;
/// The time that runs may begin early: the platform begins a cron some seconds early or late.
const EARLY_MS: i64 = 20 * SECOND_MS;
/// The time after which a run is overdue.
const OVERDUE_MS: i64 = 4 * MINUTE_MS;

/// The gateway's view of the canary's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// It may call.
    Accepted,
    /// It is unknown, or revoked.
    Refused,
}

/// The change feed, as an isolate of the gateway follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FeedState {
    /// It is polled.
    On,
    /// It does not respond, or too late.
    Away,
    /// It is switched off (`FEED_POLL_MS` = 0), so that changes take as long as KV does.
    Off,
}

/// The gateway's response to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Whether its token may call.
    pub canary: Seen,
    /// The isolate's change feed.
    pub feed: FeedState,
}

/// Whether a record is the canary's, which grants nothing.
pub fn is_canary(record: &TokenRecord) -> bool {
    record.id.as_str() == CANARY_ID && record.scopes.is_empty()
}

/// Judges a call of the canary by the record of its token, if there is one. `None` for anybody else's token.
pub fn judge(record: Option<&TokenRecord>, now: UnixMs) -> Option<Seen> {
    let Some(record) = record else { return Some(Seen::Refused) };
    let is_usable = check_state(record).and_then(|()| check_expiry(record, now)).is_ok();
    is_canary(record).then_some(if is_usable { Seen::Accepted } else { Seen::Refused })
}

/// Returns the pause before the next call, this long after a change; `None` if it is not waited for any longer. About
/// the bound the calls are dense; the platform allows few.
pub fn pause_ms(elapsed_ms: i64) -> Option<u64> {
    match elapsed_ms {
        ..3_000 => Some(300),
        3_000..6_000 => Some(700),
        6_000..15_000 => Some(4_000),
        15_000..75_000 => Some(15_000),
        75_000.. => None,
    }
}

/// The measured times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// From the beginning of a change until a new token is accepted.
    NewToken,
    /// From the beginning of a change until a revoked token is refused.
    Revoked,
    /// From a call until it is in usage.
    Usage,
}

impl Measure {
    /// All measures.
    pub const ALL: [Self; 3] = [Self::NewToken, Self::Revoked, Self::Usage];

    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewToken => "new-token",
            Self::Revoked => "revoked",
            Self::Usage => "usage",
        }
    }

    /// Returns the bound, in ms. Without the feed KV sets none.
    pub fn limit_ms(self, feed: Option<FeedState>) -> Option<u32> {
        match self {
            Self::Usage => Some(USAGE_LIMIT_MS),
            Self::NewToken | Self::Revoked => (feed != Some(FeedState::Off)).then_some(CHANGE_LIMIT_MS),
        }
    }
}

/// The way in which a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Everything was tried.
    Measured,
    /// KV or the change feed did not take a change, so that it is pending.
    NotPublished,
    /// The gateway did not respond.
    GatewayAway,
    /// The gateway is of a version that knows no canary.
    GatewayOlder,
    /// A restore holds publication.
    Held,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// The time of its beginning, unix ms.
    pub at: UnixMs,
    /// The way in which it ended.
    pub state: RunState,
    /// The change feed at the gateway; `null` if that did not respond.
    pub feed: Option<FeedState>,
    /// Milliseconds by measure; absent if it was not measured. Something that was not seen in time counts with the time
    /// for which it was awaited.
    pub ms: BTreeMap<Measure, u32>,
}

/// A reason to ring the bell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The notification's subject: a measure, `gateway` or `publication`.
    #[serde(skip)]
    pub subject: &'static str,
    /// Milliseconds, of a measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u32>,
    /// Its bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u32>,
}

/// The subjects of all findings.
pub const SUBJECTS: [&str; 5] = ["new-token", "revoked", "usage", "gateway", "publication"];

impl Run {
    /// Makes a run that has measured nothing yet.
    pub fn new(at: UnixMs) -> Self {
        Self { at, state: RunState::Measured, feed: None, ms: BTreeMap::new() }
    }

    /// Notes a measured time.
    pub fn note(&mut self, measure: Measure, ms: i64) {
        self.ms.insert(measure, u32::try_from(ms.max(0)).unwrap_or(u32::MAX));
    }

    /// Returns what somebody should know.
    pub fn findings(&self) -> Vec<Finding> {
        let plain = |subject| vec![Finding { subject, ms: None, limit_ms: None }];
        match self.state {
            RunState::NotPublished => plain("publication"),
            RunState::GatewayAway => plain("gateway"),
            RunState::GatewayOlder | RunState::Held => vec![],
            RunState::Measured => self
                .ms
                .iter()
                .filter_map(|(measure, ms)| {
                    let limit_ms = measure.limit_ms(self.feed).filter(|limit| ms > limit)?;
                    Some(Finding { subject: measure.as_str(), ms: Some(*ms), limit_ms: Some(limit_ms) })
                })
                .collect(),
        }
    }
}

/// Whether a run is due, if the last one began at `last`.
pub fn is_due(last: Option<UnixMs>, every_min: u32, now: UnixMs) -> bool {
    last.is_none_or(|last| now - last >= i64::from(every_min) * MINUTE_MS - EARLY_MS)
}

/// Whether no run has begun for too long.
pub fn is_overdue(last: UnixMs, every_min: u32, now: UnixMs) -> bool {
    now - last > i64::from(every_min) * MINUTE_MS + OVERDUE_MS
}

/// The times of one measure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Bins", into = "Bins")]
pub struct Timings {
    histogram: Histogram,
    worst_ms: u32,
}

/// The stored form of times: the longest, and bins with their counts.
#[derive(Serialize, Deserialize)]
struct Bins {
    worst_ms: u32,
    bins: Vec<(u32, u64)>,
}

impl From<Bins> for Timings {
    fn from(Bins { worst_ms, bins }: Bins) -> Self {
        let mut histogram = Histogram::default();
        histogram.add_all(bins.into_iter().flat_map(|(bin, count)| [bin.into(), count]));
        Self { histogram, worst_ms }
    }
}

impl From<Timings> for Bins {
    fn from(timings: Timings) -> Self {
        Self { worst_ms: timings.worst_ms, bins: timings.histogram.iter().collect() }
    }
}

impl Timings {
    /// Returns the number of times.
    pub fn count(&self) -> u64 {
        self.histogram.iter().map(|(_, count)| count).sum()
    }

    /// Returns the time within which `percent` of the runs were; `None` without any.
    pub fn percentile_ms(&self, percent: u64) -> Option<u32> {
        // A bin's middle may lie above the longest time.
        self.histogram.percentile_ms(percent).map(|ms| ms.min(self.worst_ms))
    }

    /// Returns the longest time.
    pub fn worst_ms(&self) -> u32 {
        self.worst_ms
    }

    fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        self.worst_ms = self.worst_ms.max(other.worst_ms);
    }
}

/// The times of an hour, or of several, by measure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hours(BTreeMap<Measure, Timings>);

impl Hours {
    /// Returns the beginning of the hour to which a run belongs.
    pub fn of(at: UnixMs) -> UnixMs {
        at.div_euclid(HOUR_MS) * HOUR_MS
    }

    /// Adds a run.
    pub fn add(&mut self, run: &Run) {
        for (measure, ms) in &run.ms {
            let timings = self.0.entry(*measure).or_default();
            timings.histogram.add(bin_of(*ms), 1);
            timings.worst_ms = timings.worst_ms.max(*ms);
        }
    }

    /// Adds other hours.
    pub fn merge(&mut self, other: &Self) {
        for (measure, timings) in &other.0 {
            self.0.entry(*measure).or_default().merge(timings);
        }
    }

    /// Returns the times of a measure; `None` without any.
    pub fn get(&self, measure: Measure) -> Option<&Timings> {
        self.0.get(&measure)
    }
}

#[cfg(test)]
mod tests;
