//! A whole report: what is asked, what one transaction read for it, and the lines made of that.

use super::{Lines, LineKey, Range, ReadRow, Split, Whose, add_series_rows, add_split_rows, add_tallies};
use crate::id::{RouteId, TokenId};
use crate::time::UnixMs;
use crate::usage::span::{Granularity, Span};
use crate::usage::tally::{Sums, Tallies};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a report asks.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The calls that it covers.
    pub whose: &'a Whose,
    /// The time of its series.
    pub series: &'a [Span],
    /// The same time, for the lines of tokens and routes.
    pub sums: &'a [Span],
}

/// What one transaction read for a report.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Rows of the series.
    pub series: Vec<ReadRow>,
    /// Rows by token.
    pub tokens: Vec<ReadRow>,
    /// Rows by route.
    pub routes: Vec<ReadRow>,
    /// Sums that are not rows yet.
    pub pending: Tallies,
}

/// The lines of a report. Those of tokens and routes have only the histograms of sums that are not rows yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// By interval.
    pub series: Lines,
    /// By token.
    pub tokens: Lines,
    /// By route.
    pub routes: Lines,
}

impl Question<'_> {
    /// Returns the lines of a report.
    pub fn parts(&self, reading: Reading) -> Parts {
        let Reading { series, tokens, routes, pending } = reading;
        let mut parts = Parts::default();
        add_series_rows(&mut parts.series, self.series, series);
        add_tallies(&mut parts.series, self.whose, Split::Whole, self.series, &pending, true);
        for (lines, split, rows) in
            [(&mut parts.tokens, Split::Token, tokens), (&mut parts.routes, Split::Route, routes)]
        {
            add_split_rows(lines, split, rows);
            add_tallies(lines, self.whose, split, self.sums, &pending, false);
        }
        parts
    }

    /// Returns which sums that are not rows yet may count in the report.
    pub fn pending(&self) -> Pending {
        pending_of(self.series.iter().chain(self.sums))
    }
}

/// Which sums that are not rows yet are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Their granularities: a bucket that is wider than every span counts in none.
    pub granularities: Vec<&'static str>,
    /// The first bucket, unix ms.
    pub from: UnixMs,
    /// The end of the buckets, exclusive.
    pub to: UnixMs,
}

/// Returns which sums that are not rows yet may count in some spans.
pub fn pending_of<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Pending {
    let mut pending = Pending { granularities: vec![], from: UnixMs::MAX, to: 0 };
    let mut coarsest = None;
    for span in spans {
        coarsest = coarsest.max(Some(span.granularity));
        pending.from = pending.from.min(span.from);
        // Its last bucket counts as a whole.
        let width_ms = span.granularity.width_ms();
        pending.to = pending.to.max(span.granularity.bucket(span.to + width_ms - 1));
    }
    let is_read = |granularity: &Granularity| coarsest.is_some_and(|coarsest| *granularity <= coarsest);
    pending.granularities = Granularity::ALL.into_iter().filter(is_read).map(Granularity::as_str).collect();
    pending
}

/// Keeps the busiest lines, at most `most`.
pub fn keep_busiest(lines: &mut Lines, most: usize) {
    if lines.len() > most {
        let kept: BTreeSet<_> = ranking(lines).into_iter().take(most).map(|(_, key)| key.clone()).collect();
        lines.retain(|(_, key), _| kept.contains(key));
    }
}

fn ranking(lines: &Lines) -> Vec<(Reverse<u64>, &LineKey)> {
    let mut ranking: Vec<_> =
        lines.iter().map(|((_, key), sums)| (Reverse(sums.rollup.calls), key)).collect();
    ranking.sort_unstable();
    ranking
}

/// Returns the lines, the busiest first.
pub fn busiest_first(lines: Lines) -> Vec<(LineKey, Sums)> {
    let mut sorted: Vec<_> = lines.into_iter().map(|((_, key), sums)| (key, sums)).collect();
    sorted.sort_by(|(a, a_sums), (b, b_sums)| {
        (b_sums.rollup.calls, a).cmp(&(a_sums.rollup.calls, b))
    });
    sorted
}

impl Whose {
    /// Returns the ranges that hold the rows of some lines, for their histograms.
    pub fn ranges_of_lines<'a>(
        &self,
        split: Split,
        spans: &[Span],
        lines: impl IntoIterator<Item = &'a LineKey>,
    ) -> Vec<Range> {
        let ranges = |key: &LineKey| {
            let mut one = self.clone();
            match split {
                Split::Whole => {}
                Split::Token => {
                    one.teams = Some(vec![key.team.as_str().into()]);
                    one.token = Some(TokenId::from(key.id.as_str()));
                }
                Split::Route => one.route = Some(RouteId::from(key.id.as_str())),
            }
            one.ranges_of(split, spans)
        };
        lines.into_iter().flat_map(ranges).collect()
    }

    /// Returns when each route was last called, by sums that are not rows yet.
    pub fn last_calls(&self, pending: &Tallies) -> BTreeMap<String, UnixMs> {
        let mut last = BTreeMap::new();
        for (_, _, tally) in pending.iter() {
            for (caller, sums) in tally.iter().filter(|(caller, _)| self.covers(caller)) {
                let at = last.entry(caller.route.clone()).or_insert(sums.last_at);
                *at = sums.last_at.max(*at);
            }
        }
        last
    }
}
