//! How long an isolate collects calls before it sends them.
//!
//! A message costs the same with one call as with fifty, so a busy isolate waits longer.

use crate::time::{SECOND_MS, UnixMs};

/// Calls in a window from which an isolate is busy.
const BUSY_CALLS: u32 = 4;
/// Width of a window: four calls in it are two a second.
const WINDOW_MS: i64 = 2 * SECOND_MS;
/// How long a busy isolate collects, in ms.
const BUSY_FLUSH_MS: i64 = 2 * SECOND_MS;

/// Calls of the current window and of the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    window: i64,
    calls: u32,
    before: u32,
}

impl Pace {
    /// Notes a call at the time `now`, unix ms.
    pub fn note(&mut self, now: UnixMs) {
        let window = now.div_euclid(WINDOW_MS);
        if window != self.window {
            self.before = if window == self.window + 1 { self.calls } else { 0 };
            (self.window, self.calls) = (window, 0);
        }
        self.calls = self.calls.saturating_add(1);
    }

    /// Returns how long to collect, in ms; `least_ms` if fewer than two calls a second come.
    pub fn flush_ms(&self, least_ms: i64) -> i64 {
        if self.before.max(self.calls) >= BUSY_CALLS { BUSY_FLUSH_MS.max(least_ms) } else { least_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_pace(pause_ms: i64) -> i64 {
        let mut pace = Pace::default();
        for call in 0..20 {
            pace.note(1_000_000 + call * pause_ms);
        }
        pace.flush_ms(500)
    }

    #[test]
    fn an_isolate_with_two_calls_a_second_collects_for_two_seconds() {
        assert_eq!([10, 100, 500].map(at_pace), [2_000; 3]);
        assert_eq!([600, 1_000, 5_000].map(at_pace), [500; 3]);
    }

    #[test]
    fn a_pause_ends_the_rush() {
        let mut pace = Pace::default();
        (0..50).for_each(|call| pace.note(call));
        pace.note(60_000);
        assert_eq!(pace.flush_ms(500), 500);
    }
}
