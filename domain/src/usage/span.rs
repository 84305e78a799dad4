//! The time that a report covers, cut into the rollups that it is read from.
//!
//! Rollups are kept per five minutes, hour, day and week in UTC. A day of a zone whose offset is not zero is
//! put together from hours, each counted in the day of its start; so if an offset is not whole hours
//! (India, Nepal), up to 45 minutes of calls are counted in the neighbouring day.

use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, UnixMs, bucket_start};
use serde::{Deserialize, Serialize};

/// The width of the finest rollups.
pub const FINE_MS: i64 = 5 * MINUTE_MS;
/// How long the finest rollups are kept.
pub const FINE_KEPT_MS: i64 = 2 * DAY_MS;
/// How long hourly rollups are kept.
pub const HOURLY_KEPT_MS: i64 = 400 * DAY_MS;
/// The most intervals that one series has: two days of five minutes.
pub const MAX_INTERVALS: i64 = 600;

/// Weeks are counted from the epoch, so they begin on Thursdays; nobody is shown one.
const WEEK_MS: i64 = 7 * DAY_MS;

/// The interval of a report's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Interval {
    /// Five minutes; kept for the last two days only.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// An hour.
    #[default]
    #[serde(rename = "hour")]
    Hour,
    /// A day, UTC.
    #[serde(rename = "day")]
    Day,
}

/// The width of the buckets that calls are summed up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Granularity {
    /// Five minutes, kept for two days.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// An hour, kept for 400 days.
    #[serde(rename = "hour")]
    Hour,
    /// A day, UTC, kept permanently.
    #[serde(rename = "day")]
    Day,
    /// Seven days, counted from the epoch, so that it begins on a Thursday. Kept permanently; nobody is shown one.
    #[serde(rename = "week")]
    Week,
}

impl Granularity {
    /// All, the finest first.
    pub const ALL: [Self; 4] = [Self::FiveMinutes, Self::Hour, Self::Day, Self::Week];

    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// Reads the name in the database.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|granularity| granularity.as_str() == name)
    }

    /// Returns the width of a bucket in ms.
    pub fn width_ms(self) -> i64 {
        match self {
            Self::FiveMinutes => FINE_MS,
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => WEEK_MS,
        }
    }

    /// Returns the start of the bucket that contains `at`, unix ms.
    pub fn bucket(self, at: UnixMs) -> UnixMs {
        bucket_start(at, self.width_ms())
    }

    /// Returns how long rows are kept, in ms; `None` means permanently. It is longer than reports may ask for, since
    /// their first interval may begin before the time that was asked for.
    pub fn kept_ms(self) -> Option<i64> {
        match self {
            Self::FiveMinutes => Some(FINE_KEPT_MS + HOUR_MS),
            Self::Hour => Some(HOURLY_KEPT_MS + 2 * DAY_MS),
            Self::Day | Self::Week => None,
        }
    }

    /// Returns whether a row of the bucket would still be kept at `now`.
    pub fn is_kept(self, bucket: UnixMs, now: UnixMs) -> bool {
        self.kept_ms().is_none_or(|kept_ms| bucket >= now - kept_ms)
    }

    /// Returns the finest granularity in which a call of the time `at` is still kept at `now`.
    pub fn finest_kept(at: UnixMs, now: UnixMs) -> Self {
        let is_kept = |granularity: &Self| granularity.is_kept(granularity.bucket(at), now);
        Self::ALL.into_iter().find(is_kept).unwrap_or(Self::Day)
    }

    /// Returns the next wider granularity.
    pub fn coarser(self) -> Option<Self> {
        match self {
            Self::FiveMinutes => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => Some(Self::Week),
            Self::Week => None,
        }
    }
}

/// A stretch of buckets of one granularity, and the intervals that they are shown in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The granularity that is read.
    pub granularity: Granularity,
    /// The start, unix ms.
    pub from: UnixMs,
    /// Exclusive.
    pub to: UnixMs,
    /// Added to a time before it is cut into intervals.
    pub offset_ms: i64,
    /// Width of an interval in ms.
    pub width_ms: i64,
}

