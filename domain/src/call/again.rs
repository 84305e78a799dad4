//! The rule by which a call is sent again after a wait.

use super::pool::wait_ms;
use crate::method::is_idempotent;
use crate::time::{SECOND_MS, UnixMs};
use crate::upstream::settings::RouteSettings;

/// The most further tries of a call.
const MOST: u8 = 2;
/// The first wait if the upstream names none. The second is twice as long.
const STEP_MS: i64 = 500;

/// The further tries that a call has had, and how long it waited for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retries {
    /// How many there were.
    pub count: u8,
    /// The sum of the waits, in ms.
    pub waited_ms: i64,
}

/// Returns the wait before a call is sent again, in ms; `None` if the client gets the response.
///
/// An upstream that has too many calls (429; Anthropic's 529; 503 with a time to come again) has not carried this one out.
/// After other failures it may have, and so may an upstream that was tried before: `may_be_done` says whether. Then a call
/// that changes something is only sent again if the route says so. A wait that would exceed the route's bound is left to the
/// client.
pub fn wait_before(
    settings: &RouteSettings,
    method: &str,
    retries: Retries,
    (status, may_be_done): (u16, bool),
    retry_after: Option<&str>,
    now: UnixMs,
) -> Option<i64> {
    let named = retry_after.and_then(|text| wait_ms(text, now));
    let is_busy = matches!(status, 429 | 529) || status == 503 && named.is_some();
    let has_failed = matches!(status, 500 | 502..=504 | 520..=530);
    let may_repeat = settings.retry_any_method || is_idempotent(method);
    let is_repeated = is_busy && (may_repeat || !may_be_done) || has_failed && may_repeat;
    let wait_ms = named.unwrap_or(STEP_MS << retries.count);
    let most_ms = i64::from(settings.retry_within_s) * SECOND_MS - retries.waited_ms;
    let may_wait = settings.retry_within_s > 0 && retries.count < MOST && wait_ms <= most_ms;
    (is_repeated && may_wait).then_some(wait_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(retry_any_method: bool) -> RouteSettings {
        RouteSettings { retry_within_s: 5, retry_any_method, ..RouteSettings::default() }
    }

    const FIRST: Retries = Retries { count: 0, waited_ms: 0 };

    fn wait(method: &str, retries: Retries, status: u16, retry_after: Option<&str>) -> Option<i64> {
        wait_before(&settings(false), method, retries, (status, false), retry_after, 0)
    }

    #[test]
    fn the_upstreams_time_is_waited_for_up_to_the_routes_bound() {
        assert_eq!(wait("POST", FIRST, 429, Some("5")), Some(5_000));
        assert_eq!(wait("POST", FIRST, 429, Some("6")), None);
        assert_eq!(wait("POST", FIRST, 429, Some("Thu, 01 Jan 1970 00:00:02 GMT")), Some(2_000));
        assert_eq!(wait("POST", FIRST, 429, Some("Thu, 01 Jan 1970 00:00:06 GMT")), None);
        let second = |waited_ms| Retries { count: 1, waited_ms };
        assert_eq!(wait("POST", second(1_000), 429, Some("4")), Some(4_000));
        assert_eq!(wait("POST", second(1_001), 429, Some("4")), None, "the waits of a call count together");
        assert_eq!(wait("POST", FIRST, 429, None), Some(500));
        assert_eq!(wait("POST", second(500), 429, Some("soon")), Some(1_000));
        assert_eq!(wait("POST", Retries { count: 2, waited_ms: 0 }, 429, Some("0")), None, "twice at most");
    }

    #[test]
    fn a_route_that_does_not_say_so_waits_for_nothing() {
        let settings = RouteSettings::default();
        for (status, retry_after) in [(429, None), (429, Some("0")), (429, Some("1")), (503, Some("0"))] {
            assert_eq!(wait_before(&settings, "GET", FIRST, (status, false), retry_after, 0), None);
        }
    }

    #[test]
    fn a_call_that_may_have_been_carried_out_is_sent_again_only_if_that_does_no_harm() {
        for status in [500, 502, 503, 504, 520, 524, 530] {
            assert_eq!(
                (wait("GET", FIRST, status, None), wait("POST", FIRST, status, None)),
                (Some(500), None)
            );
            assert_eq!(
                wait_before(&settings(true), "POST", FIRST, (status, true), None, 0),
                Some(500),
                "{status}"
            );
        }
        assert_eq!(wait("POST", FIRST, 503, Some("1")), Some(1_000), "the upstream says when to come again");
        assert_eq!(wait("POST", FIRST, 503, Some("soon")), None);
        let after_a_failover = |method| wait_before(&settings(false), method, FIRST, (429, true), None, 0);
        assert_eq!((after_a_failover("POST"), after_a_failover("GET")), (None, Some(500)));
        assert_eq!(wait("POST", FIRST, 529, None), Some(500));
        assert_eq!(wait("POST", FIRST, 500, Some("1")), None);
        for other in [200, 301, 400, 401, 403, 404, 408, 501, 505, 531] {
            assert_eq!(
                wait_before(&settings(true), "GET", FIRST, (other, false), Some("1"), 0),
                None,
                "{other}"
            );
        }
    }
}
