//! The times at which an isolate polls, and how long it may rely on what it was told.

use crate::time::UnixMs;

/// The time for which a poll confirms what an isolate holds, from the poll's beginning.
pub const CONFIRMED_MS: i64 = 5_000;
/// The time that a call waits for a poll, from the poll's beginning.
pub const WAIT_MS: i64 = 250;
/// The time after which a poll is given up. A poll's request may have been cut, so nobody else may say so.
const LOST_MS: i64 = 5_000;
/// The time for which no call waits again after a poll that failed or was waited for in vain, unless one was quick since.
const PATIENCE_MS: i64 = 10_000;

/// The polls of one isolate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    begun_at: Option<UnixMs>,
    is_running: bool,
    confirmed_at: Option<UnixMs>,
    current_at: Option<UnixMs>,
    failed_at: Option<UnixMs>,
}

/// The state of an isolate at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether what the isolate holds may be served at once.
    pub is_confirmed: bool,
    /// Whether this call must begin a poll. It counts as begun.
    pub begins: bool,
}

impl Pulse {
    /// Looks whether the isolate's values are confirmed, and begins a poll if the last one began `every_ms` ago.
    pub fn look(&mut self, now: UnixMs, every_ms: i64) -> Look {
        let since_begun = self.begun_at.map(|at| now.saturating_sub(at));
        let begins =
            since_begun.is_none_or(|ms| ms >= if self.is_running { LOST_MS.max(every_ms) } else { every_ms });
        if begins {
            self.begun_at = Some(now);
            self.is_running = true;
        }
        Look { is_confirmed: self.is_confirmed(now), begins }
    }

    /// Whether a poll that began within [`CONFIRMED_MS`] has ended well.
    pub fn is_confirmed(&self, now: UnixMs) -> bool {
        self.confirmed_at.is_some_and(|at| now.saturating_sub(at) < CONFIRMED_MS)
    }

    /// Returns when the last poll had begun by which everything that has changed is known.
    pub fn current_at(&self) -> Option<UnixMs> {
        self.current_at
    }

    /// Whether a poll failed, or was waited for in vain, and none was quick since.
    pub fn is_failing(&self) -> bool {
        self.failed_at.is_some()
    }

    /// Whether a call may wait for the poll that is under way. Notes the first that has waited in vain.
    pub fn may_wait(&mut self, now: UnixMs) -> bool {
        let Some(begun_at) = self.begun_at.filter(|_| self.is_running) else { return false };
        if self.failed_at.is_some_and(|at| now.saturating_sub(at) < PATIENCE_MS) {
            return false;
        }
        let may = now.saturating_sub(begun_at) < WAIT_MS;
        if !may {
            self.failed_at = Some(now);
        }
        may
    }

    /// Notes the end of the poll that began at `begun_at`: `is_fed` as its response says it, `None` if there is none.
    /// Returns whether its response counts: one that was given up and overtaken does not.
    pub fn ended(&mut self, begun_at: UnixMs, is_fed: Option<bool>, now: UnixMs) -> bool {
        if self.begun_at == Some(begun_at) {
            self.is_running = false;
        }
        let Some(is_fed) = is_fed else {
            self.failed_at = Some(now);
            return false;
        };
        let is_newest = self.confirmed_at.is_none_or(|at| at < begun_at);
        if is_newest {
            self.confirmed_at = Some(begun_at);
            if is_fed {
                self.current_at = Some(begun_at);
            }
            // Calls have waited in vain for a slower one, and would do so for the next.
            if now.saturating_sub(begun_at) < WAIT_MS {
                self.failed_at = None;
            }
        }
        is_newest
    }
}
