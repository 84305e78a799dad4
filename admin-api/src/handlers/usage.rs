//! `/api/usage`

use crate::auth::{api_key, caller};
use crate::db::usage::{self as store, Line, Range};
use crate::error::Failure;
use crate::handlers::{parse_time, visible_teams};
use crate::paging::parse_query;
use crate::request::{Call, respond};
use domain::api::usage::{
    Figures, Interval, OwnUsage, RouteUsage, TokenUsage, UsageBucket, UsageQuery, UsageStats,
};
use domain::id::{RouteId, TokenId};
use domain::rollup::Rollup;
use domain::time::{DAY_MS, HOUR_MS, UnixMs, bucket_start};
use worker::Response;

const DEFAULT_SPAN_MS: i64 = DAY_MS;
/// As long as hourly rollups are kept.
const MAX_SPAN_MS: i64 = 400 * DAY_MS;
/// Longer spans are shown by day unless hours are asked for: more points than that no chart shows.
const HOURLY_SPAN_MS: i64 = 14 * DAY_MS;
const RECENT_CALLS: u32 = 10;

/// `GET /api/usage/stats`: of the teams that the caller may see. Reads rollups only.
pub async fn stats(call: &Call) -> Result<Response, Failure> {
    let caller = caller(call).await?;
    let query: UsageQuery = parse_query(call.query())?;
    let span = span_of(&query, call.now)?;
    let teams = visible_teams(&caller, query.team_id.as_ref())?;
    let range = Range {
        from: span.from,
        to: span.to,
        interval: span.interval,
        teams: teams.as_deref(),
        token: query.token_id.as_ref().map(TokenId::as_str),
        route: query.route_id.as_ref().map(RouteId::as_str),
    };
    let report = store::report(&call.db()?, &range).await?;
    let mut total = Rollup::default();
    for line in &report.buckets {
        total.merge(&line.rollup);
    }
    let bucket =
        |line: &Line| Some(UsageBucket { at: line.key.parse().ok()?, figures: Figures::from(&line.rollup) });
    let mut series: Vec<UsageBucket> = report.buckets.iter().filter_map(bucket).collect();
    series.sort_by_key(|bucket| bucket.at);
    respond(
        200,
        &UsageStats {
            from: span.from,
            to: span.to,
            interval: span.interval,
            total: Figures::from(&total),
            series,
            by_token: busiest_first(report.tokens).map(token_usage).collect(),
            by_route: busiest_first(report.routes).map(route_usage).collect(),
        },
    )
}

fn busiest_first(mut lines: Vec<Line>) -> impl Iterator<Item = Line> {
    lines.sort_by(|a, b| b.rollup.calls.cmp(&a.rollup.calls).then_with(|| a.key.cmp(&b.key)));
    lines.into_iter()
}

fn token_usage(line: Line) -> TokenUsage {
    TokenUsage { token_id: TokenId::from(line.key), name: line.label, figures: Figures::from(&line.rollup) }
}

fn route_usage(line: Line) -> RouteUsage {
    RouteUsage {
        // The rollups' key cannot be NULL; calls that matched no route stand under ''.
        route_id: (!line.key.is_empty()).then(|| RouteId::from(line.key)),
        path: line.label,
        figures: Figures::from(&line.rollup),
    }
}

/// What a report covers: whole buckets from `from` on, up to and without `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: UnixMs,
    to: UnixMs,
    interval: Interval,
}

fn span_of(query: &UsageQuery, now: UnixMs) -> Result<Span, Failure> {
    let to = query.to.as_deref().map(|text| parse_time("to", text)).transpose()?.unwrap_or(now);
    let from = query.from.as_deref().map(|text| parse_time("from", text)).transpose()?;
    let from = from.unwrap_or(to - DEFAULT_SPAN_MS);
    if from >= to {
        return Err(Failure::field("from", "must be before to"));
    }
    if to - from > MAX_SPAN_MS {
        return Err(Failure::field("from", "must be at most 400 days before to"));
    }
    let default = if to - from > HOURLY_SPAN_MS { Interval::Day } else { Interval::Hour };
    let interval = query.interval.unwrap_or(default);
    let width_ms = match interval {
        Interval::Hour => HOUR_MS,
        Interval::Day => DAY_MS,
    };
    Ok(Span { from: bucket_start(from, width_ms), to, interval })
}

/// `GET /api/usage/me` and, as the earlier system called it, `GET /api/usage/test-data`.
pub async fn own(call: &Call) -> Result<Response, Failure> {
    let holder = api_key::holder(call).await?;
    let db = call.db()?;
    let total = store::own_total(&db, &holder.id).await?;
    let recent = store::own_recent(&db, &holder.id, RECENT_CALLS).await?;
    respond(
        200,
        &OwnUsage {
            token_id: holder.id,
            name: holder.name,
            expires_at: holder.expires_at,
            total: Figures::from(&total),
            recent,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = 1_763_870_461_000;

    fn span(query: &str) -> Result<Span, String> {
        let query: UsageQuery = parse_query(query).unwrap();
        span_of(&query, NOW).map_err(|failure| match failure {
            Failure::Fields(_, fields) => fields.into_iter().map(|f| f.field).collect(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_last_day_by_hour_is_the_default() {
        let wanted = Span { from: bucket_start(NOW - DAY_MS, HOUR_MS), to: NOW, interval: Interval::Hour };
        assert_eq!(span(""), Ok(wanted));
    }

    #[test]
    fn times_are_milliseconds_or_rfc_3339() {
        let a = span("from=1763856000000&to=1763859600000").unwrap();
        let b = span("from=2025-11-23T00:00:00Z&to=2025-11-23T09:00:00%2B08:00").unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn what_cannot_be_a_range_is_refused_by_field() {
        assert_eq!(span("from=yesterday"), Err("from".into()));
        assert_eq!(span("to=-5"), Err("to".into()));
        assert_eq!(span("to=9223372036854775807"), Err("to".into()));
        assert_eq!(span("from=10&to=10"), Err("from".into()));
        assert_eq!(span("from=0"), Err("from".into()));
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        let span = span("interval=day").unwrap();
        assert_eq!(span.from % DAY_MS, 0);
    }
}
