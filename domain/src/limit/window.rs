//! Sliding windows that count calls.
//!
//! A window has [`SLOTS`] slots. A slot counts until the last instant that it could hold has left the window, so no
//! window of that length ever sees more calls than the limit, and a call waits at most 1/50 of the window longer than
//! necessary.

use crate::time::UnixMs;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Slots of a sliding window.
pub(super) const SLOTS: i64 = 50;

/// Calls per slot, oldest first; slots without calls are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sliding(VecDeque<(i64, u64)>);

impl Sliding {
    /// Returns when a slot stops counting.
    fn leaves_at(slot: i64, window_ms: i64) -> UnixMs {
        (slot + 1) * (window_ms / SLOTS) + window_ms
    }

    /// Forgets the slots that have left the window.
    pub(super) fn forget(&mut self, window_ms: i64, now: UnixMs) {
        while self.0.front().is_some_and(|(slot, _)| Self::leaves_at(*slot, window_ms) <= now) {
            self.0.pop_front();
        }
    }

    /// Returns the calls in the window.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Returns when fewer than `limit` calls are left in the window.
    pub(super) fn free_at(&self, limit: u64, window_ms: i64, now: UnixMs) -> UnixMs {
        let mut left = self.count();
        for (slot, count) in &self.0 {
            if left < limit {
                break;
            }
            left -= count;
            if left < limit {
                return Self::leaves_at(*slot, window_ms);
            }
        }
        now
    }

    /// Counts a call.
    pub(super) fn add(&mut self, window_ms: i64, now: UnixMs) {
        let slot = now / (window_ms / SLOTS);
        match self.0.back_mut() {
            Some((last, count)) if *last >= slot => *count += 1,
            _ => self.0.push_back((slot, 1)),
        }
    }
}
