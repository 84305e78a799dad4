//! Plans a fold: what it writes, of what it has read. `db::usage::folding` reads and writes.

use domain::time::UnixMs;
use domain::usage::fold::{Dimension, Row, fold, refused};
use domain::usage::label::{LabelTallies, Labels, TokenDay};
use domain::usage::model;
use domain::usage::segment::{MAX_CALLS, RawCall, bound_refused, sort};
use domain::usage::sheet::Sheet;
use domain::usage::span::Granularity;
use domain::usage::tally::{Tallies, Tally};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::intake::REFUSED_KEPT;

/// About the most bytes in a part of an open bucket: a third of a value's limit, since lines differ in length.
const PART_BYTES: usize = 600_000;
/// The most bytes of one JSON parameter; D1 accepts 2 MB.
const MAX_PARAM_BYTES: usize = 900_000;

/// A part of an open bucket, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPart {
    pub granularity: Granularity,
    pub bucket: UnixMs,
    pub part: usize,
    /// JSON of a sheet with this bucket.
    pub sums: String,
}

/// The writes of a fold.
#[derive(Debug, Default)]
pub struct Plan {
    /// JSON arrays of rows, each below the largest parameter.
    pub rows: Vec<String>,
    pub open: OpenChange,
    /// Changes of the open buckets of sums by model.
    pub open_models: OpenChange,
    pub last_calls: Vec<LastCall>,
    /// JSON arrays of rows of labels, each below the largest parameter.
    pub labels: Vec<String>,
    /// Raw calls of the segments to write, the oldest first.
    pub segments: Vec<Vec<RawCall>>,
}

/// How the open buckets change.
#[derive(Debug, Default)]
pub struct OpenChange {
    /// Parts that are new or have changed.
    pub put: Vec<OpenPart>,
    /// Parts of buckets that are no longer open.
    pub removed: Vec<OpenPart>,
}

