//! The choice among the credentials of a pool, and how long one rests that was refused.

use super::failover::Attempted;
use crate::call::attempt::AttemptFault;
use crate::error::GatewayError;
use crate::time::{DAY_MS, Date, HOUR_MS, MINUTE_MS, SECOND_MS, UnixMs};

/// The time for which a credential rests after 401, or after the refusal to issue its token.
const AFTER_401_MS: i64 = MINUTE_MS;
/// The time for which it rests after 429 without a `Retry-After` that can be read.
const AFTER_429_MS: i64 = 10 * SECOND_MS;
/// The longest rest.
const LONGEST_MS: i64 = DAY_MS;

/// Returns the status by which an upstream refuses the credential, or has too many calls of it. A credential whose token
/// cannot be fetched is refused, too.
pub fn refusal(attempted: Attempted) -> Option<u16> {
    match attempted {
        Ok(status) => matches!(status, 401 | 429).then_some(status),
        Err(AttemptFault::NotSent(GatewayError::CredentialUnavailable)) => {
            Some(GatewayError::CredentialUnavailable.status())
        }
        Err(_) => None,
    }
}

/// Whether the client gets the earlier of two refusals: 429 tells it to come again, 401 would blame its own token, and
/// either says more than that no token could be fetched.
pub fn keeps_earlier(earlier: Attempted, later: Attempted) -> bool {
    let weight = |attempted| match attempted {
        Ok(429) => 2,
        Ok(_) => 1,
        Err(_) => 0,
    };
    weight(earlier) > weight(later)
}

/// The rests of a pool's credentials and whose turn it is, as an isolate knows them.
#[derive(Debug)]
pub struct Rests {
    /// When each began to rest, and until when it does.
    rests: Vec<(UnixMs, UnixMs)>,
    turn: usize,
}

impl Rests {
    /// Begins with `count` credentials that do not rest. Isolates begin with different ones, by the time.
    pub fn new(count: usize, now: UnixMs) -> Self {
        Self {
            rests: vec![(0, 0); count],
            turn: usize::try_from(now).unwrap_or(0).checked_rem(count).unwrap_or(0),
        }
    }

    /// Chooses the credential for a call that has `tried` others. If all rest, the one whose rest ends first is tried, and
    /// no other: the upstream then has the word.
    pub fn choose(&mut self, in_turn: bool, tried: &[usize], now: UnixMs) -> Option<usize> {
        let count = self.rests.len();
        let begin = if in_turn { self.turn } else { 0 };
        let order = || (0..count).map(|i| (begin + i) % count);
        let until = |at: &usize| self.rests.get(*at).map_or(0, |(_, until)| *until);
        let rested = order().find(|at| !tried.contains(at) && until(at) <= now);
        let chosen = rested.or_else(|| order().min_by_key(until).filter(|_| tried.is_empty()))?;
        if in_turn && tried.is_empty() {
            self.turn = chosen + 1;
        }
        Some(chosen)
    }

    /// Notes that the upstream refused the credential with this status.
    pub fn refused(&mut self, at: usize, status: u16, retry_after: Option<&str>, now: UnixMs) {
        let rest_ms = match status {
            429 => retry_after.and_then(|text| wait_ms(text, now)).unwrap_or(AFTER_429_MS),
            _ => AFTER_401_MS,
        };
        if let Some(rest) = self.rests.get_mut(at) {
            *rest = (now, now + rest_ms.min(LONGEST_MS));
        }
    }

    /// Notes that the credential served a call that chose it at `chosen`. A refusal since then stands.
    pub fn served(&mut self, at: usize, chosen: UnixMs) {
        if let Some(rest) = self.rests.get_mut(at).filter(|(since, _)| *since <= chosen) {
            *rest = (0, 0);
        }
    }

    /// Whether a credential rests.
    pub fn has_any(&self, now: UnixMs) -> bool {
        self.rests.iter().any(|(_, until)| *until > now)
    }
}

/// Reads a `Retry-After`: seconds, or a date as HTTP writes it (RFC 9110, section 10.2.3). Returns milliseconds from `now`.
pub fn wait_ms(text: &str, now: UnixMs) -> Option<i64> {
    let text = text.trim();
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    seconds.map(|seconds| i64::from(seconds) * SECOND_MS).or_else(|| Some((http_date(text)? - now).max(0)))
}

