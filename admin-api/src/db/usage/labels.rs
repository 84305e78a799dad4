//! Reads which labels calls carried: rows of days, and what is not folded yet, in one transaction.

use crate::db::{StoreError, UsageDb, from_json, params, rows_of, to_json, usage_sql};
use crate::fold::LabelRow;
use domain::id::{TeamId, TokenId};
use domain::time::{DAY_MS, UnixMs};
use domain::usage::label::{LabelSums, LabelTallies};
use domain::usage::report::Whose;
use edge::log::{Source, log};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Bytes of rows after which a report reads no more.
const MOST_BYTES: i64 = 8_000_000;

/// The sums of each team's token and label; '' stands for all labels that have no sums of their own.
pub type LabelLines = BTreeMap<(TeamId, TokenId, String), LabelSums>;

/// Reads the labels of the days from `first` to `last`. Returns them with the first day that is among them.
pub async fn report(
    db: &UsageDb,
    whose: &Whose,
    first: UnixMs,
    last: UnixMs,
) -> Result<(UnixMs, LabelLines), StoreError> {
    #[derive(Deserialize)]
    struct Waiting {
        labels: String,
    }
    let token = whose.token.as_ref().map(TokenId::as_str);
    let rows = match &whose.teams {
        None => db.statement(usage_sql!("report_labels"), params![first, last, token, MOST_BYTES])?,
        Some(teams) => {
            let days: Vec<UnixMs> = (0..=(last - first) / DAY_MS).map(|n| last - n * DAY_MS).collect();
            let (days, teams) = (to_json(&days)?, to_json(teams)?);
            db.statement(usage_sql!("report_labels_of_teams"), params![&days, &teams, token, MOST_BYTES])?
        }
    };
    let results = db.batch(vec![rows, db.statement(usage_sql!("report_inbox_labels"), &[])?]).await?;
    let mut results = results.iter();
    let rows: Vec<LabelRow> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let waiting: Vec<Waiting> = results.next().map(rows_of).transpose()?.unwrap_or_default();
    let first = first_whole(&rows, first, last);
    let mut all = LabelTallies::default();
    for LabelRow { place, sums } in rows {
        if let Some(labels) = readable(&sums) {
            all.merge(place, &labels);
        }
    }
    waiting.iter().filter_map(|row| readable(&row.labels)).for_each(|labels| all.extend(&labels));
    Ok((first, lines(&all, whose, first, last)))
}

/// Returns the first day of which all rows were read.
fn first_whole(rows: &[LabelRow], first: UnixMs, last: UnixMs) -> UnixMs {
    let bytes: usize = rows.iter().map(|row| row.sums.len()).sum();
    let is_cut = i64::try_from(bytes).is_ok_and(|bytes| bytes >= MOST_BYTES);
    let cut = rows.last().filter(|_| is_cut).map(|row| row.place.day + DAY_MS);
    cut.map_or(first, |next| next.min(last))
}

/// Reads stored sums. What cannot be read is logged and left out: it must not fail every report.
fn readable<T: DeserializeOwned>(text: &str) -> Option<T> {
    from_json(text).inspect_err(|error| log(Source::Isolate, "labels left out", &error.to_string())).ok()
}

fn lines(all: &LabelTallies, whose: &Whose, first: UnixMs, last: UnixMs) -> LabelLines {
    let mut lines = LabelLines::new();
    for (place, labels) in all.iter() {
        let is_of_team = whose.teams.as_ref().is_none_or(|teams| teams.contains(&place.team_id));
        let is_of_token = whose.token.as_ref().is_none_or(|token| *token == place.token_id);
        if !(first..=last).contains(&place.day) || !is_of_team || !is_of_token {
            continue;
        }
        for (label, sums) in labels.iter() {
            let key = (place.team_id.clone(), place.token_id.clone(), label.to_owned());
            lines.entry(key).or_default().merge(sums);
        }
    }
    lines
}
