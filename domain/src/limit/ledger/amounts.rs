//! Everything that a ledger grants, as numbers.

use super::Ask;
use serde::{Deserialize, Serialize};

/// Amounts that a ledger has granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Amounts {
    pub calls: u64,
    #[serde(flatten)]
    pub held: Ask,
    pub slots: u64,
    pub share: u64,
}

impl Amounts {
    pub fn with(self, other: Self, f: fn(u64, u64) -> u64) -> Self {
        Self {
            calls: f(self.calls, other.calls),
            held: self.held.with(other.held, f),
            slots: f(self.slots, other.slots),
            share: f(self.share, other.share),
        }
    }

    pub fn fits(self, other: Self) -> bool {
        self.with(other, u64::saturating_sub) == Self::default()
    }
}