/// Sums and calls that are to be folded.
#[derive(Debug, Default)]
pub struct Arrived {
    pub sums: Tallies,
    /// By AI model.
    pub models: Tallies,
    pub calls: Vec<RawCall>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastCall {
    route: String,
    team: String,
    at: UnixMs,
}

/// Plans the fold of what has `arrived` into the `open` buckets, and into those of sums by model. `last` are the calls of
/// the segment that calls are added to.
pub fn plan(
    open: &[OpenPart],
    open_models: &[OpenPart],
    arrived: Arrived,
    last: Vec<RawCall>,
    now: UnixMs,
) -> serde_json::Result<Plan> {
    let Arrived { sums, models, mut calls } = arrived;
    let mut tallies = tallies_of(open)?;
    bound_refused(&mut calls, REFUSED_KEPT, |token, hour| refused(&tallies, token, hour));
    let mut rows = fold(&mut tallies, sums, now, &Dimension::CALLS);
    let last_calls = last_calls(&rows);
    let mut by_model = tallies_of(open_models)?;
    let models = model::bounded(models, &by_model);
    rows.extend(fold(&mut by_model, models, now, &Dimension::MODELS));
    let segments = if calls.is_empty() { vec![] } else { cut(last, calls, now) };
    Ok(Plan {
        last_calls,
        labels: vec![],
        rows: chunks(rows.iter().map(|row| value_of(row).to_string())),
        open: change(open, tallies)?,
        open_models: change(open_models, by_model)?,
        segments,
    })
}

fn tallies_of(open: &[OpenPart]) -> serde_json::Result<Tallies> {
    let mut tallies = Tallies::default();
    for part in open {
        tallies.extend(Tallies::from(&serde_json::from_str::<Sheet>(&part.sums)?));
    }
    Ok(tallies)
}

fn change(before: &[OpenPart], after: Tallies) -> serde_json::Result<OpenChange> {
    let after = parts_of(after)?;
    let key = |part: &OpenPart| (part.granularity, part.bucket, part.part);
    let is_kept = |part: &OpenPart| after.iter().any(|kept| key(kept) == key(part));
    let removed = before.iter().filter(|part| !is_kept(part)).cloned().collect();
    Ok(OpenChange { put: after.into_iter().filter(|part| !before.contains(part)).collect(), removed })
}

fn parts_of(tallies: Tallies) -> serde_json::Result<Vec<OpenPart>> {
    let mut parts = Vec::new();
    for (granularity, bucket, tally) in tallies.into_buckets() {
        let text = |tally: &Tally| serde_json::to_string(&Sheet::of_bucket(granularity, bucket, tally));
        let count = text(&tally)?.len() / PART_BYTES + 1;
        let lines = tally.lines().div_ceil(count).max(1);
        for (part, tally) in Tally::parts(tally, lines).iter().enumerate() {
            parts.push(OpenPart { granularity, bucket, part, sums: text(tally)? });
        }
    }
    Ok(parts)
}

/// Cuts calls into segments, the oldest first, each of one hour, or of a day or week if that is long ago: segments of
/// different times overlap little, so a search opens few. The last one has room for more.
fn cut(last: Vec<RawCall>, calls: Vec<RawCall>, now: UnixMs) -> Vec<Vec<RawCall>> {
    let slice_of = |call: &RawCall| {
        let width = match Granularity::finest_kept(call.at(), now) {
            Granularity::FiveMinutes => Granularity::Hour,
            Granularity::Hour => Granularity::Day,
            Granularity::Day | Granularity::Week => Granularity::Week,
        };
        width.bucket(call.at())
    };
    let mut left = last;
    left.extend(calls);
    sort(&mut left);
    let mut segments = Vec::new();
    while let Some(oldest) = left.last().map(slice_of) {
        let before = left.iter().rposition(|call| slice_of(call) != oldest).map_or(0, |newer| newer + 1);
        segments.push(left.split_off(before.max(left.len().saturating_sub(MAX_CALLS))));
    }
    segments
}

/// A row as the SQL takes it.
fn value_of(row: &Row) -> Value {
    let Row { dimension, granularity, bucket, key, sums } = row;
    let mut values = vec![json!(dimension.as_str()), json!(granularity.as_str()), json!(bucket), json!(key)];
    // D1 knows no integers beyond 2^53.
    let safe = |n: u64| json!(n.min((1 << 53) - 1));
    values.extend(sums.rollup.sums().map(safe));
    values.push(Value::String(sums.rollup.latency.to_json()));
    Value::Array(values)
}

fn chunks(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for text in rows {
        match chunks.last_mut() {
            Some(chunk) if chunk.len() + text.len() < MAX_PARAM_BYTES => {
                chunk.push(',');
                chunk.push_str(&text);
            }
            _ => chunks.push(text),
        }
    }
    chunks.into_iter().map(|chunk| format!("[{chunk}]")).collect()
}

/// A token's labels of a day, as they are stored.
#[derive(Clone, Debug, Deserialize)]
pub struct LabelRow {
    #[serde(flatten)]
    pub place: TokenDay,
    /// JSON of [`Labels`].
    pub sums: String,
}

/// Adds the labels that have `arrived` to the rows that are `stored`. The rows were first, so their labels stay.
pub fn label_rows(stored: Vec<LabelRow>, arrived: &LabelTallies) -> serde_json::Result<Vec<String>> {
    let mut labels = LabelTallies::default();
    for LabelRow { place, sums } in stored {
        labels.merge(place, &serde_json::from_str(&sums)?);
    }
    labels.extend(arrived);
    let row = |(place, labels): (&TokenDay, &Labels)| {
        let TokenDay { day, team_id, token_id } = place;
        Ok(json!([day, team_id, token_id, serde_json::to_string(labels)?]).to_string())
    };
    let rows: Vec<String> = labels.iter().map(row).collect::<serde_json::Result<_>>()?;
    Ok(chunks(rows.into_iter()))
}

/// Finds when teams last called routes, in rows that are written. Of several times the SQL keeps the latest.
fn last_calls(rows: &[Row]) -> Vec<LastCall> {
    let of = |row: &Row| {
        let (team, route) = row.key.split_once(' ')?;
        Some(LastCall { route: route.to_owned(), team: team.to_owned(), at: row.sums.last_at })
    };
    rows.iter().filter(|row| row.dimension == Dimension::TeamRoute).filter_map(of).collect()
}
