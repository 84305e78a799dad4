//! Which labels calls carried.

use crate::db::usage::labels::{self, LabelLines};
use crate::db::usage::report::narrow;
use crate::db::{to_json, tokens};
use crate::error::Failure;
use crate::handlers::{parse_time, visible_team_ids};
use crate::paging::check_limit;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::usage::{LabelQuery, LabelReport, LabelUsage};
use domain::collect;
use domain::problem::Invalid;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::label::{MAX_REPORT_DAYS, OTHER};
use domain::usage::report::Whose;
use domain::usage::span::Granularity;
use std::cmp::Reverse;

/// `GET /api/usage/labels`
pub async fn labels(call: &Call, asked: Asked<LabelQuery>) -> Answer<LabelReport> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = usize::try_from(check_limit(query.limit)?).unwrap_or(usize::MAX);
    let (from, to) = period_of(&query, call.now)?;
    let (first, last) = (Granularity::Day.bucket(from), Granularity::Day.bucket(to - 1));
    let teams = visible_team_ids(caller, query.team_id.as_ref());
    let whose = Whose { teams, ..Whose::default() };
    let db = call.db()?;
    let whose = match query.token_id {
        None => Some(whose),
        Some(token) => narrow(&db, whose, token).await?,
    };
    let (first, mut lines) = match &whose {
        None => (first, LabelLines::new()),
        Some(whose) => labels::report(&db.usage(&call.env)?, whose, first, last).await?,
    };
    lines.retain(|_, sums| sums.last_at >= from);
    let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort_by_key(|(_, sums)| Reverse((sums.calls, sums.last_at)));
    lines.truncate(limit);
    let ids = collect::set(lines.iter().map(|((_, token, _), _)| token.as_str()));
    let names = tokens::names(&db, &to_json(&ids)?).await?;
    let items = lines.into_iter().map(|((team_id, token_id, label), sums)| LabelUsage {
        token_name: names.get(token_id.as_str()).cloned(),
        token_id,
        team_id,
        label: Some(label).filter(|label| label != OTHER),
        calls: sums.calls,
        ok: sums.ok,
        errors: sums.calls.saturating_sub(sums.ok).saturating_sub(sums.refused),
        refused: sums.refused,
        prompt_tokens: sums.prompt_tokens,
        completion_tokens: sums.completion_tokens,
        cost_micros: sums.cost_micros,
        last_used_at: sums.last_at,
    });
    respond(LabelReport { from: first, to: last + DAY_MS, lines: count, items: items.collect() })
}

fn period_of(query: &LabelQuery, now: UnixMs) -> Result<(UnixMs, UnixMs), Failure> {
    let to = query.to.as_deref().map_or(Ok(now + 1), |text| parse_time("to", text))?;
    let from =
        query.from.as_deref().map_or(Ok(to.saturating_sub(DAY_MS)), |text| parse_time("from", text))?;
    if from >= to {
        return Err(Failure::field("from", Invalid::NotBefore));
    }
    if to - from > MAX_REPORT_DAYS * DAY_MS {
        return Err(Failure::field("from", Invalid::TooLong { days: MAX_REPORT_DAYS }));
    }
    Ok((from, to))
}
