//! Calls of the past, counted one after the other, for a dry run.

use super::{Ask, Ledger, Zone};
use crate::limit::{LimitKind, Limits};
use crate::time::UnixMs;

impl Ledger {
    /// Returns the limit that refuses a call which came at `at`.
    pub(crate) fn reaches(
        &mut self,
        limits: &Limits,
        zone: Zone,
        costs: bool,
        at: UnixMs,
    ) -> Option<LimitKind> {
        let now = self.prepare(limits, zone, at);
        self.check(limits, costs, now).err().map(|limited| limited.kind)
    }

    /// Counts a call that [`Ledger::reaches`] has let in, as if it had ended at once.
    pub(crate) fn note(&mut self, limits: &Limits, used: Ask, at: UnixMs) {
        self.count(limits, 1, at);
        self.spend(used, at);
    }
}
