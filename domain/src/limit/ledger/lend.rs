//! Leases: permits that an isolate uses by itself for a moment.
//!
//! Whatever is lent counts as used at once, and in a sliding window until the lease's end has left it. So no window ever
//! holds more than its limit, whatever becomes of the isolate. **Near a limit** nothing is lent: each call asks.
//!
//! Calls per second are lent as a share: an isolate lets in at most that many in any second. A share counts for a second
//! longer than its lease.

use super::amounts::Amounts;
use super::{LEASE_MS, Ledger, REMEMBER_MS, windows};
use crate::limit::Measure;
use crate::limit::wire::{Ask, Lease, Report, Take, Wish};
use crate::time::{SECOND_MS, UnixMs};
use serde::{Deserialize, Serialize};

/// Limits below this are counted call by call.
const FEWEST: u64 = 8;
/// One lease takes at most this part of what is left of a limit.
const PART: u64 = 16;
/// If fewer calls are left, nothing is lent, so that as many are let in as may be.
const ENOUGH: u64 = 64;
/// One slice takes at most this part of what is left of a budget, and at least one reservation.
const SLICE: u64 = 100;
/// A lease lasts at most this part of a window.
const WINDOW_PART: i64 = 25;
/// The longest lease, in ms.
pub(super) const LONGEST_MS: i64 = 10_000;
/// The shortest lease, in ms: less is over before it arrives.
const SHORTEST_MS: i64 = 100;

/// The holder of leases: an isolate, or for a team a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Holder {
    /// Number of the last report.
    pub seq: u64,
    pub used: u64,
    pub spent: Ask,
    /// Slots that its calls hold.
    pub open: u64,
    /// Permits that it may still use.
    pub calls: u64,
    /// When those end, as the windows count them.
    pub counted_at: UnixMs,
    pub slots: u64,
    /// The part of what it holds that no call has reserved.
    pub free: Ask,
    /// Calls in any second, each until when it counts.
    pub shares: Vec<(u64, UnixMs)>,
}

impl Holder {
    /// Returns the calls in any second that it may let in.
    pub fn share(&self) -> u64 {
        self.shares.iter().map(|(share, _)| *share).max().unwrap_or(0)
    }
}

impl Ledger {
    /// Takes the report of an isolate, or of a token of this team, that asks for nothing. It may be the last one, so it is
    /// saved at once.
    pub fn report(&mut self, report: &Report, now: UnixMs) {
        self.hear(report, now);
        self.ahead.change(true);
    }

    /// Takes a report. Returns false if a later one has come before.
    pub(super) fn hear(&mut self, report: &Report, now: UnixMs) -> bool {
        let now = self.advance(now);
        self.hear_late(&report.from, report.spent, now);
        self.late.remove(&report.from);
        let fresh = Holder { seq: report.seq, used: report.used, spent: report.spent, ..Holder::default() };
        let mut held = self.open.remove(&report.from).unwrap_or_default();
        let is_new = held.holder.is_none();
        let mut holder = held.holder.take().unwrap_or(fresh);
        let is_fresh = is_new || report.seq > holder.seq;
        if is_fresh {
            let unused = holder.calls.saturating_sub(report.used.saturating_sub(holder.used));
            let kept = report.kept.min(unused);
            self.take_back(unused - kept, holder.counted_at);
            self.spend(report.spent.less(holder.spent), now);
            holder.shares.retain(|(_, until)| *until > now);
            holder = Holder {
                seq: report.seq,
                used: report.used.max(holder.used),
                spent: report.spent.with(holder.spent, u64::max),
                open: report.open,
                calls: kept,
                slots: report.slots,
                free: report.free,
                ..holder
            };
            held.held = report.held.plus(report.free);
            let holds = !held.held.is_zero() || report.slots > 0;
            held.ends_at = now + if holds { LEASE_MS } else { REMEMBER_MS };
            self.ahead.change(false);
            self.tell_team(now);
        }
        held.holder = Some(holder);
        self.open.insert(&report.from, held);
        is_fresh
    }

    /// Uncounts permits that were not used. The per-second window never counted them.
    fn take_back(&mut self, calls: u64, counted_at: UnixMs) {
        for (kind, length) in windows() {
            if let (Measure::Rate(_), Some(window)) =
                (kind.measure(), self.windows.get_mut(kind.as_str()).filter(|_| length > SECOND_MS))
            {
                window.take_back(calls, length, counted_at);
            }
        }
        for spent in [Some(&mut self.day), self.week.as_mut(), Some(&mut self.month)].into_iter().flatten() {
            spent.calls = spent.calls.saturating_sub(calls);
        }
    }

    /// Lets the permits that are lent stay used for good. A lease ends with its day, so that what comes back later
    /// would be taken from another one.
    pub(super) fn keep_lent_calls(&mut self) {
        for holder in self.open.values_mut().filter_map(|held| held.holder.as_mut()) {
            holder.calls = 0;
        }
    }

    fn lent(&self, part: fn(&Holder) -> u64) -> u64 {
        self.open.values().filter_map(|held| held.holder.as_ref()).map(part).fold(0, u64::saturating_add)
    }

