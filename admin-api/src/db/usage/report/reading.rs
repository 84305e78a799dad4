//! Reads what reports are made of.

use super::super::super::{Statement, StoreError, UsageDb, from_json, params, rows_of, to_json, usage_sql};
use domain::time::UnixMs;
use domain::usage::numbers::Numbers;
use domain::usage::report::{
    Bucket, Candidates, Counts, Kind, LineKey, Lines, Pending, Question, Range, RankRow, ReadRow, Reading,
    Split, Whose, add_rows, buckets, pending_of,
};
use domain::usage::sheet::Sheet;
use domain::usage::span::Span;
use edge::log::{Source, log};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use worker::D1Result;

/// The most ranges in one parameter, which D1 takes up to 2 MB long.
pub(super) const MOST_RANGES: usize = 3_000;

/// Rows of the rollups, added up. Sums are text, because D1's numbers are exact up to 2^53 only.
#[derive(Debug, Deserialize)]
struct Row {
    dimension: String,
    key: String,
    interval: UnixMs,
    sums: String,
    histograms: String,
}

impl From<Row> for ReadRow {
    fn from(row: Row) -> Self {
        let Row { dimension, key, interval, sums, histograms } = row;
        let mut read = Self { dimension, key, interval, ..Self::default() };
        for (sum, n) in read.rollup.sums_mut().into_iter().zip(Numbers::of(&sums)) {
            *sum = n;
        }
        read.rollup.latency.add_all(Numbers::of(&histograms));
        read
    }
}

fn rows_in<T: DeserializeOwned>(result: Option<&D1Result>) -> Result<Vec<T>, StoreError> {
    Ok(result.map(rows_of).transpose()?.unwrap_or_default())
}

pub(super) fn read_rows(result: Option<&D1Result>) -> Result<Vec<ReadRow>, StoreError> {
    Ok(rows_in::<Row>(result)?.into_iter().map(ReadRow::from).collect())
}

pub(super) fn ranking_in(result: Option<&D1Result>) -> Result<Vec<RankRow>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        dimension: String,
        key: String,
        calls: u64,
        ok: u64,
        refused: u64,
        cost_micros: u64,
        ai_tokens: u64,
    }
    let of = |Row { dimension, key, calls, ok, refused, cost_micros, ai_tokens }| RankRow {
        dimension,
        key,
        counts: Counts { calls, ok, refused, cost_micros, ai_tokens },
    };
    Ok(rows_in::<Row>(result)?.into_iter().map(of).collect())
}

/// Makes the statement of a file that takes ranges and buckets.
pub(super) fn over(
    usage: &UsageDb,
    sql: &str,
    ranges: &[Range],
    buckets: &[Bucket],
) -> Result<Statement, StoreError> {
    usage.statement(sql, params![&to_json(ranges)?, &to_json(buckets)?])
}

/// Makes the statements that [`pending_in`] reads, for a report on calls of some kind.
pub fn pending_statements(
    usage: &UsageDb,
    pending: &[Pending],
    kind: &Kind,
) -> Result<[Statement; 2], StoreError> {
    let (open, inbox) = match kind {
        Kind::Any => (usage_sql!("report_open"), usage_sql!("report_inbox")),
        Kind::Ai | Kind::Model(_) => (usage_sql!("report_open_models"), usage_sql!("report_inbox_models")),
    };
    Ok([usage.statement(open, params![&to_json(pending)?])?, usage.statement(inbox, &[])?])
}

/// Reads sums that are not rows yet. What cannot be read is logged and left out: it must not fail every report.
pub fn pending_in<'a>(results: &mut impl Iterator<Item = &'a D1Result>) -> Result<Vec<Sheet>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        sums: String,
    }
    let mut rows: Vec<Row> = rows_in(results.next())?;
    rows.extend(rows_in::<Row>(results.next())?);
    let read = |row: &Row| {
        from_json(&row.sums)
            .inspect_err(|error| log(Source::Isolate, "sums left out", &error.to_string()))
            .ok()
    };
    Ok(rows.iter().filter_map(read).collect())
}

/// The version of the rollups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Version {
    version: i64,
}

pub(super) fn version_in(result: Option<&D1Result>) -> Result<Version, StoreError> {
    Ok(rows_in::<Version>(result)?.into_iter().next().unwrap_or_default())
}