/// Reads the preferred form of a date, `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<UnixMs> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.strip_suffix(" GMT")?.split_once(", ")?.1.split([' ', ':']);
    let number = |word: Option<&str>| word?.parse::<u16>().ok().map(i64::from);
    let day = number(words.next())?;
    let month = MONTHS.find(words.next().filter(|word| word.len() == 3)?)?;
    let year = number(words.next())?;
    let [hour, minute, second] = [number(words.next())?, number(words.next())?, number(words.next())?];
    let date = Date { year, month: i64::try_from(month / 3).ok()? + 1, day };
    Some(date.start() + hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = 1_800_000_000_000;

    #[test]
    fn the_first_serves_until_it_is_refused_and_again_after_its_rest() {
        let mut rests = Rests::new(3, NOW);
        assert_eq!(rests.choose(false, &[], NOW), Some(0));
        rests.refused(0, 429, Some("30"), NOW);
        assert_eq!(rests.choose(false, &[0], NOW), Some(1));
        rests.refused(1, 401, None, NOW);
        assert_eq!(rests.choose(false, &[0, 1], NOW), Some(2));
        assert_eq!(rests.choose(false, &[], NOW + 29_999), Some(2), "the first still rests");
        assert_eq!(rests.choose(false, &[], NOW + 30_000), Some(0));
        rests.refused(0, 429, None, NOW + 30_000);
        assert_eq!(rests.choose(false, &[], NOW + 59_999), Some(0), "ten seconds without a Retry-After");
        assert_eq!(rests.choose(false, &[0, 2], NOW + 59_999), None, "the second rests a minute after 401");
        assert_eq!(rests.choose(false, &[0, 2], NOW + 60_000), Some(1));
    }

    #[test]
    fn in_turn_each_gets_its_share_and_one_that_rests_is_left_out() {
        let mut rests = Rests::new(3, 0);
        let turns = |rests: &mut Rests| [(); 4].map(|()| rests.choose(true, &[], NOW).unwrap());
        assert_eq!(turns(&mut rests), [0, 1, 2, 0]);
        rests.refused(2, 429, Some("5"), NOW);
        assert_eq!(turns(&mut rests), [1, 0, 1, 0]);
    }

    #[test]
    fn if_all_rest_only_the_one_whose_rest_ends_first_is_tried() {
        let mut rests = Rests::new(2, NOW);
        rests.refused(0, 429, Some("60"), NOW);
        rests.refused(1, 429, Some("20"), NOW);
        assert_eq!(rests.choose(false, &[], NOW), Some(1));
        assert_eq!(rests.choose(false, &[1], NOW), None);
        assert!(rests.has_any(NOW + 59_999) && !rests.has_any(NOW + 60_000));
        rests.served(1, NOW - 1);
        assert!(rests.has_any(NOW + 19_999), "it was chosen before it was refused");
        rests.served(1, NOW);
        assert_eq!(rests.choose(false, &[1], NOW), None);
        assert_eq!(rests.choose(false, &[], NOW), Some(1), "it served, so it no longer rests");
        assert_eq!(Rests::new(0, NOW).choose(true, &[], NOW), None);
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        assert_eq!(wait_ms(" 7 ", NOW), Some(7_000));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(wait_ms("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770_000), Some(7_000));
        assert_eq!(wait_ms("Sun, 06 Nov 1994 08:49:37 GMT", NOW), Some(0), "it is past");
        for unreadable in
            ["", "soon", "-1", "1.5", "99999999999", "06 Nov 1994", "Sun, 06 nov 1994 08:49:37 GMT"]
        {
            assert_eq!(wait_ms(unreadable, NOW), None, "{unreadable}");
        }
        let mut rests = Rests::new(1, NOW);
        rests.refused(0, 429, Some("4294967295"), NOW);
        assert!(!rests.has_any(NOW + LONGEST_MS), "no rest is longer than a day");
    }

    #[test]
    fn of_two_refusals_429_comes_before_401() {
        let unavailable = Err(AttemptFault::NotSent(GatewayError::CredentialUnavailable));
        assert_eq!((refusal(Ok(401)), refusal(Ok(429)), refusal(Ok(403))), (Some(401), Some(429), None));
        assert_eq!((refusal(unavailable), refusal(Err(AttemptFault::Timeout))), (Some(502), None));
        assert!(keeps_earlier(Ok(429), Ok(401)) && keeps_earlier(Ok(429), unavailable));
        assert!(keeps_earlier(Ok(401), unavailable) && !keeps_earlier(unavailable, Ok(401)));
        assert!(!keeps_earlier(Ok(401), Ok(429)) && !keeps_earlier(Ok(429), Ok(429)));
    }
}
