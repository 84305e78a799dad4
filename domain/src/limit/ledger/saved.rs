//! A ledger as it is saved, and how far ahead of need.
//!
//! While leases are out, what is saved says "used up to here, and until then perhaps a block more". Until the block is
//! used up or its time is over, nothing has to be saved. After a crash the block counts as used: a restart can only have
//! written down too much.

use super::amounts::Amounts;
use super::by_name::ByName;
use super::derived::Counted;
use super::lend::{Holder, LONGEST_MS};
use super::{Ask, LEASE_MS, Late, Ledger, Reservation, Sliding, Spent, Zone, team::Credit, windows};
use crate::limit::{LimitKind, Limits, Measure};
use crate::stored::Unread;
use crate::time::{SECOND_MS, UnixMs};
use serde::{Deserialize, Serialize};

/// Windows that are saved by their place in a list: the first version reads exactly these. Later ones are
/// saved by name.
const LISTED: [LimitKind; 4] =
    [LimitKind::CallsPerSecond, LimitKind::CallsPerMinute, LimitKind::CallsPerHour, LimitKind::CallsPerDay];
/// How long a block lasts, in ms. It holds twice what is granted in that time.
const BLOCK_MS: i64 = 10_000;
/// A block is at most this part of a limit, and of what is left of a budget.
const BLOCK_PART: u64 = 20;
/// The holder of what a crash has made unknown. It is no call's id and no isolate's.
const LOST: &str = "lost";

/// Grants that may have been made since the save.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Block {
    until: UnixMs,
    #[serde(flatten)]
    amounts: Amounts,
}

impl Block {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How far the ledger has gone beyond what is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    /// Everything that was ever granted, and what of it was so at the save. What comes back is not taken off: after a
    /// crash it comes back once more.
    granted: Amounts,
    saved: Amounts,
    saved_at: UnixMs,
    block: Block,
    /// Whether there is anything to save, and whether it may not wait for the block's end: the end of a call that is not
    /// saved would be forgotten by a crash, and its reservation be charged in full.
    is_changed: bool,
    is_urgent: bool,
    /// The limits in force; `None` while nobody asks for leases.
    limits: Option<Limits>,
}

impl Ahead {
    pub fn grant(&mut self, granted: Amounts) {
        self.granted = self.granted.with(granted, u64::saturating_add);
        self.is_changed |= granted != Amounts::default();
    }

    pub fn change(&mut self, is_urgent: bool) {
        self.is_changed = true;
        self.is_urgent |= is_urgent;
    }

    pub fn bound_by(&mut self, limits: &Limits, by_lease: bool) {
        if (by_lease || self.limits.is_some()) && self.limits.as_ref() != Some(limits) {
            self.limits = Some(limits.clone());
            // The block was made for others.
            self.block = Block::default();
            self.is_changed = true;
        }
    }

    fn grown(&self) -> Amounts {
        let mut grown = self.granted.with(self.saved, u64::saturating_sub);
        if self.limits.as_ref().is_some_and(|limits| limits.concurrent_calls.is_none()) {
            grown.slots = 0;
        }
        grown
    }
}

impl Ledger {
    /// Whether the ledger must be saved before a response goes out.
    pub fn needs_saving(&self, now: UnixMs) -> bool {
        let ahead = &self.ahead;
        let is_covered =
            now < ahead.block.until && ahead.grown().fits(ahead.block.amounts) && !ahead.is_urgent;
        ahead.is_changed && !is_covered
    }

    /// Goes ahead of need by what is granted at the current pace. The caller saves the ledger at once.
    pub fn go_ahead(&mut self, now: UnixMs) {
        let block = self.block(self.ahead.grown(), now).unwrap_or_default();
        let ahead = &mut self.ahead;
        (ahead.saved, ahead.saved_at, ahead.block) = (ahead.granted, now, block);
        (ahead.is_changed, ahead.is_urgent) = (false, false);
    }

    /// Returns when the ledger must be looked at without being asked; `None` if nothing is outstanding.
    pub fn alarm_at(&self) -> Option<UnixMs> {
        let block = (!self.ahead.block.is_none()).then_some(self.ahead.block.until);
        let team = self.team.as_ref().and_then(Credit::report_at);
        block.into_iter().chain(team).min()
    }

