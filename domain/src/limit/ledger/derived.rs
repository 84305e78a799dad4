//! The calls of derived tokens that may make only so many. Their parent's ledger counts them, so the count is exact.

use super::Ledger;
use crate::limit::wire::DerivedCall;
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// The most derived tokens that are counted at once. Further ones may make no call until others have ended.
const MOST: usize = 1_000;

/// The calls of one derived token: its nonce, those that it has made, when it ends, and the last of them, so that this
/// one may be asked for again after a restart as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted(String, u64, UnixMs, #[serde(default)] String);

impl Ledger {
    /// Counts a call of a derived token, and returns whether it may be made. The same call counts once, so it may be
    /// asked for again. One that a limit refused counts no more.
    pub fn count_derived(&mut self, asked: &DerivedCall, now: UnixMs) -> bool {
        let now = self.advance(now);
        self.derived.retain(|Counted(_, _, ends_at, _)| *ends_at > now);
        let place = self.derived.iter().position(|Counted(nonce, ..)| *nonce == asked.nonce);
        let call = format!("{}/{}", asked.nonce, asked.call);
        let has_room = self.derived.len() < MOST && asked.calls > 0;
        let counted = place.and_then(|place| self.derived.get_mut(place));
        let is_known = self.known.iter().any(|known| known.call == call && !known.has_ended)
            || counted.as_ref().is_some_and(|Counted(.., last)| *last == asked.call);
        if asked.is_refused {
            if is_known {
                self.known.retain(|known| known.call != call);
                if let Some(Counted(_, used, _, last)) = counted {
                    *used = used.saturating_sub(1);
                    if *last == asked.call {
                        last.clear();
                    }
                }
                self.ahead.change(true);
            }
            return false;
        }
        if is_known {
            return true;
        }
        if asked.ends_at <= now {
            return false;
        }
        match counted {
            Some(Counted(_, used, _, last)) if *used < asked.calls => {
                *used += 1;
                last.clone_from(&asked.call);
            }
            None if has_room => {
                self.derived.push(Counted(asked.nonce.clone(), 1, asked.ends_at, asked.call.clone()));
            }
            _ => return false,
        }
        self.remember(&call, false, now);
        self.ahead.change(true);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::HOUR_MS;

    fn asked(call: &str, nonce: &str) -> DerivedCall {
        DerivedCall { call: call.into(), nonce: nonce.into(), calls: 2, ends_at: HOUR_MS, is_refused: false }
    }

    fn restarted(ledger: &Ledger) -> Ledger {
        serde_json::from_str(&serde_json::to_string(ledger).unwrap()).unwrap()
    }

    #[test]
    fn a_derived_token_makes_as_many_calls_as_it_may_also_after_a_restart() {
        let mut ledger = Ledger::default();
        assert!(ledger.count_derived(&asked("a", "n"), 1));
        assert!(ledger.needs_saving(1), "before the response goes out");
        ledger.go_ahead(1);
        assert!(ledger.count_derived(&asked("a", "n"), 2), "asked for again");
        assert!(!ledger.needs_saving(2));
        let mut ledger = restarted(&ledger);
        assert!(ledger.count_derived(&asked("b", "n"), 3));
        assert!(!ledger.count_derived(&asked("c", "n"), 4));
        assert!(ledger.count_derived(&asked("c", "other"), 4), "each is counted by itself");
    }

    #[test]
    fn the_last_call_may_be_asked_for_again_after_a_restart() {
        let mut ledger = Ledger::default();
        let one = |call| DerivedCall { calls: 1, ..asked(call, "n") };
        assert!(ledger.count_derived(&one("a"), 1));
        let mut ledger = restarted(&ledger);
        assert!(ledger.count_derived(&one("a"), 2), "its response was lost");
        assert!(!ledger.count_derived(&one("b"), 2));
        let refused = DerivedCall { is_refused: true, ..one("a") };
        let mut ledger = restarted(&ledger);
        for _ in 0..2 {
            assert!(!ledger.count_derived(&refused, 3));
        }
        assert!(ledger.count_derived(&one("b"), 3), "given back");
        assert!(!ledger.count_derived(&one("c"), 3), "once");
        let saved = serde_json::to_string(&ledger).unwrap().replace(r#","b"]"#, "]");
        let mut ledger: Ledger = serde_json::from_str(&saved).unwrap();
        assert!(!ledger.count_derived(&one("b"), 4), "saved without it");
    }

    #[test]
    fn a_call_that_a_limit_refused_can_be_made_once_more() {
        let mut ledger = Ledger::default();
        let refused = DerivedCall { is_refused: true, ..asked("a", "n") };
        for call in ["a", "b"] {
            assert!(ledger.count_derived(&asked(call, "n"), 1));
        }
        for _ in 0..3 {
            assert!(!ledger.count_derived(&refused, 2));
        }
        assert!(ledger.count_derived(&asked("c", "n"), 3));
        assert!(!ledger.count_derived(&asked("d", "n"), 3), "taken back once");
    }

    #[test]
    fn the_counts_are_bounded_and_forgotten_at_their_end() {
        let mut ledger = Ledger::default();
        for n in 0..MOST {
            assert!(ledger.count_derived(&asked("a", &n.to_string()), 1));
        }
        assert!(!ledger.count_derived(&asked("a", "more"), 1));
        assert!(ledger.count_derived(&asked("b", "7"), 1));
        assert!(!ledger.count_derived(&asked("b", "8"), HOUR_MS), "it has ended");
        assert!(ledger.derived.is_empty());
    }
}
