//! A circuit breaker: an upstream that failed several times in a row is left alone for a while, then
//! tried by one call.

use crate::time::UnixMs;

/// Failures in a row that open it.
pub const FAILURES: u32 = 5;
/// How long it stays open before one call may try, in ms. A probe that never reports is given up
/// after as long.
pub const OPEN_MS: i64 = 10_000;

/// The state of one route's breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// Open until then, when the next probe may go.
    open_until: Option<UnixMs>,
}

impl Breaker {
    /// Whether a call may go to the upstream. Where it is open and its time is over, this very call is
    /// the probe (half-open), and others are refused until it reports.
    pub fn admits(&mut self, now: UnixMs) -> bool {
        match self.open_until {
            None => true,
            Some(at) if at <= now => {
                self.open_until = Some(now + OPEN_MS);
                true
            }
            Some(_) => false,
        }
    }

    /// Takes down whether a call to the upstream worked.
    pub fn report(&mut self, worked: bool, now: UnixMs) {
        if worked {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.open_until = Some(now + OPEN_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.admits(0));
            breaker.report(false, 0);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_success_between_does_not() {
        let mut breaker = Breaker::default();
        for i in 0..20 {
            assert!(breaker.admits(0));
            breaker.report(i % 3 == 0, 0);
        }
        assert!(!opened().admits(1));
    }

    #[test]
    fn after_its_time_one_call_alone_tries() {
        let mut breaker = opened();
        assert!(breaker.admits(OPEN_MS));
        assert!(!breaker.admits(OPEN_MS + 1), "one probe at a time");
        breaker.report(false, OPEN_MS + 5);
        assert!(!breaker.admits(OPEN_MS + 6), "a failed probe opens it again");
        assert!(breaker.admits(2 * OPEN_MS + 5));
        breaker.report(true, 2 * OPEN_MS + 6);
        assert!(breaker.admits(2 * OPEN_MS + 6) && breaker.admits(2 * OPEN_MS + 6));
    }

    #[test]
    fn a_probe_that_never_reports_is_given_up() {
        let mut breaker = opened();
        assert!(breaker.admits(OPEN_MS));
        assert!(breaker.admits(2 * OPEN_MS));
    }
}
