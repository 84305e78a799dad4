//! Sliding windows that count calls or AI tokens.
//!
//! A window has [`SLOTS`] slots. A slot counts until the last instant that it could hold has left the window, so no
//! window of that length ever sees more than the limit, and a call waits at most 1/50 of the window longer than
//! necessary.

use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// Slots of a sliding window.
pub(super) const SLOTS: i64 = 50;

/// Amounts per slot, oldest first; empty slots are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sliding(Vec<(i64, u64)>);

impl Sliding {
    /// Returns when a slot stops counting.
    fn leaves_at(slot: i64, window_ms: i64) -> UnixMs {
        (slot + 1) * (window_ms / SLOTS) + window_ms
    }

    /// Forgets the slots that have left the window.
    pub(super) fn forget(&mut self, window_ms: i64, now: UnixMs) {
        self.0.retain(|(slot, _)| Self::leaves_at(*slot, window_ms) > now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the amount in the window.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Returns when less than `limit` is left in the window.
    pub(super) fn free_at(&self, limit: u64, window_ms: i64, now: UnixMs) -> UnixMs {
        let mut left = self.count();
        for (slot, count) in &self.0 {
            if left < limit {
                break;
            }
            left = left.saturating_sub(*count);
            if left < limit {
                return Self::leaves_at(*slot, window_ms);
            }
        }
        now
    }

    /// Counts an amount at `at`. Later slots may be there already: what a lease or a restart may still use is counted at
    /// its end.
    pub(super) fn add(&mut self, amount: u64, window_ms: i64, at: UnixMs) {
        let slot = at / (window_ms / SLOTS);
        let place = self.0.partition_point(|(known, _)| *known < slot);
        match self.0.get_mut(place) {
            _ if amount == 0 => {}
            Some((known, count)) if *known == slot => *count = count.saturating_add(amount),
            _ => self.0.insert(place, (slot, amount)),
        }
    }

    /// Takes an amount back that was counted at `at`. It may lie in a later slot; taking it from an earlier one lets the
    /// rest count longer, never shorter.
    pub(super) fn take_back(&mut self, mut amount: u64, window_ms: i64, at: UnixMs) {
        let first = at / (window_ms / SLOTS);
        for (_, count) in self.0.iter_mut().filter(|(slot, _)| *slot >= first) {
            let taken = amount.min(*count);
            *count -= taken;
            amount -= taken;
        }
        self.0.retain(|(_, count)| *count > 0);
    }
}
