//! A report that is compared with the time before it and split as one likes, with further sums beside it.

use super::{
    Adding, Candidates, LineKey, Lines, Pending, Range, RankRow, ReadRow, Split, Whose, add_pending,
    add_rows, pending_of,
};
use crate::time::UnixMs;
use crate::usage::period::Period;
use crate::usage::rollup::Rollup;
use crate::usage::sheet::Sheet;
use crate::usage::span::Span;
use std::collections::BTreeMap;

/// Counts over a time of their own.
#[derive(Clone, Debug)]
pub struct Section {
    /// The things that it has a line for.
    pub split: Split,
    /// The time.
    pub spans: Vec<Span>,
    /// The lines that it counts; `None` means all that the report covers.
    pub keys: Option<Vec<LineKey>>,
}

/// A report that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Exploration<'a> {
    /// The calls that it covers.
    pub whose: &'a Whose,
    /// Its time.
    pub period: &'a Period,
    /// The time that it is compared with.
    pub previous: Option<&'a Period>,
    /// The ways in which it is split.
    pub splits: &'a [Split],
    /// Counts beside it.
    pub sections: &'a [Section],
}

/// The result of one transaction that reads for it.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// Rows of the series of both times.
    pub series: Vec<ReadRow>,
    /// Counts by line, for each way to split, then for each section.
    pub rankings: Vec<Vec<RankRow>>,
    /// Sums that are not rows yet.
    pub pending: Vec<Sheet>,
}

/// The lines of one way to split, as far as they are known before it is decided which are shown.
#[derive(Clone, Debug)]
pub struct SplitParts {
    /// The way.
    pub split: Split,
    /// All lines, ranked by their counts.
    pub candidates: Candidates,
    previous: Lines,
    series: Lines,
}

/// One line that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The thing that it is about.
    pub key: LineKey,
    /// Its sums.
    pub rollup: Rollup,
    /// Its sums over the time before.
    pub previous: Rollup,
    /// Its sums by interval, in the zone's local time; intervals without calls are absent.
    pub series: BTreeMap<UnixMs, Rollup>,
}

impl Exploration<'_> {
    /// Returns the spans of the series of both times.
    pub fn series(&self) -> Vec<Span> {
        let previous = self.previous.iter().flat_map(|previous| &previous.series);
        previous.chain(&self.period.series).cloned().collect()
    }

    fn previous_sums(&self) -> &[Span] {
        self.previous.map_or(&[], |previous| &previous.sums)
    }

    /// Returns the ranges of rows and the time of each ranking that is read.
    pub fn rankings(&self) -> Vec<(Vec<Range>, &[Span])> {
        let sums: &[Span] = &self.period.sums;
        let of_split = self.splits.iter().map(|split| (self.whose.ranges_of(*split, sums), sums));
        let of_section = self.sections.iter().map(|Section { split, spans, keys }| {
            let ranges = match keys {
                None => self.whose.ranges_of(*split, spans),
                Some(keys) => Whose::default().ranges_of_lines(*split, spans, keys),
            };
            (ranges, spans.as_slice())
        });
        of_split.chain(of_section).collect()
    }

    /// Returns which sums that are not rows yet may count in it.
    pub fn pending(&self) -> Vec<Pending> {
        let series = self.series();
        let sections = self.sections.iter().flat_map(|section| &section.spans);
        pending_of(series.iter().chain(&self.period.sums).chain(self.previous_sums()).chain(sections))
    }

    /// Puts together what was read: the series of both times by local interval, each way to split, each section.
    pub fn parts(&self, read: Explored) -> (BTreeMap<UnixMs, Rollup>, Vec<SplitParts>, Vec<Candidates>) {
        let spans = self.series();
        let adding = |split, spans, is_series| Adding { lines: Lines::new(), split, spans, is_series };
        let mut added = vec![adding(Split::Whole, &spans[..], true)];
        for split in self.splits {
            added.push(adding(*split, &self.period.sums, false));
            added.push(adding(*split, self.previous_sums(), false));
            added.push(adding(*split, &self.period.series, true));
        }
        added.extend(self.sections.iter().map(|section| adding(section.split, &section.spans, false)));
        add_pending(&mut added, self.whose, &read.pending);
        let mut added = added.into_iter().map(|added| added.lines);
        let mut next = || added.next().unwrap_or_default();
        let mut series = next();
        add_rows(&mut series, Split::Whole, read.series);
        let mut rankings = read.rankings.into_iter();
        let mut ranked = |split, lines| Candidates::of(split, rankings.next().unwrap_or_default(), lines);
        let splits = self.splits.iter().map(|split| SplitParts {
            split: *split,
            candidates: ranked(*split, next()),
            previous: next(),
            series: next(),
        });
        let splits: Vec<SplitParts> = splits.collect();
        let sections = self.sections.iter().map(|section| ranked(section.split, next())).collect();
        (by_interval(series, &LineKey::default()), splits, sections)
    }
}

fn by_interval(lines: Lines, of: &LineKey) -> BTreeMap<UnixMs, Rollup> {
    let shown = lines.into_iter().filter(|((_, key), _)| key == of);
    shown.map(|((at, _), sums)| (at, sums.rollup)).collect()
}

impl SplitParts {
    /// Puts the lines of `keys` together: `now` and `before` are rows of their sums, `series` rows by interval.
    pub fn shown(self, keys: Vec<LineKey>, [now, before, series]: [Vec<ReadRow>; 3]) -> Vec<Line> {
        let mut sums = self.candidates.shown(&keys);
        let (mut previous, mut by) = (self.previous, self.series);
        add_rows(&mut sums, self.split, now);
        add_rows(&mut previous, self.split, before);
        add_rows(&mut by, self.split, series);
        let mut all: BTreeMap<LineKey, BTreeMap<UnixMs, Rollup>> = BTreeMap::new();
        for ((at, key), sums) in by {
            all.entry(key).or_default().insert(at, sums.rollup);
        }
        let line = |key: LineKey| {
            let take = |lines: &mut Lines| lines.remove(&(0, key.clone())).unwrap_or_default().rollup;
            let (rollup, previous) = (take(&mut sums), take(&mut previous));
            let series = all.remove(&key).unwrap_or_default();
            Line { key, rollup, previous, series }
        };
        keys.into_iter().map(line).collect()
    }
}
