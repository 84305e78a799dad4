//! `/api/usage`

mod events;
mod log;
mod own;

pub use events::{export, list as events};
pub use log::log_usage;
pub use own::own;

use crate::db::usage::{self as store, Line, ListFilter, Whose};
use crate::db::{Db, Param, routes, tokens};
use crate::error::Failure;
use crate::handlers::{parse_time, visible_teams};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use crate::zone::Zone;
use contract::Page;
use contract::error::ApiError;
use contract::usage::{
    Figures, RoutePathQuery, RouteUsage, SpanQuery, TokenUsage, UsageBucket, UsageListQuery, UsageQuery,
    UsageStats,
};
use domain::id::{RouteId, TeamId, TokenId};
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::Invalid;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::rollup::Rollup;
use domain::usage::span::Interval;
use domain::usage::span::{
    FINE_KEPT_MS, HOURLY_KEPT_MS, MAX_INTERVALS, Span, instant_of, interval_start, series_spans, sum_spans,
};
use serde_json::Value;

const DEFAULT_SPAN_MS: i64 = DAY_MS;
/// The longest span that is shown by hour by default; longer ones are shown by day.
const HOURLY_SPAN_MS: i64 = 14 * DAY_MS;
/// The most tokens, and the most routes, in a report's split; the lists have all.
const SPLIT: u32 = 50;

/// `GET /api/usage/stats`, for the teams that the caller may see. It reads rollups only.
pub async fn stats(call: &Call, asked: Asked<UsageQuery>) -> Answer<UsageStats> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let teams = visible_teams(caller, query.team_id.as_ref())?;
    let whose = Whose {
        teams: teams.as_deref(),
        token: query.token_id.as_ref().map(TokenId::as_str),
        route: query.route_id.as_ref().map(RouteId::as_str),
    };
    let when = SpanQuery { from: query.from, to: query.to, interval: query.interval, tz: query.tz };
    respond_stats(call, &call.db()?, whose, &when).await
}

/// `GET /api/usage/token/{id}`
pub async fn of_token(call: &Call, asked: Asked<SpanQuery>) -> Answer<UsageStats> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let db = call.db()?;
    let token = tokens::get(&db, call.id()).await?.ok_or(ApiError::NotFound)?;
    authorize(caller, Action::ReadUsage, Subject::team(&token.team_id))?;
    let whose = Whose { teams: None, token: Some(call.id()), route: None };
    respond_stats(call, &db, whose, &query).await
}

/// `GET /api/usage/route?route_path=`, for the calls of the teams that the caller may see.
pub async fn of_route(call: &Call, asked: Asked<RoutePathQuery>) -> Answer<UsageStats> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    let query = asked.read(call)?;
    let db = call.db()?;
    let id = routes::id_of(&db, &query.route_path).await?.ok_or(ApiError::NotFound)?;
    let teams = visible_teams(caller, None)?;
    let whose = Whose { teams: teams.as_deref(), token: None, route: Some(id.as_str()) };
    let when = SpanQuery { from: query.from, to: query.to, interval: query.interval, tz: query.tz };
    respond_stats(call, &db, whose, &when).await
}

/// `GET /api/usage/team/{id}`
pub async fn of_team(call: &Call, asked: Asked<SpanQuery>) -> Answer<UsageStats> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let team = TeamId::from(call.id());
    authorize(caller, Action::ReadUsage, Subject::team(&team))?;
    let db = call.db()?;
    if tokens::team_bounds(&db, &team).await?.is_none() {
        return Err(ApiError::NotFound.into());
    }
    let teams = crate::db::to_json(&[&team])?;
    let whose = Whose { teams: Some(&teams), token: None, route: None };
    respond_stats(call, &db, whose, &query).await
}

async fn respond_stats(call: &Call, db: &Db, whose: Whose<'_>, query: &SpanQuery) -> Answer<UsageStats> {
    let range = range_of(query, call.now)?;
    let report = store::report(db, whose, &range.series, &range.sums, SPLIT).await?;
    let mut total = Rollup::default();
    for line in &report.series {
        total.merge(&line.rollup);
    }
    let bucket = |line: &Line| UsageBucket {
        at: instant_of(line.at, &range.series),
        figures: Figures::from(&line.rollup),
    };
    let mut series: Vec<UsageBucket> = report.series.iter().map(bucket).collect();
    series.sort_by_key(|bucket| bucket.at);
    respond(UsageStats {
        from: range.from,
        to: range.to,
        interval: range.interval,
        tz: query.tz.clone().unwrap_or_else(|| "UTC".to_owned()),
        total: Figures::from(&total),
        series,
        by_token: report.tokens.into_iter().map(token_usage).collect(),
        by_route: report.routes.into_iter().map(route_usage).collect(),
    })
}

