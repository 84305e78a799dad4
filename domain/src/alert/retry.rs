//! When a delivery is tried again, and when it is given up.

use crate::time::{DAY_MS, UnixMs};

/// The time for which a delivery is tried.
pub const TRIED_FOR_MS: i64 = DAY_MS;
/// The longest pause, in first pauses: an hour, if the first is a minute.
const MOST_PAUSES: i64 = 60;
/// Gone (Standard Webhooks): the receiver wants nothing more.
const GONE: u16 = 410;

/// The end of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The response's status; `None` without a response.
    pub status: Option<u16>,
    /// The response's `Retry-After`, in ms.
    pub retry_after_ms: Option<i64>,
    /// The number of tries so far, with this one.
    pub attempts: u32,
    /// When the delivery was due first, unix ms.
    pub due_at: UnixMs,
}

/// The fate of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Sent,
    /// It is tried again at this time.
    Again(UnixMs),
    /// It is given up.
    Failed,
}

/// Decides after a try. The pause doubles from `first_ms` up to sixty times as much; a receiver may ask for a longer one.
pub fn after(tried: Tried, first_ms: i64, now: UnixMs) -> Fate {
    let Tried { status, retry_after_ms, attempts, due_at } = tried;
    match status {
        Some(200..300) => return Fate::Sent,
        Some(GONE) => return Fate::Failed,
        _ => {}
    }
    let doubled = 1_i64 << attempts.saturating_sub(1).min(10);
    let pause = first_ms.saturating_mul(doubled.min(MOST_PAUSES));
    let next = now.saturating_add(pause.max(wished(retry_after_ms, first_ms)));
    if next > due_at.saturating_add(TRIED_FOR_MS) { Fate::Failed } else { Fate::Again(next) }
}

/// Returns when the next delivery of a channel is tried after one that failed: after the first pause, since the others may be
/// such as the receiver can take, or when the receiver wishes.
pub fn rests_until(tried: Tried, first_ms: i64, now: UnixMs) -> UnixMs {
    now.saturating_add(first_ms.max(wished(tried.retry_after_ms, first_ms)))
}

/// Returns the pause that a receiver asks for, up to the longest.
fn wished(retry_after_ms: Option<i64>, first_ms: i64) -> i64 {
    retry_after_ms.unwrap_or(0).min(first_ms.saturating_mul(MOST_PAUSES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR_MS, MINUTE_MS};

    const FIRST: i64 = MINUTE_MS;

    fn tried(status: Option<u16>, attempts: u32) -> Tried {
        Tried { status, retry_after_ms: None, attempts, due_at: 0 }
    }

    #[test]
    fn a_delivery_is_tried_for_a_day_with_growing_pauses() {
        let (mut now, mut pauses) = (0, vec![]);
        for attempts in 1.. {
            match after(tried(Some(503), attempts), FIRST, now) {
                Fate::Again(next) => {
                    pauses.push((next - now) / MINUTE_MS);
                    now = next;
                }
                fate => {
                    assert_eq!(fate, Fate::Failed);
                    break;
                }
            }
        }
        assert_eq!(pauses.iter().take(8).copied().collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(now > DAY_MS - HOUR_MS - MINUTE_MS && now <= DAY_MS, "{now}");
        assert!(pauses.len() < 40, "{}", pauses.len());
    }

    #[test]
    fn success_ends_it_and_so_does_gone() {
        assert_eq!(after(tried(Some(204), 1), FIRST, 0), Fate::Sent);
        assert_eq!(after(tried(Some(410), 1), FIRST, 0), Fate::Failed);
        for status in [None, Some(302), Some(404), Some(429), Some(500)] {
            assert_eq!(after(tried(status, 1), FIRST, 0), Fate::Again(MINUTE_MS), "{status:?}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_up_to_an_hour() {
        let asked = |ms| after(Tried { retry_after_ms: Some(ms), ..tried(Some(429), 1) }, FIRST, 0);
        assert_eq!(asked(5_000), Fate::Again(MINUTE_MS));
        assert_eq!(asked(300_000), Fate::Again(5 * MINUTE_MS));
        assert_eq!(asked(i64::MAX), Fate::Again(HOUR_MS));
    }

    #[test]
    fn other_deliveries_of_a_channel_wait_for_the_first_pause_or_as_its_receiver_asks() {
        let rests = |attempts, retry_after_ms| {
            rests_until(Tried { retry_after_ms, ..tried(Some(503), attempts) }, FIRST, 7)
        };
        assert_eq!([rests(1, None), rests(9, None)], [7 + MINUTE_MS; 2]);
        assert_eq!([rests(1, Some(5)), rests(1, Some(300_000))], [7 + MINUTE_MS, 7 + 5 * MINUTE_MS]);
        assert_eq!(rests(1, Some(i64::MAX)), 7 + HOUR_MS);
    }
}
