//! Reads what reports are made of.

use super::super::super::{Statement, StoreError, UsageDb, from_json, params, rows_of, to_json, usage_sql};
use domain::time::UnixMs;
use domain::usage::report::{
    Lines, Pending, Question, Range, ReadRow, Reading, Split, Whose, add_histograms as add,
    add_split_rows, add_tallies, buckets, pending_of,
};
use domain::usage::rollup::{Histogram, Rollup, SUMS};
use domain::usage::span::{Granularity, Span};
use domain::usage::tally::{Tallies, Tally};
use edge::log::{Source, log};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use worker::D1Result;

/// A row of the rollups, or sums over several. Its sums are JSON, because D1's numbers are exact up to 2^53 only.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    granularity: String,
    dimension: String,
    #[serde(default)]
    bucket: UnixMs,
    key: String,
    sums: String,
    #[serde(default)]
    histogram: String,
}

impl TryFrom<Row> for ReadRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let sums: [u64; SUMS] = from_json(&row.sums)?;
        Ok(Self {
            granularity: row.granularity,
            dimension: row.dimension,
            bucket: row.bucket,
            key: row.key,
            rollup: Rollup::of(sums, histogram(&row.histogram)),
        })
    }
}

/// Reads a histogram. An unreadable one counts for nothing.
fn histogram(text: &str) -> Histogram {
    serde_json::from_str(text).unwrap_or_default()
}

/// Reads the rows of a statement's result.
fn read_rows(result: Option<&D1Result>) -> Result<Vec<ReadRow>, StoreError> {
    Ok(crate::db::readable(rows_in::<Row>(result)?))
}

fn rows_in<T: DeserializeOwned>(result: Option<&D1Result>) -> Result<Vec<T>, StoreError> {
    Ok(result.map(rows_of).transpose()?.unwrap_or_default())
}

/// Makes the statement of a file that takes ranges and buckets.
fn over(usage: &UsageDb, sql: &str, ranges: &[Range], spans: &[Span]) -> Result<Statement, StoreError> {
    usage.statement(sql, params![&to_json(ranges)?, &to_json(&buckets(spans))?])
}

/// Makes the statements that [`pending_in`] reads.
pub fn pending_statements(usage: &UsageDb, spans: &[Span]) -> Result<Vec<Statement>, StoreError> {
    statements_of(usage, &pending_of(spans))
}

fn statements_of(usage: &UsageDb, pending: &Pending) -> Result<Vec<Statement>, StoreError> {
    // D1 takes whole numbers up to 2^53.
    let bound = |at: UnixMs| at.clamp(0, crate::db::MAX_SAFE);
    let granularities = to_json(&pending.granularities)?;
    Ok(vec![
        usage.statement(usage_sql!("report_open"), params![&granularities, bound(pending.from), bound(pending.to)])?,
        usage.statement(usage_sql!("report_inbox"), &[])?,
    ])
}

/// Reads sums that are not rows yet. What cannot be read is logged and left out: it must not fail every report.
pub fn pending_in<'a>(results: &mut impl Iterator<Item = &'a D1Result>) -> Result<Tallies, StoreError> {
    #[derive(Deserialize)]
    struct Open {
        granularity: Granularity,
        bucket: UnixMs,
        sums: String,
    }
    #[derive(Deserialize)]
    struct Arrived {
        sums: String,
    }
    let mut pending = Tallies::default();
    for row in rows_in::<Open>(results.next())? {
        if let Some(tally) = or_log::<Tally>(&row.sums) {
            pending.merge(row.granularity, row.bucket, tally);
        }
    }
    for row in rows_in::<Arrived>(results.next())? {
        pending.extend(or_log::<Tallies>(&row.sums).unwrap_or_default());
    }
    Ok(pending)
}

fn or_log<T: DeserializeOwned>(text: &str) -> Option<T> {
    from_json(text).inspect_err(|error| log(Source::Isolate, "sums left out", &error.to_string())).ok()
}

