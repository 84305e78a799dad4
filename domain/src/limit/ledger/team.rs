//! A team's budget, which the calls of all its tokens use.
//!
//! The team has a ledger of its own. Each token's ledger holds a slice of it and lets in only calls that fit into that
//! slice as well. It reports what it has spent and what it holds as an isolate does, so the team's budget is passed by
//! less than one reservation, however many tokens the team has.

use super::{Ask, Ledger};
use crate::limit::Measure;
use crate::limit::wire::{Granted, Lease, LimitUse, Limited, Report, Slice, Take, TeamBudget};
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// How long a token uses its slice before it reports, in ms.
const SLICE_MS: i64 = 10_000;
/// A token's slice is this part of what is left of a budget, and at least one reservation.
const SLICE: u64 = 100;
/// If many calls wait, it is at most this part.
const PART: u64 = 16;
/// More reports than are made between two saves.
const MOST_UNSAVED: u64 = 1_000_000;
const EVERYTHING: Ask = Ask { tokens: u64::MAX, micros: u64::MAX };

/// The state of a token's ledger towards its team's budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Credit {
    /// The team's id, and the token's.
    team: String,
    token: String,
    /// Amounts that the token's calls have ever spent.
    pub ever: Ask,
    /// Number of the last report.
    seq: u64,
    /// Up to where it and what the token holds may go, and until when. After a restart nothing is left.
    #[serde(skip)]
    limit: Ask,
    #[serde(skip)]
    ends_at: UnixMs,
    /// When the team is to hear what has changed.
    #[serde(skip)]
    report_at: Option<UnixMs>,
}

impl Credit {
    /// Begins anew from what was saved: later reports than that one were made, and what they said is not known.
    pub fn restart(&mut self, now: UnixMs) {
        self.seq += MOST_UNSAVED;
        self.report_at = Some(now);
    }

    pub fn report_at(&self) -> Option<UnixMs> {
        self.report_at
    }
}

impl Ledger {
    /// Returns what the token may still lend of its team's budget; everything if there is none.
    pub(super) fn spare_of_team(&self, take: &Take) -> Ask {
        let (Some(budget), Some(team)) = (&take.team, &self.team) else { return EVERYTHING };
        let spare = team.limit.less(team.ever.plus(self.out()));
        let bounds = |is: fn(Measure) -> bool| budget.limits.iter().any(|(kind, _)| is(kind.measure()));
        Ask {
            tokens: if bounds(Measure::bounds_ai_tokens) { spare.tokens } else { u64::MAX },
            micros: if bounds(Measure::bounds_cost) { spare.micros } else { u64::MAX },
        }
    }

    /// Whether the team must be asked before the call can be let in.
    pub fn needs_team(&mut self, take: &Take, now: UnixMs) -> bool {
        if take.team.is_none() {
            self.team = None;
        }
        if take.team.is_none() || take.ask.is_zero() {
            return false;
        }
        let now = self.prepare(&take.limits, take.zone, now);
        let has_room = self.team.as_ref().is_some_and(|team| team.ends_at > now)
            && take.ask.fits(self.spare_of_team(take));
        !has_room && self.open.get(&take.call).is_none()
    }

    /// Returns the report of this token to its team.
    pub fn report_to(&mut self, budget: &TeamBudget, now: UnixMs) -> Report {
        let team = self.team.get_or_insert_default();
        (team.team, team.token) = (budget.id.to_string(), budget.token.to_string());
        self.report_of_token(now).1
    }

    /// Returns the team's id and what it is to hear now, if anything.
    pub fn report_due(&mut self, now: UnixMs) -> Option<(String, Report)> {
        let now = self.advance(now);
        self.team.as_ref()?.report_at.filter(|at| *at <= now)?;
        Some(self.report_of_token(now))
    }

    fn report_of_token(&mut self, now: UnixMs) -> (String, Report) {
        let out = self.out();
        let team = self.team.get_or_insert_default();
        team.seq = now.unsigned_abs().max(team.seq + 1);
        team.report_at = None;
        let used = team.ever.plus(out);
        if team.ends_at <= now {
            team.limit = used;
        }
        let free = team.limit.less(used);
        let (from, spent) = (team.token.clone(), team.ever);
        (team.team.clone(), Report { from, seq: team.seq, spent, held: out, free, ..Report::default() })
    }

    /// Notes the slice that the team has lent, in response to the report `seq` of `asked_at`. If another report was made
    /// since, that has given the slice back.
    pub fn lent_by_team(&mut self, seq: u64, granted: &Granted, asked_at: UnixMs) {
        let Some(lease) = granted.lease else { return };
        let Some(team) = self.team.as_mut().filter(|team| team.seq == seq) else { return };
        team.limit = team.limit.plus(lease.slice);
        team.ends_at = asked_at + lease.ms;
        self.tell_team(asked_at);
    }

    /// Has the team hear of what has changed, soon.
    pub fn tell_team(&mut self, now: UnixMs) {
        if let Some(team) = &mut self.team {
            team.report_at = team.report_at.or(Some(now + SLICE_MS));
        }
    }

    /// Lends a token a slice of this budget, at least what it asks for. No lease in the response: a later report has come before.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn slice(
        &mut self,
        Slice { report, limits, ask, need, zone }: &Slice,
        now: UnixMs,
    ) -> Result<Granted, Box<Limited>> {
        let (now, ask, need) = (self.prepare(limits, *zone, now), *ask, *need);
        if !self.hear(report, now) {
            return Ok(Granted::default());
        }
        self.check(limits, !ask.fits(report.free), now)?;
        let (uses, idle) = (self.uses_but(None, limits, now), self.lent_free());
        let part = |is: fn(Measure) -> bool, idle: u64, ask: u64, need: u64| {
            let left = uses.iter().filter(|used| is(used.kind.measure())).map(LimitUse::remaining).min();
            left.filter(|left| *left >= idle.saturating_mul(2))
                .map_or(ask, |left| ask.max((left / SLICE).max(need.min(left / PART))))
        };
        let slice = Ask {
            tokens: part(Measure::bounds_ai_tokens, idle.tokens, ask.tokens, need.tokens),
            micros: part(Measure::bounds_cost, idle.micros, ask.micros, need.micros),
        };
        let slice = slice.less(report.free);
        let ms = self.within_periods(SLICE_MS, now);
        self.hand_out_slice(&report.from, slice, now);
        let lease = Some(Lease { ms, slice, ..Lease::default() });
        Ok(Granted { uses, lease, ..Granted::default() })
    }
}
