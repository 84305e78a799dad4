//! Times are unix milliseconds in UTC everywhere; text only at the borders.

use chrono::{DateTime, SecondsFormat, Utc};

/// Unix milliseconds, UTC.
pub type UnixMs = i64;

/// Milliseconds of a second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds of a minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// RFC 3339 with milliseconds and `Z`, such as `2026-11-23T04:00:00.000Z`.
pub fn to_rfc3339(at: UnixMs) -> Option<String> {
    DateTime::<Utc>::from_timestamp_millis(at).map(|t| t.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A time as the earlier system wrote it: RFC 3339 with a zone, or without one, which is UTC.
/// (Reading it as local time put every expiry eight hours off in Taipei.)
pub fn parse_v1(text: &str) -> Option<UnixMs> {
    let text = text.trim();
    let read = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
    read(text).or_else(|| read(&format!("{text}Z")))
}

/// The start of the bucket of `width_ms` that holds `at`, counted from the epoch.
pub fn bucket_start(at: UnixMs, width_ms: i64) -> UnixMs {
    at - at.rem_euclid(width_ms)
}

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year; 0 is 1 BC.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: i64,
    /// The day of the month, 1 to 31.
    pub day: i64,
}

impl Date {
    /// Returns the day, UTC, that holds `at`. By Howard Hinnant's `civil_from_days`
    /// (<https://howardhinnant.github.io/date_algorithms.html>): the year begins in March, so that a leap day is its last.
    pub fn of(at: UnixMs) -> Self {
        let days = at.div_euclid(DAY_MS) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let since_march = (5 * of_year + 2) / 153;
        let month = if since_march < 10 { since_march + 3 } else { since_march - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: of_year - (153 * since_march + 2) / 5 + 1,
        }
    }

    /// Returns the day's first millisecond, UTC. Months and days out of range count on from the year's start, so that
    /// month 13 is the next January. By Howard Hinnant's `days_from_civil`.
    pub fn start(self) -> UnixMs {
        let (year, month) =
            (self.year + (self.month - 1).div_euclid(12), (self.month - 1).rem_euclid(12) + 1);
        let year = year - i64::from(month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + self.day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        (era * 146_097 + of_era - 719_468) * DAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Datelike;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dates_are_those_of_the_calendar(at in -62_135_596_800_000_i64..253_402_300_800_000) {
            let date = DateTime::from_timestamp_millis(at).unwrap().date_naive();
            let same = Date { year: date.year().into(), month: date.month().into(), day: date.day().into() };
            prop_assert_eq!(Date::of(at), same);
            prop_assert_eq!(same.start(), at - at.rem_euclid(DAY_MS));
            prop_assert_eq!(Date { year: same.year - 1, month: same.month + 12, ..same }.start(), same.start());
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        assert_eq!(parse_v1("2025-11-01T00:00:00"), Some(1_761_955_200_000));
        assert_eq!(parse_v1("2025-11-01T00:00:00.250"), Some(1_761_955_200_250));
        assert_eq!(parse_v1("2025-11-01 00:00:00"), Some(1_761_955_200_000));
        assert_eq!(parse_v1("2025-11-01T08:00:00+08:00"), Some(1_761_955_200_000));
        assert_eq!(parse_v1("tomorrow"), None);
    }

    #[test]
    fn written_times_carry_their_zone() {
        assert_eq!(to_rfc3339(1_761_955_200_000).as_deref(), Some("2025-11-01T00:00:00.000Z"));
    }

    #[test]
    fn buckets_hold_their_times() {
        assert_eq!(bucket_start(HOUR_MS + 1, HOUR_MS), HOUR_MS);
        assert_eq!(bucket_start(-1, HOUR_MS), -HOUR_MS);
    }
}