/// Reads what a report is made of before it is known which lines are shown, in one transaction.
pub async fn read_question(
    usage: &UsageDb,
    question: &Question<'_>,
) -> Result<(Version, Reading), StoreError> {
    let Question { whose, series, sums } = *question;
    let by = |split| {
        over(usage, usage_sql!("report_ranking"), &whose.ranges_of(split, sums), &buckets(sums, false))
    };
    let of_series = whose.ranges_of(Split::Whole, series);
    let mut statements = vec![
        over(usage, usage_sql!("report_rows"), &of_series, &buckets(series, true))?,
        by(Split::Token)?,
        by(Split::Route)?,
    ];
    statements.extend(pending_statements(usage, &question.pending(), &whose.kind)?);
    statements.push(usage.statement(usage_sql!("report_version"), &[])?);
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let reading = Reading {
        series: read_rows(results.next())?,
        tokens: ranking_in(results.next())?,
        routes: ranking_in(results.next())?,
        pending: pending_in(&mut results)?,
    };
    Ok((version_in(results.next())?, reading))
}

/// Tokens or routes, of which a list shows some.
#[derive(Debug)]
pub struct SplitReading {
    pub version: Version,
    pub candidates: Candidates,
    /// When each route was last called; empty for tokens.
    pub last_calls: BTreeMap<String, UnixMs>,
}

/// Reads what a list is made of before it is known which lines are shown, in one transaction.
pub async fn read_split(
    usage: &UsageDb,
    whose: &Whose,
    split: Split,
    spans: &[Span],
) -> Result<SplitReading, StoreError> {
    #[derive(Deserialize)]
    struct LastCall {
        route_id: String,
        at: UnixMs,
    }
    let teams = whose.teams.as_ref().map(to_json).transpose()?;
    let mut statements = vec![
        usage.statement(usage_sql!("report_version"), &[])?,
        over(usage, usage_sql!("report_ranking"), &whose.ranges_of(split, spans), &buckets(spans, false))?,
    ];
    let mut pending = pending_of(spans);
    if split == Split::Route {
        pending.push(Pending::last_calls());
    }
    statements.extend(pending_statements(usage, &pending, &whose.kind)?);
    if split == Split::Route {
        statements.push(usage.statement(usage_sql!("report_last_calls"), params![teams.as_ref()])?);
    }
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let version = version_in(results.next())?;
    let ranking = ranking_in(results.next())?;
    let pending = pending_in(&mut results)?;
    let candidates = Candidates::read(whose, split, spans, ranking, &pending);
    let mut last_calls = BTreeMap::new();
    if split == Split::Route {
        last_calls = whose.last_calls(&pending);
        for LastCall { route_id, at } in rows_in(results.next())? {
            let last = last_calls.entry(route_id).or_insert(at);
            *last = at.max(*last);
        }
    }
    Ok(SplitReading { version, candidates, last_calls })
}

/// Lines that are shown.
#[derive(Debug)]
pub struct Shown {
    split: Split,
    keys: Vec<LineKey>,
    candidates: Candidates,
}

impl Shown {
    pub fn new(split: Split, keys: Vec<LineKey>, candidates: Candidates) -> Self {
        Self { split, keys, candidates }
    }
}

/// Reads the rows of the lines that are shown. Returns the lines, and the version of the rollups that they are from.
pub async fn read_shown(
    usage: &UsageDb,
    whose: &Whose,
    spans: &[Span],
    shown: Vec<Shown>,
) -> Result<(Version, Vec<Lines>), StoreError> {
    let mut statements = vec![usage.statement(usage_sql!("report_version"), &[])?];
    let (buckets, mut counts) = (buckets(spans, false), Vec::new());
    for Shown { split, keys, .. } in &shown {
        let ranges = whose.ranges_of_lines(*split, spans, keys);
        let parts = ranges.chunks(MOST_RANGES);
        counts.push(parts.len());
        for ranges in parts {
            statements.push(over(usage, usage_sql!("report_rows"), ranges, &buckets)?);
        }
    }
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let version = version_in(results.next())?;
    let mut all = Vec::new();
    for (Shown { split, keys, candidates }, count) in shown.into_iter().zip(counts) {
        let mut lines = candidates.shown(&keys);
        for result in results.by_ref().take(count) {
            add_rows(&mut lines, split, read_rows(Some(result))?);
        }
        all.push(lines);
    }
    Ok((version, all))
}
