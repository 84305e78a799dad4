//! Use in days, weeks and months.

use super::{Ask, Zone};
use crate::limit::Period;
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// Use in one period, named by its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Spent {
    pub ends_at: UnixMs,
    pub calls: u64,
    pub tokens: u64,
    pub micros: u64,
}

impl Spent {
    /// Begins anew if the period has ended. Returns whether it had.
    pub fn roll(&mut self, zone: &Zone, period: Period, now: UnixMs) -> bool {
        let ended = now >= self.ends_at;
        if ended {
            *self = Self { ends_at: zone.end(period, now), ..Self::default() };
        }
        ended
    }

    pub fn add(&mut self, used: Ask) {
        self.tokens = self.tokens.saturating_add(used.tokens);
        self.micros = self.micros.saturating_add(used.micros);
    }
}