    /// Returns the block for the pace at which `grown` was granted since the save. `None` if that is slow, or if a limit
    /// is too small.
    fn block(&self, grown: Amounts, now: UnixMs) -> Option<Block> {
        let limits = self.ahead.limits.as_ref()?;
        let since = now - self.ahead.saved_at;
        if since > 2 * BLOCK_MS || grown.calls < 2 {
            return None;
        }
        let since = since.max(SECOND_MS).unsigned_abs();
        let at_pace = |amount: u64| amount.saturating_mul(2 * BLOCK_MS.unsigned_abs()) / since;
        let mut most = Amounts {
            calls: at_pace(grown.calls),
            held: Ask { tokens: at_pace(grown.held.tokens), micros: at_pace(grown.held.micros) }
                .plus(self.out()),
            slots: 0,
            share: 0,
        };
        for used in self.uses_but(None, limits, now) {
            let part = used.limit / BLOCK_PART;
            match used.kind.measure() {
                Measure::Rate(SECOND_MS) => {
                    (most.share, most.calls) = (part, most.calls.min(used.limit / 2));
                }
                Measure::Rate(_) | Measure::Calls(_) => most.calls = most.calls.min(part),
                Measure::ConcurrentCalls => most.slots = part,
                Measure::AiTokenRate(_) | Measure::AiTokens(_) => {
                    most.held.tokens = most.held.tokens.min(used.remaining() / BLOCK_PART);
                }
                Measure::CostMicros(_) => {
                    most.held.micros = most.held.micros.min(used.remaining() / BLOCK_PART);
                }
                Measure::AiTokensPerCall | Measure::CostMicrosPerCall | Measure::BodyBytes => {}
            }
        }
        // A block ends with its day, so that it counts in one.
        let until = now + self.within_periods(BLOCK_MS, now);
        (most.calls > 1).then_some(Block { until, amounts: most })
    }

    /// Counts the block as used: nobody knows how much of it was.
    fn charge(&mut self, block: Block) {
        if block.is_none() {
            return;
        }
        let until = block.until + LONGEST_MS;
        let Amounts { calls, held, slots, share } = block.amounts;
        for (kind, length) in windows() {
            let Some(window) = self.windows.get_mut(kind.as_str()) else { continue };
            let is_of_tokens = kind.measure().bounds_ai_tokens();
            window.add(if is_of_tokens { held.tokens } else { calls }, length, until);
        }
        self.count_in_periods(calls);
        for spent in [Some(&mut self.day), self.week.as_mut(), Some(&mut self.month)].into_iter().flatten() {
            spent.add(held);
        }
        if let Some(team) = &mut self.team {
            team.ever = team.ever.plus(held);
        }
        if slots > 0 || share > 0 {
            let holder =
                Some(Holder { slots, shares: vec![(share, until + SECOND_MS)], ..Holder::default() });
            let lost = Reservation { ends_at: until + LEASE_MS, holder, ..Reservation::default() };
            self.open.insert(LOST, lost);
        }
    }
}

/// A ledger as it is saved. Versions before and after this one read it: absent fields are
/// empty, and unknown ones are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    windows: Vec<Sliding>,
    #[serde(skip_serializing_if = "ByName::is_empty")]
    more: ByName<Sliding>,
    day: Spent,
    #[serde(skip_serializing_if = "Option::is_none")]
    week: Option<Spent>,
    month: Spent,
    open: ByName<Reservation>,
    #[serde(skip_serializing_if = "ByName::is_empty")]
    late: ByName<Late>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<Credit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    derived: Vec<Counted>,
    clock: UnixMs,
    #[serde(skip_serializing_if = "Zone::is_utc")]
    zone: Zone,
    #[serde(skip_serializing_if = "Block::is_none")]
    block: Block,
    #[serde(flatten)]
    unread: Unread,
}

impl From<Saved> for Ledger {
    fn from(saved: Saved) -> Self {
        let mut windows = saved.more;
        for (kind, window) in LISTED.iter().zip(saved.windows) {
            windows.insert(kind.as_str(), window);
        }
        let mut ledger = Self {
            windows,
            day: saved.day,
            week: saved.week,
            month: saved.month,
            open: saved.open,
            late: saved.late,
            team: saved.team,
            derived: saved.derived,
            clock: saved.clock,
            zone: saved.zone,
            unread: saved.unread,
            ..Self::default()
        };
        ledger.charge(saved.block);
        ledger.ahead = Ahead::default();
        let clock = ledger.clock;
        if let Some(team) = &mut ledger.team {
            team.restart(clock);
            ledger.ahead.change(true);
        }
        ledger
    }
}

impl From<Ledger> for Saved {
    fn from(ledger: Ledger) -> Self {
        let block = ledger.ahead.block;
        let mut more = ledger.windows;
        let mut open = ledger.open;
        // Shares that are lent again before the block ends count as long.
        let shares =
            open.values_mut().filter_map(|held| held.holder.as_mut()).flat_map(|held| &mut held.shares);
        for (_, until) in shares.filter(|_| !block.is_none()) {
            *until = (*until).max(block.until + LONGEST_MS + SECOND_MS);
        }
        let windows = LISTED.iter().map(|kind| more.remove(kind.as_str()).unwrap_or_default()).collect();
        Self {
            windows,
            more,
            day: ledger.day,
            week: ledger.week,
            month: ledger.month,
            open,
            late: ledger.late,
            team: ledger.team,
            derived: ledger.derived,
            clock: ledger.clock,
            zone: ledger.zone,
            block,
            unread: ledger.unread,
        }
    }
}
