//! Limits of calendar days, weeks and months: how much of them reports say is used, and where that leads.

use super::ledger::Zone;
use super::{LimitKind, Limits, Measure, Period};
use crate::time::{DAY_MS, UnixMs};
use crate::usage::report::{Candidates, Counts, LineKey, Section, Split};
use crate::usage::span::{Interval, sum_spans};
use std::cmp::Reverse;

/// From this part of a limit on, in percent, it is near.
pub const NEAR_PERCENT: u64 = 80;

impl Measure {
    /// Returns its calendar period; `None` for a limit without one.
    pub fn period(self) -> Option<Period> {
        match self {
            Self::Calls(period) | Self::AiTokens(period) | Self::CostMicros(period) => Some(period),
            _ => None,
        }
    }

    /// Returns how much of it some calls have used, if it has a calendar period.
    pub fn used(self, counts: Counts) -> u64 {
        match self {
            // Refused calls do not count against a limit.
            Self::Calls(_) => counts.calls.saturating_sub(counts.refused),
            Self::AiTokens(_) => counts.ai_tokens,
            Self::CostMicros(_) => counts.cost_micros,
            _ => 0,
        }
    }
}

impl Limits {
    /// Returns the limits that have a calendar period, with that and their values.
    pub fn calendar(&self) -> impl Iterator<Item = (LimitKind, Period, u64)> {
        self.iter().filter_map(|(kind, most)| Some((kind, kind.measure().period()?, most)))
    }
}

/// Returns whether so much of a limit is used that somebody should know.
pub fn is_near(used: u64, most: u64) -> bool {
    used.saturating_mul(100) >= most.saturating_mul(NEAR_PERCENT)
}

/// A token or a team, and what bounds it.
#[derive(Clone, Debug)]
pub struct Bounded {
    /// [`Split::Token`] or [`Split::Team`].
    pub split: Split,
    /// The token or team.
    pub key: LineKey,
    /// Its limits.
    pub limits: Limits,
    /// The zone in which their periods begin.
    pub zone: Zone,
}

/// The things whose limits begin at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    split: Split,
    zone: Zone,
    period: Period,
    keys: Vec<LineKey>,
}

/// A limit of which much is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// The place in the list of what is bounded.
    pub place: usize,
    /// The limit.
    pub kind: LimitKind,
    /// The used amount.
    pub used: u64,
    /// The limit's value.
    pub most: u64,
    /// The time at which it begins again, unix ms.
    pub resets_at: UnixMs,
}

impl Group {
    /// Groups what is to be counted together.
    pub fn all(bounded: &[Bounded]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for Bounded { split, key, limits, zone } in bounded {
            for (_, period, _) in limits.calendar() {
                let is_it = |group: &&mut Self| group.is(*split, zone, period);
                match groups.iter_mut().find(is_it) {
                    Some(group) if group.keys.contains(key) => {}
                    Some(group) => group.keys.push(key.clone()),
                    None => {
                        groups.push(Self { split: *split, zone: *zone, period, keys: vec![key.clone()] });
                    }
                }
            }
        }
        groups
    }

    fn is(&self, split: Split, zone: &Zone, period: Period) -> bool {
        self.split == split && self.zone == *zone && self.period == period
    }

    /// Returns what a report must count for it.
    pub fn section(&self, now: UnixMs) -> Section {
        let from = self.zone.start(self.period, now);
        let spans = sum_spans(from, now, Interval::Day, now);
        Section { split: self.split, spans, keys: Some(self.keys.clone()) }
    }
}

/// Returns the limits that are near, the fullest first: `counted` has the counts of each group.
pub fn near(bounded: &[Bounded], groups: &[Group], counted: &[Candidates], now: UnixMs) -> Vec<Near> {
    let mut found = Vec::new();
    for (place, Bounded { split, key, limits, zone }) in bounded.iter().enumerate() {
        for (kind, period, most) in limits.calendar() {
            let group = groups.iter().position(|group| group.is(*split, zone, period));
            let counts = group.and_then(|group| counted.get(group)).map(|counted| counted.counts(key));
            let used = kind.measure().used(counts.unwrap_or_default());
            if is_near(used, most) {
                found.push(Near { place, kind, used, most, resets_at: zone.end(period, now) });
            }
        }
    }
    found.sort_by_key(|near| Reverse(u128::from(near.used) * 1_000_000 / u128::from(near.most.max(1))));
    found
}

