//! Counts the operations of one invocation against the platform's limits.
//!
//! Workers allows 1,000 KV operations and 1,000 D1 queries an invocation, and fails any beyond that.
//! [`crate::publish::Kv`] counts every KV operation and [`crate::db::Db`] every query, so no caller can forget to.

use std::cell::Cell;
use std::rc::Rc;

/// The most that an invocation may use of each. A tenth of the platform's limit is left for the end of a run.
const LIMIT: u32 = 900;

/// The counts of one invocation, shared by all of its parts.
#[derive(Clone, Debug, Default)]
pub struct Budget(Rc<Spent>);

#[derive(Debug, Default)]
struct Spent {
    kv: Cell<u32>,
    d1: Cell<u32>,
}

impl Budget {
    pub fn kv_left(&self) -> u32 {
        LIMIT.saturating_sub(self.0.kv.get())
    }

    pub fn d1_left(&self) -> u32 {
        LIMIT.saturating_sub(self.0.d1.get())
    }

    /// Counts one KV operation if more than `reserve` are left. Returns whether it may be made.
    pub fn take_kv(&self, reserve: u32) -> bool {
        let may = self.kv_left() > reserve;
        if may {
            self.0.kv.set(self.0.kv.get().saturating_add(1));
        }
        may
    }

    pub fn note_d1(&self, queries: usize) {
        self.0.d1.set(self.0.d1.get().saturating_add(u32::try_from(queries).unwrap_or(u32::MAX)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_stops_below_the_platforms_limits() {
        let budget = Budget::default();
        let shared = budget.clone();
        let made = (0..2_000).filter(|_| shared.take_kv(100)).count();
        assert_eq!((made, budget.kv_left()), (800, 100));
        assert_eq!((0..2_000).filter(|_| budget.take_kv(0)).count(), 100);
        budget.note_d1(899);
        assert_eq!(budget.d1_left(), 1);
        budget.note_d1(50);
        assert_eq!(budget.d1_left(), 0);
    }
}
