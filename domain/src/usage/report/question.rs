//! A whole report: what is asked, what one transaction read for it, and the lines made of that.

use super::{Adding, Kind, LineKey, Lines, Range, ReadRow, Split, Whose, add_pending, add_rows, line_of};
use crate::id::{RouteId, TokenId};
use crate::time::UnixMs;
use crate::usage::metric::Metric;
use crate::usage::rollup::Rollup;
use crate::usage::sheet::Sheet;
use crate::usage::span::{Granularity, Span};
use crate::usage::tally::Sums;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A report that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The calls that it covers.
    pub whose: &'a Whose,
    /// The time of its series.
    pub series: &'a [Span],
    /// Buckets that the lines of tokens and routes sum up, over that time.
    pub sums: &'a [Span],
}

/// The result of one transaction that reads for a report.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Rows of the series.
    pub series: Vec<ReadRow>,
    /// Counts by token.
    pub tokens: Vec<RankRow>,
    /// Counts by route.
    pub routes: Vec<RankRow>,
    /// Sums that are not rows yet.
    pub pending: Vec<Sheet>,
}

/// The parts of a report, before it is known which lines are shown.
#[derive(Clone, Debug)]
pub struct Parts {
    /// By interval.
    pub series: Lines,
    /// By token.
    pub tokens: Candidates,
    /// By route.
    pub routes: Candidates,
}

impl Question<'_> {
    /// Puts together what was read.
    pub fn parts(&self, reading: Reading) -> Parts {
        let Reading { series, tokens, routes, pending } = reading;
        let sums = |split| Adding { lines: Lines::new(), split, spans: self.sums, is_series: false };
        let of_series =
            Adding { lines: Lines::new(), split: Split::Whole, spans: self.series, is_series: true };
        let mut added = [of_series, sums(Split::Token), sums(Split::Route)];
        add_pending(&mut added, self.whose, &pending);
        let [of_series, of_tokens, of_routes] = added.map(|added| added.lines);
        let mut lines = of_series;
        add_rows(&mut lines, Split::Whole, series);
        Parts {
            series: lines,
            tokens: Candidates::of(Split::Token, tokens, of_tokens),
            routes: Candidates::of(Split::Route, routes, of_routes),
        }
    }

    /// Returns which sums that are not rows yet may count in the report.
    pub fn pending(&self) -> Vec<Pending> {
        pending_of(self.series.iter().chain(self.sums))
    }
}

/// The counts that lines are ranked by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All calls.
    pub calls: u64,
    /// Those with the outcome `ok`.
    pub ok: u64,
    /// Those that were denied or limited.
    pub refused: u64,
    /// Cost in micro-dollars.
    pub cost_micros: u64,
    /// Prompt and completion tokens of AI calls.
    pub ai_tokens: u64,
}

impl From<&Rollup> for Counts {
    fn from(sums: &Rollup) -> Self {
        Self {
            calls: sums.calls,
            ok: sums.ok,
            refused: sums.denied.saturating_add(sums.limited),
            cost_micros: sums.cost_micros,
            ai_tokens: sums.prompt_tokens.saturating_add(sums.completion_tokens),
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        for (sum, n) in [
            (&mut self.calls, more.calls),
            (&mut self.ok, more.ok),
            (&mut self.refused, more.refused),
            (&mut self.cost_micros, more.cost_micros),
            (&mut self.ai_tokens, more.ai_tokens),
        ] {
            *sum = sum.saturating_add(n);
        }
    }
}

/// Counts of a key, over all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankRow {
    /// Dimension.
    pub dimension: String,
    /// Key.
    pub key: String,
    /// The counts.
    pub counts: Counts,
}

/// Lines by token or by route, of which a report shows some. All other sums are read for those only.
#[derive(Clone, Debug)]
pub struct Candidates {
    counts: BTreeMap<LineKey, Counts>,
    pending: Lines,
}

impl Candidates {
    /// Adds up rows, and the sums of `lines` that are not rows yet.
    pub fn of(split: Split, rows: Vec<RankRow>, lines: Lines) -> Self {
        let mut counts = BTreeMap::<LineKey, Counts>::new();
        let of_rows = rows.into_iter().map(|row| (line_of(&row.dimension, split, &row.key), row.counts));
        let of_pending =
            lines.iter().map(|((_, key), Sums { rollup, .. })| (key.clone(), Counts::from(rollup)));
        for (key, more) in of_rows.chain(of_pending) {
            counts.entry(key).or_default().add(more);
        }
        Self { counts, pending: lines }
    }