/// Returns what a period will have used at its end at the pace until `now`; `None` before a day has passed, when
/// nothing can be said.
pub fn projected(used: u64, from: UnixMs, now: UnixMs, to: UnixMs) -> Option<u64> {
    let (passed, whole) = (u128::try_from(now - from).ok()?, u128::try_from(to - from).ok()?);
    if now - from < DAY_MS {
        return None;
    }
    u64::try_from(u128::from(used) * whole / passed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::HOUR_MS;
    use crate::usage::report::{Lines, RankRow};

    #[test]
    fn a_pace_is_carried_on_to_the_end_once_a_day_has_passed() {
        assert_eq!(projected(50, 0, 10 * DAY_MS, 30 * DAY_MS), Some(150));
        assert_eq!(projected(50, 0, DAY_MS - 1, 30 * DAY_MS), None);
        assert_eq!(projected(0, 0, DAY_MS, 30 * DAY_MS), Some(0));
    }

    #[test]
    fn a_limit_is_near_from_80_percent_on() {
        assert_eq!([79, 80, 100, 120].map(|used| is_near(used, 100)), [false, true, true, true]);
        assert!(is_near(u64::MAX, 1_000_000_000_000));
    }

    #[test]
    fn limits_of_the_calendar_are_read_from_counts() {
        let counts = Counts { calls: 9, ok: 5, refused: 2, cost_micros: 70, ai_tokens: 11 };
        let mut limits = Limits::default();
        for kind in LimitKind::ALL {
            limits.set(*kind, Some(1));
        }
        let used: Vec<_> =
            limits.calendar().map(|(kind, ..)| (kind.as_str(), kind.measure().used(counts))).collect();
        assert_eq!(
            used,
            [
                ("calls-per-month", 7),
                ("ai-tokens-per-day", 11),
                ("ai-tokens-per-week", 11),
                ("ai-tokens-per-month", 11),
                ("cost-micros-per-day", 70),
                ("cost-micros-per-week", 70),
                ("cost-micros-per-month", 70),
            ]
        );
    }

    #[test]
    fn limits_that_are_near_are_found_with_the_fullest_first() {
        let now = 20_000 * DAY_MS + 5 * HOUR_MS;
        let token = |id: &str, limits: Limits| Bounded {
            split: Split::Token,
            key: LineKey { id: id.into(), team: "ops".into() },
            limits,
            zone: Zone::default(),
        };
        let day = |most| Limits { cost_micros_per_day: Some(most), ..Limits::default() };
        let month = Limits { calls_per_month: Some(10), ai_tokens_per_day: Some(1), ..day(1_000) };
        let bounded = [token("a", day(100)), token("b", day(100)), token("c", month)];
        let groups = Group::all(&bounded);
        assert_eq!(groups.iter().map(|group| group.keys.len()).collect::<Vec<_>>(), [3, 1]);
        let row = |id: &str, counts| RankRow { dimension: "token".into(), key: format!("ops {id}"), counts };
        let cost = |cost_micros| Counts { cost_micros, ..Counts::default() };
        let days = vec![row("a", cost(80)), row("b", cost(130)), row("c", cost(799))];
        let months = vec![row("c", Counts { calls: 12, refused: 2, ..Counts::default() })];
        let counted = [days, months].map(|rows| Candidates::of(Split::Token, rows, Lines::new()));
        let found = near(&bounded, &groups, &counted, now);
        let found: Vec<_> =
            found.iter().map(|near| (near.place, near.kind.as_str(), near.used, near.most)).collect();
        assert_eq!(
            found,
            [
                (1, "cost-micros-per-day", 130, 100),
                (2, "calls-per-month", 10, 10),
                (0, "cost-micros-per-day", 80, 100)
            ]
        );
        assert_eq!(groups[0].section(now).spans[0].from, 20_000 * DAY_MS);
    }

    #[test]
    fn a_period_begins_where_the_one_before_it_ends() {
        // 2026-11-29 is a Sunday; the zone is eight hours ahead.
        let now = 1_795_980_000_000;
        let zone = Zone { offset_ms: 8 * HOUR_MS, next: None };
        for period in [Period::Day, Period::Week, Period::Month] {
            let start = zone.start(period, now);
            assert!(start <= now && zone.end(period, start - 1) == start, "{period:?}");
            assert_eq!(zone.end(period, start), zone.end(period, now), "{period:?}");
        }
    }
}
