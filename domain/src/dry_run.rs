//! A dry run: the effect that a change of a policy would have had on recorded calls.
//!
//! [`Calls`] takes calls in. The same token, method, path, address and client program is one *case*, however often it was
//! called. [`run`] then runs [`crate::access::decide`] once for each case by the policy in force and once by the changed
//! one, counts limits over the calls in their order, and sums up the difference.
//!
//! Both policies are asked about a call made **now**. The time of a recorded call decides only which window of a limit it
//! counts in. Secrets are left aside: a secret that was rotated out has made room for another one of the same workflow.

mod calls;
mod change;
mod counted;
pub mod report;
mod sums;
mod texts;

pub use calls::Calls;
pub use change::{Change, Policy, Subject};

use crate::time::UnixMs;
use change::Verdict;
use counted::Counted;
use report::{Refusal, Report};
use sums::Sums;

/// The most calls that one dry run looks at.
pub const MOST_CALLS: usize = 200_000;

/// Decides calls by both policies. `unread` is the time up to which there may be calls that were not taken in.
pub fn run(mut calls: Calls, change: &Change, unread: Option<UnixMs>) -> Report {
    let is_whole = calls.keep_newest(unread);
    let decided: Vec<Option<[Verdict; 2]>> =
        calls.cases().iter().map(|case| change.decide(&calls, case)).collect();
    let counts_limits = change.changes_limits();
    let is_team = change.subject == Subject::Team;
    let mut ledgers = [Counted::default(), Counted::default()];
    let mut sums = Sums::default();
    for row in calls.rows() {
        let Some(case) = calls.cases().get(row.case as usize) else { continue };
        let Some(Some(verdicts)) = decided.get(row.case as usize) else { continue };
        let mut refusals = verdicts.each_ref().map(|verdict| verdict.of(row));
        if counts_limits {
            for ((refusal, verdict), counted) in refusals.iter_mut().zip(verdicts).zip(&mut ledgers) {
                if refusal.is_none() {
                    let limit = counted.refuses(case.token, &verdict.token, is_team, row, verdict.is_metered);
                    *refusal = limit.map(Refusal::Limited);
                }
            }
        }
        sums.add(row, case, refusals);
    }
    let untold = if counts_limits { change.untold() } else { vec![] };
    Report { is_whole, untold, ..sums.report(&calls, change) }
}

#[cfg(test)]
mod tests;
