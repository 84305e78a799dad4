//! The ledger of one token, or of one team's budget: what is used, and whether one more call fits.
//!
//! One ledger exists per limited token and sees what is asked of it one after the other, so its decisions are exact. It
//! is plain data that is saved ahead of need, so it continues after a restart.
//!
//! **Rates** count in sliding windows.
//!
//! **Budgets** (AI tokens, money) are reserved before the call, at the most that it can cost, and settled when its
//! response has ended. A call is let in while the spent and the reserved amounts together are below the limit. So the
//! limit is exceeded by less than one reservation, however many calls run at once. A reservation that is never settled
//! ends after its lease and stays spent in full.
//!
//! **Leases** let an isolate decide by itself for a moment ([`lend`]). Whatever is lent counts as used, so no limit is
//! passed, and what is unused comes back with the next report.

mod amounts;
mod by_name;
mod derived;
mod lend;
mod period;
mod replay;
mod saved;
mod team;

pub use super::wire::{
    Ask, Command, DerivedCall, Granted, Lease, LimitUse, Limited, Report, Settlement, Slice, Take,
    TeamBudget, Wish, headers, retry_after_s,
};
pub use super::zone::Zone;

use super::window::Sliding;
use super::{LimitKind, Limits, Measure, Period};
use crate::stored::Unread;
use crate::time::{DAY_MS, MINUTE_MS, SECOND_MS, UnixMs};
use amounts::Amounts;
use by_name::ByName;
use derived::Counted;
use lend::Holder;
use period::Spent;
use saved::{Ahead, Saved};
use serde::{Deserialize, Serialize};
use team::Credit;

/// Time for which a call is told to wait if too many others run.
const CONCURRENT_RETRY_MS: i64 = 1_000;
/// Time for which a reservation waits for its settlement or for another word of its call.
pub const LEASE_MS: i64 = 15 * MINUTE_MS;
/// Time for which an ended call is known, so that what was asked of it and comes late changes nothing.
const REMEMBER_MS: i64 = MINUTE_MS;
/// The most calls that are remembered.
const MOST_REMEMBERED: usize = 1_024;

/// An amount held for a call, or lent to an isolate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Reservation {
    #[serde(flatten)]
    held: Ask,
    ends_at: UnixMs,
    /// Set if it is held by leases. Versions without leases read a call of the same amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
}

impl Reservation {
    fn slots(&self) -> u64 {
        self.holder.as_ref().map_or(1, |holder| holder.slots)
    }
}

/// A reservation that ended before its settlement came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Late {
    /// The amount that it has cost so far.
    charged: Ask,
    /// Amounts that its holder had reported as spent before.
    spent: Ask,
    forget_at: UnixMs,
}

/// A call of which something was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    call: String,
    at: UnixMs,
    /// Whether it was settled.
    has_ended: bool,
}

/// Usage, open reservations and leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct Ledger {
    /// By the limit's name; those of a newer version are kept untouched.
    windows: ByName<Sliding>,
    day: Spent,
    /// `None` while nothing is limited by the week.
    week: Option<Spent>,
    month: Spent,
    /// By the call's id, or by that of an isolate or a token.
    open: ByName<Reservation>,
    late: ByName<Late>,
    /// `None` while no team's budget counts.
    team: Option<Credit>,
    /// Derived tokens that may make only so many calls.
    derived: Vec<Counted>,
    /// The latest time seen: a clock that steps back must not free anything.
    clock: UnixMs,
    zone: Zone,
    unread: Unread,
    /// The calls of the last minute, as far as they fit. Not saved.
    known: Vec<Known>,
    /// The newest version of the token's record. Not saved.
    version: u64,
    ahead: Ahead,
}

