//! The period that a report covers, and the spans that it is read from.

use super::span::{
    FINE_KEPT_MS, FINE_MS, Granularity, HOURLY_KEPT_MS, Interval, MAX_INTERVALS, Span, instant_of,
    interval_start, series_spans, sum_spans,
};
use crate::time::{DAY_MS, Date, HOUR_MS, UnixMs, bucket_start};

const DEFAULT_MS: i64 = DAY_MS;
/// The longest period that is shown by hour by default; longer ones are shown by day.
const HOURLY_MS: i64 = 14 * DAY_MS;

/// Whole intervals from `from` up to, but not including, `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// Start, unix ms.
    pub from: UnixMs,
    /// End, exclusive.
    pub to: UnixMs,
    /// Width of the series' intervals.
    pub interval: Interval,
    /// Spans of the series.
    pub series: Vec<Span>,
    /// Spans of sums over the same calls.
    pub sums: Vec<Span>,
}

/// The reason why there is no report of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodRefusal {
    /// It is empty.
    #[error("the period does not begin before its end")]
    Empty,
    /// It is longer than hours are kept.
    #[error("the period is too long")]
    TooLong,
    /// It has more than [`MAX_INTERVALS`] intervals.
    #[error("the interval is too short for the period")]
    TooManyIntervals,
    /// Five minutes that are not kept any more.
    #[error("intervals so short are not kept for so long")]
    IntervalsGone,
    /// Hours that are not kept any more: zero would be wrong.
    #[error("hours are not kept for so long")]
    HoursGone,
}

impl Period {
    /// Returns the period from `from` (by default a day before its end) to `to` (by default `now`). `offset_at` gives
    /// how far the zone is ahead of UTC, in ms.
    ///
    /// # Errors
    /// Fails if the period is no period, or if its calls are not kept.
    pub fn of(
        from: Option<UnixMs>,
        to: Option<UnixMs>,
        interval: Option<Interval>,
        now: UnixMs,
        offset_at: impl Fn(UnixMs) -> i64,
    ) -> Result<Self, PeriodRefusal> {
        let to = to.unwrap_or(now);
        let from = from.unwrap_or(to - DEFAULT_MS);
        if from >= to {
            return Err(PeriodRefusal::Empty);
        }
        if to - from > HOURLY_KEPT_MS {
            return Err(PeriodRefusal::TooLong);
        }
        let default = if to - from > HOURLY_MS { Interval::Day } else { Interval::Hour };
        let interval = interval.unwrap_or(default);
        if (to - from) / interval.width_ms() > MAX_INTERVALS {
            return Err(PeriodRefusal::TooManyIntervals);
        }
        if interval == Interval::FiveMinutes && from < now - FINE_KEPT_MS {
            return Err(PeriodRefusal::IntervalsGone);
        }
        let from = interval_start(from, interval, &offset_at);
        let mut series = series_spans(from, to, interval, offset_at);
        if to < now {
            cut_end(&mut series, Granularity::Day, Granularity::Hour);
        }
        let sums = sum_spans(from, to, interval, now);
        // The first interval may begin up to a day before `from`.
        let hours_since = now - HOURLY_KEPT_MS - DAY_MS;
        let is_gone = |span: &Span| span.granularity == Granularity::Hour && span.from < hours_since;
        if series.iter().chain(&sums).any(is_gone) {
            return Err(PeriodRefusal::HoursGone);
        }
        Ok(Self { from, to, interval, series, sums })
    }

    /// Returns its intervals: in the zone's local time, and when each begins, unix ms. None is left out.
    pub fn intervals(&self) -> Vec<(UnixMs, UnixMs)> {
        let of = |span: &Span| {
            let interval = span.clone();
            span.buckets().map(move |bucket| interval.interval(bucket))
        };
        let mut local: Vec<UnixMs> = self.series.iter().flat_map(of).collect();
        local.dedup();
        local.into_iter().map(|local| (local, instant_of(local, &self.series))).collect()
    }

    /// Returns the time to compare it with, which begins as many intervals earlier and is as long, so that an interval
    /// that is not over is compared with as much of an earlier one: to five minutes while those are kept, else to the
    /// hour. `None` if its calls are not kept.
    pub fn previous(&self, now: UnixMs, offset_at: impl Fn(UnixMs) -> i64) -> Option<Self> {
        let width_ms = self.interval.width_ms();
        let intervals = i64::try_from(self.intervals().len()).ok()?;
        // The clock may have changed meanwhile: noon is in the same day all the same.
        let within_ms = if self.interval == Interval::Day { DAY_MS / 2 } else { 0 };
        let start =
            |from: UnixMs, n: i64| interval_start(from + n * width_ms + within_ms, self.interval, &offset_at);
        let from = start(self.from, -intervals);
        let end = from + (self.to - self.from);
        let is_fine = end - HOUR_MS >= now - FINE_KEPT_MS;
        let step_ms = if is_fine { FINE_MS } else { HOUR_MS };
        // In its last interval, even if the clock has changed meanwhile.
        let last = start(from, intervals - 1) + step_ms;
        let to = bucket_start(end + step_ms - 1, step_ms).clamp(last, start(from, intervals).max(last));
        let mut previous = Self::of(Some(from), Some(to), Some(self.interval), now, &offset_at).ok()?;
        if is_fine {
            cut_end(&mut previous.series, Granularity::Hour, Granularity::FiveMinutes);
            cut_end(&mut previous.sums, Granularity::Hour, Granularity::FiveMinutes);
        }
        Some(previous)
    }
}

