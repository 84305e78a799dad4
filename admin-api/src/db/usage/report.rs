//! Reports: rows of the rollups, and sums that are not rows yet, read in one transaction of the database of usage.
//! A second one reads the lines that are shown; if a fold came between the two, both are made again.

mod explore;
mod list;
mod order;
mod reading;

pub use explore::{Chosen, explore};
pub use list::{Listed, Wanted, list_routes, list_tokens};
pub use order::{After, SortValue};

use super::super::{Db, StoreError, UsageDb, params, sql, to_json, usage_sql};
use contract::usage::{RouteUsage, TokenUsage};
use domain::collect;
use domain::id::{RouteId, TeamId, TokenId};
use domain::time::UnixMs;
use domain::usage::report::{
    Candidates, LineKey, Lines, Parts, Pending, Question, Split, Whose, busiest_first,
};
use domain::usage::rollup::Rollup;
use domain::usage::sheet::Sheet;
use domain::usage::span::{Granularity, Interval, sum_spans};
use domain::usage::tally::Sums;
use reading::{Shown, read_question, read_shown};
pub use reading::{pending_in, pending_statements};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How often a report is read at most. Folds are a minute apart, so the second time is the last.
const ATTEMPTS: u32 = 3;

/// A report: its series, and its busiest tokens and routes.
#[derive(Debug, Default)]
pub struct Report {
    /// By interval, in the zone's local time.
    pub series: Vec<(UnixMs, Rollup)>,
    /// Busiest first.
    pub tokens: Vec<TokenUsage>,
    /// Busiest first.
    pub routes: Vec<RouteUsage>,
}

impl Report {
    /// Returns the sums over its whole time.
    pub fn total(&self) -> Rollup {
        let mut total = Rollup::default();
        for (_, rollup) in &self.series {
            total.merge(rollup);
        }
        total
    }
}

/// Narrows a report to a token. Returns `None` if it is of a team that the report does not cover, or of none that is
/// known: then only a report over all teams finds its calls.
pub async fn narrow(db: &Db, whose: Whose, token: TokenId) -> Result<Option<Whose>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        team_id: TeamId,
    }
    let row: Option<Row> = db.first(db.statement(sql!("usage_token_team"), params![token.as_str()])?).await?;
    let teams = match (row, whose.teams) {
        (Some(Row { team_id }), teams) if teams.as_ref().is_none_or(|teams| teams.contains(&team_id)) => {
            Some(vec![team_id])
        }
        (None, None) => None,
        _ => return Ok(None),
    };
    Ok(Some(Whose { teams, token: Some(token), ..whose }))
}

/// Reads a report. It has at most `split` tokens, and as many routes.
pub async fn report(
    db: &Db,
    usage: &UsageDb,
    question: Question<'_>,
    split: usize,
) -> Result<Report, StoreError> {
    let mut attempt = 1;
    let (series, tokens, routes) = loop {
        let (version, reading) = read_question(usage, &question).await?;
        let Parts { series, tokens, routes } = question.parts(reading);
        let shown = |by, lines: Candidates| Shown::new(by, lines.busiest(split), lines);
        let shown = vec![shown(Split::Token, tokens), shown(Split::Route, routes)];
        let (later, lines) = read_shown(usage, question.whose, question.sums, shown).await?;
        if later == version || attempt == ATTEMPTS {
            let mut lines = lines.into_iter();
            break (series, lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        }
        attempt += 1;
    };
    let ids = |lines: &Lines| lines.keys().map(|(_, key)| key.id.clone()).collect();
    let names = names(db, [ids(&tokens), ids(&routes), vec![]]).await?;
    Ok(Report {
        series: series.into_iter().map(|((at, _), sums)| (at, sums.rollup)).collect(),
        tokens: busiest_first(tokens).into_iter().map(|line| token_usage(line, &names)).collect(),
        routes: busiest_first(routes).into_iter().map(|line| route_usage(line, &names)).collect(),
    })
}

fn token_usage((key, sums): (LineKey, Sums), names: &BTreeMap<String, String>) -> TokenUsage {
    TokenUsage {
        name: names.get(&key.id).cloned(),
        token_id: TokenId::from(key.id),
        team_id: None,
        last_used_at: None,
        figures: (&sums.rollup).into(),
    }
}

fn route_usage((key, sums): (LineKey, Sums), names: &BTreeMap<String, String>) -> RouteUsage {
    RouteUsage {
        path: names.get(&key.id).cloned(),
        // Calls that matched no route have the key ''.
        route_id: (!key.id.is_empty()).then(|| RouteId::from(key.id)),
        last_used_at: None,
        figures: (&sums.rollup).into(),
    }
}

/// Reads the names of tokens, the paths of routes and the names of teams, by id.
pub async fn names(
    db: &Db,
    [tokens, routes, teams]: [Vec<String>; 3],
) -> Result<BTreeMap<String, String>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
        name: String,
    }
    if tokens.is_empty() && routes.is_empty() && teams.is_empty() {
        return Ok(BTreeMap::new());
    }
    let [tokens, routes, teams] = [to_json(&tokens)?, to_json(&routes)?, to_json(&teams)?];
    let statement = db.statement(sql!("usage_names"), params![&tokens, &routes, &teams])?;
    let rows: Vec<Row> = db.rows(statement).await?;
    Ok(collect::map(rows.into_iter().map(|row| (row.id, row.name))))
}

/// Reads the sums of a token since the week in which it was made.
pub async fn own_total(
    usage: &UsageDb,
    token: &TokenId,
    team: &TeamId,
    created_at: UnixMs,
    now: UnixMs,
) -> Result<Rollup, StoreError> {
    let whose = Whose { teams: Some(vec![team.clone()]), token: Some(token.clone()), ..Whose::default() };
    let spans = sum_spans(Granularity::Week.bucket(created_at), now, Interval::Day, now);
    let question = Question { whose: &whose, series: &spans, sums: &[] };
    let (_, reading) = read_question(usage, &question).await?;
    let mut total = Rollup::default();
    for sums in question.parts(reading).series.values() {
        total.merge(&sums.rollup);
    }
    Ok(total)
}

/// Counts all calls of all time; `teams` narrows them, `None` means all.
pub async fn calls(usage: &UsageDb, teams: Option<&[TeamId]>) -> Result<u64, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        calls: u64,
    }
    let (dimension, keys) = match teams {
        None => ("all", to_json(&[""])?),
        Some(teams) => ("team", to_json(teams)?),
    };
    let whose = Whose { teams: teams.map(<[TeamId]>::to_vec), ..Whose::default() };
    let mut statements = vec![usage.statement(usage_sql!("report_calls"), params![dimension, &keys])?];
    statements.extend(pending_statements(usage, &Pending::all(), &whose.kind)?);
    let results = usage.batch(statements).await?;
    let mut results = results.iter();
    let folded: Vec<Row> = results.next().map(super::super::rows_of).transpose()?.unwrap_or_default();
    let mut calls = folded.iter().map(|row| row.calls).fold(0, u64::saturating_add);
    for bucket in pending_in(&mut results)?.iter().flat_map(Sheet::buckets) {
        bucket.each(|line, sums| {
            if whose.covers(line) {
                calls = calls.saturating_add(sums.rollup.calls);
            }
        });
    }
    Ok(calls)
}