impl Ledger {
    /// Lets one more call in, or says which limit is reached. A call that was let in is let in again and counted once,
    /// so it may be asked for again if the response was lost.
    ///
    /// # Errors
    /// The limit that frees last, since before that the call would be refused again.
    pub fn take(&mut self, take: &Take, now: UnixMs) -> Result<Granted, Box<Limited>> {
        let now = self.prepare(&take.limits, take.zone, now);
        self.version = self.version.max(take.version);
        self.ahead.bound_by(&take.limits, take.wish.is_some());
        let wish = take.wish.as_ref().filter(|wish| self.hear(&wish.report, now) && wish.calls > 0);
        let granted = |ledger: &Self, to_settle, lease: Option<Lease>| {
            let but = take.wish.as_ref().filter(|_| lease.is_some()).map(|wish| wish.report.from.as_str());
            Granted {
                uses: ledger.uses_but(but, &take.limits, now),
                to_settle,
                lease,
                version: ledger.version,
            }
        };
        if self.open.get(&take.call).is_some() {
            return Ok(granted(self, true, None));
        }
        let costs = !take.ask.is_zero();
        let known = self.known.iter().rev().find(|known| known.call == take.call);
        let (is_known, has_ended) = (known.is_some(), known.is_some_and(|known| known.has_ended));
        if !take.call.is_empty() && !is_known {
            self.check(&take.limits, costs, now)?;
            self.count(&take.limits, 1, now);
            self.remember(&take.call, false, now);
        }
        if let Some(lease) = wish.and_then(|wish| self.lend(take, wish, now)) {
            return Ok(granted(self, false, Some(lease)));
        }
        let holds = costs || take.limits.concurrent_calls.is_some();
        let to_settle = holds && !has_ended && !take.call.is_empty();
        if to_settle {
            self.ahead.grant(Amounts { held: take.ask, slots: 1, ..Amounts::default() });
            let held = Reservation { held: take.ask, ends_at: now + LEASE_MS, holder: None };
            self.open.insert(&take.call, held);
        }
        Ok(granted(self, to_settle, None))
    }

    /// Ends a reservation. A settlement may be sent again. One that comes after the reservation's end adds what that
    /// was too low by; one that comes before its call lets that call hold nothing. Returns whether it was open.
    pub fn settle(&mut self, call: &str, settlement: Settlement, now: UnixMs) -> bool {
        let now = self.advance(now);
        self.remember(call, true, now);
        if let Some(held) = self.open.remove(call) {
            let actual = settlement.amounts(held.held);
            self.spend(actual, now);
            self.ahead.grant(Amounts { held: actual.less(held.held), ..Amounts::default() });
            self.ahead.change(true);
            self.tell_team(now);
            return true;
        }
        if let Some(late) = self.late.get(call) {
            self.hear_late(call, settlement.amounts(late.charged), now);
        }
        false
    }

    /// Keeps a reservation for another [`LEASE_MS`]. Returns whether it was open.
    pub fn renew(&mut self, call: &str, now: UnixMs) -> bool {
        let now = self.advance(now);
        let Some(held) = self.open.get_mut(call) else { return false };
        held.ends_at = now + LEASE_MS;
        self.ahead.change(true);
        self.tell_team(now);
        true
    }

    /// Returns how far each of the limits is used up.
    pub fn uses(&mut self, limits: &Limits, zone: Zone, now: UnixMs) -> Vec<LimitUse> {
        let now = self.prepare(limits, zone, now);
        self.uses_but(None, limits, now)
    }

    /// Refuses if a limit is reached. Budgets never refuse a call that costs nothing.
    fn check(&self, limits: &Limits, costs: bool, now: UnixMs) -> Result<(), Box<Limited>> {
        let uses = self.uses_but(None, limits, now);
        let is_reached = |used: &&LimitUse| used.refuses(costs);
        let free_at = |used: &LimitUse| {
            let window = used.kind.measure().window_ms().zip(self.windows.get(used.kind.as_str()));
            let Some((length, window)) = window else { return used.resets_at };
            // What is lent may come back at any time.
            match used.limit.saturating_sub(used.reserved) {
                0 => now + CONCURRENT_RETRY_MS,
                room => window.free_at(room, length, now),
            }
        };
        let reached = uses.iter().filter(is_reached).map(|used| (used.kind, free_at(used)));
        let Some((kind, at)) = reached.max_by_key(|(_, at)| *at) else { return Ok(()) };
        Err(Box::new(Limited { kind, retry_after_ms: (at - now).max(1), uses }))
    }