    /// Lends what the wish asks for and the limits have to spare. `None` near a limit.
    pub(super) fn lend(&mut self, take: &Take, wish: &Wish, now: UnixMs) -> Option<Lease> {
        let kept = self.open.get(&wish.report.from)?.holder.clone()?;
        let mut ms = self.within_periods(wish.ms.min(LONGEST_MS), now);
        let (mut calls, mut slots, mut share) = (wish.calls, 0, 0);
        let expected = Ask { tokens: wish.calls, micros: wish.calls }.with(take.ask, u64::saturating_mul);
        let mut slice = expected.plus(take.ask);
        for used in self.uses_but(None, &take.limits, now) {
            let left = used.remaining();
            let measure = used.kind.measure();
            let is_near = |lent: u64| left < lent.saturating_mul(2);
            if measure.counts_calls() && used.limit < FEWEST {
                return None;
            }
            match measure {
                Measure::Rate(SECOND_MS) => {
                    let per_second = wish.calls.saturating_mul(1_500) / wish.ms.max(1).unsigned_abs() + 1;
                    // What it has already is its own.
                    let most = left.saturating_add(kept.share());
                    share = per_second.min(most - most / 4);
                    if most < ENOUGH {
                        return None;
                    }
                }
                Measure::Rate(_) | Measure::Calls(_) => {
                    if let Some(length) = measure.window_ms() {
                        ms = ms.min(length / WINDOW_PART);
                    }
                    if left < ENOUGH || is_near(self.lent(|holder| holder.calls)) {
                        return None;
                    }
                    calls = calls.min(left / PART);
                }
                Measure::ConcurrentCalls => {
                    if is_near(self.lent(|holder| holder.slots.saturating_sub(holder.open))) {
                        return None;
                    }
                    let most = kept.slots.saturating_add(left / 4);
                    if most < kept.open + 2 {
                        return None;
                    }
                    slots = wish.slots.clamp(kept.open + 1, most).saturating_sub(kept.slots);
                }
                _ if measure.is_budget() && !take.ask.is_zero() => {
                    slice = self.part_of_budget(slice, measure, left, take.ask)?;
                }
                _ => {}
            }
        }
        if calls == 0 || ms < SHORTEST_MS {
            return None;
        }
        slice = if take.ask.is_zero() { Ask::default() } else { slice.less(kept.free) };
        slice = slice.with(self.spare_of_team(take), u64::min);
        if !take.ask.fits(slice.plus(kept.free)) {
            return None;
        }
        let lease = Lease { ms, calls: calls.saturating_sub(kept.calls), slots, share, slice };
        self.hand_out(&wish.report.from, take, lease, now);
        Some(lease)
    }

    /// Counts what a lease lends, together with what its holder has kept of the one before.
    fn hand_out(&mut self, from: &str, take: &Take, lease: Lease, now: UnixMs) {
        let Some(mut held) = self.open.remove(from) else { return };
        let mut holder = held.holder.take().unwrap_or_default();
        self.take_back(holder.calls, holder.counted_at);
        holder.calls += lease.calls;
        holder.counted_at = now + lease.ms;
        for (kind, _) in take.limits.iter() {
            if let Measure::Rate(length) = kind.measure()
                && length > SECOND_MS
            {
                self.windows
                    .change(kind.as_str(), |window| window.add(holder.calls, length, holder.counted_at));
            }
        }
        self.count_in_periods(holder.calls);
        holder.slots += lease.slots;
        holder.free = holder.free.plus(lease.slice);
        held.held = held.held.plus(lease.slice);
        let share = lease.share.saturating_sub(holder.share());
        self.ahead.grant(Amounts { held: lease.slice, slots: lease.slots, share, calls: 0 });
        holder.shares.retain(|(share, until)| *until > now && *share > lease.share);
        if lease.share > 0 {
            holder.shares.push((lease.share, now + lease.ms + SECOND_MS));
        }
        held.ends_at = now + LEASE_MS;
        held.holder = Some(holder);
        self.open.insert(from, held);
    }

    /// Lends a token of this team a slice of its budget.
    pub(super) fn hand_out_slice(&mut self, from: &str, slice: Ask, now: UnixMs) {
        self.ahead.grant(Amounts { held: slice, ..Amounts::default() });
        let Some(held) = self.open.get_mut(from) else { return };
        held.held = held.held.plus(slice);
        held.ends_at = now + LEASE_MS;
        if let Some(holder) = &mut held.holder {
            holder.free = holder.free.plus(slice);
        }
    }

    /// Narrows a slice to what a budget has to spare of the `left` that is left of it. `None` near its end.
    fn part_of_budget(&self, slice: Ask, measure: Measure, left: u64, ask: Ask) -> Option<Ask> {
        let idle = self.lent_free();
        let part = |wished: u64, ask: u64, idle: u64| {
            let part = wished.min((left / SLICE).max(ask));
            (left >= idle.saturating_mul(2) && part <= left).then_some(part)
        };
        Some(if measure.bounds_ai_tokens() {
            Ask { tokens: part(slice.tokens, ask.tokens, idle.tokens)?, ..slice }
        } else {
            Ask { micros: part(slice.micros, ask.micros, idle.micros)?, ..slice }
        })
    }

    pub(super) fn lent_free(&self) -> Ask {
        Ask { tokens: self.lent(|holder| holder.free.tokens), micros: self.lent(|holder| holder.free.micros) }
    }
}
