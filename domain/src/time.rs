//! Times are unix milliseconds in UTC everywhere; text only at the borders.

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

/// Writes RFC 3339 with milliseconds and `Z`, such as `2026-11-23T04:00:00.000Z`; `None` outside the years 0 to 9999,
/// which it cannot tell.
pub fn to_rfc3339(at: UnixMs) -> Option<String> {
    let Date { year, month, day } = Date::of(at);
    let of_day = at.rem_euclid(DAY_MS);
    let (hour, minute) = (of_day / HOUR_MS, of_day % HOUR_MS / MINUTE_MS);
    let (second, ms) = (of_day % MINUTE_MS / SECOND_MS, of_day % SECOND_MS);
    (0..=9_999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"))
}

/// Reads a time as the earlier system wrote it: RFC 3339 with a zone, or without one, which is UTC.
/// (Reading it as local time put every expiry eight hours off in Taipei.)
pub fn parse_v1(text: &str) -> Option<UnixMs> {
    let (stamp, rest) = text.trim().split_at_checked(19)?;
    let is_stamp = stamp.bytes().zip(*b"0000-00-00T00:00:00").all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        mark => byte == mark,
    });
    let number = |from, to| stamp.get(from..to)?.parse::<i64>().ok().filter(|_| is_stamp);
    let date = Date { year: number(0, 4)?, month: number(5, 7)?, day: number(8, 10)? };
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // 60 is a leap second.
    let exists = Date::of(date.start()) == date && hour < 24 && minute < 60 && second <= 60;
    let (ms, zone) = fraction_ms(rest)?;
    let at = date.start() + hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + ms;
    Some(at - zone_ms(zone)?).filter(|_| exists)
}

/// Returns the fraction of a second at the start of `text`, if there is one, and the rest.
fn fraction_ms(text: &str) -> Option<(i64, &str)> {
    let Some(fraction) = text.strip_prefix('.') else { return Some((0, text)) };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = fraction.strip_suffix(rest).filter(|digits| !digits.is_empty())?;
    let ms = digits.bytes().chain(*b"00").take(3).fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'));
    Some((ms, rest))
}

/// Returns the distance of a zone to UTC: `Z`, `+08:00`, or nothing, which is UTC.
fn zone_ms(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let east = zone.strip_prefix('+').map(|distance| (1, distance));
    let (sign, distance) = east.or_else(|| Some((-1, zone.strip_prefix('-')?)))?;
    let (hours, minutes) = distance.split_once(':')?;
    let number = |text: &str, end: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| is_number && *number < end)
    };
    Some(sign * (number(hours, 24)? * HOUR_MS + number(minutes, 60)? * MINUTE_MS))
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
    use chrono::{DateTime, Datelike, SecondsFormat, Utc};
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

        #[test]
        fn times_are_written_and_read_again(at in -62_167_219_200_000_i64..253_402_300_800_000) {
            let text = to_rfc3339(at).unwrap();
            let theirs = DateTime::<Utc>::from_timestamp_millis(at).unwrap();
            prop_assert_eq!(&text, &theirs.to_rfc3339_opts(SecondsFormat::Millis, true));
            prop_assert_eq!(parse_v1(&text), Some(at));
        }

        /// Every text near RFC 3339 is read, or refused, as `chrono` does it.
        #[test]
        fn times_are_read_by_the_standard(
            text in "(19|20|00)[0-9]{2}-[01][0-9]-[0-3][0-9][Tt x][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,11})?(Z|z|[+-][0-2][0-9]:[0-6][0-9]|[+-][0-9]{1,4}|é|)"
        ) {
            let read = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
            prop_assert_eq!(parse_v1(&text), read(&text).or_else(|| read(&format!("{text}Z"))), "{}", text);
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        assert_eq!(parse_v1("2025-11-01T00:00:00"), Some(1_761_955_200_000));
        assert_eq!(parse_v1("2025-11-01T00:00:00.250"), Some(1_761_955_200_250));
        assert_eq!(parse_v1("2025-11-01 00:00:00"), Some(1_761_955_200_000));
        assert_eq!(parse_v1("2025-11-01T08:00:00+08:00"), Some(1_761_955_200_000));
        for unreadable in ["", "tomorrow", "2025-11-01", "2025-02-29T00:00:00Z", "2025-11-01T00:00:00é"] {
            assert_eq!(parse_v1(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn written_times_carry_their_zone() {
        assert_eq!(to_rfc3339(1_761_955_200_000).as_deref(), Some("2025-11-01T00:00:00.000Z"));
        assert_eq!((to_rfc3339(i64::MAX), to_rfc3339(i64::MIN)), (None, None));
    }

    #[test]
    fn buckets_hold_their_times() {
        assert_eq!(bucket_start(HOUR_MS + 1, HOUR_MS), HOUR_MS);
        assert_eq!(bucket_start(-1, HOUR_MS), -HOUR_MS);
    }
}