    /// Counts calls wherever a limit counts them.
    fn count(&mut self, limits: &Limits, calls: u64, at: UnixMs) {
        for (kind, _) in limits.iter() {
            if let Measure::Rate(length) = kind.measure() {
                self.windows.change(kind.as_str(), |window| window.add(calls, length, at));
            }
        }
        self.count_in_periods(calls);
    }

    fn count_in_periods(&mut self, calls: u64) {
        for spent in [Some(&mut self.day), self.week.as_mut(), Some(&mut self.month)].into_iter().flatten() {
            spent.calls = spent.calls.saturating_add(calls);
        }
        self.ahead.grant(Amounts { calls, ..Amounts::default() });
    }

    fn spend(&mut self, used: Ask, now: UnixMs) {
        for spent in [Some(&mut self.day), self.week.as_mut(), Some(&mut self.month)].into_iter().flatten() {
            spent.add(used);
        }
        for (kind, length) in windows() {
            if let (true, Some(window)) =
                (kind.measure().bounds_ai_tokens(), self.windows.get_mut(kind.as_str()))
            {
                window.add(used.tokens, length, now);
            }
        }
        if let Some(team) = &mut self.team {
            team.ever = team.ever.plus(used);
        }
    }

    /// Charges what a reservation was too low by, if it ended before its settlement.
    fn hear_late(&mut self, id: &str, spent: Ask, now: UnixMs) {
        let Some(late) = self.late.get_mut(id) else { return };
        let missing = spent.less(late.spent).less(late.charged);
        late.charged = late.charged.plus(missing);
        self.spend(missing, now);
        self.ahead.grant(Amounts { held: missing, ..Amounts::default() });
    }

    fn remember(&mut self, call: &str, has_ended: bool, now: UnixMs) {
        if self.known.len() == MOST_REMEMBERED {
            self.known.remove(0);
        }
        self.known.push(Known { call: call.to_owned(), at: now, has_ended });
    }

    /// Brings the ledger to `now` and to the limits in force.
    fn prepare(&mut self, limits: &Limits, zone: Zone, now: UnixMs) -> UnixMs {
        self.zone = zone;
        let is_limited = |kind: &LimitKind| limits.get(*kind).is_some();
        let weekly = |kind: &&LimitKind| {
            matches!(kind.measure(), Measure::AiTokens(Period::Week) | Measure::CostMicros(Period::Week))
        };
        if self.week.is_none() && LimitKind::ALL.iter().filter(weekly).any(is_limited) {
            self.week = Some(Spent::default());
        }
        for (kind, _) in windows() {
            match self.windows.get(kind.as_str()) {
                None if is_limited(&kind) => {
                    self.windows.insert(kind.as_str(), Sliding::default());
                    self.keep_lent_calls();
                }
                Some(window) if window.is_empty() && !is_limited(&kind) => {
                    self.windows.remove(kind.as_str());
                }
                _ => {}
            }
        }
        self.advance(now)
    }