impl Span {
    /// Returns the starts of its buckets, unix ms.
    pub fn buckets(&self) -> impl Iterator<Item = UnixMs> + use<> {
        let (width_ms, to) = (self.granularity.width_ms(), self.to);
        let first = self.granularity.bucket(self.from + width_ms - 1);
        std::iter::successors(Some(first), move |bucket| Some(bucket + width_ms))
            .take_while(move |bucket| *bucket < to)
    }

    /// Returns the interval that a bucket is shown in, in the zone's local time.
    pub fn interval(&self, bucket: UnixMs) -> UnixMs {
        (bucket + self.offset_ms).div_euclid(self.width_ms) * self.width_ms
    }
}

impl Interval {
    /// Returns the interval's width in ms.
    pub fn width_ms(self) -> i64 {
        match self {
            Self::FiveMinutes => FINE_MS,
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
        }
    }
}

/// Start of the interval that holds `at`. `offset_at` gives how far the zone is ahead of UTC, in ms.
pub fn interval_start(at: UnixMs, interval: Interval, offset_at: impl Fn(UnixMs) -> i64) -> UnixMs {
    match interval {
        // Hours and minutes are UTC's own; only days have a zone.
        Interval::FiveMinutes | Interval::Hour => bucket_start(at, interval.width_ms()),
        Interval::Day => {
            let midnight = bucket_start(at + offset_at(at), DAY_MS);
            // The clock may have changed since, so the offset is that of midnight itself.
            let start = midnight - offset_at(midnight - offset_at(at));
            // A day begins with an hour that the rollups know.
            bucket_start(start + HOUR_MS - 1, HOUR_MS)
        }
    }
}

/// The spans of a series: one for each stretch in which the zone's offset stays the same.
/// `offset_at` gives a time's offset in ms.
pub fn series_spans(
    from: UnixMs,
    to: UnixMs,
    interval: Interval,
    mut offset_at: impl FnMut(UnixMs) -> i64,
) -> Vec<Span> {
    let width_ms = interval.width_ms();
    let granularity = match interval {
        Interval::FiveMinutes => Granularity::FiveMinutes,
        Interval::Hour => Granularity::Hour,
        Interval::Day => Granularity::Day,
    };
    if interval != Interval::Day {
        return vec![Span { granularity, from, to, offset_ms: 0, width_ms }];
    }
    let mut spans: Vec<Span> = Vec::new();
    let mut since = from;
    let mut offset_ms = offset_at(from);
    let mut at = from;
    while at < to {
        let next = (at + DAY_MS).min(to);
        let later = offset_at(next);
        if later != offset_ms {
            // Zones change their offset at whole quarters of an hour; the rollups know hours.
            let (mut before, mut after) = (at, next);
            while after - before > HOUR_MS {
                let middle = bucket_start(before + (after - before) / 2, HOUR_MS).max(before + HOUR_MS);
                if offset_at(middle) == offset_ms { before = middle } else { after = middle }
            }
            spans.push(Span { granularity, from: since, to: after, offset_ms, width_ms });
            (since, offset_ms) = (after, later);
        }
        at = next;
    }
    spans.push(Span { granularity, from: since, to, offset_ms, width_ms });
    if spans.iter().any(|span| span.offset_ms != 0) {
        for span in &mut spans {
            span.granularity = Granularity::Hour;
        }
    }
    spans
}

/// Returns the instant at which the zone's clock shows `wall` (unix ms as if it were UTC). In an hour that the clock
/// repeats there are two such instants, and the first is returned. In one that it skips there is none, and the instant
/// at which it goes on is returned.
pub fn instant_of(wall: i64, spans: &[Span]) -> UnixMs {
    let mut earliest = UnixMs::MIN;
    for span in spans {
        let at = wall - span.offset_ms;
        if at < span.to {
            return at.max(earliest);
        }
        earliest = span.to;
    }
    wall - spans.last().map_or(0, |span| span.offset_ms)
}

