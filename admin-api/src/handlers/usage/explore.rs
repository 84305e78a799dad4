//! `GET /api/usage/explore`

use crate::db::usage::report::{self as store, Chosen};
use crate::error::Failure;
use crate::handlers::usage::period_of;
use crate::handlers::visible_team_ids;
use crate::paging::check_limit;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use crate::zone::Zone;
use contract::usage::{
    Compared, ExploreQuery, Explored, GroupBy, SpanQuery, UsageGroup, buckets_of, total_of,
};
use domain::problem::Invalid;
use domain::usage::metric::Metric;
use domain::usage::period::Period;
use domain::usage::report::{Exploration, ExploredLine, Kind, Split, Whose};
use std::collections::BTreeMap;

/// The most groups.
const MOST: usize = 200;
/// Groups whose intervals are in the response by default.
const DRAWN: u32 = 6;

/// `GET /api/usage/explore`, for the teams that the caller may see.
pub async fn explore(call: &Call, asked: Asked<ExploreQuery>) -> Answer<Explored> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let (chosen, kind) = (chosen(&query)?, kind_of(&query)?);
    let span = SpanQuery { from: query.from, to: query.to, interval: query.interval, tz: query.tz.clone() };
    let period = period_of(&span, call.now)?;
    let zone = Zone::named(query.tz.as_deref().unwrap_or("UTC"))
        .ok_or_else(|| Failure::field("tz", Invalid::Zone))?;
    let previous =
        if query.compare.is_some() { period.previous(call.now, |at| zone.offset_at(at)) } else { None };
    let teams = visible_team_ids(caller, query.team_id.as_ref());
    let whose = Whose { teams, token: None, kind, route: query.route_id };
    let db = call.db()?;
    let whose = match query.token_id {
        None => Some(whose),
        Some(token) => store::narrow(&db, whose, token).await?,
    };
    let split = query.group_by.map(split_of);
    let asked = Exploration {
        whose: &whose.unwrap_or(Whose { teams: Some(vec![]), ..Whose::default() }),
        period: &period,
        previous: previous.as_ref(),
        splits: split.as_slice(),
        sections: &[],
    };
    let metric = chosen.metric;
    let drawn = chosen.drawn;
    let mut found = store::explore(&db.usage(&call.env)?, asked, &[chosen]).await?;
    let (lines, groups_called) = found.splits.pop().unwrap_or_default();
    let groups = groups_of(lines, &period, metric, drawn, previous.is_some());
    respond(Explored {
        from: period.from,
        to: period.to,
        interval: period.interval,
        tz: query.tz.unwrap_or_else(|| "UTC".to_owned()),
        total: total_of(&period, &found.series),
        series: buckets_of(&period, &found.series),
        previous: previous.map(|previous| Compared::of(&previous, &found.series)),
        groups: named(&store::names(&db, ids_of(split, &groups)).await?, groups),
        groups_called,
    })
}

/// Returns which groups are asked for.
fn chosen(query: &ExploreQuery) -> Result<Chosen, Failure> {
    let most = usize::try_from(check_limit(query.limit)?).unwrap_or(MOST);
    let drawn = usize::try_from(query.drawn.unwrap_or(DRAWN)).unwrap_or(usize::MAX);
    if drawn > MOST {
        return Err(Failure::field("drawn", Invalid::Range { least: 0, most: 200 }));
    }
    let ids: Option<Vec<String>> =
        query.ids.as_ref().map(|ids| ids.split(',').map(ToOwned::to_owned).collect());
    if ids.as_ref().is_some_and(|ids| ids.len() > MOST || ids.iter().any(|id| id.len() > 100)) {
        return Err(Failure::field("ids", Invalid::Length { least: 1, most: MOST }));
    }
    Ok(Chosen { metric: query.metric.unwrap_or_default(), ids, most, drawn })
}

/// Returns the kind of calls that the report covers.
fn kind_of(query: &ExploreQuery) -> Result<Kind, Failure> {
    let kind = match (&query.model, query.group_by) {
        (Some(model), _) => Kind::Model(model.clone()),
        (None, Some(GroupBy::Model)) => Kind::Ai,
        (None, _) => return Ok(Kind::Any),
    };
    let is_by_other = matches!(query.group_by, Some(GroupBy::Token | GroupBy::Route));
    let fields = [
        ("token_id", query.token_id.is_some()),
        ("route_id", query.route_id.is_some()),
        ("group_by", is_by_other),
    ];
    match fields.into_iter().find(|(_, is_given)| *is_given) {
        Some((field, _)) => Err(Failure::field(field, Invalid::NotByModel)),
        None => Ok(kind),
    }
}

fn split_of(by: GroupBy) -> Split {
    match by {
        GroupBy::Token => Split::Token,
        GroupBy::Route => Split::Route,
        GroupBy::Team => Split::Team,
        GroupBy::Model => Split::Model,
    }
}

/// Makes groups of lines, the first of them with their intervals.
pub fn groups_of(
    lines: Vec<ExploredLine>,
    period: &Period,
    metric: Metric,
    drawn: usize,
    is_compared: bool,
) -> Vec<UsageGroup> {
    let group = |(n, mut line): (usize, ExploredLine)| {
        let series = std::mem::take(&mut line.series);
        let group = UsageGroup::of(line, None, is_compared);
        if n < drawn { group.drawn(period, &series, metric) } else { group }
    };
    lines.into_iter().enumerate().map(group).collect()
}

/// Returns the ids of groups as [`store::names`] takes them.
fn ids_of(split: Option<Split>, groups: &[UsageGroup]) -> [Vec<String>; 3] {
    let ids = || groups.iter().filter_map(|group| group.id.clone()).collect();
    match split {
        Some(Split::Token) => [ids(), vec![], vec![]],
        Some(Split::Route) => [vec![], ids(), vec![]],
        Some(Split::Team) => [vec![], vec![], ids()],
        Some(Split::Whole | Split::Model) | None => [vec![], vec![], vec![]],
    }
}

/// Names groups.
pub fn named(names: &BTreeMap<String, String>, groups: Vec<UsageGroup>) -> Vec<UsageGroup> {
    let with_name = |mut group: UsageGroup| {
        group.name = group.id.as_ref().and_then(|id| names.get(id).cloned());
        group
    };
    groups.into_iter().map(with_name).collect()
}
