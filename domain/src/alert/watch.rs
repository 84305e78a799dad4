//! When something is worth an alert.

use crate::limit::LimitKind;
use crate::limit::ledger::LimitUse;
use crate::time::{HOUR_MS, UnixMs, bucket_start};
use crate::usage::span::FINE_MS;

/// The shares of a budget, in percent, at which the bell says so.
pub const BELL_THRESHOLDS: [u8; 2] = [80, 100];
/// The shares at which a channel is told if it names none.
pub const DEFAULT_THRESHOLDS: [u8; 3] = [50, 80, 100];
/// The shares of a database's room, in percent. From 80 % on the database of usage makes room by itself.
const FULL_STEPS: [u64; 2] = [75, 90];
/// The days before its end at which a token is reported, as JSON for SQL.
pub const END_DAYS: &str = "[14,3,1]";
/// The age of the oldest waiting change from which publication is late. Most failures are over by then.
pub const PUBLICATION_LATE_MS: i64 = 5 * 60_000;
/// The limits that are watched count over a day or longer: a rate is reached and free again within the hour.
const LEAST_WINDOW_S: u64 = 86_400;
/// The failed calls from which a route counts as failing.
const LEAST_FAILED: u64 = 5;
/// The weeks whose same hours are usual, and the least of them that are known.
pub const USUAL_WEEKS: usize = 8;
const LEAST_WEEKS: usize = 3;
/// The calls, and micro-dollars, of an hour below which nothing is a spike.
const LEAST_CALLS: u64 = 100;
const LEAST_MICROS: u64 = 1_000_000;
/// How often the usual a spike is.
const SPIKE: u64 = 5;

/// Whether a limit is a budget or quota, of which people want to hear before it refuses calls.
pub fn is_watched(kind: LimitKind) -> bool {
    kind.measure().window_s().is_some_and(|window| window >= LEAST_WINDOW_S)
}

/// Returns the used share of a limit, in whole percent.
pub fn percent(used: &LimitUse) -> u64 {
    used.used.saturating_mul(100) / used.limit.max(1)
}

/// Returns the highest threshold that a share has reached; `None` below all.
pub fn threshold(percent: u64, thresholds: impl IntoIterator<Item = u8>) -> Option<u8> {
    thresholds.into_iter().filter(|threshold| u64::from(*threshold) <= percent).max()
}

/// Returns the step that a database of `bytes` has reached, of a room of `most` bytes.
pub fn full_step(bytes: u64, most: u64) -> Option<u64> {
    let percent = bytes.saturating_mul(100) / most.max(1);
    FULL_STEPS.into_iter().filter(|step| *step <= percent).max()
}

/// The calls that reached a route's upstream in five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Start of the five minutes, unix ms.
    pub at: UnixMs,
    /// Calls.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Served {
    /// Whether more than a fifth failed.
    fn is_bad(self) -> bool {
        self.failed.saturating_mul(5) > self.calls
    }
}

/// A route that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its calls of the last hour.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Whether that has lasted ten minutes: over a fifth failed in each of the last two whole five minutes.
    pub is_steady: bool,
}

/// Decides whether a route fails, by its calls of the last hour: over a fifth of them, and at least five, failed, and
/// the latest five to ten minutes show no recovery.
pub fn failing(served: &[Served], now: UnixMs) -> Option<Failing> {
    let sum = |from: UnixMs, to: UnixMs| {
        let within = served.iter().filter(|one| (from..to).contains(&one.at));
        within.fold(Served::default(), |sum, one| Served {
            at: from,
            calls: sum.calls.saturating_add(one.calls),
            failed: sum.failed.saturating_add(one.failed),
        })
    };
    let hour = sum(UnixMs::MIN, UnixMs::MAX);
    if hour.failed < LEAST_FAILED || !hour.is_bad() {
        return None;
    }
    let current = bucket_start(now, FINE_MS);
    let latest = sum(current - FINE_MS, UnixMs::MAX);
    if latest.calls >= LEAST_FAILED && !latest.is_bad() {
        return None;
    }
    let is_steady =
        sum(current - 2 * FINE_MS, current - FINE_MS).is_bad() && sum(current - FINE_MS, current).is_bad();
    Some(Failing { calls: hour.calls, failed: hour.failed, is_steady })
}

/// The use of a token in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Calls.
    pub calls: u64,
    /// Micro-dollars.
    pub micros: u64,
}

impl Hour {
    /// Whether it is large enough to be a spike at all, so that it is worth to look at earlier weeks.
    pub fn is_large(self) -> bool {
        self.calls >= LEAST_CALLS || self.micros >= LEAST_MICROS
    }
}

/// An hour that is far above the usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// Whether it is of cost, in micro-dollars; otherwise of calls.
    pub is_cost: bool,
    /// The hour so far.
    pub value: u64,
    /// The median of the same hour in earlier weeks.
    pub usual: u64,
}

/// Returns the starts of the same hour in earlier weeks in which a token of `created_at` existed, the latest first.
pub fn usual_hours(created_at: UnixMs, now: UnixMs) -> Vec<UnixMs> {
    let hour = bucket_start(now, HOUR_MS);
    let weeks = i64::try_from(USUAL_WEEKS).unwrap_or(0);
    (1..=weeks).map(|week| hour - week * 7 * 24 * HOUR_MS).filter(|at| *at >= created_at).collect()
}

/// Decides whether an hour is a spike, by the same hour of earlier weeks. Too few of them say nothing.
pub fn spike(hour: Hour, earlier: &[Hour]) -> Option<Spike> {
    let of = |is_cost: bool, least: u64, get: fn(&Hour) -> u64| {
        let (value, usual) = (get(&hour), median(&earlier.iter().map(get).collect::<Vec<_>>())?);
        let is_spike = value >= least && value > usual.saturating_mul(SPIKE);
        is_spike.then_some(Spike { is_cost, value, usual })
    };
    of(true, LEAST_MICROS, |hour| hour.micros).or_else(|| of(false, LEAST_CALLS, |hour| hour.calls))
}