/// Returns the start of the calendar month that holds `now`, and of the next one.
pub fn month_of(now: UnixMs, offset_at: impl Fn(UnixMs) -> i64) -> (UnixMs, UnixMs) {
    let date = Date::of(now + offset_at(now));
    let start = |month: i64| {
        let local = Date { month, day: 1, ..date }.start();
        local - offset_at(local - offset_at(local))
    };
    (start(date.month), start(date.month + 1))
}

/// Reads the last bucket by finer ones if the time ends within it: the parts of a report are to add up.
fn cut_end(spans: &mut Vec<Span>, coarse: Granularity, fine: Granularity) {
    let Some(last) = spans.pop() else { return };
    let border = coarse.bucket(last.to).max(last.from);
    if last.granularity != coarse || border == last.to {
        spans.push(last);
        return;
    }
    if last.from < border {
        spans.push(Span { to: border, ..last.clone() });
    }
    spans.push(Span { granularity: fine, from: border, ..last });
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

    fn covered(spans: &[Span]) -> (UnixMs, UnixMs) {
        for pair in spans.windows(2) {
            assert_eq!(pair[0].to, pair[1].from, "without gap or overlap");
        }
        (spans.first().unwrap().from, spans.last().unwrap().to)
    }

    proptest! {
        #[test]
        fn the_time_before_is_as_long_and_has_the_same_phase(
            now in SPRING - 40 * DAY_MS..SPRING + 40 * DAY_MS,
            // Hours of more days are more intervals than a report may have.
            days in 1_i64..25,
            interval in prop_oneof![Just(Interval::Hour), Just(Interval::Day)],
        ) {
            let period = Period::of(Some(now - days * DAY_MS), None, Some(interval), now, berlin).unwrap();
            let previous = period.previous(now, berlin).unwrap();
            prop_assert!(previous.to <= period.from);
            prop_assert_eq!(previous.intervals().len(), period.intervals().len());
            let within = if previous.to - HOUR_MS >= now - FINE_KEPT_MS { FINE_MS } else { HOUR_MS };
            let longer = (previous.to - previous.from) - (period.to - period.from);
            // A day in which the clock changes is an hour shorter.
            let change = if interval == Interval::Day { HOUR_MS } else { 0 };
            prop_assert!((-change..within + change).contains(&longer), "{longer}");
            for spans in [&previous.series, &previous.sums] {
                prop_assert_eq!(covered(spans), (previous.from, previous.to));
            }
            let widths: Vec<_> = period.intervals().windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
            prop_assert!(widths.iter().all(|width| (width - interval.width_ms()).abs() <= HOUR_MS));
        }
    }

    #[test]
    fn a_day_is_compared_with_the_day_before_to_five_minutes() {
        let now = 1_000 * DAY_MS + 14 * HOUR_MS + 20 * 60_000;
        let from = 1_000 * DAY_MS - 9 * HOUR_MS;
        let period = Period::of(Some(from), None, Some(Interval::Hour), now, |_| 0).unwrap();
        let previous = period.previous(now, |_| 0).unwrap();
        assert_eq!((previous.from, previous.to), (from - DAY_MS, now - DAY_MS));
        let last = previous.series.last().unwrap();
        assert_eq!((last.granularity, last.from), (Granularity::FiveMinutes, now - DAY_MS - 20 * 60_000));
    }

    #[test]
    fn a_month_begins_at_midnight_of_the_zone() {
        let march = Date { year: 2026, month: 3, day: 1 }.start() - HOUR_MS;
        let april = Date { year: 2026, month: 4, day: 1 }.start() - 2 * HOUR_MS;
        for now in [march, SPRING, april - 1] {
            assert_eq!(month_of(now, berlin), (march, april));
        }
    }

    #[test]
    fn what_is_not_kept_is_not_compared_with() {
        let now = 1_000 * DAY_MS;
        let period =
            Period::of(Some(now - 390 * DAY_MS), None, Some(Interval::Day), now, |_| HOUR_MS).unwrap();
        assert_eq!(period.previous(now, |_| HOUR_MS), None);
    }
}