/// `GET /api/usage/tokens`
pub async fn list_tokens(call: &Call, asked: Asked<UsageListQuery>) -> Answer<Page<TokenUsage>> {
    let caller = call.caller()?;
    let list = List::of(call, caller, asked.read(call)?)?;
    let lines = store::list_tokens(&call.db()?, &list.spans, &list.filter()).await?;
    let next = page(lines, list.limit, cursor_of);
    respond(Page { items: next.items.into_iter().map(token_usage).collect(), next_cursor: next.next_cursor })
}

/// `GET /api/usage/routes`
pub async fn list_routes(call: &Call, asked: Asked<UsageListQuery>) -> Answer<Page<RouteUsage>> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    let list = List::of(call, caller, asked.read(call)?)?;
    let lines = store::list_routes(&call.db()?, &list.spans, &list.filter()).await?;
    let next = page(lines, list.limit, cursor_of);
    respond(Page { items: next.items.into_iter().map(route_usage).collect(), next_cursor: next.next_cursor })
}

/// A list's query, checked.
struct List {
    query: UsageListQuery,
    spans: Vec<Span>,
    teams: Option<String>,
    cursor: Option<Cursor>,
    limit: u32,
}

impl List {
    fn of(call: &Call, caller: &Caller, query: UsageListQuery) -> Result<Self, Failure> {
        let limit = check_limit(query.limit)?;
        let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
        let sorts_by_name = query.sort == Some(contract::usage::UsageSort::Name);
        if cursor.as_ref().is_some_and(|c| matches!(c, Cursor::Text(..)) != sorts_by_name) {
            return Err(Failure::field("cursor", Invalid::OtherSort));
        }
        let when = SpanQuery { from: query.from.clone(), to: query.to.clone(), ..SpanQuery::default() };
        let spans = range_of(&when, call.now)?.sums;
        let teams = visible_teams(caller, query.team_id.as_ref())?;
        Ok(Self { query, spans, teams, cursor, limit })
    }

    fn filter(&self) -> ListFilter<'_> {
        ListFilter {
            teams: self.teams.as_deref(),
            search: self.query.search.as_deref(),
            sort: self.query.sort.unwrap_or_default(),
            after: self.cursor.as_ref().map(|cursor| match cursor {
                Cursor::Time(value, id) => (Param::Integer(*value), id.as_str()),
                Cursor::Text(value, id) => (Param::Text(value), id.as_str()),
            }),
            limit: self.limit + 1,
        }
    }
}

fn cursor_of(line: &Line) -> Cursor {
    match &line.sort_value {
        Some(Value::String(text)) => Cursor::Text(text.clone(), line.key.clone()),
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        Some(Value::Number(n)) => Cursor::Time(n.as_f64().unwrap_or(0.0) as i64, line.key.clone()),
        _ => Cursor::Time(0, line.key.clone()),
    }
}

pub fn token_usage(line: Line) -> TokenUsage {
    TokenUsage {
        figures: Figures::from(&line.rollup),
        token_id: TokenId::from(line.key),
        name: line.label,
        team_id: line.team,
        last_used_at: line.last_at,
    }
}

pub fn route_usage(line: Line) -> RouteUsage {
    RouteUsage {
        figures: Figures::from(&line.rollup),
        // The rollups' key cannot be NULL; calls that matched no route have the key ''.
        route_id: (!line.key.is_empty()).then(|| RouteId::from(line.key)),
        path: line.label,
        last_used_at: line.last_at,
    }
}

/// The period that a report covers: whole intervals from `from` up to, but not including, `to`.
#[derive(Debug)]
pub struct Range {
    pub from: UnixMs,
    pub to: UnixMs,
    pub interval: Interval,
    pub series: Vec<Span>,
    pub sums: Vec<Span>,
}

