//! The period that a report covers, and the spans that it is read from.

use super::span::{
    FINE_KEPT_MS, Granularity, HOURLY_KEPT_MS, Interval, MAX_INTERVALS, Span, interval_start, series_spans,
    sum_spans,
};
use crate::time::{DAY_MS, UnixMs, bucket_start};

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
            cut_last_day(&mut series);
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
}

/// Reads the last day of a series by hours if the period ends within it, as sums over the same period do: the parts of
/// a report are to add up.
fn cut_last_day(series: &mut Vec<Span>) {
    let Some(last) = series.pop() else { return };
    let midnight = bucket_start(last.to, DAY_MS).max(last.from);
    if last.granularity != Granularity::Day || midnight == last.to {
        series.push(last);
        return;
    }
    if last.from < midnight {
        series.push(Span { to: midnight, ..last.clone() });
    }
    series.push(Span { granularity: Granularity::Hour, from: midnight, ..last });
}
