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

#[cfg(test)]
mod tests {
    use super::*;

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
