//! The permits that an isolate has leased for one token: it lets calls in without asking, until the lease ends.
//!
//! Plain data that belongs to no request. At most one wish is under way; meanwhile calls use what is left, or ask the
//! ledger one by one.

use super::window::Sliding;
use super::wire::{Ask, Granted, LimitUse, Report, Settlement, Wish};
use super::{LimitKind, Limits, Measure};
use crate::time::{SECOND_MS, UnixMs};

/// After this time a wish that is still under way will not be answered.
const ASKING_MS: i64 = 5_000;
/// The pace of calls is measured over at least this time.
const PACE_MS: i64 = 500;
/// Time after a lease's end in which its remains wait for the next wish, in ms.
const REMAINS_MS: i64 = 2_000;
/// Time after the end of a call that outlived its lease in which others may end, in ms.
const TOGETHER_MS: i64 = 1_000;
/// After a longer time without a wish, the pace of before says nothing.
const LULL_MS: i64 = 10_000;

/// Quantities that the limits in force bound.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bounds {
    calls: bool,
    second: bool,
    slots: bool,
    tokens: bool,
    micros: bool,
}

impl Bounds {
    fn of<'a>(limits: impl IntoIterator<Item = &'a Limits>) -> Self {
        let mut bounds = Self::default();
        for measure in
            limits.into_iter().flat_map(Limits::iter).map(|(kind, _): (LimitKind, u64)| kind.measure())
        {
            match measure {
                Measure::Rate(SECOND_MS) => bounds.second = true,
                Measure::Rate(_) | Measure::Calls(_) => bounds.calls = true,
                Measure::ConcurrentCalls => bounds.slots = true,
                _ => {
                    bounds.tokens |= measure.bounds_ai_tokens();
                    bounds.micros |= measure.bounds_cost();
                }
            }
        }
        bounds
    }
}

/// The permits of one isolate for one token.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Known to the ledger under this name, which no other pool ever had.
    id: String,
    /// Number of the last report.
    seq: u64,
    asked_at: Option<UnixMs>,
    /// Version of the token's record for which the lease was made.
    version: u64,
    bounds: Bounds,
    ends_at: UnixMs,
    renew_at: UnixMs,
    /// Permits: lent by the last lease, left, ever used.
    given: u64,
    left: u64,
    used: u64,
    slots: u64,
    open: u64,
    share: u64,
    second: Sliding,
    free: Ask,
    held: Ask,
    spent: Ask,
    /// The ledger's last word, and the calls and amounts that it knew of then and has been told of since.
    uses: Vec<LimitUse>,
    base: (u64, Ask),
    reported: (u64, Ask),
    has_news: bool,
    /// Somebody will look whether more is to be reported than this report had.
    planned: u64,
    /// Calls since the last wish, when that was, and calls in 1,000 s.
    seen: u64,
    seen_since: UnixMs,
    pace: u64,
    /// The most calls at once since the last wish, and those that asked the ledger.
    peak: u64,
}

impl Pool {
    /// Makes an empty pool.
    pub fn new(id: String) -> Self {
        Self { id, ..Self::default() }
    }

    /// Lets a call in by the lease and returns how far the limits are used up. `None` if the lease has no room for it.
    pub fn take(&mut self, version: u64, ask: Ask, now: UnixMs) -> Option<Vec<LimitUse>> {
        if version != self.version || now >= self.ends_at {
            return None;
        }
        let Bounds { calls, second, slots, tokens, micros } = self.bounds;
        self.second.forget(SECOND_MS, now);
        if (calls && self.left == 0)
            || (second && self.second.count() >= self.share)
            || (slots && self.open >= self.slots)
            || (tokens && ask.tokens > self.free.tokens)
            || (micros && ask.micros > self.free.micros)
        {
            return None;
        }
        self.left = self.left.saturating_sub(1);
        self.used += 1;
        self.second.add(1, SECOND_MS, now);
        self.begin(ask);
        self.seen += 1;
        Some(self.uses())
    }

    fn begin(&mut self, ask: Ask) {
        if self.must_settle(ask) {
            self.open += 1;
            self.peak += u64::from(self.open > self.peak);
        }
        self.free = self.free.less(ask);
        self.held = self.held.plus(ask);
    }

    /// Whether a call that was let in must be settled when it ends.
    pub fn must_settle(&self, ask: Ask) -> bool {
        self.bounds.slots || !ask.is_zero()
    }

    /// Ends a call.
    pub fn settle(&mut self, ask: Ask, settlement: Settlement) {
        let actual = settlement.amounts(ask);
        self.open = self.open.saturating_sub(1);
        self.held = self.held.less(ask);
        self.free = self.free.plus(ask).less(actual);
        self.spent = self.spent.plus(actual);
        self.has_news = true;
    }

    /// Whether the lease should be renewed while there is still something left of it.
    pub fn is_due(&self, now: UnixMs) -> bool {
        !self.is_asking(now) && (now >= self.renew_at || (self.bounds.calls && self.left < self.given / 4))
    }

    fn is_asking(&self, now: UnixMs) -> bool {
        self.asked_at.is_some_and(|at| (at..at + ASKING_MS).contains(&now))
    }

    /// Notes a call that the lease has no room for. Its request to the ledger carries a wish, unless one is under way.
    pub fn wish_for_call(&mut self, ms: i64, now: UnixMs) -> Option<Wish> {
        self.seen += 1;
        self.peak += 1;
        if self.is_asking(now) { None } else { self.wish(ms, now) }
    }

