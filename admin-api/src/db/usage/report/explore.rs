//! Reports for the explorer and the first page.

use super::super::super::{Statement, StoreError, UsageDb, usage_sql};
use super::ATTEMPTS;
use super::reading::{
    MOST_RANGES, Version, over, pending_in, pending_statements, ranking_in, read_rows, version_in,
};
use domain::time::UnixMs;
use domain::usage::metric::Metric;
use domain::usage::report::{
    Candidates, Exploration, Explored, ExploredLine, LineKey, Range, ReadRow, Split, SplitParts, buckets,
};
use domain::usage::rollup::Rollup;
use domain::usage::span::Span;
use std::collections::BTreeMap;
use worker::D1Result;

/// The lines that are shown of one way to split.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// The lines with the most of this,
    pub metric: Metric,
    /// unless these are asked for.
    pub ids: Option<Vec<String>>,
    pub most: usize,
    /// The first lines, whose intervals are read as well.
    pub drawn: usize,
}

impl Chosen {
    fn keys(&self, candidates: &Candidates) -> Vec<LineKey> {
        match &self.ids {
            None => candidates.highest(self.metric, self.most),
            Some(ids) => {
                let called = candidates.all().map(|(key, _)| key).filter(|key| ids.contains(&key.id));
                called.cloned().collect()
            }
        }
    }
}

/// A report, before things have their names.
#[derive(Debug, Default)]
pub struct Found {
    /// Sums of both times by interval, in the zone's local time.
    pub series: BTreeMap<UnixMs, Rollup>,
    /// The lines of each way to split, and how many there are in all.
    pub splits: Vec<(Vec<ExploredLine>, usize)>,
    /// Counts beside it.
    pub sections: Vec<Candidates>,
}

/// Reads what is asked for: `chosen` says for each way to split which lines are shown.
pub async fn explore(
    usage: &UsageDb,
    asked: Exploration<'_>,
    chosen: &[Chosen],
) -> Result<Found, StoreError> {
    let mut attempt = 1;
    loop {
        let (version, read) = read_first(usage, &asked).await?;
        let (series, splits, sections) = asked.parts(read);
        let (later, splits) = read_lines(usage, &asked, splits, chosen).await?;
        if later == version || attempt == ATTEMPTS {
            return Ok(Found { series, splits, sections });
        }
        attempt += 1;
    }
}

/// Reads everything but the lines, in one transaction.
async fn read_first(usage: &UsageDb, asked: &Exploration<'_>) -> Result<(Version, Explored), StoreError> {
    let series = asked.series();
    let of_series = asked.whose.ranges_of(Split::Whole, &series);
    let rankings = asked.rankings();
    let mut statements = vec![
        usage.statement(usage_sql!("report_version"), &[])?,
        over(usage, usage_sql!("report_rows"), &of_series, &buckets(&series, true))?,
    ];
    for (ranges, spans) in &rankings {
        // A section of very many tokens is cut: its ranges are one parameter.
        let ranges = ranges.get(..MOST_RANGES).unwrap_or(ranges);
        statements.push(over(usage, usage_sql!("report_ranking"), ranges, &buckets(spans, false))?);
    }
    statements.extend(pending_statements(usage, &asked.pending(), &asked.whose.kind)?);
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let version = version_in(results.next())?;
    let series = read_rows(results.next())?;
    let rankings = rankings.iter().map(|_| ranking_in(results.next())).collect::<Result<_, _>>()?;
    Ok((version, Explored { series, rankings, pending: pending_in(&mut results)? }))
}

/// Reads the rows of the lines that are shown, in one transaction.
async fn read_lines(
    usage: &UsageDb,
    asked: &Exploration<'_>,
    splits: Vec<SplitParts>,
    chosen: &[Chosen],
) -> Result<(Version, Vec<(Vec<ExploredLine>, usize)>), StoreError> {
    let mut statements = vec![usage.statement(usage_sql!("report_version"), &[])?];
    let mut counts = Vec::new();
    let keys: Vec<Vec<LineKey>> =
        splits.iter().zip(chosen).map(|(split, chosen)| chosen.keys(&split.candidates)).collect();
    let before: &[Span] = asked.previous.map_or(&[], |previous| &previous.sums);
    for ((SplitParts { split, .. }, keys), chosen) in splits.iter().zip(&keys).zip(chosen) {
        let drawn = keys.get(..chosen.drawn).unwrap_or(keys);
        for (keys, spans, is_series) in [
            (&keys[..], &asked.period.sums[..], false),
            (keys, before, false),
            (drawn, &asked.period.series, true),
        ] {
            let ranges = asked.whose.ranges_of_lines(*split, spans, keys);
            let added = rows_of(usage, &ranges, spans, is_series)?;
            counts.push(added.len());
            statements.extend(added);
        }
    }
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let version = version_in(results.next())?;
    let mut counts = counts.into_iter();
    let mut next = || read_all(&mut results, counts.next().unwrap_or_default());
    let mut found = Vec::new();
    for (split, keys) in splits.into_iter().zip(keys) {
        let all = split.candidates.all().len();
        let rows = [next()?, next()?, next()?];
        found.push((split.shown(keys, rows), all));
    }
    Ok((version, found))
}

fn rows_of(
    usage: &UsageDb,
    ranges: &[Range],
    spans: &[Span],
    is_series: bool,
) -> Result<Vec<Statement>, StoreError> {
    let buckets = buckets(spans, is_series);
    ranges.chunks(MOST_RANGES).map(|part| over(usage, usage_sql!("report_rows"), part, &buckets)).collect()
}

fn read_all<'a>(
    results: &mut impl Iterator<Item = &'a D1Result>,
    count: usize,
) -> Result<Vec<ReadRow>, StoreError> {
    let mut rows = Vec::new();
    for result in results.take(count) {
        rows.extend(read_rows(Some(result))?);
    }
    Ok(rows)
}
