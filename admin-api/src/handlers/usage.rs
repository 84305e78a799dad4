//! `/api/usage`

mod events;
mod explore;
mod labels;
mod log;
mod own;

pub use events::{export, list as events};
pub use explore::{explore, groups_of, named};
pub use labels::labels;
pub use log::log_usage;
pub use own::own;

use crate::db::usage::report::{self as store, After, Listed, Report, SortValue, Wanted};
use crate::db::{Db, routes, tokens};
use crate::error::Failure;
use crate::handlers::{parse_time, visible_team_ids};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use crate::zone::Zone;
use contract::Page;
use contract::error::ApiError;
use contract::usage::{
    Figures, RoutePathQuery, RouteUsage, SpanQuery, TokenUsage, UsageBucket, UsageListQuery, UsageQuery,
    UsageSort, UsageStats,
};
use domain::id::{TeamId, TokenId};
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::Invalid;
use domain::time::UnixMs;
use domain::usage::period::{Period, PeriodRefusal};
use domain::usage::report::{Question, Whose};
use domain::usage::span::instant_of;

/// The most tokens, and the most routes, in a report's split; the lists have all.
const SPLIT: usize = 50;

/// `GET /api/usage/stats`, for the teams that the caller may see.
pub async fn stats(call: &Call, asked: Asked<UsageQuery>) -> Answer<UsageStats> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let teams = visible_team_ids(caller, query.team_id.as_ref());
    let whose = Whose { teams, route: query.route_id, ..Whose::default() };
    let db = call.db()?;
    let whose = match query.token_id {
        None => Some(whose),
        Some(token) => store::narrow(&db, whose, token).await?,
    };
    let when = SpanQuery { from: query.from, to: query.to, interval: query.interval, tz: query.tz };
    respond_stats(call, &db, whose.as_ref(), &when).await
}

/// `GET /api/usage/token/{id}`
pub async fn of_token(call: &Call, asked: Asked<SpanQuery>) -> Answer<UsageStats> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let db = call.db()?;
    let token = tokens::get(&db, call.id()).await?.ok_or(ApiError::NotFound)?;
    authorize(caller, Action::ReadUsage, Subject::team(&token.team_id))?;
    let whose =
        Whose { teams: Some(vec![token.team_id]), token: Some(TokenId::from(call.id())), ..Whose::default() };
    respond_stats(call, &db, Some(&whose), &query).await
}

/// `GET /api/usage/route?route_path=`, for the calls of the teams that the caller may see.
pub async fn of_route(call: &Call, asked: Asked<RoutePathQuery>) -> Answer<UsageStats> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    let query = asked.read(call)?;
    let db = call.db()?;
    let id = routes::id_of(&db, &query.route_path).await?.ok_or(ApiError::NotFound)?;
    let whose = Whose { teams: visible_team_ids(caller, None), route: Some(id), ..Whose::default() };
    let when = SpanQuery { from: query.from, to: query.to, interval: query.interval, tz: query.tz };
    respond_stats(call, &db, Some(&whose), &when).await
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
    let whose = Whose { teams: Some(vec![team]), ..Whose::default() };
    respond_stats(call, &db, Some(&whose), &query).await
}

/// Responds with the report of some calls; `None` means no calls.
async fn respond_stats(call: &Call, db: &Db, whose: Option<&Whose>, query: &SpanQuery) -> Answer<UsageStats> {
    let period = period_of(query, call.now)?;
    let report = match whose {
        None => Report::default(),
        Some(whose) => {
            let question = Question { whose, series: &period.series, sums: &period.sums };
            store::report(db, &db.usage(&call.env)?, question, SPLIT).await?
        }
    };
    let bucket = |(at, rollup): &(UnixMs, _)| UsageBucket {
        at: instant_of(*at, &period.series),
        figures: Figures::from(rollup),
    };
    let mut series: Vec<UsageBucket> = report.series.iter().map(bucket).collect();
    series.sort_unstable_by_key(|bucket| bucket.at);
    respond(UsageStats {
        from: period.from,
        to: period.to,
        interval: period.interval,
        tz: query.tz.clone().unwrap_or_else(|| "UTC".to_owned()),
        total: Figures::from(&report.total()),
        series,
        by_token: report.tokens,
        by_route: report.routes,
    })
}

/// `GET /api/usage/tokens`
pub async fn list_tokens(call: &Call, asked: Asked<UsageListQuery>) -> Answer<Page<TokenUsage>> {
    let caller = call.caller()?;
    let list = List::of(call, caller, asked.read(call)?)?;
    let db = call.db()?;
    let listed = store::list_tokens(&db, &db.usage(&call.env)?, &list.wanted()).await?;
    respond(page_of(listed, list.limit))
}

/// `GET /api/usage/routes`
pub async fn list_routes(call: &Call, asked: Asked<UsageListQuery>) -> Answer<Page<RouteUsage>> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    let list = List::of(call, caller, asked.read(call)?)?;
    let db = call.db()?;
    let listed = store::list_routes(&db, &db.usage(&call.env)?, &list.wanted()).await?;
    respond(page_of(listed, list.limit))
}

/// A list's query, checked.
struct List {
    whose: Whose,
    period: Period,
    search: Option<String>,
    sort: UsageSort,
    after: Option<After>,
    limit: u32,
}