/// Returns the median, of an even number the lower one; `None` of too few. There are few, so it is found without a sort.
fn median(values: &[u64]) -> Option<u64> {
    if values.len() < LEAST_WEEKS {
        return None;
    }
    let below = |limit: u64| values.iter().filter(|value| **value < limit).count();
    let half = (values.len() - 1) / 2;
    values.iter().copied().filter(|value| below(*value) <= half).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY_MS, MINUTE_MS};

    #[test]
    fn budgets_and_quotas_are_watched_and_rates_are_not() {
        use LimitKind::{
            CallsPerDay, CallsPerHour, CallsPerMonth, ConcurrentCalls, CostMicrosPerCall, CostMicrosPerDay,
        };
        assert!([CallsPerDay, CallsPerMonth, CostMicrosPerDay].into_iter().all(is_watched));
        assert!(![CallsPerHour, ConcurrentCalls, CostMicrosPerCall].into_iter().any(is_watched));
    }

    #[test]
    fn a_share_reaches_a_threshold_and_not_before() {
        let used = |used, limit| {
            percent(&LimitUse { kind: LimitKind::CostMicrosPerDay, limit, used, reserved: 0, resets_at: 0 })
        };
        assert_eq!([used(4_999, 10_000), used(5_000, 10_000), used(12, 10)], [49, 50, 120]);
        assert_eq!(threshold(49, DEFAULT_THRESHOLDS), None);
        assert_eq!(threshold(99, DEFAULT_THRESHOLDS), Some(80));
        assert_eq!(threshold(120, BELL_THRESHOLDS), Some(100));
    }

    #[test]
    fn a_database_is_reported_at_three_quarters_and_at_nine_tenths() {
        assert_eq!([full_step(74, 100), full_step(75, 100), full_step(97, 100)], [None, Some(75), Some(90)]);
    }

    /// Buckets of five minutes up to now, the latest first: calls and failed ones.
    fn served(latest_first: &[(u64, u64)], now: UnixMs) -> Vec<Served> {
        let at = |n: usize| bucket_start(now, FINE_MS) - i64::try_from(n).unwrap() * FINE_MS;
        latest_first
            .iter()
            .enumerate()
            .map(|(n, (calls, failed))| Served { at: at(n), calls: *calls, failed: *failed })
            .collect()
    }

    #[test]
    fn a_route_fails_if_over_a_fifth_of_its_calls_do_and_five() {
        let now = 100 * HOUR_MS + MINUTE_MS;
        let judge = |buckets: &[(u64, u64)]| failing(&served(buckets, now), now);
        assert_eq!(judge(&[(4, 4)]), None, "few");
        assert_eq!(judge(&[(100, 20)]), None, "a fifth is not over a fifth");
        assert_eq!(judge(&[(15, 5)]), Some(Failing { calls: 15, failed: 5, is_steady: false }));
        assert_eq!(judge(&[(2, 2), (2, 2), (2, 2)]), Some(Failing { calls: 6, failed: 6, is_steady: true }));
        assert_eq!(judge(&[(0, 0), (9, 9), (0, 0), (9, 9)]).map(|f| f.is_steady), Some(false), "a pause");
        assert_eq!(judge(&[(90, 90), (9, 0), (9, 9)]).map(|f| f.is_steady), Some(false), "it has just begun");
    }

    #[test]
    fn a_route_has_recovered_once_its_latest_calls_succeed() {
        let now = 100 * HOUR_MS + MINUTE_MS;
        let judge = |buckets: &[(u64, u64)]| failing(&served(buckets, now), now);
        assert!(judge(&[(4, 0), (0, 0), (50, 50)]).is_some(), "too few to tell");
        assert_eq!(judge(&[(5, 1), (0, 0), (50, 50)]), None);
        assert!(judge(&[(5, 2), (0, 0), (50, 50)]).is_some());
    }

    #[test]
    fn a_spike_is_over_five_times_the_median_of_the_same_hour_in_earlier_weeks() {
        let calls = |calls| Hour { calls, micros: 0 };
        let usual = [calls(10), calls(40), calls(900)];
        assert_eq!(spike(calls(200), &usual), None);
        assert_eq!(spike(calls(201), &usual), Some(Spike { is_cost: false, value: 201, usual: 40 }));
        assert_eq!(spike(calls(99), &[calls(0); 8]), None, "small");
        assert_eq!(spike(calls(100), &[calls(0); 8]), Some(Spike { is_cost: false, value: 100, usual: 0 }));
        assert_eq!(spike(calls(5_000), &[calls(1); 2]), None, "two weeks are not usual");
        let dear = Hour { calls: 5_000, micros: 2_000_000 };
        assert_eq!(
            spike(dear, &[Hour { calls: 1, micros: 300_000 }; 4]),
            Some(Spike { is_cost: true, value: 2_000_000, usual: 300_000 })
        );
        assert!(dear.is_large() && !calls(99).is_large());
    }

    #[test]
    fn the_usual_hours_are_those_since_the_token_was_made() {
        let now = 1_000 * DAY_MS + 13 * HOUR_MS + 59 * MINUTE_MS;
        let hours = usual_hours(0, now);
        assert_eq!((hours.len(), hours.first()), (8, Some(&(993 * DAY_MS + 13 * HOUR_MS))));
        assert_eq!(usual_hours(now - 15 * DAY_MS, now).len(), 2);
        assert_eq!(usual_hours(now, now).len(), 0);
    }
}