/// The spans of a sum over all of a time, in the largest rollups that fit: hours at its ends, then
/// days, then weeks. Nothing has happened after `now`, so what begins before it is taken whole.
pub fn sum_spans(from: UnixMs, to: UnixMs, interval: Interval, now: UnixMs) -> Vec<Span> {
    let span = |granularity, from, to| Span { granularity, from, to, offset_ms: 0, width_ms: DAY_MS };
    let up = |at: UnixMs, width_ms| bucket_start(at + width_ms - 1, width_ms);
    let down = |at: UnixMs, width_ms| if at >= now { up(at, width_ms) } else { bucket_start(at, width_ms) };
    if interval == Interval::FiveMinutes {
        let first_hour = up(from, HOUR_MS).min(to);
        let last_hour = down(to, HOUR_MS).max(first_hour);
        return [
            span(Granularity::FiveMinutes, from, first_hour),
            span(Granularity::Hour, first_hour, last_hour),
            span(Granularity::FiveMinutes, last_hour, to),
        ]
        .into_iter()
        .filter(|span| span.from < span.to)
        .collect();
    }
    // Each border lies between those around it, even if no whole day or week fits.
    let (first_day, last_day) = (up(from, DAY_MS).min(to), down(to, DAY_MS));
    let last_day = last_day.max(first_day);
    let first_week = up(first_day, WEEK_MS).min(last_day);
    let last_week = bucket_start(last_day, WEEK_MS).max(first_week);
    [
        span(Granularity::Hour, from, first_day),
        span(Granularity::Day, first_day, first_week),
        span(Granularity::Week, first_week, last_week),
        span(Granularity::Day, last_week, last_day),
        span(Granularity::Hour, last_day, to),
    ]
    .into_iter()
    .filter(|span| span.from < span.to)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-03-29T01:00Z, when Berlin goes from +1 to +2.
    const SPRING: UnixMs = 1_774_746_000_000;
    fn berlin(at: UnixMs) -> i64 {
        if at < SPRING { HOUR_MS } else { 2 * HOUR_MS }
    }

    /// The day of an instant, computed as the SQL does and back again.
    fn day_of(at: UnixMs, spans: &[Span]) -> UnixMs {
        let span = spans.iter().find(|s| s.from <= at && at < s.to).unwrap();
        instant_of((at + span.offset_ms).div_euclid(span.width_ms) * span.width_ms, spans)
    }

    #[test]
    fn utc_days_are_read_as_days() {
        let spans = series_spans(0, 3 * DAY_MS, Interval::Day, |_| 0);
        assert_eq!(
            spans,
            [Span { granularity: Granularity::Day, from: 0, to: 3 * DAY_MS, offset_ms: 0, width_ms: DAY_MS }]
        );
    }

    /// Parity fault 10: eight hours off in Taipei.
    #[test]
    fn a_day_in_taipei_begins_at_four_in_the_afternoon_of_utc() {
        let taipei = 8 * HOUR_MS;
        let start = interval_start(10 * DAY_MS + HOUR_MS, Interval::Day, |_| taipei);
        assert_eq!(start, 10 * DAY_MS - 8 * HOUR_MS);
        let spans = series_spans(start, start + DAY_MS, Interval::Day, |_| taipei);
        assert_eq!(spans[0].granularity, Granularity::Hour);
        assert_eq!(day_of(start, &spans), start);
        assert_eq!(day_of(start + DAY_MS - 1, &spans), start);
    }

    #[test]
    fn a_change_of_the_clock_cuts_the_series_at_its_hour() {
        let midnight = SPRING - 2 * HOUR_MS; // 00:00 in Berlin
        let spans = series_spans(midnight - DAY_MS, midnight + 2 * DAY_MS, Interval::Day, berlin);
        assert_eq!(spans.len(), 2);
        assert_eq!((spans[0].to, spans[1].from), (SPRING, SPRING));
        assert_eq!((spans[0].offset_ms, spans[1].offset_ms), (HOUR_MS, 2 * HOUR_MS));
        assert_eq!(day_of(midnight + 22 * HOUR_MS, &spans), midnight, "one day, however long");
        // The next day begins 23 hours later.
        assert_eq!(day_of(midnight + 23 * HOUR_MS, &spans), midnight + 23 * HOUR_MS);
    }

    #[test]
    fn the_day_of_a_change_begins_at_its_own_midnight() {
        let midnight = SPRING - 2 * HOUR_MS;
        for hours in [0, 1, 2, 12, 22] {
            assert_eq!(
                interval_start(midnight + hours * HOUR_MS, Interval::Day, berlin),
                midnight,
                "{hours}"
            );
        }
        assert_eq!(interval_start(midnight + 23 * HOUR_MS, Interval::Day, berlin), midnight + 23 * HOUR_MS);
    }

    /// Cairo's clock goes from midnight to one.
    #[test]
    fn a_day_whose_midnight_is_skipped_begins_as_the_clock_goes_on() {
        let change = 1_000 * DAY_MS - 2 * HOUR_MS;
        let cairo = |at: UnixMs| if at < change { 2 * HOUR_MS } else { 3 * HOUR_MS };
        assert_eq!(interval_start(change + 9 * HOUR_MS, Interval::Day, cairo), change);
        let spans = series_spans(change - DAY_MS, change + 2 * DAY_MS, Interval::Day, cairo);
        assert_eq!(day_of(change - 1, &spans), change - DAY_MS);
        assert_eq!(day_of(change, &spans), change);
        assert_eq!(day_of(change + 23 * HOUR_MS, &spans), change + 23 * HOUR_MS);
    }

    #[test]
    fn sums_read_the_largest_rollups_that_fit() {
        let parts = |from, to, now| -> Vec<(&str, i64, i64)> {
            let spans = sum_spans(from, to, Interval::Day, now);
            spans.iter().map(|s| (s.granularity.as_str(), s.from / HOUR_MS, s.to / HOUR_MS)).collect()
        };
        let late = 1_000 * DAY_MS;
        assert_eq!(
            parts(5 * DAY_MS - HOUR_MS, 23 * DAY_MS + 2 * HOUR_MS, late),
            [
                ("hour", 119, 120),
                ("day", 120, 168),
                ("week", 168, 504),
                ("day", 504, 552),
                ("hour", 552, 554)
            ]
        );
        assert_eq!(parts(HOUR_MS, 2 * HOUR_MS, late), [("hour", 1, 2)]);
        assert_eq!(parts(HOUR_MS, 25 * HOUR_MS, late), [("hour", 1, 24), ("hour", 24, 25)]);
        let fine = sum_spans(HOUR_MS - FINE_MS, 2 * HOUR_MS + FINE_MS, Interval::FiveMinutes, late);
        let fine: Vec<_> = fine.iter().map(|s| (s.granularity.as_str(), s.from, s.to)).collect();
        assert_eq!(
            fine,
            [
                ("5m", HOUR_MS - FINE_MS, HOUR_MS),
                ("hour", HOUR_MS, 2 * HOUR_MS),
                ("5m", 2 * HOUR_MS, 2 * HOUR_MS + FINE_MS)
            ]
        );
        let now = 2 * DAY_MS + 5 * HOUR_MS;
        assert_eq!(parts(DAY_MS, now, now), [("day", 24, 72)], "today is taken whole");
    }

    proptest! {
        /// Nothing is counted twice and nothing left out.
        #[test]
        fn spans_cover_the_time_without_gap_or_overlap(from in 0_i64..2_000, hours in 1_i64..2_000) {
            let (from, to) = (SPRING - 1_000 * HOUR_MS + from * HOUR_MS, SPRING - 1_000 * HOUR_MS + (from + hours) * HOUR_MS);
            for spans in [sum_spans(from, to, Interval::Hour, to + 1), series_spans(from, to, Interval::Day, berlin)] {
                prop_assert_eq!(spans.first().unwrap().from, from);
                prop_assert_eq!(spans.last().unwrap().to, to);
                for pair in spans.windows(2) {
                    prop_assert_eq!(pair[0].to, pair[1].from);
                }
            }
        }
    }
}