impl List {
    fn of(call: &Call, caller: &Caller, query: UsageListQuery) -> Result<Self, Failure> {
        let limit = check_limit(query.limit)?;
        let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
        let sort = query.sort.unwrap_or_default();
        let after = cursor.map(|cursor| match cursor {
            Cursor::Time(value, id) => After { value: SortValue::Number(value), id },
            Cursor::Text(value, id) => After { value: SortValue::Text(value), id },
        });
        let sorts_by_name = sort == UsageSort::Name;
        if after.as_ref().is_some_and(|after| matches!(after.value, SortValue::Text(_)) != sorts_by_name) {
            return Err(Failure::field("cursor", Invalid::OtherSort));
        }
        let teams = visible_team_ids(caller, query.team_id.as_ref());
        let when = SpanQuery { from: query.from, to: query.to, ..SpanQuery::default() };
        Ok(Self {
            whose: Whose { teams, ..Whose::default() },
            period: period_of(&when, call.now)?,
            search: query.search,
            sort,
            after,
            limit,
        })
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            whose: &self.whose,
            spans: &self.period.sums,
            search: self.search.as_deref(),
            sort: self.sort,
            after: self.after.as_ref(),
            limit: usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_add(1),
        }
    }
}

fn page_of<T>(listed: Vec<Listed<T>>, limit: u32) -> Page<T> {
    let cursor = |listed: &Listed<T>| {
        let After { value, id } = listed.place.clone();
        match value {
            SortValue::Number(n) => Cursor::Time(n, id),
            SortValue::Text(text) => Cursor::Text(text, id),
        }
    };
    let Page { items, next_cursor, total } = page(listed, limit, cursor);
    Page { items: items.into_iter().map(|listed| listed.item).collect(), next_cursor, total }
}

/// Returns the period that a query names.
pub fn period_of(query: &SpanQuery, now: UnixMs) -> Result<Period, Failure> {
    let name = query.tz.as_deref().unwrap_or("UTC");
    let zone = Zone::named(name).ok_or_else(|| Failure::field("tz", Invalid::Zone))?;
    period_in(query, now, |at| zone.offset_at(at))
}

fn period_in(query: &SpanQuery, now: UnixMs, offset_at: impl Fn(UnixMs) -> i64) -> Result<Period, Failure> {
    let to = query.to.as_deref().map(|text| parse_time("to", text)).transpose()?;
    let from = query.from.as_deref().map(|text| parse_time("from", text)).transpose()?;
    Period::of(from, to, query.interval, now, offset_at).map_err(|refusal| match refusal {
        PeriodRefusal::Empty => Failure::field("from", Invalid::NotBefore),
        PeriodRefusal::TooLong => Failure::field("from", Invalid::TooLong { days: 400 }),
        PeriodRefusal::TooManyIntervals => {
            Failure::field("interval", Invalid::IntervalTooShort { most: 600 })
        }
        PeriodRefusal::IntervalsGone => Failure::field("interval", Invalid::IntervalGone),
        PeriodRefusal::HoursGone => Failure::field("from", Invalid::HoursGone),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::parse_query;
    use domain::time::{DAY_MS, HOUR_MS, bucket_start};
    use domain::usage::span::{Granularity, Interval, Span};

    const NOW: UnixMs = 1_763_870_461_000;

    fn period(query: &str) -> Result<Period, String> {
        let query: SpanQuery = parse_query(query).unwrap();
        period_in(&query, NOW, |_| 0).map_err(|failure| match failure {
            Failure::Fields(_, fields) => fields.into_iter().map(|f| f.field).collect(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_last_day_by_hour_is_the_default() {
        let period = period("").unwrap();
        assert_eq!((period.from, period.to), (bucket_start(NOW - DAY_MS, HOUR_MS), NOW));
        assert_eq!(period.interval, Interval::Hour);
    }

    #[test]
    fn times_are_milliseconds_or_rfc_3339() {
        let a = period("from=1763856000000&to=1763859600000").unwrap();
        let b = period("from=2025-11-23T00:00:00Z&to=2025-11-23T09:00:00%2B08:00").unwrap();
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
            assert_eq!(period(query).map(|_| ()), Err(field.to_owned()), "{query}");
        }
    }

    #[test]
    fn past_days_can_be_shown_for_any_time() {
        let period = period("from=2023-11-20T00:00:00Z&to=2023-11-23T00:00:00Z&interval=day").unwrap();
        assert!(period.series.iter().chain(&period.sums).all(|span| span.granularity != Granularity::Hour));
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        let period = period("interval=day").unwrap();
        assert_eq!(period.from % DAY_MS, 0);
    }

    #[test]
    fn a_series_ends_within_a_day_where_sums_do() {
        let period = period("from=2025-11-01T00:00:00Z&to=2025-11-20T10:00:00Z&interval=day").unwrap();
        let ends = |spans: &[Span]| spans.last().map(|span| (span.granularity, span.from % DAY_MS, span.to));
        assert_eq!(ends(&period.series), Some((Granularity::Hour, 0, period.to)));
        assert_eq!(ends(&period.series), ends(&period.sums));
    }
}