    /// Makes a wish. `None` if there is nothing to ask for and nothing to report.
    pub fn wish(&mut self, ms: i64, now: UnixMs) -> Option<Wish> {
        let since = now - self.seen_since;
        let fresh = self.seen.saturating_mul(1_000_000) / since.max(PACE_MS).unsigned_abs();
        self.pace = match self.seen_since {
            0 => 0,
            _ if since < PACE_MS => self.pace.max(fresh),
            _ if since > LULL_MS || self.pace == 0 => fresh,
            _ => (3 * self.pace + fresh) / 4,
        };
        if self.seen_since == 0 || since >= PACE_MS {
            (self.seen, self.seen_since) = (0, now);
        }
        let calls = self.pace.saturating_mul(ms.unsigned_abs()) / 1_000_000;
        let slots = self.peak + self.peak / 4 + 1;
        self.peak = self.open;
        // Some calls more, because they do not come evenly.
        let calls = if calls == 0 { 0 } else { calls + calls / 4 + 1 };
        if calls == 0 && !self.has_news(now) {
            return None;
        }
        self.asked_at = Some(now);
        Some(Wish { report: self.report(now), calls, slots, ms })
    }

    /// Repeats a wish whose response was lost, so that what it was granted counts no more.
    pub fn again(&mut self, wish: &Wish, now: UnixMs) -> Wish {
        self.asked_at = Some(now);
        Wish { report: self.report(now), ..*wish }
    }

    fn has_news(&self, now: UnixMs) -> bool {
        let idle = self.left > 0 || self.slots > self.open || self.share > 0 || !self.free.is_zero();
        self.has_news || (now >= self.ends_at && idle)
    }

    /// Returns when to look whether something is to be reported: the number of the last report, and in how many ms.
    /// `None` if somebody will look.
    pub fn plan_flush(&mut self, now: UnixMs) -> Option<(u64, i64)> {
        let lasts_ms = self.ends_at - now;
        if lasts_ms > 0 && self.planned == self.seq {
            return None;
        }
        self.planned = self.seq;
        Some((self.seq, if lasts_ms > 0 { lasts_ms + REMAINS_MS } else { TOGETHER_MS }))
    }

    /// Returns the report to be sent if there was none since number `seq`; `None` if the ledger knows everything, or a
    /// lease lasts, whose end will bring the rest.
    pub fn flush(&mut self, seq: u64, now: UnixMs) -> Option<Report> {
        let waits = seq != self.seq || now < self.ends_at || self.is_asking(now);
        (!waits && self.has_news(now)).then(|| self.report(now))
    }

    /// Returns the report that keeps the calls' reservations; `None` if one is under way.
    pub fn renew(&mut self, now: UnixMs) -> Option<Report> {
        (!self.is_asking(now)).then(|| self.report(now))
    }

    /// Returns whether nothing would be lost with the pool.
    pub fn is_idle(&self, now: UnixMs) -> bool {
        self.open == 0 && now >= self.ends_at && !self.has_news(now) && !self.is_asking(now)
    }

    fn report(&mut self, now: UnixMs) -> Report {
        if now >= self.ends_at {
            (self.left, self.share, self.slots, self.free) = (0, 0, self.open, Ask::default());
        }
        self.slots = self.slots.max(self.open);
        self.seq = now.unsigned_abs().max(self.seq + 1);
        self.reported = (self.used, self.spent);
        self.has_news = false;
        Report {
            from: self.id.clone(),
            seq: self.seq,
            used: self.used,
            kept: self.left,
            open: self.open,
            slots: self.slots,
            spent: self.spent,
            held: self.held,
            free: self.free,
        }
    }

    /// Notes the response to the wish of report `seq`, made at `asked_at` for a token's record of this version. `call`
    /// is what the call that asked has reserved, if it was a call. Returns whether that call is part of a lease.
    pub fn granted<'a>(
        &mut self,
        (seq, asked_at): (u64, UnixMs),
        granted: &Granted,
        (version, limits): (u64, impl IntoIterator<Item = &'a Limits>),
        call: Option<Ask>,
    ) -> bool {
        let is_last = seq == self.seq;
        if is_last {
            self.asked_at = None;
        }
        let Some(lease) = granted.lease else { return false };
        if !is_last {
            // A report that was made since has given the lease back, but the call goes on.
            call.inspect(|ask| self.begin(*ask));
            return call.is_some();
        }
        (self.version, self.bounds) = (version, Bounds::of(limits));
        self.base = self.reported;
        self.ends_at = asked_at + lease.ms;
        self.renew_at = self.ends_at - lease.ms / 4;
        self.left += lease.calls;
        self.given = self.left;
        self.slots += lease.slots;
        self.share = lease.share;
        self.free = self.free.plus(lease.slice);
        self.uses.clone_from(&granted.uses);
        call.inspect(|ask| self.begin(*ask));
        true
    }

    /// Notes that the response to the wish of report `seq` is lost.
    pub fn failed(&mut self, seq: u64) {
        if seq == self.seq {
            self.asked_at = None;
            self.has_news = true;
        }
    }

    /// Returns how far the limits are used up: the ledger's last word and what was used since.
    fn uses(&self) -> Vec<LimitUse> {
        let calls = self.used - self.base.0;
        let spent = self.spent.less(self.base.1);
        let mut uses = self.uses.clone();
        for used in &mut uses {
            let measure = used.kind.measure();
            match measure {
                Measure::Rate(SECOND_MS) => used.used += self.second.count(),
                Measure::Rate(_) | Measure::Calls(_) => used.used += calls,
                Measure::ConcurrentCalls => used.reserved += self.open,
                _ if measure.bounds_ai_tokens() => {
                    used.used = used.used.saturating_add(spent.tokens);
                    used.reserved = used.reserved.saturating_add(self.held.tokens);
                }
                _ => {
                    used.used = used.used.saturating_add(spent.micros);
                    used.reserved = used.reserved.saturating_add(self.held.micros);
                }
            }
        }
        uses
    }
}

#[cfg(test)]
mod tests;