    /// Adds up rows, and sums that are not rows yet.
    pub fn read(whose: &Whose, split: Split, spans: &[Span], rows: Vec<RankRow>, pending: &[Sheet]) -> Self {
        let mut added = [Adding { lines: Lines::new(), split, spans, is_series: false }];
        add_pending(&mut added, whose, pending);
        let [added] = added;
        Self::of(split, rows, added.lines)
    }

    /// Returns the counts of a line.
    pub fn counts(&self, key: &LineKey) -> Counts {
        self.counts.get(key).copied().unwrap_or_default()
    }

    /// Returns the busiest lines, at most `most`.
    pub fn busiest(&self, most: usize) -> Vec<LineKey> {
        self.highest(Metric::Calls, most)
    }

    /// Returns the lines with the most of something, at most `most`; of equal ones the busiest first.
    pub fn highest(&self, metric: Metric, most: usize) -> Vec<LineKey> {
        let mut ranking: Vec<_> = self
            .counts
            .iter()
            .map(|(key, counts)| (Reverse((metric.rank(*counts), counts.calls)), key))
            .collect();
        ranking.sort_unstable();
        ranking.into_iter().take(most).map(|(_, key)| key.clone()).collect()
    }

    /// Returns the lines and their counts.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (&LineKey, Counts)> {
        self.counts.iter().map(|(key, counts)| (key, *counts))
    }

    /// Returns sums that are not rows yet of the lines that are shown. Their rows are to be added.
    pub fn shown(mut self, keys: &[LineKey]) -> Lines {
        let line = |key: &LineKey| {
            let key = (0, key.clone());
            let sums = self.pending.remove(&key).unwrap_or_default();
            (key, sums)
        };
        crate::collect::map(keys.iter().map(line))
    }
}

/// Buckets whose sums are not rows yet, as the SQL takes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Their granularity.
    pub granularity: &'static str,
    /// The first bucket, unix ms.
    pub from: UnixMs,
    /// The end of the buckets, exclusive.
    pub to: UnixMs,
}

impl Pending {
    /// Returns the buckets that say when a route was last called: when they are over, a table says so.
    pub fn last_calls() -> Self {
        Self { granularity: Granularity::FiveMinutes.as_str(), from: 0, to: UnixMs::MAX }
    }

    /// Returns the buckets of all time.
    pub fn all() -> Vec<Self> {
        let of =
            |granularity: Granularity| Self { granularity: granularity.as_str(), from: 0, to: UnixMs::MAX };
        Granularity::ALL.into_iter().map(of).collect()
    }
}

/// Returns the buckets whose sums may count in some spans. The buckets of a week that is not over, the largest of
/// all, count only if that week is read as a whole.
pub fn pending_of<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Vec<Pending> {
    let of = |span: &Span| {
        let (from, width_ms) = (span.from, span.granularity.width_ms());
        // The last bucket counts as a whole.
        let to = span.granularity.bucket(span.to + width_ms - 1);
        let within = span.granularity;
        let is_within = move |granularity: &Granularity| *granularity <= within;
        let pending = move |granularity: Granularity| Pending { granularity: granularity.as_str(), from, to };
        Granularity::ALL.into_iter().filter(is_within).map(pending)
    };
    spans.into_iter().flat_map(of).collect()
}

/// Returns the lines, the busiest first.
pub fn busiest_first(lines: Lines) -> Vec<(LineKey, Sums)> {
    let mut sorted: Vec<_> = lines.into_iter().map(|((_, key), sums)| (key, sums)).collect();
    sorted
        .sort_unstable_by(|(a, a_sums), (b, b_sums)| (b_sums.rollup.calls, a).cmp(&(a_sums.rollup.calls, b)));
    sorted
}

impl Whose {
    /// Returns the ranges that hold the rows of some lines.
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
                Split::Team => one.teams = Some(vec![key.id.as_str().into()]),
                Split::Model => one.kind = Kind::Model(key.id.clone()),
            }
            one.ranges_of(split, spans)
        };
        lines.into_iter().flat_map(ranges).collect()
    }

    /// Returns when each route was last called, by sums that are not rows yet.
    pub fn last_calls(&self, pending: &[Sheet]) -> BTreeMap<String, UnixMs> {
        let mut last: BTreeMap<String, UnixMs> = BTreeMap::new();
        for bucket in pending.iter().flat_map(Sheet::buckets) {
            bucket.each(|line, sums| {
                if !self.covers(line) {
                    return;
                }
                match last.get_mut(line.route) {
                    Some(at) => *at = sums.last_at.max(*at),
                    None => drop(last.insert(line.route.to_owned(), sums.last_at)),
                }
            });
        }
        last
    }
}