/// The version of the rollups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Version {
    version: i64,
}

fn version_in(result: Option<&D1Result>) -> Result<Version, StoreError> {
    Ok(rows_in::<Version>(result)?.into_iter().next().unwrap_or_default())
}

/// Reads all that a report is made of, but the histograms of tokens and routes, in one transaction.
pub async fn read_question(
    usage: &UsageDb,
    question: &Question<'_>,
) -> Result<(Version, Reading), StoreError> {
    let Question { whose, series, sums } = *question;
    let by = |split| over(usage, usage_sql!("report_sums"), &whose.ranges_of(split, sums), sums);
    let mut statements = vec![
        over(usage, usage_sql!("report_series"), &whose.ranges_of(Split::Whole, series), series)?,
        by(Split::Token)?,
        by(Split::Route)?,
    ];
    statements.extend(statements_of(usage, &question.pending())?);
    statements.push(usage.statement(usage_sql!("report_version"), &[])?);
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let reading = Reading {
        series: read_rows(results.next())?,
        tokens: read_rows(results.next())?,
        routes: read_rows(results.next())?,
        pending: pending_in(&mut results)?,
    };
    Ok((version_in(results.next())?, reading))
}

/// The sums by token or by route.
#[derive(Debug)]
pub struct SplitReading {
    pub version: Version,
    /// The lines, with the histograms of sums that are not rows yet only.
    pub lines: Lines,
    /// When each route was last called; empty for tokens.
    pub last_calls: BTreeMap<String, UnixMs>,
}

/// Reads the sums by token or by route, in one transaction.
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
        over(usage, usage_sql!("report_sums"), &whose.ranges_of(split, spans), spans)?,
    ];
    statements.extend(pending_statements(usage, spans)?);
    if split == Split::Route {
        statements.push(usage.statement(usage_sql!("report_last_calls"), params![teams.as_ref()])?);
    }
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let (version, mut lines) = (version_in(results.next())?, Lines::new());
    add_split_rows(&mut lines, split, read_rows(results.next())?);
    let pending = pending_in(&mut results)?;
    add_tallies(&mut lines, whose, split, spans, &pending, false);
    let mut last_calls = BTreeMap::new();
    if split == Split::Route {
        last_calls = whose.last_calls(&pending);
        for LastCall { route_id, at } in rows_in(results.next())? {
            let last = last_calls.entry(route_id).or_insert(at);
            *last = at.max(*last);
        }
    }
    Ok(SplitReading { version, lines, last_calls })
}

/// Lines that lack the histograms of their rows.
#[derive(Debug)]
pub struct Shown<'a> {
    split: Split,
    lines: &'a mut Lines,
}

impl<'a> Shown<'a> {
    pub fn of(split: Split, lines: &'a mut Lines) -> Self {
        Self { split, lines }
    }
}

/// Adds the histograms of rows to lines. Returns the version of the rollups that they are from.
pub async fn add_histograms<const N: usize>(
    usage: &UsageDb,
    whose: &Whose,
    spans: &[Span],
    shown: [Shown<'_>; N],
) -> Result<Version, StoreError> {
    #[derive(Deserialize)]
    struct Bins {
        dimension: String,
        key: String,
        histogram: String,
    }
    let mut statements = vec![usage.statement(usage_sql!("report_version"), &[])?];
    for Shown { split, lines } in &shown {
        let ranges = whose.ranges_of_lines(*split, spans, lines.keys().map(|(_, key)| key));
        statements.push(over(usage, usage_sql!("report_histograms"), &ranges, spans)?);
    }
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let version = version_in(results.next())?;
    for Shown { split, lines } in shown {
        let rows = rows_in::<Bins>(results.next())?;
        let rows = rows.into_iter().map(|row| (row.dimension, row.key, histogram(&row.histogram)));
        add(lines, split, rows.collect());
    }
    Ok(version)
}