pub fn range_of(query: &SpanQuery, now: UnixMs) -> Result<Range, Failure> {
    let name = query.tz.as_deref().unwrap_or("UTC");
    let zone = Zone::named(name).ok_or_else(|| Failure::field("tz", Invalid::Zone))?;
    range_in(query, now, |at| zone.offset_at(at))
}

fn range_in(query: &SpanQuery, now: UnixMs, offset_at: impl Fn(UnixMs) -> i64) -> Result<Range, Failure> {
    let to = query.to.as_deref().map(|text| parse_time("to", text)).transpose()?.unwrap_or(now);
    let from = query.from.as_deref().map(|text| parse_time("from", text)).transpose()?;
    let from = from.unwrap_or(to - DEFAULT_SPAN_MS);
    if from >= to {
        return Err(Failure::field("from", Invalid::NotBefore));
    }
    if to - from > HOURLY_KEPT_MS {
        return Err(Failure::field("from", Invalid::TooLong { days: 400 }));
    }
    let default = if to - from > HOURLY_SPAN_MS { Interval::Day } else { Interval::Hour };
    let interval = query.interval.unwrap_or(default);
    if (to - from) / interval.width_ms() > MAX_INTERVALS {
        return Err(Failure::field("interval", Invalid::IntervalTooShort { most: 600 }));
    }
    if interval == Interval::FiveMinutes && from < now - FINE_KEPT_MS {
        return Err(Failure::field("interval", Invalid::IntervalGone));
    }
    let from = interval_start(from, interval, &offset_at);
    let series = series_spans(from, to, interval, offset_at);
    let sums = sum_spans(from, to, interval, now);
    // Refuse ranges whose hourly rollups were purged; reporting zero would be wrong. Allow one more day,
    // because the first interval may begin that much before `from`.
    let hours_since = now - HOURLY_KEPT_MS - DAY_MS;
    if series.iter().chain(&sums).any(|span| span.granularity == "hour" && span.from < hours_since) {
        return Err(Failure::field("from", Invalid::HoursGone));
    }
    Ok(Range { from, to, interval, series, sums })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::parse_query;
    use domain::time::{HOUR_MS, bucket_start};

    const NOW: UnixMs = 1_763_870_461_000;

    fn range(query: &str) -> Result<Range, String> {
        let query: SpanQuery = parse_query(query).unwrap();
        range_in(&query, NOW, |_| 0).map_err(|failure| match failure {
            Failure::Fields(_, fields) => fields.into_iter().map(|f| f.field).collect(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_last_day_by_hour_is_the_default() {
        let range = range("").unwrap();
        assert_eq!((range.from, range.to), (bucket_start(NOW - DAY_MS, HOUR_MS), NOW));
        assert_eq!(range.interval, Interval::Hour);
    }

    #[test]
    fn times_are_milliseconds_or_rfc_3339() {
        let a = range("from=1763856000000&to=1763859600000").unwrap();
        let b = range("from=2025-11-23T00:00:00Z&to=2025-11-23T09:00:00%2B08:00").unwrap();
        assert_eq!((a.from, a.to), (b.from, b.to));
    }

    #[test]
    fn an_impossible_range_is_refused_by_field() {
        for (query, field) in [
            ("from=yesterday", "from"),
            ("to=-5", "to"),
            ("to=9223372036854775807", "to"),
            ("from=10&to=10", "from"),
            ("from=0", "from"),
            ("from=2025-09-01T00:00:00Z&interval=hour", "interval"),
            ("from=2025-11-20T00:00:00Z&interval=5m", "interval"),
            ("from=2025-11-20T00:00:00Z&to=2025-11-20T01:00:00Z&interval=5m", "interval"),
            ("from=2023-11-20T00:00:00Z&to=2023-11-21T00:00:00Z&interval=hour", "from"),
            ("from=2023-11-20T00:00:00Z&to=2023-11-21T09:00:00Z&interval=day", "from"),
        ] {
            assert_eq!(range(query).map(|_| ()), Err(field.to_owned()), "{query}");
        }
    }

    #[test]
    fn past_days_can_be_shown_for_any_time() {
        let range = range("from=2023-11-20T00:00:00Z&to=2023-11-23T00:00:00Z&interval=day").unwrap();
        assert!(range.series.iter().chain(&range.sums).all(|span| span.granularity != "hour"));
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        let range = range("interval=day").unwrap();
        assert_eq!(range.from % DAY_MS, 0);
    }
}