    /// Forgets counts that have left their windows, and spends reservations whose lease has ended.
    fn advance(&mut self, now: UnixMs) -> UnixMs {
        let now = now.max(self.clock);
        self.clock = now;
        let (day, month) =
            (self.day.roll(&self.zone, Period::Day, now), self.month.roll(&self.zone, Period::Month, now));
        let week = self.week.as_mut().is_some_and(|week| week.roll(&self.zone, Period::Week, now));
        if day || week || month {
            self.keep_lent_calls();
        }
        for (kind, length) in windows() {
            if let Some(window) = self.windows.get_mut(kind.as_str()) {
                window.forget(length, now);
            }
        }
        self.known.retain(|known| known.at + REMEMBER_MS > now);
        self.late.retain(|_, late| late.forget_at > now);
        let mut ended = Ask::default();
        let late = &mut self.late;
        self.open.retain(|id, held| {
            let lasts = held.ends_at > now;
            if !lasts && !held.held.is_zero() {
                ended = ended.plus(held.held);
                let spent = held.holder.as_ref().map_or_else(Ask::default, |holder| holder.spent);
                late.insert(id, Late { charged: held.held, spent, forget_at: now + DAY_MS });
            }
            lasts
        });
        self.spend(ended, now);
        now
    }

    fn out(&self) -> Ask {
        self.open.values().fold(Ask::default(), |sum, held| sum.plus(held.held))
    }

    /// Shortens a time so that it ends in the current day, week and month.
    fn within_periods(&self, ms: i64, now: UnixMs) -> i64 {
        let ends = [Some(self.day), self.week, Some(self.month)].into_iter().flatten();
        ends.map(|spent| spent.ends_at - now).fold(ms, i64::min)
    }

    fn period(&self, period: Period) -> Spent {
        match period {
            Period::Day => self.day,
            Period::Week => self.week.unwrap_or_default(),
            Period::Month => self.month,
        }
    }

    /// Returns how far each limit is used up, without what is lent to `but`.
    fn uses_but(&self, but: Option<&str>, limits: &Limits, now: UnixMs) -> Vec<LimitUse> {
        let own = but.and_then(|id| self.open.get(id));
        let own_calls = own.and_then(|held| held.holder.as_ref()).map_or(0, |holder| holder.calls);
        let others = || self.open.iter().filter(|(id, _)| Some(*id) != but).map(|(_, held)| held);
        let held = others().fold(Ask::default(), |sum, held| sum.plus(held.held));
        let one = |(kind, limit): (LimitKind, u64)| {
            let measure = kind.measure();
            let window = self.windows.get(kind.as_str());
            let counted = window.map_or(0, Sliding::count);
            let free_at = |length| window.map_or(now, |window| window.free_at(1, length, now));
            let (used, reserved, resets_at) = match measure {
                Measure::Rate(SECOND_MS) => (
                    counted,
                    others().filter_map(|held| held.holder.as_ref()).map(Holder::share).sum(),
                    free_at(SECOND_MS),
                ),
                Measure::Rate(length) => (counted.saturating_sub(own_calls), 0, free_at(length)),
                Measure::AiTokenRate(length) => (counted, held.tokens, free_at(length)),
                Measure::ConcurrentCalls => {
                    (0, others().map(Reservation::slots).sum(), now + CONCURRENT_RETRY_MS)
                }
                Measure::Calls(period) => {
                    let spent = self.period(period);
                    (spent.calls.saturating_sub(own_calls), 0, spent.ends_at)
                }
                Measure::AiTokens(period) => {
                    let spent = self.period(period);
                    (spent.tokens, held.tokens, spent.ends_at)
                }
                Measure::CostMicros(period) => {
                    let spent = self.period(period);
                    (spent.micros, held.micros, spent.ends_at)
                }
                Measure::AiTokensPerCall | Measure::CostMicrosPerCall | Measure::BodyBytes => return None,
            };
            Some(LimitUse { kind, limit, used, reserved, resets_at })
        };
        limits.iter().filter_map(one).collect()
    }
}

/// The limits that have a sliding window, each with its length in ms.
fn windows() -> impl Iterator<Item = (LimitKind, i64)> {
    LimitKind::ALL.iter().filter_map(|kind| Some((*kind, kind.measure().window_ms()?)))
}

#[cfg(test)]
mod tests;
